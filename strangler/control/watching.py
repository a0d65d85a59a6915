"""The system's news of edits of routes.yaml: inotify(7) tells of them, a lease (fcntl(2)) of who has it open.

Both are Linux's. Elsewhere, and for file systems of other machines, reload.py polls.
"""

import asyncio
import ctypes
import errno
import fcntl
import os
import signal
import struct
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Final

from strangler.config.include import find_files, folders_of

_MODIFY: Final = 0x2
_ATTRIB: Final = 0x4
_CLOSE_WRITE: Final = 0x8
_MOVED_FROM: Final = 0x40
_MOVED_TO: Final = 0x80
_CREATE: Final = 0x100
_DELETE: Final = 0x200
_DELETE_SELF: Final = 0x400
_MOVE_SELF: Final = 0x800
# Writes are asked of the file alone: its folder may hold a log, too, that is written to all the time.
_OF_FILE: Final = _MODIFY | _ATTRIB | _CLOSE_WRITE | _DELETE_SELF | _MOVE_SELF
_OF_FOLDER: Final = _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE | _DELETE_SELF | _MOVE_SELF
_EVENT: Final = struct.Struct("iIII")
_READ_BYTES: Final = 64 * 1024


class Change(Enum):
    """The news that an event has of the file."""

    WRITTEN = "written"  # and not closed since, as far as the system has told
    CLOSED = "closed"  # whoever wrote has closed it, or another file may have its name now


async def changes(path: Path, include: tuple[str, ...]) -> AsyncIterator[Change]:
    """Yield what happens to a file, to those that it includes and in their folders; end when the folders are others.

    Raises OSError.
    """
    if sys.platform != "linux":
        await asyncio.Event().wait()
    at = folders(path, include)
    with _opened() as (libc, descriptor):
        for folder in at:
            _watch(libc, descriptor, folder, _OF_FOLDER)
        while folders(path, include) == at:
            for file in (path, *find_files(path, include)):
                _watch_if_there(libc, descriptor, file)
            yield _change(await _read(descriptor))


def folders(path: Path, include: tuple[str, ...] = ()) -> list[Path]:
    """Where a change shows: the folder of each name, and of the file if the name is a symbolic link.

    Kubernetes swaps `..data`, a link beside routes.yaml that its path goes through.
    """
    found = {folder.absolute() for folder in folders_of(path, include)}
    for file in (path, *find_files(path, include)):
        found |= {file.absolute().parent, file.resolve().parent}
    return sorted(found)


@contextmanager
def _opened() -> Iterator[tuple[ctypes.CDLL, int]]:
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if descriptor < 0:
        raise _error()
    try:
        yield libc, descriptor
    finally:
        os.close(descriptor)


def _watch(libc: ctypes.CDLL, descriptor: int, path: Path, mask: int) -> None:
    """Watch a file or folder; one that is watched already stays so."""
    if libc.inotify_add_watch(descriptor, os.fsencode(path), ctypes.c_uint32(mask)) < 0:
        raise _error()


def _watch_if_there(libc: ctypes.CDLL, descriptor: int, path: Path) -> None:
    try:
        _watch(libc, descriptor, path.resolve(), _OF_FILE)
    except (FileNotFoundError, PermissionError):
        return  # its folder tells when there is another


def _error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))


async def _read(descriptor: int) -> bytes:
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(descriptor, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(descriptor)
    return os.read(descriptor, _READ_BYTES)


def _change(events: bytes) -> Change:
    """Return the news of the last event that is about writing."""
    change, at = Change.CLOSED, 0
    while at < len(events):
        _, mask, _, name_bytes = _EVENT.unpack_from(events, at)
        if mask & _MODIFY:
            change = Change.WRITTEN
        elif mask & ~_ATTRIB:
            change = Change.CLOSED
        at += _EVENT.size + name_bytes
    return change


def has_writer(file: int) -> bool | None:
    """Tell whether anybody has the file of this descriptor open for writing; None if the system does not say.

    A lease on reading is refused then (fcntl(2), F_SETLEASE). It may be asked for by the file's owner, and is given
    back at once. Whoever opens the file in between waits for that, and the signal that tells us of them is ignored.
    """
    if not hasattr(fcntl, "F_SETLEASE"):
        return None
    try:
        fcntl.fcntl(file, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return True if error.errno == errno.EAGAIN else None
    return False
