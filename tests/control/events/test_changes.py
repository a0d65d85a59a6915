"""The changes that become events, and those that do not."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from strangler.control.events import publisher as publishing
from strangler.control.events.changes import ChangeEvents, turn_event
from strangler.control.events.publisher import EventPublisher
from strangler.control.events.sinks import EventSinks
from strangler.control.own_metrics import OwnMetrics
from strangler.control.reload import InForce
from strangler.control.totals import TotalsState
from strangler.core.rollout_settings import RolloutSettings
from strangler.core.settings import Settings
from strangler.ipc.messages import BreakerChanged
from strangler.store.events import outbox
from strangler.store.events.event import Kind, event
from strangler.store.file_store import FileStore
from strangler.store.schema import prepare_file
from strangler.store.store import Store
from tests.factories import route, settings

RUN = "run-1"


def of_percent(percent: float, *, enabled: bool = True) -> Settings:
    return settings(routes=[replace(route("orders", prefix="/api/orders", percent=percent), enabled=enabled)])


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = FileStore(tmp_path / "strangler.db", prepare_file)
    yield store
    await store.close()


@dataclass(frozen=True, slots=True)
class Events:
    """The events of one control process, in a store."""

    store: Store
    totals: TotalsState
    own: OwnMetrics
    publisher: EventPublisher
    changes: ChangeEvents

    async def all(self) -> list[tuple[str, str, Any]]:
        """Type, subject and data of all events."""
        await self.publisher.write()
        found = await self.store.call(partial(outbox.read, after=0, since=0.0, most=100))
        return [(entry.event.type, entry.event.subject, entry.event.data) for entry in found]


def made(store: Store, first: Settings | None = None, run: str = RUN) -> Events:
    totals = TotalsState()
    own = OwnMetrics(totals, "own")
    publisher = EventPublisher(store, EventSinks(store, {}, own), own, run, "//host/strangler")
    return Events(store, totals, own, publisher, ChangeEvents(publisher, store, run, first or of_percent(5)))


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
    store: Store, first: Settings, then: Settings, shift: tuple[float, float] | None
) -> None:
    state = made(store, first)
    state.changes.adopt(InForce(then, b"", 2, ""))
    shifts = [(data["from"], data["to"]) for kind, _, data in await state.all() if kind == "route.shifted"]
    assert shifts == ([] if shift is None else [shift])


async def test_a_reload_tells_which_routes_it_changes(store: Store) -> None:
    state = made(store, settings(routes=[route("a", prefix="/a"), route("b", prefix="/b")]))
    then = settings(routes=[route("b", prefix="/bb"), route("c", prefix="/c")])
    state.changes.adopt(InForce(then, b"", 2, ""))
    ((_, _, data), *_) = await state.all()
    assert data == {"generation": 2, "routes": 2, "added": ["c"], "removed": ["a"], "changed": ["b"]}


def climbing(percent: float, **more: Any) -> Settings:
    """Settings whose route has a rollout at a percent."""
    return settings(routes=[route("orders", prefix="/api/orders", percent=percent, rollout=RolloutSettings(**more))])


async def test_a_move_of_a_rollout_shifts_its_route_and_reloads_nothing(store: Store) -> None:
    state = made(store, climbing(5))
    state.changes.adopt(InForce(climbing(25), b"", 7, "", is_move=True))
    data = {"route": "orders", "from": 5.0, "to": 25.0, "generation": 7}
    assert await state.all() == [("route.shifted", "orders", data)]


async def test_a_reload_during_a_move_has_changed_what_its_file_has_changed(store: Store) -> None:
    state = made(store, climbing(5))
    state.changes.adopt(InForce(climbing(5), b"", 2, ""))
    state.changes.adopt(InForce(climbing(25, hold_s=1.0), b"", 3, ""))
    reloads = [data["changed"] for kind, _, data in await state.all() if kind == "routes.reloaded"]
    assert reloads == [[], ["orders"]]


def turn(state: Events, *after: str) -> None:
    for item in after:
        state.changes.breaker_changed(BreakerChanged("orders", "", item, "why"))


@pytest.mark.parametrize(
    ("turns", "reported"),
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
async def test_the_workers_breakers_are_told_of_as_one(store: Store, turns: list[str], reported: list[str]) -> None:
    state = made(store)
    turn(state, *turns)
    assert [kind for kind, _, _ in await state.all()] == reported


async def test_an_upstream_that_was_taken_out_while_open_opens_as_a_new_one(store: Store) -> None:
    with_orders, without = of_percent(5), replace(of_percent(5), routes=(), upstreams={})
    state = made(store, with_orders)
    turn(state, "open")
    for generation, now in enumerate((without, with_orders), 2):
        state.changes.adopt(InForce(now, b"", generation, ""))
    turn(state, "open")
    kinds = [kind for kind, _, _ in await state.all()]
    assert kinds.count("breaker.opened") == 2


async def test_another_control_of_the_same_run_knows_what_is_open(store: Store) -> None:
    before = made(store)
    turn(before, "open")
    await before.publisher.write()
    after = made(store)
    await after.changes.restore()
    turn(after, "open", "closed")
    assert [kind for kind, _, _ in await after.all()] == ["breaker.opened", "breaker.closed"]


async def test_a_new_run_begins_with_closed_breakers(store: Store) -> None:
    before = made(store)
    turn(before, "open")
    await before.publisher.write()
    after = made(store, run="run-2")
    await after.changes.restore()
    turn(after, "open")
    assert [kind for kind, _, _ in await after.all()] == ["breaker.opened", "breaker.opened"]


async def test_events_of_a_transaction_are_there_if_the_rest_of_it_is(store: Store) -> None:
    state = made(store)
    this_event = event(Kind.SIGNATURE_NEW, "orders", {"signature": "9f2c"})
    await store.call(lambda connection: state.publisher.insert(connection, [this_event]))
    state.publisher.on_stored([this_event])
    assert await state.all() == [("signature.new", "orders", {"signature": "9f2c"})]


async def test_the_kill_switch_is_published_with_its_route(store: Store) -> None:
    state = made(store)
    state.publisher.publish_event(turn_event(True, "all of it", None))
    state.publisher.publish_event(turn_event(False, "", "orders"))
    assert await state.all() == [
        ("kill_switch", "kill_switch", {"on": True, "reason": "all of it"}),
        ("kill_switch", "kill_switch", {"on": False, "reason": "", "route": "orders"}),
    ]


async def test_of_events_that_cannot_be_stored_the_newest_wait(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "MAX_UNWRITTEN", 4)
    state = made(store)
    database = store.folder / "strangler.db"
    database.mkdir()
    for three in ("012", "345", "678"):
        writing = asyncio.create_task(state.publisher.write())
        await asyncio.sleep(0)  # what waited is on its way, and three more come
        for number in three:
            state.publisher.publish_event(turn_event(True, number, None))
        assert not await writing
    state.own.report()
    assert state.publisher.unwritten == 4
    assert state.totals.counter("strangler_events_lost_total") == 5
    database.rmdir()
    assert [data["reason"] for _, _, data in await state.all()] == ["5", "6", "7", "8"]
