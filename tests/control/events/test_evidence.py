"""What shadows show, as events."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from strangler.control.events import outbox
from strangler.control.events.event import Event
from strangler.control.events.evidence import EvidenceEvents, ReadyWatch, comparison_of
from strangler.control.events.state import EventsState
from strangler.control.links import LinksState
from strangler.control.shadow.evidence import SCHEMA, Finding, IndexState, set_state, store_findings
from strangler.control.store import Store
from strangler.control.totals import TotalsState
from strangler.core.settings import GateSettings, Settings
from strangler.state.kill_switch import OFF
from tests.control.shadow.pairs import NOON, match, mismatch, seen
from tests.factories import route, settings, shadow

GATE = GateSettings(min_pairs=3, min_match=0.5, max_breaking=0, max_latency_ratio=100.0, min_age_s=0.0)


@dataclass(slots=True)
class Desk:
    """Stores findings as the desk does, and tells the news."""

    store: Store
    events: EventsState
    index: IndexState

    async def keep(self, *findings: Finding, now: float) -> None:
        told = EvidenceEvents(self.events)

        def work(connection: Any) -> list[Event]:
            store_findings(connection, self.index, findings, now)
            return told.insert(connection, now)

        told.kept(await self.store.call(work))

    async def told(self) -> list[tuple[str, Any]]:
        return [(entry.event.type, entry.event.data) for entry in await self.events.read(0, 0.0, 100)]


def shadowed(gate: GateSettings = GATE) -> Settings:
    return settings(routes=[replace(route("orders"), shadow=shadow(), gate=gate)])


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    store = Store(tmp_path / "strangler.db", SCHEMA + outbox.SCHEMA)
    events = EventsState(tmp_path, "run", LinksState(TotalsState(), 1, b"", OFF), store, shadowed())
    yield Desk(store, events, IndexState())
    await store.close()


async def test_a_signature_is_told_of_when_it_is_new_and_not_again(desk: Desk) -> None:
    one = seen("a" * 16)
    await desk.keep(mismatch(one), mismatch(one), now=NOON)
    await desk.keep(mismatch(one), match(), now=NOON + 1)
    ((kind, data),) = await desk.told()
    assert kind == "signature.new"
    assert (data["signature"], data["route"], data["path"]) == ("a" * 16, "orders", one.path)


async def test_a_signature_that_comes_back_is_told_of(desk: Desk) -> None:
    one = seen("a" * 16)
    await desk.keep(mismatch(one), now=NOON)
    await desk.store.call(partial(set_state, signature="a" * 16, state="fixed", now=NOON + 5))
    await desk.keep(mismatch(one, at=NOON + 60), now=NOON + 61)
    assert [kind for kind, _ in await desk.told()] == ["signature.new", "signature.regressed"]


async def test_a_route_is_told_to_be_ready_once_and_anew_after_it_was_not(desk: Desk) -> None:
    in_force = shadowed()
    watch = ReadyWatch(desk.store, desk.events, lambda: in_force, 60.0)
    await desk.keep(match(), now=NOON)
    await watch.look()
    assert await desk.told() == []
    await desk.keep(*(match(at=NOON + number, latency=(0.010, 0.009)) for number in range(20)), now=NOON + 1)
    await watch.look()
    await ReadyWatch(desk.store, desk.events, lambda: in_force, 60.0).look()
    ((kind, data),) = await desk.told()
    assert (kind, data["route"], data["pairs"]) == ("route.ready", "orders", 21)
    in_force = shadowed(replace(GATE, min_pairs=1000))
    await watch.look()
    in_force = shadowed()
    await watch.look()
    assert [kind for kind, _ in await desk.told()] == ["route.ready", "route.ready"]


def test_a_comparison_tells_what_was_kept_of_it() -> None:
    told = comparison_of(replace(mismatch(seen("a" * 16)), latency=(0.010, 0.008)))
    assert (told["outcome"], told["latency_ms"]) == ("mismatch", {"legacy": 10.0, "candidate": 8.0})
    assert [difference["signature"] for difference in told["differences"]] == ["a" * 16]
