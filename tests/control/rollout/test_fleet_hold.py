"""Nothing climbs while nodes have different files, and the reason names the odd one."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from strangler.control.rollout.fleet_hold import why_held
from strangler.store import nodes, sqlite
from strangler.store.connection import Connection, make_tables

NOW = 1000.0


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    with closing(sqlite.connect(tmp_path / "store", lambda made: make_tables(made, nodes.SCHEMA))) as found:
        yield found


def note(connection: Connection, node: str, digest: str, heard: float = NOW) -> None:
    connection.execute("INSERT INTO nodes VALUES (?, ?, 'run', '1', ?, ?, ?, 0)", (node, node, digest, NOW, heard))


def test_nodes_with_one_file_hold_nothing(connection: Connection) -> None:
    for node in ("a", "b", "c"):
        note(connection, node, "aaaa")
    assert why_held(connection, NOW) is None


def test_the_odd_node_is_named_while_it_is_heard(connection: Connection) -> None:
    note(connection, "a", "aaaa")
    note(connection, "b", "aaaa")
    note(connection, "c", "bbbb")
    found = why_held(connection, NOW)
    assert found is not None
    assert "'c' (bbbb)" in found
    assert "'a'" not in found
    assert why_held(connection, NOW + 60) is None, "nobody was heard lately"


def test_a_node_that_has_gone_holds_nothing(connection: Connection) -> None:
    note(connection, "a", "aaaa")
    note(connection, "c", "bbbb", heard=NOW - 60)
    assert why_held(connection, NOW) is None
