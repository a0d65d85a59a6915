"""The state folder, held by one proxy at a time, or by two during a restart."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from strangler.state.lock import FolderError, acquire, clear_holder, read_holder, write_holder
from strangler.state.pending_restore import finish
from strangler.state.running import draining_pid, remove_running

_WAY_OUT = "stop it, or give this one a `state` of its own"


@dataclass(slots=True)
class FolderState:
    """The lock on a state folder, which this process may share with the supervisor before or after it."""

    folder: Path
    lock_fd: int
    was_killed: bool
    """The last proxy that used the folder did not shut down cleanly."""
    is_ours: bool = False
    """This process describes the proxy in the folder, and cleans up at its end."""

    def take(self) -> None:
        """Name this process in the lock as the user of the folder. Raises OSError."""
        self.is_ours = True
        write_holder(self.lock_fd)


@contextmanager
def hold(
    folder: Path, lock_fd: int | None = None, waits: Callable[[int], object] = lambda pid: None
) -> Iterator[FolderState]:
    """Make the folder, for this user only, and keep every other proxy out of it until the end.

    `lock_fd`: the lock, inherited from the supervisor before us, which uses the folder until we take it. If another
    proxy drains, `waits` is called once with its pid, and its end is awaited. Raises FolderError.
    """
    is_new = lock_fd is None
    descriptor = acquire(folder, _WAY_OUT, lambda: draining_pid(folder), waits) if lock_fd is None else lock_fd
    state = FolderState(folder, descriptor, was_killed=is_new and read_holder(descriptor) != b"")
    try:
        if is_new:
            _clear(folder)
            state.take()
        yield state
        if state.is_ours:
            with suppress(OSError):
                remove_running(folder)
                clear_holder(descriptor)
    finally:
        os.close(descriptor)


def is_known(folder: Path) -> bool:
    """Return whether the folder exists, this user may read it, and it has files."""
    return os.access(folder, os.R_OK | os.X_OK) and any(folder.iterdir())


def _clear(folder: Path) -> None:
    """Finish a restore that was killed, and remove what an earlier proxy left in running.json."""
    try:
        finish(folder)
        remove_running(folder)
    except OSError as error:
        raise FolderError(f"state: cannot write in {folder}: {error.strerror}") from error
