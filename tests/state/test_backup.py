"""A backup of the state folder, and its way back: whole or not at all."""

import gzip
import io
import os
import sqlite3
import tarfile
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from strangler.control.shadow.key import redaction_key
from strangler.state import kill_switch
from strangler.state.backup import Backup, BackupError
from strangler.state.backup import backup as write_backup
from strangler.state.files import JOURNAL, STORE
from strangler.state.folder import hold
from strangler.state.kill_switch import KilledRoute, KillSwitchState
from strangler.state.pending_restore import DRAFT, MANIFEST, READY, finish
from strangler.state.restore import Restored
from strangler.state.restore import restore as restore_backup
from strangler.store.connection import Connection
from strangler.store.evidence.audits import AuditFilters, entries, write_audit
from strangler.store.evidence.journal import Journal
from strangler.store.evidence.tables import prepare
from strangler.store.sqlite import transaction

ON = KillSwitchState(True, "a test", "2026-11-23T08:00:00.000Z", {"orders": KilledRoute("slow", None)})


def backup(folder: Path, target: Path) -> Backup:
    return write_backup(folder, target, "2026-11-23T09:00:00.000Z")


def restore(folder: Path, source: Path, actor: str) -> Restored:
    """Restore the folder, and note in the store who did it, as the command does."""

    def note(store: Connection, detail: str) -> None:
        prepare(store)
        with transaction(store):
            write_audit(store, time.time(), actor, "state restore", "", "", detail)

    return restore_backup(folder, source, note)


def filled(folder: Path, actor: str = "ana") -> Path:
    """A state folder with one of everything."""
    folder.mkdir(mode=0o700, exist_ok=True)
    with closing(sqlite3.connect(folder / STORE)) as connection, connection:
        connection.execute("PRAGMA journal_mode = WAL")
        prepare(connection)
        write_audit(connection, time.time(), actor, "test", "", "", "")
    redaction_key(folder)
    kill_switch.write(folder, ON)
    Journal(folder).append([b'{"who":"%b"}\n' % actor.encode()])
    return folder


def audited_by(folder: Path) -> list[str]:
    """Return the names in the audit of a folder's store, the latest last."""
    with closing(sqlite3.connect(folder / STORE)) as connection:
        return [row.who for row in reversed(entries(connection, AuditFilters()))]


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name != "lock"}


def test_what_is_restored_is_what_was_backed_up(tmp_path: Path) -> None:
    folder, file = filled(tmp_path / "state"), tmp_path / "backup.tar.gz"
    key = redaction_key(folder)
    done = backup(folder, file)
    assert list(done.files) == [STORE, "redaction.key", "kill-switch.json", JOURNAL]
    assert (file.stat().st_mode & 0o777, file.stat().st_size) == (0o600, done.size)
    assert os.listdir(tmp_path) == ["backup.tar.gz", "state"] or sorted(os.listdir(tmp_path)) == [
        "backup.tar.gz",
        "state",
    ]
    other = filled(tmp_path / "other", "eve")
    (other / f"{JOURNAL}.1").write_bytes(b"{}\n")
    kill_switch.write(other, kill_switch.OFF.turned_for("users", True, "", "now"))
    restored = restore(other, file, "bob")
    assert audited_by(other) == ["ana", "bob"]
    assert redaction_key(other) == key
    assert kill_switch.read(other) == ON
    assert (other / JOURNAL).read_bytes() == b'{"who":"ana"}\n'
    assert not (other / f"{JOURNAL}.1").exists()
    assert (restored.was_killed, restored.is_killed) == (False, True)
    assert (restored.were_killed_routes, restored.are_killed_routes) == (("users",), ("orders",))
    assert {replaced.name: replaced.after for replaced in restored.files}[f"{JOURNAL}.1"] is None
    assert all(path.stat().st_mode & 0o077 == 0 for path in other.iterdir())
    assert {path.name for path in other.iterdir()} == {"lock", *done.files}


def test_a_folder_that_was_not_there_is_made(tmp_path: Path) -> None:
    backup(filled(tmp_path / "state"), tmp_path / "b")
    restored = restore(tmp_path / "new" / "state", tmp_path / "b", "bob")
    assert {file.before for file in restored.files} == {None}
    assert audited_by(tmp_path / "new" / "state") == ["ana", "bob"]


