"""Replace a file's content: a reader sees the old text or the new one, never half of one.

That takes a rename. Where it is impossible (the file is mounted by itself, or its folder cannot be written), the
file is written in place.
"""

import errno
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from strangler.config import mounts

_NO_RENAME: Final = frozenset({errno.EBUSY, errno.EXDEV, errno.EROFS, errno.EACCES, errno.EPERM})


class ChangedMeanwhileError(Exception):
    """Somebody else has changed the file since it was read."""


class NotWrittenError(Exception):
    """The file could not be written and is as it was. The message says why, and the way out."""


def replace_content(path: Path, before: bytes, after: bytes) -> None:
    """Write `after` if the file still holds `before`. A symbolic link stays one: what it points to is replaced.

    Mode and, where permitted, owner are kept. Raises NotWrittenError and ChangedMeanwhileError.
    """
    try:
        target = path.resolve()
        if mounts.is_replaced(target.stat()):
            raise NotWrittenError(f"{mounts.replaced_outside(path)}; {mounts.WAY_OUT}")
        try:
            _write_beside(target, after, before)
        except OSError as error:
            if error.errno not in _NO_RENAME:
                raise
            _write_in_place(target, before, after)
    except OSError as error:
        raise NotWrittenError(_reason(error)) from error


def put_content(path: Path, content: bytes) -> None:
    """Write a whole file, new or in place of another, or leave everything as it was. Devices, pipes and files that no
    rename can replace are written in place. Raises OSError."""
    target = path.resolve()
    if target.exists() and not target.is_file():
        path.write_bytes(content)
        return
    try:
        _write_beside(target, content)
    except OSError as error:
        if error.errno not in _NO_RENAME or not target.exists():
            raise
        target.write_bytes(content)


def _write_beside(target: Path, after: bytes, before: bytes | None = None) -> None:
    """Write a file next to the target and rename it to that; with `before`, only if the target still holds it."""
    handle, name = tempfile.mkstemp(prefix=f".{target.name[:200]}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            _copy_rights(target, file.fileno())
            file.write(after)
            file.flush()
            os.fsync(file.fileno())
        if before is not None and target.read_bytes() != before:
            raise ChangedMeanwhileError(str(target))
        os.replace(name, target)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(name)
        raise


def _copy_rights(target: Path, file: int) -> None:
    """Copy mode and owner of the target; if there is none yet, set the mode of any new file."""
    try:
        now = target.stat()
    except FileNotFoundError:
        mask = os.umask(0o077)
        os.umask(mask)
        os.fchmod(file, 0o666 & ~mask)
        return
    with suppress(PermissionError):  # only root may give files away
        os.fchown(file, now.st_uid, now.st_gid)
    os.fchmod(file, now.st_mode & 0o7777)


def _write_in_place(target: Path, before: bytes, after: bytes) -> None:
    """Write over the file. A failure half-way is undone; only a crash of the whole system can leave half of it."""
    file = os.open(target, os.O_RDWR | os.O_CLOEXEC)
    try:
        if os.pread(file, len(before) + 1, 0) != before:
            raise ChangedMeanwhileError(str(target))
        try:
            _overwrite(file, after, len(before))
        except BaseException:
            _overwrite(file, before, 0)
            raise
    finally:
        os.close(file)


def _overwrite(file: int, content: bytes, least_bytes: int) -> None:
    """Replace the content. Until the file is truncated, empty lines cover what is left of a longer one."""
    view = memoryview(content.ljust(least_bytes, b"\n"))
    at = 0
    while at < len(view):
        at += os.pwrite(file, view[at:], at)
    os.ftruncate(file, len(content))
    os.fsync(file)


def _reason(error: OSError) -> str:
    where = "change it where it comes from"
    match error.errno:
        case errno.EROFS:
            return f"its file system is read-only; {where}, or mount its folder without `ro`"
        case errno.EACCES | errno.EPERM:
            return f"user {os.geteuid()} may not write it; {where}, or run this as a user who may"
        case errno.ENOSPC | errno.EDQUOT:
            return f"its file system is full ({error.strerror}); free some space"
        case _:
            return f"{error.strerror or error}; {where}"
