"""The state folder: one proxy at a time may use it, and it says where that proxy is."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

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
    descriptor = _lock(folder)
    try:
        was_killed = os.pread(descriptor, 32, 0) != b""
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield was_killed
        with suppress(OSError):
            (folder / _RUNNING).unlink(missing_ok=True)
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def write_running(folder: Path, running: Running) -> None:
    """Raises FolderError."""
    try:
        draft = folder / f"{_RUNNING}.new"
        draft.write_bytes(msgspec.json.encode(running))
        draft.replace(folder / _RUNNING)  # whoever reads it sees all of it, or none
    except OSError as error:
        raise _unusable("write in", folder, error) from error


def read_running(folder: Path) -> Running | None:
    """Where the proxy that uses this folder is; None if none runs."""
    try:
        return msgspec.json.decode((folder / _RUNNING).read_bytes(), type=Running)
    except (OSError, msgspec.DecodeError):
        return None


def _unusable(what: str, folder: Path, error: OSError) -> FolderError:
    way_out = f"make it writable for user {os.geteuid()}, or let `state` name another one"
    return FolderError(f"state: cannot {what} {folder}: {error.strerror}; {way_out}")


def _lock(folder: Path) -> int:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unusable("use the folder", folder, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.pread(descriptor, 32, 0).decode(errors="replace") or "unknown"
        os.close(descriptor)
        raise FolderError(
            f"state: another proxy (pid {holder}) uses the folder {folder};"
            " stop it, or give this one a `state` of its own"
        ) from error
    return descriptor
