"""A backup of the state folder, taken while the proxy runs, and its way back."""

import hashlib
import io
import os
import sqlite3
import tarfile
import time
import zlib
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory
from typing import IO, Final
from urllib.parse import quote

import msgspec

from strangler import __version__
from strangler.control import kill_switch
from strangler.control.folder import FolderError, locked
from strangler.control.restoring import DRAFT, JOURNAL, MANIFEST, NAMES, READY, STORE, Manifest, finish, sync
from strangler.control.shadow.audits import write_audit
from strangler.control.shadow.schema import prepare
from strangler.wire.times import utc_now

FORMAT: Final = 1
MAX_MANIFEST: Final = 64 * 1024

_PIECE: Final = 1024 * 1024
_BROKEN: Final = (tarfile.TarError, EOFError, zlib.error, msgspec.DecodeError)


class BackupError(Exception):
    """Nothing was written or replaced; the message says why, and the way out."""


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was written: the bytes of each file in it, by name, and its own."""

    files: dict[str, int]
    size: int


@dataclass(frozen=True, slots=True)
class Replaced:
    """What became of one file: its bytes before and after; None: there was none, or is none any more."""

    name: str
    before: int | None
    after: int | None


@dataclass(frozen=True, slots=True)
class Restored:
    """A restore that was carried out. `at`: when the backup was taken, in UTC."""

    at: str
    version: str
    files: tuple[Replaced, ...]
    was_killed: bool  # the kill switch, before and after
    is_killed: bool


def backup(folder: Path, target: Path) -> Backup:
    """Write a consistent copy of a state folder that may be in use into one file, mode 0600, whole or not at all.

    A former backup of that name is replaced, any other file is not. Raises BackupError.
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
                files = _write(folder, Path(drafts), file)
                file.flush()
                os.fsync(file.fileno())
                size = file.tell()
                Path(file.name).replace(target)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
    except sqlite3.Error as error:
        raise BackupError(f"{folder / STORE} cannot be copied: {error}") from error
    except OSError as error:
        raise BackupError(f"the backup cannot be written: {error.strerror} ({error.filename or target})") from error
    sync(target.parent)
    return Backup(files, size)


def _check_target(target: Path) -> None:
    try:
        is_free = not target.exists() or (target.is_file() and (target.stat().st_size == 0 or _is_backup(target)))
    except OSError as error:
        raise BackupError(f"{target} cannot be looked at: {error.strerror}") from error
    if not is_free:
        raise BackupError(f"{target} is there and is no backup; nothing was overwritten. Name another file")


def _is_backup(path: Path) -> bool:
    try:
        with tarfile.open(path, "r:gz") as archive:
            first = archive.next()
            return first is not None and first.name in (*NAMES, MANIFEST)
    except (*_BROKEN, OSError):
        return False


def _write(folder: Path, drafts: Path, file: IO[bytes]) -> dict[str, int]:
    """The files with the manifest at the end, which so tells that all of it is there."""
    sizes, digests = dict[str, int](), dict[str, str]()
    with tarfile.open(fileobj=file, mode="w:gz", compresslevel=6) as archive:
        for name, source, size in _sources(folder, drafts):
            reader = _Digesting(source, size)
            archive.addfile(_member(name, size), reader)
            sizes[name], digests[name] = size, reader.digest.hexdigest()
        if not sizes:
            raise BackupError(f"the state folder {folder} is empty: no proxy has run on it yet")
        manifest = msgspec.json.encode(Manifest(FORMAT, __version__, utc_now(), digests))
        archive.addfile(_member(MANIFEST, len(manifest)), io.BytesIO(manifest))
    return sizes


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = size, 0o600, int(time.time())
    return member


def _sources(folder: Path, drafts: Path) -> Iterator[tuple[str, IO[bytes], int]]:
    """Each file that is there, with its bytes. The newest journal first: one that is rotated meanwhile is then met
    twice under two names, and left out once, but never missed."""
    seen = set[tuple[int, int]]()
    for name in NAMES:
        path = _copy_of_store(folder, drafts) if name == STORE else folder / name
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


def _copy_of_store(folder: Path, drafts: Path) -> Path:
    """A copy as of one moment, made by SQLite itself while others write. Raises sqlite3.Error."""
    copy, path = drafts / STORE, folder / STORE
    if path.exists():
        with (
            closing(sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True, timeout=10.0)) as one,
            closing(sqlite3.connect(copy)) as other,
        ):
            one.backup(other)
            other.execute("PRAGMA journal_mode = DELETE")  # one file, with nothing beside it
    return copy


