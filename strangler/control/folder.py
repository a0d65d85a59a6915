"""The state folder: one proxy at a time may use it, and it says where that proxy is."""

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from strangler.control.restoring import finish

_WAY_OUT = "stop it, or give this one a `state` of its own"
_LOCK = "lock"
_RUNNING = "running.json"
_RESTART = "restart.json"

GRACE_S = 0.5
"""For a proxy that has been told to end a moment ago, and has not said yet that it drains."""

POLL_S = 0.05


class FolderError(Exception):
    """The state folder cannot be used; the message says why and the way out."""


@dataclass(frozen=True, slots=True)
class Running:
    """What a running proxy tells the other commands. `listen` and `admin` are where it really listens."""

    pid: int
    listen: str
    admin: str
    is_draining: bool = False
    takes_restarts: bool = False
    """SIGUSR2 is no end of it: versions that did not know it do not say so."""


@dataclass(frozen=True, slots=True)
class Restart:
    """How the latest restart went. `number` rises by one each time."""

    number: int
    pid: int  # of the supervisor that serves now
    problem: str | None = None  # why that is still the former one


@dataclass(slots=True)
class FolderState:
    """The lock on a state folder that this process holds, maybe together with the supervisor before or after it."""

    folder: Path
    lock_fd: int
    was_killed: bool
    """The proxy that used the folder last did not leave it by itself."""
    is_ours: bool = False
    """Whether this process says in the folder where the proxy is, and cleans up at its end."""

    def take(self) -> None:
        """Say in the lock that we use the folder."""
        self.is_ours = True
        pid = str(os.getpid()).encode()
        os.pwrite(self.lock_fd, pid, 0)
        os.ftruncate(self.lock_fd, len(pid))


@contextmanager
def hold(
    folder: Path, lock_fd: int | None = None, waits: Callable[[int], object] = lambda pid: None
) -> Iterator[FolderState]:
    """Make the folder, for this user only, and keep every other proxy out of it until the end.

    `lock_fd`: the lock, inherited from the supervisor before us, which uses the folder until we take it. A proxy that
    drains is waited for; `waits` is called once with its pid. Raises FolderError.
    """
    descriptor = _lock(folder, _WAY_OUT, waits) if lock_fd is None else lock_fd
    state = FolderState(folder, descriptor, was_killed=lock_fd is None and os.pread(descriptor, 32, 0) != b"")
    try:
        if lock_fd is None:
            _clear(folder)
            state.take()
        yield state
        if state.is_ours:
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
        _replace(folder / _RUNNING, running)
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


def write_restart(folder: Path, pid: int, problem: str | None = None) -> None:
    """Note how a restart went, for `strangler restart`; a disk that is full costs that command the outcome."""
    before = read_restart(folder)
    with suppress(OSError):
        _replace(folder / _RESTART, Restart(before.number + 1 if before else 1, pid, problem))


def read_restart(folder: Path) -> Restart | None:
    """The latest restart; None if there was none."""
    try:
        return msgspec.json.decode((folder / _RESTART).read_bytes(), type=Restart)
    except (OSError, msgspec.DecodeError):
        return None


def _replace(path: Path, content: Running | Restart) -> None:
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    draft.write_bytes(msgspec.json.encode(content))
    draft.replace(path)  # whoever reads it sees all of it, or none


def _lock(folder: Path, way_out: str, waits: Callable[[int], object] | None = None) -> int:
    """`waits` is called with the pid of a proxy that drains, which is then waited for; None: it is not."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unusable("use the folder", folder, error) from error
    began = time.monotonic()
    is_told = False
    while not _try_lock(descriptor):
        running = read_running(folder) if waits is not None else None
        if waits is not None and running is not None and running.is_draining:
            began = time.monotonic()
            if not is_told:
                waits(running.pid)
            is_told = True
        if time.monotonic() - began > GRACE_S:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace") or "unknown"
            os.close(descriptor)
            raise FolderError(f"state: another proxy (pid {holder}) uses the folder {folder}; {way_out}")
        time.sleep(POLL_S)
    return descriptor


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
