"""`strangler state export` and `import`: all that is shared, from either engine to either, or nothing."""

import json
import os
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from strangler.cli import main
from strangler.state import kill_switch
from strangler.state.files import REDACTION_KEY
from strangler.state.fleet_keys import SHARED, keep
from strangler.store.connection import Connection
from strangler.store.events import outbox
from strangler.store.events.event import Event, Kind, event
from strangler.store.evidence.audits import write_audit
from strangler.store.evidence.index import IndexState
from strangler.store.evidence.writing import set_state, store_findings
from strangler.store.location import StoreLocation
from strangler.store.meta import write_meta
from strangler.store.nodes import NodeReport, claim_name, leave, report_node
from strangler.store.postgres import connect
from strangler.store.schema.opening import writer
from strangler.store.schema.transfer import KEPT, OWN, all_tables, carried
from strangler.store.sealed_keys import add_sealed, seal
from tests.store.evidence.pairs import NOON, mismatch, seen
from tests.store.postgres import PostgresServer

DIFFERENCE = seen()
_ROUTES = """\
version: 1
listen: 127.0.0.1:0
admin: {{listen: 127.0.0.1:0}}
state: state
store: "{store}"
node: a
upstreams:
  legacy: {{url: "http://127.0.0.1:1"}}
routes: []
"""


@pytest.fixture
def new_url(postgres_server: PostgresServer) -> Callable[[], str]:
    """Makes empty databases."""
    return lambda: postgres_server.url(postgres_server.new_database())


class Node:
    """A folder with a routes.yaml, and the store that it names."""

    def __init__(self, folder: Path, url: str | None = None) -> None:
        folder.mkdir()
        (folder / "routes.yaml").write_text(_ROUTES.format(store=url or "sqlite"))
        (folder / "state").mkdir()
        self.folder = folder
        self.location = StoreLocation(folder / "state" / "strangler.db", url)

    def run(self, *arguments: str) -> Result:
        before = Path.cwd()
        os.chdir(self.folder)
        try:
            return CliRunner().invoke(main, ["state", *arguments])
        finally:
            os.chdir(before)

    def write(self, work: Callable[[Connection], Any]) -> Any:
        with writer(self.location) as connection:
            return work(connection)

    @property
    def content(self) -> dict[str, list[Any]]:
        """All rows that are carried, by table."""

        def read(connection: Connection) -> dict[str, list[Any]]:
            return {
                table.name: sorted(map(repr, (table.taken(row) for row in rows)))
                for table in carried()
                for rows in [connection.execute(f"SELECT {', '.join(table.columns)} FROM {table.name}").fetchall()]
            }

        found: dict[str, list[Any]] = self.write(read)
        return found


def fill(connection: Connection) -> None:
    """Write something into many tables."""
    index = IndexState()
    sample = b'{"a": "\\u0000"}'
    some = [mismatch(DIFFERENCE, at=NOON + number, sample=sample, latency=(0.1, 0.2)) for number in range(3)]
    store_findings(connection, index, [replace(each, id=f"{number:02}") for number, each in enumerate(some)], NOON)
    set_state(connection, DIFFERENCE.id, "known", NOON, owner="ana", why="größer \N{PILE OF POO}")
    outbox.insert(connection, [shifted(1), shifted(2)], "run", "//host/strangler")
    write_meta(connection, "rollouts_since", "1.5")
    for number in range(3):
        write_audit(connection, time.time(), "ana", "shift", "orders", "because", str(number))


def shifted(number: int) -> Event:
    return event(Kind.ROUTE_SHIFTED, "orders", {"number": number}, time.time())


def test_every_table_is_carried_or_is_known_not_to_be() -> None:
    names = {table.name for table in all_tables()}
    assert names >= OWN
    assert KEPT <= OWN
    assert {"pairs", "signatures", "audit", "events", "ledger_rows", "rollout_positions", "meta", "stops"} <= {
        table.name for table in carried()
    }


def test_there_and_back_nothing_is_lost(tmp_path: Path, new_url: Callable[[], str]) -> None:
    first, shared, again = Node(tmp_path / "a", None), Node(tmp_path / "b", new_url()), Node(tmp_path / "c", None)
    first.write(fill)
    (first.folder / "state" / REDACTION_KEY).write_bytes(b"k" * 32)
    before = first.content
    file = tmp_path / "file.tar.gz"

    done = first.run("export", str(file))
    assert done.exit_code == 0, done.output
    done = shared.run("import", str(file), "--json")
    assert done.exit_code == 0, done.output
    rows = json.loads(done.output)["rows"]
    assert rows["signatures"] == 1
    assert rows["audit"] == 4, "the import is in the audit"
    assert (shared.folder / "state" / REDACTION_KEY).read_bytes() == b"k" * 32
    assert {name: rows for name, rows in shared.content.items() if name != "audit"} == {
        name: rows for name, rows in before.items() if name != "audit"
    }

    shared.write(lambda connection: write_audit(connection, time.time(), "ben", "shift", "orders", "", "after"))
    shared.write(lambda connection: outbox.insert(connection, [shifted(3)], "run", "//host/strangler"))
    ids = [row[0] for row in shared.write(lambda c: c.execute("SELECT id FROM audit ORDER BY id").fetchall())]
    assert ids == [1, 2, 3, 4, 5], "the database's own numbers go on after those that were carried"

    assert shared.run("export", str(file)).exit_code == 0
    assert again.run("restore", str(file)).exit_code == 0, "it is a backup, too"
    after = again.content
    assert {name: rows for name, rows in after.items() if name != "audit"} == {
        name: rows for name, rows in shared.content.items() if name != "audit"
    }
    assert len(after["audit"]) == 6


