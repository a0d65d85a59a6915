"""Connections to PostgreSQL: parameters, texts, and many rows in one statement."""

import pytest

from strangler.store.connection import Connection
from strangler.store.postgres import TOGETHER, joined, numbered


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        pytest.param("SELECT 1", b"SELECT 1", id="none"),
        pytest.param("VALUES (?, ?)", b"VALUES ($1, $2)", id="two"),
    ],
)
def test_parameters_are_numbered(statement: str, expected: bytes) -> None:
    assert numbered(statement) == expected


@pytest.mark.parametrize(
    ("statement", "is_joined"),
    [
        pytest.param("INSERT INTO latencies VALUES (?, ?)", True, id="plain"),
        pytest.param("INSERT INTO latencies (a, b) VALUES (?, ?)", True, id="columns"),
        pytest.param("\n INSERT INTO a VALUES (?)\n ON CONFLICT (id) DO NOTHING ", True, id="do nothing"),
        pytest.param("INSERT INTO a VALUES (?) ON CONFLICT (id) DO UPDATE SET b = excluded.b", False, id="do update"),
        pytest.param("INSERT INTO a VALUES (?, '')", False, id="a constant"),
        pytest.param("INSERT INTO a VALUES (?) RETURNING id", False, id="returning"),
        pytest.param("DELETE FROM a WHERE b = ?", False, id="delete"),
    ],
)
def test_only_insertions_that_update_nothing_are_joined(statement: str, is_joined: bool) -> None:
    assert (joined(statement) is not None) is is_joined


@pytest.mark.parametrize("count", [0, 1, TOGETHER - 1, TOGETHER, TOGETHER + 1, 3 * TOGETHER + 7])
def test_every_row_is_inserted_once(connection: Connection, count: int) -> None:
    connection.executemany(
        "INSERT INTO latencies VALUES (?, ?, ?, ?, ?, ?)",
        ((f"r{number}", float(number), 0.5, 1.5, "", "live") for number in range(count)),
    )
    found = connection.execute("SELECT route, at, legacy_s, candidate_s FROM latencies ORDER BY at").fetchall()
    assert found == [(f"r{number}", float(number), 0.5, 1.5) for number in range(count)]


def test_a_row_that_is_there_twice_stays_as_it_was_first(connection: Connection) -> None:
    rows = [(str(number % 70), "orders", float(number), 1, b"x") for number in range(140)]
    connection.executemany("INSERT INTO samples VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING", rows)
    found = connection.execute("SELECT at FROM samples ORDER BY at").fetchall()
    assert found == [(float(number),) for number in range(70)]


def test_a_text_has_no_nul_in_postgresql_and_is_otherwise_as_it_was(connection: Connection) -> None:
    connection.execute("INSERT INTO meta VALUES (?, ?)", ("word", "a\0b \N{PILE OF POO}"))
    (found,) = connection.execute("SELECT value FROM meta").fetchone()
    assert found.replace("\0", "\ufffd") == "a\ufffdb \N{PILE OF POO}"
