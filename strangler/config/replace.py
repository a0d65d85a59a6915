"""Replacing a file's content in one step: whoever reads it sees the old text or the new one, never half of one."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path


class ChangedMeanwhileError(Exception):
    """Somebody else has changed the file since it was read."""


def replace_content(path: Path, before: bytes, after: bytes) -> None:
    """Write `after` if the file still holds `before`. A symbolic link stays one: what it points to is replaced.

    Mode and, where the system lets us, owner are kept. Raises OSError and ChangedMeanwhileError.
    """
    target = path.resolve()
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            _copy_rights(target, file.fileno())
            file.write(after)
            file.flush()
            os.fsync(file.fileno())
        if target.read_bytes() != before:
            raise ChangedMeanwhileError(str(path))
        os.replace(name, target)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(name)
        raise


def _copy_rights(target: Path, file: int) -> None:
    now = target.stat()
    with suppress(PermissionError):  # only root may give files away
        os.fchown(file, now.st_uid, now.st_gid)
    os.fchmod(file, now.st_mode & 0o7777)
