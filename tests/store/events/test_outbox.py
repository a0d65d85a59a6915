"""The rows that the outbox keeps, and those that it drops."""

import time

import msgspec
import pytest

from strangler.store.connection import Connection
from strangler.store.events import outbox
from strangler.store.events.event import Event, Kind, encode, event

NOW = time.time()


@pytest.fixture
def database(connection: Connection) -> Connection:
    return connection


def shifted(number: int = 0, at: float = NOW) -> Event:
    return event(Kind.ROUTE_SHIFTED, "orders", {"number": number}, at)


def insert(database: Connection, *events: Event) -> None:
    outbox.insert(database, events, "run", "//host/strangler")


def test_an_event_is_a_cloudevent() -> None:
    made = Event(Kind.ROUTE_SHIFTED, "orders", {"from": 5.0, "to": 25.0}, 1795420800.123, "01J")
    assert msgspec.json.decode(encode(made, "//shop-1/strangler")) == {
        "specversion": "1.0",
        "id": "01J",
        "source": "//shop-1/strangler",
        "type": "route.shifted",
        "subject": "orders",
        "time": "2026-11-23T08:00:00.123Z",
        "datacontenttype": "application/json",
        "partitionkey": "orders",
        "data": {"from": 5.0, "to": 25.0},
    }


def test_a_sink_begins_with_what_happens_once_it_is_there(database: Connection) -> None:
    insert(database, shifted(1))
    outbox.register(database, ["webhook"])
    insert(database, shifted(2), shifted(3))
    found = outbox.pending(database, "webhook", 10)
    assert [msgspec.json.decode(stored.body)["data"]["number"] for stored in found] == [2, 3]


def test_a_sink_that_is_gone_is_forgotten_and_begins_anew(database: Connection) -> None:
    outbox.register(database, ["webhook"])
    insert(database, shifted(1))
    outbox.register(database, [])
    outbox.register(database, ["webhook"])
    assert outbox.pending(database, "webhook", 10) == []


def test_the_same_event_twice_is_kept_once(database: Connection) -> None:
    this_event = shifted()
    insert(database, this_event)
    insert(database, this_event)
    assert len(outbox.read(database, 0, 0.0, 10)) == 1


def test_sinks_get_on_each_at_its_own_pace(database: Connection) -> None:
    outbox.register(database, ["webhook", "kafka"])
    insert(database, shifted(1), shifted(2))
    outbox.settle(database, "kafka", outbox.pending(database, "kafka", 10), {}, NOW)
    standings = outbox.standings(database)
    assert (standings["kafka"].backlog, standings["webhook"].backlog) == (0, 2)
    assert standings["kafka"].delivered == 2


def test_a_dead_letter_is_kept_with_its_reason(database: Connection) -> None:
    outbox.register(database, ["webhook"])
    insert(database, shifted(1), shifted(2))
    batch = outbox.pending(database, "webhook", 1)
    outbox.settle(database, "webhook", batch, {batch[0].seq: "answered 400"}, NOW)
    standing = outbox.standings(database)["webhook"]
    assert (standing.backlog, standing.delivered, standing.dead, standing.last_dead) == (1, 0, 1, "answered 400")
    (letter,) = outbox.dead_letters(database, 10)
    assert (letter.sink, letter.reason, letter.event.data) == ("webhook", "answered 400", {"number": 1})


@pytest.mark.parametrize(
    ("at", "max_kept", "left"),
    [
        pytest.param(NOW, 3, [2, 3, 4], id="too many"),
        pytest.param(NOW - outbox.KEPT_S - 60, 100, [], id="too old"),
        pytest.param(NOW, 100, [0, 1, 2, 3, 4], id="all may stay"),
    ],
)
def test_what_is_let_go_of_unsent_counts_as_lost(
    database: Connection, at: float, max_kept: int, left: list[int]
) -> None:
    outbox.register(database, ["webhook"])
    insert(database, *(shifted(number, at) for number in range(5)))
    outbox.prune(database, NOW, max_kept)
    standing = outbox.standings(database)["webhook"]
    assert (standing.backlog, standing.lost) == (len(left), 5 - len(left))
    kept = [entry.event.data["number"] for entry in outbox.read(database, 0, 0.0, 10)]
    assert kept == left


def test_breakers_that_are_open_are_known_again_in_the_same_run_only(database: Connection) -> None:
    insert(
        database,
        event(Kind.BREAKER_OPENED, "orders", {}),
        event(Kind.BREAKER_OPENED, "payments", {}),
        event(Kind.BREAKER_CLOSED, "payments", {}),
    )
    assert outbox.open_breakers(database, "run") == {"orders"}
    assert outbox.open_breakers(database, "another") == set()