def test_a_log_of_the_former_store_does_not_meet_the_new_one(tmp_path: Path) -> None:
    backup(filled(tmp_path / "state"), tmp_path / "b")
    other = filled(tmp_path / "other", "eve")
    with closing(sqlite3.connect(other / STORE)) as connection:  # a proxy that was killed leaves its log
        write_audit(connection, time.time(), "mallory", "test", "", "", "")
        connection.commit()
        kept = {name: (other / name).read_bytes() for name in (f"{STORE}-wal", f"{STORE}-shm")}
    for name, data in kept.items():
        (other / name).write_bytes(data)
    restore(other, tmp_path / "b", "bob")
    assert audited_by(other) == ["ana", "bob"]


def test_a_copy_is_of_one_moment_while_others_write(tmp_path: Path) -> None:
    """Two rows are always written together, and never one is in a copy without the other."""
    folder, over = filled(tmp_path / "state"), threading.Event()

    def write() -> None:
        number = 0
        with closing(sqlite3.connect(folder / STORE)) as connection:
            while not over.is_set():
                number += 1
                with connection:
                    write_audit(connection, time.time(), f"first {number}", "test", "", "", "x" * 500)
                    write_audit(connection, time.time(), f"second {number}", "test", "", "", "x" * 500)
                Journal(folder).append([b'{"number":%d}\n' % number])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(5):
            backup(folder, tmp_path / "b")
            restore(tmp_path / str(number), tmp_path / "b", "bob")
            rows = audited_by(tmp_path / str(number))[1:-1]
            assert len(rows) % 2 == 0
            lines = (tmp_path / str(number) / JOURNAL).read_bytes()
            assert lines.endswith(b"}\n")
    finally:
        over.set()
        writer.join()
    assert rows


def test_a_line_that_is_half_written_is_left_out(tmp_path: Path) -> None:
    folder = filled(tmp_path / "state")
    with (folder / JOURNAL).open("ab") as file:
        file.write(b'{"who":"half')
    backup(folder, tmp_path / "b")
    restore(tmp_path / "new", tmp_path / "b", "bob")
    assert (tmp_path / "new" / JOURNAL).read_bytes() == b'{"who":"ana"}\n'


def test_it_is_refused_while_a_proxy_runs(tmp_path: Path) -> None:
    folder = filled(tmp_path / "state")
    backup(folder, tmp_path / "b")
    with hold(folder):
        before = content(folder)
        backup(folder, tmp_path / "b")  # that may be done
        with pytest.raises(BackupError, match=rf"pid {os.getpid()}.*stop it first"):
            restore(folder, tmp_path / "b", "bob")
        assert content(folder) == before


def _tar(*members: tuple[str, bytes], kind: bytes = tarfile.REGTYPE) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.type, member.size, member.linkname = kind, len(data), "/etc/passwd"
            archive.addfile(member, io.BytesIO(data))
    return file.getvalue()


def _flipped(data: bytes) -> bytes:
    """The same files, one of them with another byte."""
    raw = bytearray(gzip.decompress(data))
    at = raw.index(b'{"who":"ana"}')
    raw[at + 8] ^= 1
    return gzip.compress(bytes(raw))


def _later(data: bytes) -> bytes:
    raw = gzip.decompress(data)
    return gzip.compress(raw.replace(b'{"format":1,', b'{"format":9,'))


