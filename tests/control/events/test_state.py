"""What becomes an event, and what does not."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from strangler.control.events import outbox
from strangler.control.events import state as states
from strangler.control.events.event import Kind, event
from strangler.control.events.state import EventsState
from strangler.control.links import LinksState
from strangler.control.reload import InForce
from strangler.control.store import Store
from strangler.control.totals import TotalsState
from strangler.core.settings import Settings
from strangler.state.kill_switch import OFF
from strangler.wire.messages import BreakerChanged
from tests.factories import route, settings

RUN = "run-1"


def of_percent(percent: float, *, enabled: bool = True) -> Settings:
    return settings(routes=[replace(route("orders", prefix="/api/orders", percent=percent), enabled=enabled)])


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = Store(tmp_path / "strangler.db", outbox.SCHEMA)
    yield store
    await store.close()


def made(folder: Path, store: Store, first: Settings | None = None, run: str = RUN) -> EventsState:
    links = LinksState(TotalsState(), 1, b"", OFF)
    return EventsState(folder, run, links, store, first or of_percent(5))


async def kept(state: EventsState) -> list[tuple[str, str, Any]]:
    """Type, subject and data of all events."""
    await state.write()
    return [(entry.event.type, entry.event.subject, entry.event.data) for entry in await state.read(0, 0.0, 100)]


@pytest.mark.parametrize(
    ("first", "then", "shift"),
    [
        pytest.param(of_percent(5), of_percent(25), (5.0, 25.0), id="raised"),
        pytest.param(of_percent(25), of_percent(25, enabled=False), (25.0, 0.0), id="disabled"),
        pytest.param(settings(routes=[]), of_percent(5), (0.0, 5.0), id="new"),
        pytest.param(of_percent(5), settings(routes=[]), (5.0, 0.0), id="removed"),
        pytest.param(of_percent(5), of_percent(5), None, id="the same"),
        pytest.param(settings(routes=[]), of_percent(0), None, id="new at 0 %"),
    ],
)
async def test_a_route_shifts_when_the_share_of_its_candidate_changes(
    tmp_path: Path, store: Store, first: Settings, then: Settings, shift: tuple[float, float] | None
) -> None:
    state = made(tmp_path, store, first)
    state.reloaded(InForce(then, b"", 2, ""))
    shifts = [(data["from"], data["to"]) for kind, _, data in await kept(state) if kind == "route.shifted"]
    assert shifts == ([] if shift is None else [shift])


async def test_a_reload_tells_which_routes_it_changes(tmp_path: Path, store: Store) -> None:
    state = made(tmp_path, store, settings(routes=[route("a", prefix="/a"), route("b", prefix="/b")]))
    then = settings(routes=[route("b", prefix="/bb"), route("c", prefix="/c")])
    state.reloaded(InForce(then, b"", 2, ""))
    ((_, _, data), *_) = await kept(state)
    assert data == {"generation": 2, "routes": 2, "added": ["c"], "removed": ["a"], "changed": ["b"]}


def turn(state: EventsState, *after: str) -> None:
    for one in after:
        state.breaker_changed(BreakerChanged("orders", "", one, "why"))


@pytest.mark.parametrize(
    ("turns", "told"),
    [
        pytest.param(["open", "open"], ["breaker.opened"], id="two workers open"),
        pytest.param(["open", "half_open", "open"], ["breaker.opened"], id="a trial fails"),
        pytest.param(["open", "half_open", "closed", "closed"], ["breaker.opened", "breaker.closed"], id="closes"),
        pytest.param(["closed"], [], id="was not known to be open"),
        pytest.param(
            ["open", "closed", "open"], ["breaker.opened", "breaker.closed", "breaker.opened"], id="opens again"
        ),
    ],
)
async def test_the_workers_breakers_are_told_of_as_one(
    tmp_path: Path, store: Store, turns: list[str], told: list[str]
) -> None:
    state = made(tmp_path, store)
    turn(state, *turns)
    assert [kind for kind, _, _ in await kept(state)] == told


async def test_an_upstream_that_was_taken_out_while_open_opens_as_a_new_one(tmp_path: Path, store: Store) -> None:
    with_orders, without = of_percent(5), replace(of_percent(5), routes=(), upstreams={})
    state = made(tmp_path, store, with_orders)
    turn(state, "open")
    for generation, now in enumerate((without, with_orders), 2):
        state.reloaded(InForce(now, b"", generation, ""))
    turn(state, "open")
    kinds = [kind for kind, _, _ in await kept(state)]
    assert kinds.count("breaker.opened") == 2


async def test_another_control_of_the_same_run_knows_what_is_open(tmp_path: Path, store: Store) -> None:
    before = made(tmp_path, store)
    turn(before, "open")
    await before.write()
    after = made(tmp_path, store)
    await after.restore()
    turn(after, "open", "closed")
    assert [kind for kind, _, _ in await kept(after)] == ["breaker.opened", "breaker.closed"]
    await after.close()


async def test_a_new_run_begins_with_closed_breakers(tmp_path: Path, store: Store) -> None:
    before = made(tmp_path, store)
    turn(before, "open")
    await before.write()
    after = made(tmp_path, store, run="run-2")
    await after.restore()
    turn(after, "open")
    assert [kind for kind, _, _ in await kept(after)] == ["breaker.opened", "breaker.opened"]
    await after.close()


async def test_events_of_a_transaction_are_there_if_the_rest_of_it_is(tmp_path: Path, store: Store) -> None:
    state = made(tmp_path, store)
    one = event(Kind.SIGNATURE_NEW, "orders", {"signature": "9f2c"})
    await store.call(lambda connection: state.insert(connection, [one]))
    state.kept(one)
    assert await kept(state) == [("signature.new", "orders", {"signature": "9f2c"})]


async def test_of_events_that_cannot_be_stored_the_newest_wait(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(states, "MAX_UNWRITTEN", 4)
    state = made(tmp_path, store)
    database = tmp_path / "strangler.db"
    database.mkdir()
    for three in ("012", "345", "678"):
        writing = asyncio.create_task(state.write())
        await asyncio.sleep(0)  # what waited is on its way, and three more come
        for number in three:
            state.killed(True, number)
        assert not await writing
    state.report()
    assert state.status().unwritten == 4
    assert state._links.totals.counter("strangler_events_lost_total") == 5
    database.rmdir()
    assert [data["reason"] for _, _, data in await kept(state)] == ["5", "6", "7", "8"]
