"""The lock of a state folder: one proxy at a time uses it, and the lock file names its process."""

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from strangler.state.files import LOCK

GRACE_S = 0.5
"""The wait for a proxy that was just stopped, and does not report yet that it drains."""

POLL_S = 0.05

_MAX_PID_BYTES = 32


class FolderError(Exception):
    """The state folder cannot be used; the message says why, and the way out."""


def unusable(what: str, folder: Path, error: OSError) -> FolderError:
    """Return the error for a folder that this user cannot use. `what`: the action, `write in`."""
    way_out = f"make it writable for user {os.geteuid()}, or let `state` name another one"
    return FolderError(f"state: cannot {what} {folder}: {error.strerror}; {way_out}")


def acquire(folder: Path, way_out: str, draining_pid: Callable[[], int | None], waits: Callable[[int], object]) -> int:
    """Make the folder and lock it; return the descriptor of the lock, which the caller closes.

    `draining_pid` returns the pid of a proxy that holds the lock and drains, or None. The end of such a proxy is
    awaited, and `waits` is called once with its pid. `way_out` ends the error message. Raises FolderError.
    """
    descriptor = _open(folder)
    began = time.monotonic()
    is_waiting = False
    while not _try_lock(descriptor):
        pid = draining_pid()
        if pid is not None:
            began = time.monotonic()
            if not is_waiting:
                waits(pid)
            is_waiting = True
        if time.monotonic() - began > GRACE_S:
            holder = read_holder(descriptor).decode(errors="replace") or "unknown"
            os.close(descriptor)
            raise FolderError(f"state: another proxy (pid {holder}) uses the folder {folder}; {way_out}")
        time.sleep(POLL_S)
    return descriptor


@contextmanager
def locked(folder: Path, way_out: str) -> Iterator[None]:
    """Make the folder and keep every proxy out of it until the end. `way_out` ends the error. Raises FolderError."""
    descriptor = acquire(folder, way_out, draining_pid=lambda: None, waits=lambda pid: None)
    try:
        yield
    finally:
        os.close(descriptor)


def is_held(folder: Path) -> bool:
    """Return whether a process uses this folder now. A copy, or a folder whose proxy was killed, is free."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno == errno.EWOULDBLOCK
    finally:
        os.close(descriptor)
    return False


def read_holder(descriptor: int) -> bytes:
    """Return the pid that the lock file names; empty if the last holder shut down cleanly."""
    return os.pread(descriptor, _MAX_PID_BYTES, 0)


def write_holder(descriptor: int) -> None:
    """Name this process in the lock file. Raises OSError."""
    pid = str(os.getpid()).encode()
    os.pwrite(descriptor, pid, 0)
    os.ftruncate(descriptor, len(pid))


def clear_holder(descriptor: int) -> None:
    """Note in the lock file that its holder shut down cleanly. Raises OSError."""
    os.ftruncate(descriptor, 0)


def _open(folder: Path) -> int:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise unusable("use the folder", folder, error) from error


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