def test_an_export_needs_the_keys_that_all_nodes_share(tmp_path: Path, new_url: Callable[[], str]) -> None:
    shared = Node(tmp_path / "b", new_url())
    shared.write(lambda connection: add_sealed(connection, REDACTION_KEY, seal(REDACTION_KEY, b"k" * 32, "s" * 16)))
    done = shared.run("export", str(tmp_path / "file"))
    assert done.exit_code == 1
    assert "the state folder has not the keys that all nodes share; run this where a node has run" in done.output
    assert not (tmp_path / "file").exists()
    keep(shared.folder / "state", dict.fromkeys(SHARED, b"k" * 32))
    assert shared.run("export", str(tmp_path / "file")).exit_code == 0


def test_a_kill_switch_that_another_node_has_turned_on_is_on_where_it_is_imported(
    tmp_path: Path, new_url: Callable[[], str]
) -> None:
    shared, alone = Node(tmp_path / "b", new_url()), Node(tmp_path / "c", None)
    row = ("", 1, "of another node", time.time(), "other", "ana")
    shared.write(lambda connection: connection.execute("INSERT INTO kill_switches VALUES (?, ?, ?, ?, ?, ?)", row))
    assert shared.run("export", str(tmp_path / "file")).exit_code == 0
    assert alone.run("import", str(tmp_path / "file")).exit_code == 0
    found = kill_switch.read(alone.folder / "state")
    assert (found.on, found.reason) == (True, "of another node")


def test_an_import_replaces_what_there_was(tmp_path: Path, new_url: Callable[[], str]) -> None:
    first, shared = Node(tmp_path / "a", None), Node(tmp_path / "b", new_url())
    first.write(fill)
    assert first.run("export", str(tmp_path / "file")).exit_code == 0
    other = seen("b" * 16, "$.another")
    shared.write(lambda connection: store_findings(connection, IndexState(), [mismatch(other)], NOON))
    assert shared.run("import", str(tmp_path / "file")).exit_code == 0
    found = shared.write(lambda connection: connection.execute("SELECT id FROM signatures").fetchall())
    assert found == [(DIFFERENCE.id,)]


def test_an_import_is_refused_while_a_node_runs(tmp_path: Path, new_url: Callable[[], str]) -> None:
    first, shared = Node(tmp_path / "a", None), Node(tmp_path / "b", new_url())
    first.write(fill)
    assert first.run("export", str(tmp_path / "file")).exit_code == 0

    def begin(connection: Connection) -> None:
        claim_name(connection, "other", "folder")
        report_node(connection, NodeReport("other", "folder", "run", "1.0", "", 0))

    shared.write(begin)
    done = shared.run("import", str(tmp_path / "file"))
    assert done.exit_code == 1
    assert "nothing was imported: PostgreSQL t" in done.output
    assert "node 'other' uses it; stop all nodes (1), and wait 10 s" in done.output
    assert shared.content["signatures"] == []
    shared.write(lambda connection: leave(connection, "other", "folder"))
    assert shared.run("import", str(tmp_path / "file")).exit_code == 0


def test_what_fails_in_the_middle_has_changed_nothing(tmp_path: Path, new_url: Callable[[], str]) -> None:
    url = new_url()
    first, shared = Node(tmp_path / "a", None), Node(tmp_path / "b", url)
    first.write(fill)
    assert first.run("export", str(tmp_path / "file")).exit_code == 0
    other = seen("b" * 16, "$.another")
    shared.write(lambda connection: store_findings(connection, IndexState(), [mismatch(other)], NOON))
    before = shared.content
    with closing(connect(url, "tests")) as server:
        server.execute("ALTER TABLE signatures ADD CONSTRAINT odd CHECK (kind != 'x' AND owner IS NULL)")
    done = shared.run("import", str(tmp_path / "file"))
    assert done.exit_code == 1
    assert "odd" in done.output
    assert shared.content == before


@pytest.mark.parametrize("content", [b"", b"no archive"])
def test_what_is_no_export_is_refused(tmp_path: Path, new_url: Callable[[], str], content: bytes) -> None:
    shared = Node(tmp_path / "b", new_url())
    (tmp_path / "file").write_bytes(content)
    done = shared.run("import", str(tmp_path / "file"))
    assert done.exit_code == 1
    assert f"nothing was imported: {tmp_path / 'file'} is not a backup" in done.output
    done = shared.run("import", str(tmp_path / "missing"))
    assert "there is no file" in done.output


def test_a_backup_says_what_is_not_in_it(tmp_path: Path, new_url: Callable[[], str]) -> None:
    shared = Node(tmp_path / "b", new_url())
    (shared.folder / "state" / REDACTION_KEY).write_bytes(b"k" * 32)
    done = shared.run("backup", str(tmp_path / "file"))
    assert done.exit_code == 0, done.output
    assert "the evidence is not in it: PostgreSQL t" in done.output
    assert "`strangler state export` writes it into a file" in done.output
    done = shared.run("restore", str(tmp_path / "file"))
    assert done.exit_code == 0, done.output
    assert "is as it was; `strangler state import` puts the evidence of the backup there" in done.output
