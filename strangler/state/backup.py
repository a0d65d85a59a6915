"""A backup of the state folder, taken while the proxy runs: its files in one archive, with a manifest at the end."""

import hashlib
import io
import os
import tarfile
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory
from typing import IO, Final

import msgspec

from strangler import __version__
from strangler.state.files import JOURNAL, KEPT, STORE
from strangler.state.pending_restore import MANIFEST, Manifest, sync
from strangler.store.errors import DatabaseError
from strangler.store.sqlite import copy

FORMAT: Final = 1
UNREADABLE: Final = (tarfile.TarError, EOFError, zlib.error, msgspec.DecodeError)
"""The errors of a file that is not a backup, or not a whole one."""

PIECE_BYTES: Final = 1024 * 1024


class BackupError(Exception):
    """Nothing was written or replaced; the message says why, and the way out."""


@dataclass(frozen=True, slots=True)
class Backup:
    """A written backup: the bytes of each file in it, by name, and its own size."""

    files: dict[str, int]
    size: int


def backup(folder: Path, target: Path, at: str, store: Path | None = None) -> Backup:
    """Write a consistent copy of a state folder that may be in use into one file, mode 0600, whole or not at all.

    `at`: the present time in UTC, for the manifest. `store`: a file that is in it as its store; None: the folder's.
    An earlier backup of that name is replaced, any other file is not.
    Raises BackupError.
    """
    if not folder.is_dir():
        raise BackupError(f"there is no state folder {folder}; name it with -c or --state")
    _check_target(target)
    try:
        with (
            TemporaryDirectory(prefix=".strangler-", dir=target.parent) as drafts,
            NamedTemporaryFile(prefix=f".{target.name}-", dir=target.parent, delete=False) as file,
        ):
            try:
                files = _write(folder, store or folder / STORE, Path(drafts), file, at)
                file.flush()
                os.fsync(file.fileno())
                size = file.tell()
                Path(file.name).replace(target)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
    except DatabaseError as error:
        raise BackupError(f"{folder / STORE} cannot be copied: {error}") from error
    except OSError as error:
        raise BackupError(f"the backup cannot be written: {error.strerror} ({error.filename or target})") from error
    sync(target.parent)
    return Backup(files, size)


def _check_target(target: Path) -> None:
    try:
        is_free = not target.exists() or (target.is_file() and (target.stat().st_size == 0 or _is_backup(target)))
    except OSError as error:
        raise BackupError(f"{target} cannot be read: {error.strerror}") from error
    if not is_free:
        raise BackupError(f"{target} exists and is not a backup; nothing was overwritten. Name another file")


def _is_backup(path: Path) -> bool:
    try:
        with tarfile.open(path, "r:gz") as archive:
            first = archive.next()
            return first is not None and first.name in (*KEPT, MANIFEST)
    except (*UNREADABLE, OSError):
        return False


def _write(folder: Path, store: Path, drafts: Path, file: IO[bytes], at: str) -> dict[str, int]:
    """Write the files, and at the end the manifest, which proves that the backup is whole. Return their sizes."""
    sizes, digests = dict[str, int](), dict[str, str]()
    with tarfile.open(fileobj=file, mode="w:gz", compresslevel=6) as archive:
        for name, source, size in _sources(folder, store, drafts):
            reader = _Digesting(source, size)
            archive.addfile(_member(name, size), reader)
            sizes[name], digests[name] = size, reader.digest.hexdigest()
        if not sizes:
            raise BackupError(f"the state folder {folder} is empty: no proxy has run on it yet")
        manifest = msgspec.json.encode(Manifest(FORMAT, __version__, at, digests))
        archive.addfile(_member(MANIFEST, len(manifest)), io.BytesIO(manifest))
    return sizes


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = size, 0o600, int(time.time())
    return member


def _sources(folder: Path, store: Path, drafts: Path) -> Iterator[tuple[str, IO[bytes], int]]:
    """Yield each existing file with its size. The newest journal comes first: if it is rotated in the meantime, it is
    found again under its next name and left out there, but never missed."""
    seen = set[tuple[int, int]]()
    for name in KEPT:
        path = _copy_of_store(store, drafts / STORE) if name == STORE else folder / name
        try:
            source = path.open("rb")
        except FileNotFoundError:
            continue
        with source:
            found = os.fstat(source.fileno())
            if (found.st_dev, found.st_ino) in seen:
                continue
            seen.add((found.st_dev, found.st_ino))
            yield name, source, _whole_lines(source, found.st_size) if name == JOURNAL else found.st_size


def _copy_of_store(path: Path, draft: Path) -> Path:
    """Return a consistent copy, while others write the store. Raises DatabaseError."""
    if path.exists():
        copy(path, draft)
    return draft


def _whole_lines(source: IO[bytes], size: int) -> int:
    """Return the number of bytes up to the last line end, without a line that is being written."""
    at = size
    while at:
        start = max(0, at - PIECE_BYTES)
        source.seek(start)
        found = source.read(at - start).rfind(b"\n")
        if found >= 0:
            at = start + found + 1
            break
        at = start
    source.seek(0)
    return at


class _Digesting:
    """Reads `size` bytes of a file and takes their digest."""

    def __init__(self, source: IO[bytes], size: int) -> None:
        self.digest = hashlib.sha256()
        self._source = source
        self._left = size

    def read(self, size: int = -1) -> bytes:
        data = self._source.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(data)
        self.digest.update(data)
        return data
