"""The restore of a state folder from a backup: whole or not at all."""

import hashlib
import os
import tarfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import msgspec

from strangler.state import kill_switch
from strangler.state.backup import FORMAT, PIECE_BYTES, UNREADABLE, BackupError
from strangler.state.files import KEPT, STORE
from strangler.state.lock import FolderError, locked
from strangler.state.pending_restore import DRAFT, MANIFEST, READY, Manifest, finish, sync
from strangler.store.connection import Connection
from strangler.store.errors import CorruptError, DatabaseError
from strangler.store.sqlite import look_over, open_to_write

MAX_MANIFEST_BYTES: Final = 64 * 1024

StoreCheck = Callable[[Connection, str], object]


@dataclass(frozen=True, slots=True)
class Replaced:
    """One file of a restore: its size in bytes before and after; None if there is no file."""

    name: str
    before: int | None
    after: int | None


@dataclass(frozen=True, slots=True)
class Restored:
    """A completed restore. `at`: when the backup was taken, in UTC."""

    at: str
    version: str
    files: tuple[Replaced, ...]
    was_killed: bool  # the kill switch, before and after
    is_killed: bool
    were_killed_routes: tuple[str, ...]  # those that it was on for by themselves, before and after
    are_killed_routes: tuple[str, ...]


def restore(folder: Path, source: Path, check: StoreCheck) -> Restored:
    """Restore a state folder from a backup, whole or not at all; refused while a proxy uses it.

    Files that the backup does not have are removed. `check` is called with the backup's store, name and time before
    anything is replaced; a DatabaseError from it refuses the restore. Raises BackupError.
    """
    try:
        if not source.exists():
            raise BackupError(f"there is no file {source}")
        with locked(folder, "stop it first: a restore replaces its open files"):
            finish(folder)
            draft = folder / DRAFT
            draft.mkdir(mode=0o700)
            try:
                manifest = checked_unpacked(source, draft, check)
            except BaseException:
                finish(folder)
                raise
            files = tuple(_replacements(folder, draft))
            before = kill_switch.read(folder)
            sync(draft)
            draft.rename(folder / READY)  # this decides the restore
            finish(folder)
            after = kill_switch.read(folder)
            return Restored(
                manifest.at, manifest.version, files, before.on, after.on, tuple(before.routes), tuple(after.routes)
            )
    except FolderError as error:
        raise BackupError(str(error)) from error
    except OSError as error:
        raise BackupError(f"{error.strerror or error} ({error.filename or folder})") from error


def checked_unpacked(source: Path, draft: Path, check: StoreCheck) -> Manifest:
    """Unpack a backup into a folder that nobody uses, and check the store in it. Raises BackupError, OSError."""
    if not source.exists():
        raise BackupError(f"there is no file {source}")
    manifest = _unpack(source, draft)
    _check_store(draft / STORE, lambda store: check(store, f"{source.name} of {manifest.at}"))
    return manifest


def _unpack(source: Path, draft: Path) -> Manifest:
    """Unpack all files of a backup into a folder. Raises BackupError, OSError."""
    digests, manifest = dict[str, str](), None
    try:
        with source.open("rb") as file, tarfile.open(fileobj=file, mode="r:gz") as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isreg() else None
                if content is None or member.name in digests or member.name not in (*KEPT, MANIFEST):
                    raise BackupError(f"{source} is not a backup of a state folder: it has '{member.name[:80]}'")
                if member.name == MANIFEST:
                    manifest = msgspec.json.decode(content.read(MAX_MANIFEST_BYTES), type=Manifest)
                    (draft / MANIFEST).write_bytes(msgspec.json.encode(manifest))
                else:
                    digests[member.name] = _copy(content, draft / member.name)
    except UNREADABLE as error:
        raise BackupError(f"{source} is not a backup, or is not whole: {error}") from error
    except OSError as error:
        if error.errno is None:  # gzip's own
            raise BackupError(f"{source} is not a backup, or is not whole: {error}") from error
        raise
    return _checked(source, manifest, digests)


def _checked(source: Path, manifest: Manifest | None, digests: dict[str, str]) -> Manifest:
    """Return the manifest if it is that of these files. Raises BackupError."""
    if manifest is None:
        raise BackupError(f"{source} is not whole: its last part is missing")
    if manifest.format > FORMAT:
        raise BackupError(f"{source} was written by strangler {manifest.version}; use that version or a later one")
    if manifest.files != digests:
        raise BackupError(f"{source} is damaged: its files do not match its manifest")
    return manifest


def _copy(content: IO[bytes], path: Path) -> str:
    digest = hashlib.sha256()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        while data := content.read(PIECE_BYTES):
            digest.update(data)
            file.write(data)
        file.flush()
        os.fsync(descriptor)
    return digest.hexdigest()


def _check_store(path: Path, check: Callable[[Connection], object]) -> None:
    """Check the store for corruption, if there is one, and call `check` with it. Raises BackupError."""
    if not path.exists():
        return
    try:
        with open_to_write(path) as store:
            look_over(store)
            check(store)
    except CorruptError as error:
        raise BackupError(f"the store in the backup is damaged: {error}") from error
    except DatabaseError as error:
        raise BackupError(f"the store in the backup cannot be used: {error}") from error


def _replacements(folder: Path, draft: Path) -> Iterator[Replaced]:
    for name in KEPT:
        before, after = _size(folder / name), _size(draft / name)
        if before is not None or after is not None:
            yield Replaced(name, before, after)


def _size(path: Path) -> int | None:
    with suppress(FileNotFoundError):
        return path.stat().st_size
    return None
