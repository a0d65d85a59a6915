"""Which sinks are served as settings change, and what is said of them."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from strangler.control.events.comparisons import ComparisonTopic
from strangler.control.events.publisher import EventPublisher
from strangler.control.events.sinks import EventSinks
from strangler.control.events.webhook import VARIABLE
from strangler.control.own_metrics import OwnMetrics
from strangler.control.reload import InForce
from strangler.control.totals import TotalsState
from strangler.core.settings import EventSettings, KafkaSettings
from strangler.store.events.event import Kind
from strangler.store.events.outbox import Standing
from strangler.store.file_store import FileStore
from strangler.store.schema import prepare_file
from strangler.store.store import Store
from tests.control.control import in_force
from tests.factories import settings
from tests.http1.scripted import ScriptedUpstream, refused_port, responding, send

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = FileStore(tmp_path / "strangler.db", prepare_file)
    yield store
    await store.close()


def of_webhook(port: int | None) -> InForce:
    url = None if port is None else f"http://127.0.0.1:{port}/"
    return in_force(replace(settings(), events=EventSettings(url, None)))


async def test_events_go_to_the_sink_that_is_in_force_and_stay_for_it_until_then(store: Store) -> None:
    own = OwnMetrics(TotalsState(), "own")
    sinks = EventSinks(store, {}, own)
    publisher = EventPublisher(store, sinks, own, "run", "//host/strangler")
    async with ScriptedUpstream(responding(send(OK))) as receiver, refused_port() as nobody:
        sinks.adopt(of_webhook(nobody))
        assert await publisher.write()
        publisher.publish(Kind.KILL_SWITCH, "kill_switch", {"on": True})
        assert await publisher.write()
        assert sinks.status()["webhook"].backlog == 1
        sinks.adopt(of_webhook(receiver.port))
        async with asyncio.timeout(5):
            while sinks.status()["webhook"].backlog:  # noqa: ASYNC110 - a delivery has no event for this
                await asyncio.sleep(0.01)
        assert len(receiver.requests) == 1
        sinks.adopt(of_webhook(None))
        assert sinks.names == []
        await sinks.close()


async def test_a_sink_without_a_usable_secret_is_named_and_not_served(store: Store) -> None:
    sinks = EventSinks(store, {VARIABLE: "short"}, OwnMetrics(TotalsState(), "own"))
    sinks.adopt(of_webhook(1))
    assert sinks.names == ["webhook"], "what happens is kept for it"
    assert sinks.problem is not None
    sinks.on_standings({"webhook": Standing(1, 0, 0, 0, None)})
    assert sinks.status()["webhook"].problem == sinks.problem
    sinks.adopt(of_webhook(None))
    assert sinks.problem is None
    await sinks.close()


async def test_the_backlog_of_a_sink_that_is_gone_is_0(store: Store) -> None:
    totals = TotalsState()
    own = OwnMetrics(totals, "own")
    sinks = EventSinks(store, {}, own)
    sinks.on_standings({"webhook": Standing(3, 0, 0, 0, None)})
    sinks.on_standings({})
    own.report()
    assert totals.gauges()["strangler_events_backlog", ("webhook",)] == 0


async def test_comparisons_wait_for_their_topic_only_while_it_is_wanted() -> None:
    topic = ComparisonTopic("//host/strangler", OwnMetrics(TotalsState(), "own"))
    topic.send("orders", 0.0, {})
    assert topic.backlog is None
    kafka = KafkaSettings("127.0.0.1:1", "strangler", shadow=True)
    topic.adopt(in_force(replace(settings(), events=EventSettings(None, kafka))))
    topic.send("orders", 0.0, {"id": "01"})
    assert topic.backlog == 1
    topic.adopt(in_force(replace(settings(), events=EventSettings(None, replace(kafka, shadow=False)))))
    assert topic.backlog is None
    await topic.close()