BROKEN: list[tuple[str, Callable[[bytes], bytes], str]] = [
    ("cut short", lambda data: data[: len(data) // 2], "not all of it|damaged|not whole"),
    ("empty", lambda _: b"", "not a backup"),
    ("text", lambda _: b"hello\n" * 100, "not a backup"),
    ("another archive", lambda _: _tar(("etc/passwd", b"x")), "it has 'etc/passwd'"),
    ("a path that climbs", lambda _: _tar(("../strangler.db", b"x")), "it has"),
    ("a link", lambda _: _tar((STORE, b""), kind=tarfile.SYMTYPE), "it has"),
    ("no manifest", lambda _: _tar(("kill-switch.json", b"{}")), "not whole"),
    ("a manifest that is none", lambda _: _tar((MANIFEST, b"[]")), "not a backup"),
    ("a byte that has changed", _flipped, "damaged"),
    ("of a later version", _later, "use that version or a later one"),
]


@pytest.mark.parametrize(("change", "expected"), [pytest.param(*item[1:], id=item[0]) for item in BROKEN])
def test_a_file_that_is_not_whole_changes_nothing(
    tmp_path: Path, change: Callable[[bytes], bytes], expected: str
) -> None:
    folder, file = filled(tmp_path / "state"), tmp_path / "b"
    backup(folder, file)
    file.write_bytes(change(file.read_bytes()))
    before = content(folder)
    with pytest.raises(BackupError, match=expected):
        restore(folder, file, "bob")
    assert content(folder) == before


def test_a_store_that_is_damaged_changes_nothing(tmp_path: Path) -> None:
    folder, bad = filled(tmp_path / "state"), filled(tmp_path / "bad")
    raw = bytearray((bad / STORE).read_bytes())
    raw[100:4096] = os.urandom(3996)
    (bad / STORE).write_bytes(raw)
    before = content(folder)

    def keep_and_restore() -> None:
        backup(bad, tmp_path / "b")
        restore(folder, tmp_path / "b", "bob")

    with pytest.raises(BackupError, match=r"strangler\.db cannot be copied|store in the backup"):
        keep_and_restore()
    assert content(folder) == before


@pytest.mark.parametrize("done", range(5))
def test_a_restore_that_is_killed_once_it_was_decided_is_carried_out_by_the_next_start(
    tmp_path: Path, done: int
) -> None:
    """`done`: so many files were in their place already."""
    folder, file = filled(tmp_path / "state"), tmp_path / "b"
    names = list(backup(folder, file).files)
    restore(tmp_path / "wanted", file, "bob")
    other = filled(tmp_path / "other", "eve")
    ready = other / READY
    ready.mkdir()
    for name in names:
        (ready / name).write_bytes((tmp_path / "wanted" / name).read_bytes())
    (ready / MANIFEST).write_bytes(
        msgspec.json.encode({"format": 1, "version": "0", "at": "", "files": dict.fromkeys(names, "")})
    )
    for name in names[:done]:
        (ready / name).replace(other / name)
    with hold(other):
        assert audited_by(other) == ["ana", "bob"]
        assert content(other) == content(tmp_path / "wanted")


def test_a_restore_that_is_killed_before_it_was_decided_is_none(tmp_path: Path) -> None:
    folder = filled(tmp_path / "state")
    (folder / DRAFT).mkdir()
    (folder / DRAFT / STORE).write_bytes(b"half")
    before = content_files(folder)
    assert not finish(folder)
    assert content_files(folder) == before
    assert not (folder / DRAFT).exists()


def content_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_file_that_is_no_backup_is_not_overwritten(tmp_path: Path) -> None:
    folder, file = filled(tmp_path / "state"), tmp_path / "thesis.txt"
    file.write_text("years of work")
    with pytest.raises(BackupError, match="is not a backup; nothing was overwritten"):
        backup(folder, file)
    assert file.read_text() == "years of work"
    assert backup(folder, tmp_path / "b").files == backup(folder, tmp_path / "b").files  # a former one is


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        pytest.param(lambda folder: None, "there is no state folder", id="no folder"),
        pytest.param(lambda folder: folder.mkdir(), "is empty: no proxy has run on it yet", id="an empty one"),
        pytest.param(lambda folder: folder.write_text(""), "there is no state folder", id="a file"),
    ],
)
def test_nothing_to_keep_is_told(tmp_path: Path, make: Callable[[Path], object], expected: str) -> None:
    make(tmp_path / "state")
    with pytest.raises(BackupError, match=expected):
        backup(tmp_path / "state", tmp_path / "b")
    assert not (tmp_path / "b").exists()
    with pytest.raises(BackupError, match="there is no file"):
        restore(tmp_path / "new", tmp_path / "nowhere", "bob")
    assert not (tmp_path / "new").exists()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="cannot be written: No such file or directory"):
        backup(filled(tmp_path / "state"), tmp_path / "nowhere" / "b")
