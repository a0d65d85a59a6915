"""Events about shadows."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from strangler.control.events.comparisons import ComparisonTopic
from strangler.control.events.publisher import EventPublisher
from strangler.control.events.shadow_events import EvidenceEvents, ReadyWatch, comparison_of
from strangler.control.events.sinks import EventSinks
from strangler.control.events.slow import SlowWatch
from strangler.control.own_metrics import OwnMetrics
from strangler.control.totals import TotalsState
from strangler.core.settings import GateSettings, Settings
from strangler.store.events import outbox
from strangler.store.events.event import Event
from strangler.store.evidence.findings import Finding
from strangler.store.evidence.index import IndexState
from strangler.store.evidence.writing import set_state, store_findings
from strangler.store.file_store import FileStore
from strangler.store.schema import prepare_file
from strangler.store.store import Store
from tests.control.control import in_force
from tests.factories import route, settings, shadow
from tests.store.evidence.pairs import NOON, match, mismatch, seen

GATE = GateSettings(min_pairs=3, min_match=0.5, max_breaking=0, max_latency_ratio=100.0, min_age_s=0.0)


@dataclass(slots=True)
class StoredEvidence:
    """Stores findings as the writer does, and publishes the events."""

    store: Store
    publisher: EventPublisher
    evidence: EvidenceEvents
    index: IndexState

    async def keep(self, *findings: Finding, now: float) -> None:
        def work(connection: Any) -> list[Event]:
            store_findings(connection, self.index, findings, now)
            return self.evidence.insert_signatures(connection, now)

        self.evidence.on_stored(await self.store.call(work))

    async def emitted(self) -> list[tuple[str, Any]]:
        found = await self.store.call(partial(outbox.read, after=0, since=0.0, most=100))
        return [(entry.event.type, entry.event.data) for entry in found]


def shadowed(gate: GateSettings = GATE) -> Settings:
    return settings(routes=[replace(route("orders"), shadow=shadow(), gate=gate)])


@pytest.fixture
async def stored(tmp_path: Path) -> AsyncIterator[StoredEvidence]:
    store = FileStore(tmp_path / "strangler.db", prepare_file)
    own = OwnMetrics(TotalsState(), "own")
    publisher = EventPublisher(store, EventSinks(store, {}, own), own, "run", "//host/strangler")
    slow = SlowWatch(store, publisher, shadowed())
    evidence = EvidenceEvents(publisher, ComparisonTopic("//host/strangler", own), slow)
    yield StoredEvidence(store, publisher, evidence, IndexState())
    await store.close()


async def test_a_signature_is_told_of_when_it_is_new_and_not_again(stored: StoredEvidence) -> None:
    stored_difference = seen("a" * 16)
    await stored.keep(mismatch(stored_difference), mismatch(stored_difference), now=NOON)
    await stored.keep(mismatch(stored_difference), match(), now=NOON + 1)
    ((kind, data),) = await stored.emitted()
    assert kind == "signature.new"
    assert (data["signature"], data["route"], data["path"]) == ("a" * 16, "orders", stored_difference.path)


async def test_a_signature_that_comes_back_is_told_of(stored: StoredEvidence) -> None:
    stored_difference = seen("a" * 16)
    await stored.keep(mismatch(stored_difference), now=NOON)
    await stored.store.call(partial(set_state, signature="a" * 16, state="fixed", now=NOON + 5))
    await stored.keep(mismatch(stored_difference, at=NOON + 60), now=NOON + 61)
    assert [kind for kind, _ in await stored.emitted()] == ["signature.new", "signature.regressed"]


async def test_a_route_is_told_to_be_ready_once_and_anew_after_it_was_not(stored: StoredEvidence) -> None:
    watch = ReadyWatch(stored.store, stored.publisher, shadowed(), 60.0)
    await stored.keep(match(), now=NOON)
    await watch.look()
    assert await stored.emitted() == []
    await stored.keep(*(match(at=NOON + number, latency=(0.010, 0.009)) for number in range(20)), now=NOON + 1)
    await watch.look()
    await ReadyWatch(stored.store, stored.publisher, shadowed(), 60.0).look()
    ((kind, data),) = await stored.emitted()
    assert (kind, data["route"], data["pairs"]) == ("route.ready", "orders", 21)
    watch.adopt(in_force(shadowed(replace(GATE, min_pairs=1000))))
    await watch.look()
    watch.adopt(in_force(shadowed()))
    await watch.look()
    assert [kind for kind, _ in await stored.emitted()] == ["route.ready", "route.ready"]


def test_a_comparison_tells_what_was_kept_of_it() -> None:
    data = comparison_of(replace(mismatch(seen("a" * 16)), latency=(0.010, 0.008)))
    assert (data["outcome"], data["latency_ms"]) == ("mismatch", {"legacy": 10.0, "candidate": 8.0})
    assert [difference["signature"] for difference in data["differences"]] == ["a" * 16]
