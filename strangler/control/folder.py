"""The state folder: one proxy at a time may use it, and it says where that proxy is."""

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from strangler.control.restoring import finish

_TRIES = 20
_WAIT_S = 0.02
_LOCK = "lock"
_RUNNING = "running.json"


class FolderError(Exception):
    """The state folder cannot be used; the message says why and the way out."""


@dataclass(frozen=True, slots=True)
class Running:
    """What a running proxy tells the other commands. `listen` and `admin` are where it really listens."""

    pid: int
    listen: str
    admin: str


@contextmanager
def hold(folder: Path) -> Iterator[bool]:
    """Make the folder, for this user only, and keep every other proxy out of it until the end.

    Yields True if the proxy that used it last was killed. Raises FolderError.
    """
    descriptor = _lock(folder, "stop it, or give this one a `state` of its own")
    try:
        _clear(folder)
        was_killed = os.pread(descriptor, 32, 0) != b""
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield was_killed
        with suppress(OSError):
            (folder / _RUNNING).unlink(missing_ok=True)
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


@contextmanager
def locked(folder: Path, way_out: str) -> Iterator[None]:
    """Make the folder and keep every proxy out of it until the end. `way_out` ends the refusal. Raises FolderError."""
    descriptor = _lock(folder, way_out)
    try:
        yield
    finally:
        os.close(descriptor)


def is_held(folder: Path) -> bool:
    """True if somebody uses this very folder at this moment: a copy of it, or one whose proxy was killed, is free."""
    try:
        descriptor = os.open(folder / _LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno == errno.EWOULDBLOCK
    finally:
        os.close(descriptor)
    return False


def is_known(folder: Path) -> bool:
    """True if a proxy has used this folder, or will: it is there and this user may look into it."""
    return os.access(folder, os.R_OK | os.X_OK) and any(folder.iterdir())


def _clear(folder: Path) -> None:
    """End a restore that was killed, and forget where another proxy was: what is written here now is not ours."""
    try:
        finish(folder)
        (folder / _RUNNING).unlink(missing_ok=True)
    except OSError as error:
        raise FolderError(f"state: cannot write in {folder}: {error.strerror}") from error


def write_running(folder: Path, running: Running) -> None:
    """Raises FolderError."""
    try:
        draft = folder / f"{_RUNNING}.new"
        draft.write_bytes(msgspec.json.encode(running))
        draft.replace(folder / _RUNNING)  # whoever reads it sees all of it, or none
    except OSError as error:
        raise _unusable("write in", folder, error) from error


def read_running(folder: Path) -> Running | None:
    """Where the proxy that uses this folder is; None if none runs, whatever a copied file says."""
    try:
        running = msgspec.json.decode((folder / _RUNNING).read_bytes(), type=Running)
    except (OSError, msgspec.DecodeError):
        return None
    return running if is_held(folder) else None


def _unusable(what: str, folder: Path, error: OSError) -> FolderError:
    way_out = f"make it writable for user {os.geteuid()}, or let `state` name another one"
    return FolderError(f"state: cannot {what} {folder}: {error.strerror}; {way_out}")


def _lock(folder: Path, way_out: str) -> int:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unusable("use the folder", folder, error) from error
    if _takes(descriptor):
        return descriptor
    holder = os.pread(descriptor, 32, 0).decode(errors="replace") or "unknown"
    os.close(descriptor)
    raise FolderError(f"state: another proxy (pid {holder}) uses the folder {folder}; {way_out}")


def _takes(descriptor: int) -> bool:
    """Whether the lock is ours. A command that looks who has it (`is_held`) holds it for a moment: so we ask again."""
    for _ in range(_TRIES):
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(_WAIT_S)
    return False
