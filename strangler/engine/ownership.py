"""The right to run the Envoy of a folder: one process has it, and the next one waits for it.

Both are locks of files, which the system releases when a process is killed. An owner that ends looks whether another
process has a claim: if so, it leaves Envoy running.
"""

import asyncio
import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

_LOCK: Final = "owner.lock"
_CLAIM: Final = "claim.lock"
_LOOK_EVERY_S: Final = 0.02


class Ownership:
    """This process's side of both locks of a folder."""

    def __init__(self, folder: Path) -> None:
        """Make the folder. Raises OSError."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._owner_fd: int | None = None

    def try_take(self) -> bool:
        """Become the owner if there is none. Raises OSError."""
        if self._owner_fd is None:
            self._owner_fd = try_lock(self._folder / _LOCK)
        return self._owner_fd is not None

    async def wait(self) -> None:
        """Become the owner as soon as the present one lets go, which it does because of our claim. Raises OSError."""
        claim: int | None = None
        try:
            while not self.try_take():
                claim = claim if claim is not None else try_lock(self._folder / _CLAIM)
                await asyncio.sleep(_LOOK_EVERY_S)
        finally:
            if claim is not None:
                os.close(claim)

    def is_claimed(self) -> bool:
        """Return whether another process waits for this one to let go."""
        return is_locked(self._folder / _CLAIM)

    def release(self) -> None:
        """Let go."""
        if self._owner_fd is not None:
            os.close(self._owner_fd)
            self._owner_fd = None


def try_lock(path: Path) -> int | None:
    """Return the descriptor of a file that is locked now, for as long as any process has it; None if another has it.

    Raises OSError.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def is_locked(path: Path) -> bool:
    """Return whether a process holds the lock of a file. A file that is not there is not locked."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        with suppress(OSError):
            os.close(descriptor)
    return False
