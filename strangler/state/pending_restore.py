"""The end of a restore: if it was killed after its decision, the next user of the folder completes it.

A restore puts all files into a folder of its own and then renames it to `restore.ready`. From then on it is decided,
and completed by itself or, if it was killed, by the next user of the state folder. The caller holds the folder's lock.
"""

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from strangler.state.files import KEPT, STORE

MANIFEST: Final = "backup.json"
DRAFT: Final = "restore.draft"
READY: Final = "restore.ready"

_BESIDE_STORE: Final = (f"{STORE}-wal", f"{STORE}-shm")


class Manifest(msgspec.Struct):
    """A backup's description of itself: `files` has the SHA-256 of each file, by name; `at` is a time in UTC."""

    format: int
    version: str
    at: str
    files: dict[str, str]


def finish(folder: Path) -> bool:
    """Complete a decided restore, and discard an undecided one. Return whether one was completed. Raises OSError."""
    draft, ready = folder / DRAFT, folder / READY
    shutil.rmtree(draft, ignore_errors=True)
    if not ready.is_dir():
        return False
    names = msgspec.json.decode((ready / MANIFEST).read_bytes(), type=Manifest).files
    for name in KEPT:
        if name in names and not (ready / name).exists():
            continue  # it is in its place already
        if name == STORE:  # a log of the former store must never meet the new one
            for beside in _BESIDE_STORE:
                (folder / beside).unlink(missing_ok=True)
        if name in names:
            (ready / name).replace(folder / name)
        else:
            (folder / name).unlink(missing_ok=True)
    sync(folder)
    ready.rename(draft)  # the rest is no longer needed
    shutil.rmtree(draft, ignore_errors=True)
    return True


def sync(folder: Path) -> None:
    """Force the names in a folder to the disk, if the file system supports that."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