def _whole_lines(source: IO[bytes], size: int) -> int:
    """The bytes up to the last line end: a line that is being written does not count."""
    at = size
    while at:
        start = max(0, at - _PIECE)
        source.seek(start)
        found = source.read(at - start).rfind(b"\n")
        if found >= 0:
            at = start + found + 1
            break
        at = start
    source.seek(0)
    return at


class _Digesting:
    """Reads so many bytes of a file and takes their digest."""

    def __init__(self, source: IO[bytes], size: int) -> None:
        self.digest = hashlib.sha256()
        self._source = source
        self._left = size

    def read(self, size: int = -1) -> bytes:
        data = self._source.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(data)
        self.digest.update(data)
        return data


def restore(folder: Path, source: Path, who: str) -> Restored:
    """Make a state folder what a backup says, whole or not at all; refused while a proxy uses it.

    Files that the backup does not have are removed. Raises BackupError.
    """
    try:
        if not source.exists():
            raise BackupError(f"there is no file {source}")
        with locked(folder, "stop it first: a restore replaces what it has open"):
            finish(folder)
            draft = folder / DRAFT
            draft.mkdir(mode=0o700)
            try:
                manifest = _unpack(source, draft)
                _check_store(draft / STORE, who, f"{source.name} of {manifest.at}")
            except BaseException:
                finish(folder)
                raise
            files = tuple(_replacements(folder, draft))
            was_killed = kill_switch.read(folder).on
            sync(draft)
            draft.rename(folder / READY)  # from here on it happens
            finish(folder)
            return Restored(manifest.at, manifest.version, files, was_killed, kill_switch.read(folder).on)
    except FolderError as error:
        raise BackupError(str(error)) from error
    except OSError as error:
        raise BackupError(f"{error.strerror or error} ({error.filename or folder})") from error


def _unpack(source: Path, draft: Path) -> Manifest:
    """Put the files of a backup into a folder, all of them, each as it was. Raises BackupError, OSError."""
    digests, manifest = dict[str, str](), None
    try:
        with source.open("rb") as file, tarfile.open(fileobj=file, mode="r:gz") as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isreg() else None
                if content is None or member.name in digests or member.name not in (*NAMES, MANIFEST):
                    raise BackupError(f"{source} is no backup of a state folder: it has '{member.name[:80]}'")
                if member.name == MANIFEST:
                    manifest = msgspec.json.decode(content.read(MAX_MANIFEST), type=Manifest)
                    (draft / MANIFEST).write_bytes(msgspec.json.encode(manifest))
                else:
                    digests[member.name] = _copy(content, draft / member.name)
    except _BROKEN as error:
        raise BackupError(f"{source} is no backup, or not all of it: {error}") from error
    except OSError as error:
        if error.errno is None:  # gzip's own
            raise BackupError(f"{source} is no backup, or not all of it: {error}") from error
        raise
    if manifest is None:
        raise BackupError(f"{source} is not whole: its last part is missing")
    if manifest.format > FORMAT:
        raise BackupError(f"{source} was written by strangler {manifest.version}; use that version or a later one")
    if manifest.files != digests:
        raise BackupError(f"{source} is damaged: its files are not those that were put into it")
    return manifest


def _copy(content: IO[bytes], path: Path) -> str:
    digest = hashlib.sha256()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        while data := content.read(_PIECE):
            digest.update(data)
            file.write(data)
        file.flush()
        os.fsync(descriptor)
    return digest.hexdigest()


def _check_store(path: Path, who: str, detail: str) -> None:
    """Look the store over, and note in its audit that it was put back. Raises BackupError."""
    if not path.exists():
        return
    try:
        with closing(sqlite3.connect(path)) as one, one:
            found = one.execute("PRAGMA quick_check(1)").fetchone()[0]
            if found != "ok":
                raise BackupError(f"the store in the backup is damaged: {found}")
            prepare(one)
            write_audit(one, time.time(), who, "state restore", "", "", detail)
    except sqlite3.Error as error:
        raise BackupError(f"the store in the backup cannot be used: {error}") from error


def _replacements(folder: Path, draft: Path) -> Iterator[Replaced]:
    for name in NAMES:
        before, after = _size(folder / name), _size(draft / name)
        if before is not None or after is not None:
            yield Replaced(name, before, after)


def _size(path: Path) -> int | None:
    with suppress(FileNotFoundError):
        return path.stat().st_size
    return None
