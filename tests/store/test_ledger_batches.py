"""Batches that wait for the leader are there once, in order, and bounded."""

from pathlib import Path

import pytest

from strangler.store import ledger_batches
from strangler.store.connection import Connection, make_tables
from strangler.store.ledger_batches import (
    MAX_TAKEN,
    MAX_TAKEN_BYTES,
    MAX_WAITING,
    MAX_WAITING_BYTES,
    WatchedSpan,
    drop_batches,
    drop_watched,
    first_batches,
    has_later,
    put_batches,
    put_watched,
    waiting,
    watched,
)
from strangler.store.sqlite import connect


@pytest.fixture
def connection(tmp_path: Path) -> Connection:
    return connect(tmp_path / "store.sqlite", lambda made: make_tables(made, ledger_batches.SCHEMA))


def test_a_batch_that_is_put_twice_is_there_once(connection: Connection) -> None:
    for _ in range(2):
        assert put_batches(connection, "a", 1.0, [("a/w", 1, b"x"), ("a/w", 2, b"yy")])
    assert waiting(connection) == (2, 3)


def test_batches_are_taken_in_order(connection: Connection) -> None:
    for number in range(1, 4):
        put_batches(connection, "a", 1.0, [("a/w", number, b"x")])
        put_batches(connection, "b", 1.0, [("b/w", number, b"x")])
    found = first_batches(connection)
    assert [(each.instance, each.number) for each in found] == [
        (worker, number) for number in range(1, 4) for worker in ("a/w", "b/w")
    ]
    drop_batches(connection, [each.id for each in found[:5]])
    assert [(each.instance, each.number) for each in first_batches(connection)] == [("b/w", 3)]


@pytest.mark.parametrize(
    ("size", "taken"),
    [
        pytest.param(1, MAX_TAKEN, id="many"),
        pytest.param(MAX_TAKEN_BYTES // 4, 4, id="large"),
        pytest.param(MAX_TAKEN_BYTES * 2, 1, id="larger than that"),
    ],
)
def test_not_too_much_is_taken_at_once(connection: Connection, size: int, taken: int) -> None:
    put_batches(connection, "a", 1.0, [("a/w", number, b"x" * size) for number in range(MAX_TAKEN + 2)])
    found = first_batches(connection)
    assert len(found) == taken
    assert has_later(connection, "a", found[-1].id)
    assert not has_later(connection, "b", found[-1].id)


@pytest.mark.parametrize(
    ("count", "size"), [pytest.param(MAX_WAITING, 1, id="many"), pytest.param(1, MAX_WAITING_BYTES, id="large")]
)
def test_without_room_nothing_is_added(connection: Connection, count: int, size: int) -> None:
    assert put_batches(connection, "a", 1.0, [("a/w", number, b"x" * size) for number in range(count)])
    assert not put_batches(connection, "b", 1.0, [("b/w", 1, b"x")])
    assert waiting(connection)[0] == count
    drop_batches(connection, [each.id for each in first_batches(connection)])
    assert put_batches(connection, "b", 1.0, [("b/w", 1, b"x")])


def test_a_watched_time_that_went_on_meanwhile_is_not_forgotten(connection: Connection) -> None:
    put_watched(connection, WatchedSpan("a", 1.0, 2.0))
    put_watched(connection, WatchedSpan("b", 1.0, 2.0))
    read = watched(connection)
    put_watched(connection, WatchedSpan("a", 1.0, 3.0))
    drop_watched(connection, read)
    assert watched(connection) == [WatchedSpan("a", 1.0, 3.0)]
