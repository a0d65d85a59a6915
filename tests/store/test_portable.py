"""Every statement of the program is one that PostgreSQL takes as well, and gives results of the same types."""

from collections.abc import Iterator
from typing import Final

import psycopg
import pytest

from strangler.store.postgres import numbered, tables_of
from strangler.store.schema import SCHEMA
from tests.store.postgres import server
from tests.store.statements import statements

NUMERIC: Final = 1700
"""PostgreSQL's type of decimals, in place of which SQLite has an integer."""


@pytest.fixture(scope="module")
def postgres() -> Iterator[psycopg.Connection]:
    with server() as connection:
        connection.execute(tables_of(SCHEMA).encode())
        yield connection


def problem(postgres: psycopg.Connection, text: str) -> str | None:
    """Return why PostgreSQL does not run a statement as SQLite does; None if it does."""
    prepared = postgres.pgconn.prepare(b"", numbered(text))
    if prepared.error_message:
        return prepared.get_error_message()
    described = postgres.pgconn.describe_prepared(b"")
    decimals = [column for column in range(described.nfields) if described.ftype(column) == NUMERIC]
    return f"decimals in columns {decimals}" if decimals else None


def test_each_statement_is_one_of_postgresql(postgres: psycopg.Connection) -> None:
    found = statements()
    assert len(found) > 150
    problems = [f"{item.place}: {why}\n{item.text}" for item in found if (why := problem(postgres, item.text))]
    assert not problems, "\n\n".join(problems)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("INSERT OR REPLACE INTO meta VALUES (?, ?)", id="replace"),
        pytest.param("INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", id="no target"),
        pytest.param("SELECT max(count, 1) FROM pairs", id="scalar max"),
        pytest.param("SELECT sum(count) FROM pairs", id="a decimal"),
        pytest.param("SELECT coalesce(sum(count), 0) FROM pairs", id="a decimal within"),
        pytest.param("SELECT 1 FROM pairs WHERE ? IS NULL", id="a parameter without a type"),
        pytest.param("SELECT name FROM releases WHERE is_current", id="an integer as a condition"),
        pytest.param("SELECT route, release FROM pairs GROUP BY route", id="a bare column"),
        pytest.param("SELECT rowid FROM latencies", id="rowid"),
    ],
)
def test_a_statement_of_sqlite_alone_is_found(postgres: psycopg.Connection, text: str) -> None:
    assert problem(postgres, text) is not None


def test_the_statements_are_read_with_their_loops_and_constants() -> None:
    texts = {item.text for item in statements()}
    assert {"SELECT DISTINCT route, endpoint FROM signatures", "SELECT DISTINCT route, endpoint FROM claims"} <= texts
    assert not [text for text in texts if "{" in text]
