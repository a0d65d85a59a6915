"""The system's notifications of edits of routes.yaml: inotify(7) for changes, a lease (fcntl(2)) for open writers.

Both are Linux only. Elsewhere, and on network file systems, reload.py polls.
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
# Writes are watched on the file only: its folder may also hold a log that is written all the time.
_OF_FILE: Final = _MODIFY | _ATTRIB | _CLOSE_WRITE | _DELETE_SELF | _MOVE_SELF
_OF_FOLDER: Final = _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE | _DELETE_SELF | _MOVE_SELF
_EVENT: Final = struct.Struct("iIII")
_READ_BYTES: Final = 64 * 1024


class Change(Enum):
    """The change that an event reports."""

    WRITTEN = "written"  # and not known to be closed since
    CLOSED = "closed"  # the writer has closed it, or another file may have its name now


async def changes(path: Path, include: tuple[str, ...]) -> AsyncIterator[Change]:
    """Yield changes of a file, of the files that it includes and in their folders; end when the folders change.

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
    """Return the folders where a change shows: that of each name, and of the file if the name is a symbolic link.

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
    """Watch a file or folder, also if it is watched already."""
    if libc.inotify_add_watch(descriptor, os.fsencode(path), ctypes.c_uint32(mask)) < 0:
        raise _error()


def _watch_if_there(libc: ctypes.CDLL, descriptor: int, path: Path) -> None:
    try:
        _watch(libc, descriptor, path.resolve(), _OF_FILE)
    except (FileNotFoundError, PermissionError):
        return  # its folder reports a new one


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
    """Return the change of the last event about writing."""
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
    """Return whether a process has the file of this descriptor open for writing; None if unknown.

    A read lease is refused then (fcntl(2), F_SETLEASE). The file's owner may take one; it is given back at once. A
    process that opens the file in between waits for that, and the signal about it is ignored.
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
