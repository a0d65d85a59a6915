"""The requests to the leader: each is taken once or withdrawn, on either engine."""

import threading
from collections.abc import Callable
from contextlib import closing

import pytest

from strangler.store import postgres as engine
from strangler.store import requests
from strangler.store.connection import Connection
from strangler.store.requests import ask_leader, respond, response_to, take_requests, withdraw
from strangler.store.schema.server_tables import prepare_server
from strangler.store.topics import topic_numbers
from tests.store.postgres import PostgresServer

KINDS = ("counts", "commands")


@pytest.fixture
def address(postgres_server: PostgresServer) -> str:
    """The URL of a database with our tables."""
    url = postgres_server.url(postgres_server.new_database())
    with engine.opened(url, "tests") as connection:
        prepare_server(connection)
    return url


def test_requests_are_taken_once_in_the_order_of_their_ids(connection: Connection) -> None:
    first = ask_leader(connection, "a", "commands", "x", b"start", 1.0)
    second = ask_leader(connection, "b", "counts", "", b"\x00\xff", 2.0)
    ask_leader(connection, "b", "others", "", b"", 2.0)
    taken = take_requests(connection, KINDS, 10)
    assert [(each.id, each.node, each.at, each.kind, each.name, each.content) for each in taken] == [
        (first, "a", 1.0, "commands", "x", b"start"),
        (second, "b", 2.0, "counts", "", b"\x00\xff"),
    ]
    assert take_requests(connection, KINDS, 10) == []
    assert len(take_requests(connection, ("others",), 10)) == 1


def test_an_id_is_never_used_again(connection: Connection) -> None:
    first = ask_leader(connection, "a", "counts", "", b"", 1.0)
    take_requests(connection, KINDS, 10)
    assert ask_leader(connection, "a", "counts", "", b"", 1.0) > first


def test_at_most_so_many_of_a_kind_are_taken_the_earliest_first(connection: Connection) -> None:
    for number in range(5):
        ask_leader(connection, "a", "counts", str(number), b"", 1.0)
    assert [each.name for each in take_requests(connection, KINDS, 3)] == ["0", "1", "2"]
    assert [each.name for each in take_requests(connection, KINDS, 3)] == ["3", "4"]


def test_only_what_is_urgent_is_announced(connection: Connection) -> None:
    ask_leader(connection, "a", "counts", "", b"", 1.0, is_urgent=False)
    assert "requests" not in topic_numbers(connection)
    ask_leader(connection, "a", "commands", "", b"", 1.0)
    assert topic_numbers(connection)["requests"] == 1


def test_a_request_is_withdrawn_or_taken(connection: Connection) -> None:
    ask_leader(connection, "a", "commands", "x", b"", 1.0)
    assert requests.waiting_names(connection, "a", "commands") == {"x"}
    assert requests.waiting_names(connection, "b", "commands") == set()
    assert withdraw(connection, "commands", "x")
    assert take_requests(connection, KINDS, 10) == []
    ask_leader(connection, "a", "commands", "y", b"", 1.0)
    (taken,) = take_requests(connection, KINDS, 10)
    respond(connection, taken.name, b"done", 1.0)
    assert not withdraw(connection, "commands", "y")
    assert response_to(connection, "y") == b"done"
    assert response_to(connection, "x") is None


def test_what_nobody_waits_for_is_forgotten(connection: Connection) -> None:
    respond(connection, "early", b"", 1.0)
    respond(connection, "late", b"", 5000.0)
    requests.prune(connection, 6000.0)
    assert response_to(connection, "early") is None
    assert response_to(connection, "late") == b""


def test_a_withdrawal_waits_for_a_leader_that_is_taking_the_request(address: str) -> None:
    """The leader's transaction has taken it, and may yet be rolled back: only then it is withdrawn."""
    for ends, is_withdrawn in (("COMMIT", False), ("ROLLBACK", True)):
        assert _withdrawn_beside(address, ends) is is_withdrawn


def _withdrawn_beside(address: str, ends: str) -> bool:
    with closing(engine.connect(address, "leader")) as leader, closing(engine.connect(address, "node")) as node:
        ask_leader(leader, "a", "commands", ends, b"", 1.0)
        leader.execute("BEGIN")
        assert len(take_requests(leader, ("commands",), 10)) == 1
        found: list[bool] = []
        thread = threading.Thread(target=_withdraw, args=(node, ends, found.append))
        thread.start()
        _wait_until_blocked(leader)
        leader.execute(ends)
        thread.join(10)
    return found[0]


def _withdraw(connection: Connection, name: str, note: Callable[[bool], None]) -> None:
    note(withdraw(connection, "commands", name))


def _wait_until_blocked(connection: Connection) -> None:
    blocked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    for _ in range(100_000):
        if connection.execute(blocked).fetchone()[0]:
            return
    raise AssertionError("no statement waits for a lock")
