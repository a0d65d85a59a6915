"""Events and comparisons in a real Kafka: nothing is lost when the broker dies, and nobody waits for it."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord

from strangler.control.events.delivery import Delivery
from strangler.control.events.kafka import MAX_COMPARISONS, Kafka, KafkaComparisons
from strangler.core.settings import KafkaSettings
from strangler.store.events import outbox
from strangler.store.events.event import Kind, event
from strangler.store.file_store import FileStore
from strangler.store.schema import prepare_file
from strangler.store.store import Store
from tests.e2e.serving import Proxy, legacy
from tests.e2e.shadowing import says, stage
from tests.kafka.broker import Broker, require_jars


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    require_jars()
    broker = Broker(tmp_path_factory.mktemp("kafka"))
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = FileStore(tmp_path / "strangler.db", prepare_file)
    await store.call(lambda connection: outbox.register(connection, ["kafka"]))
    yield store
    await store.close()


async def consumed(broker: Broker, topic: str, count: int) -> list[ConsumerRecord]:
    """The records of a topic, once there are so many."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=broker.address, auto_offset_reset="earliest")
    records: list[ConsumerRecord] = []
    await consumer.start()
    try:
        async with asyncio.timeout(20):
            while len(records) < count:
                for batch in (await consumer.getmany(timeout_ms=200)).values():
                    records += batch
    except TimeoutError:
        raise AssertionError(f"only {len(records)} of {count} records came") from None
    finally:
        await consumer.stop()
    return records


def numbers(records: list[ConsumerRecord], key: bytes | None = None) -> list[int]:
    return [json.loads(record.value)["data"]["number"] for record in records if key is None or record.key == key]


async def put(store: Store, first: int, last: int) -> None:
    events = [event(Kind.ROUTE_SHIFTED, f"route-{number % 2}", {"number": number}) for number in range(first, last)]
    await store.call(lambda connection: outbox.insert(connection, events, "run", "//host/strangler"))


async def backlog(store: Store) -> int:
    return (await store.call(outbox.standings))["kafka"].backlog


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)


async def until_sent(store: Store, delivery: Delivery, left: int = 0) -> None:
    async def is_sent() -> bool:
        delivery.hint()
        return await backlog(store) <= left

    await until(is_sent)


@asynccontextmanager
async def delivering(store: Store, broker: Broker, topic: str) -> AsyncIterator[Delivery]:
    sink = Kafka(KafkaSettings(broker.address, topic, shadow=False))
    delivery = Delivery(sink, store, lambda _: None)
    task = asyncio.create_task(delivery.run())
    try:
        yield delivery
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await sink.close()


async def test_an_event_is_a_record_whose_key_is_the_route(broker: Broker, store: Store) -> None:
    await put(store, 0, 3)
    async with delivering(store, broker, "plain") as delivery:
        await until_sent(store, delivery)
    records = await consumed(broker, "plain", 3)
    assert {record.key for record in records} == {b"route-0", b"route-1"}
    assert all(dict(record.headers)["content-type"] == b"application/cloudevents+json" for record in records)
    assert numbers(records, b"route-0") == [0, 2]


async def test_a_broker_that_dies_in_the_middle_costs_nothing(broker: Broker, store: Store) -> None:
    """Events go on happening while it is away; once it is back each has arrived, in the order of its route."""
    async with delivering(store, broker, "crash") as delivery:
        await put(store, 0, 300)
        await until_sent(store, delivery, left=150)
        await asyncio.to_thread(broker.kill)
        await put(store, 300, 400)
        delivery.hint()
        await asyncio.sleep(0.5)
        assert await backlog(store) >= 100
        await asyncio.to_thread(broker.start)
        await until_sent(store, delivery)
    records = await consumed(broker, "crash", 400)
    assert set(numbers(records)) == set(range(400))
    assert Counter(numbers(records)).most_common(1)[0][1] == 1  # one producer, idempotent: none came twice
    for parity in (0, 1):
        mine = numbers(records, b"route-%d" % parity)
        assert mine == sorted(mine)


async def test_a_restart_while_the_broker_is_away_costs_nothing(tmp_path: Path, broker: Broker, store: Store) -> None:
    await asyncio.to_thread(broker.kill)
    await put(store, 0, 5)
    async with delivering(store, broker, "restart") as delivery:

        async def is_reported() -> bool:
            return broker.address in (delivery.problem or "")

        await until(is_reported)
    assert await backlog(store) == 5
    await asyncio.to_thread(broker.start)
    async with delivering(store, broker, "restart") as delivery:
        await until_sent(store, delivery)
    assert set(numbers(await consumed(broker, "restart", 5))) == set(range(5))


async def test_comparisons_have_a_topic_of_their_own_and_a_bound(broker: Broker) -> None:
    counts: Counter[str] = Counter()

    def count(result: str, by: int) -> None:
        counts[result] += by

    topic = KafkaComparisons(KafkaSettings(broker.address, "shop", shadow=True), "//host/strangler", count)
    for number in range(MAX_COMPARISONS + 3):
        topic.offer(event(Kind.COMPARISON, "orders", {"number": number}))
    assert (topic.backlog, counts["dropped"]) == (MAX_COMPARISONS, 3)
    task = asyncio.create_task(topic.run())

    async def is_sent() -> bool:
        return topic.backlog == 0

    await until(is_sent)
    topic.offer(event(Kind.COMPARISON, "orders", {"number": -1}))
    records = await consumed(broker, "shop.shadow", MAX_COMPARISONS + 1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert numbers(records) == [*range(MAX_COMPARISONS), -1]
    assert counts["delivered"] == MAX_COMPARISONS + 1


class KafkaProxy(Proxy):
    """A proxy that tells Kafka."""

    def __init__(self, folder: Path, legacy_port: int, broker: Broker) -> None:
        super().__init__(folder, legacy_port)
        self._broker = broker

    def routes(self, percent: object = 0, workers: int | None = None) -> str:
        kafka = f'events: {{kafka: {{bootstrap_servers: "{self._broker.address}", topic: migration}}}}\n'
        return super().routes(percent, workers) + kafka


async def kafka_status(proxy: Proxy) -> dict[str, Any]:
    found: dict[str, Any] = (await proxy.status())["events"]["sinks"]["kafka"]
    return found


async def test_a_proxy_serves_and_remembers_while_its_broker_is_dead(tmp_path: Path, broker: Broker) -> None:
    async with legacy() as upstream:
        proxy = KafkaProxy(tmp_path, upstream.port, broker)
        proxy.file.write_text(proxy.routes())
        await asyncio.to_thread(broker.kill)
        try:
            await proxy.start()
            proxy.edit(proxy.routes(percent=25))
            await proxy.until(partial(proxy.has_generation, 2))
            assert await proxy.get("/api/orders/7") == 200

            async def is_reported() -> bool:
                standing = await kafka_status(proxy)
                return standing["backlog"] == 2 and standing["problem"] is not None

            await proxy.until(is_reported)
            await asyncio.to_thread(broker.start)
            records = await consumed(broker, "migration", 2)
            assert {record.key for record in records} == {b"routes.yaml", b"orders"}
        finally:
            await proxy.stop()


async def test_every_comparison_of_a_proxy_arrives_redacted(tmp_path: Path, broker: Broker) -> None:
    kafka = f'events: {{kafka: {{bootstrap_servers: "{broker.address}", topic: pairs, shadow: true}}}}\n'
    value = {"id": 7, "password": "hunter2"}
    async with stage(tmp_path, says(value), says(value | {"id": "7", "password": "other"}), more=kafka) as staged:

        async def is_shadowed() -> bool:
            await staged.proxy.get("/api/orders/7")
            return await staged.proxy.metric("strangler_shadow_comparisons_total") >= 1

        await staged.proxy.until(is_shadowed)
        (first, *_) = await consumed(broker, "pairs.shadow", 1)
        line = await staged.line()
        (new, *_) = await consumed(broker, "pairs", 1)
    comparison = json.loads(first.value)
    assert (first.key, comparison["type"]) == (b"orders", "shadow.comparison")
    assert (comparison["data"]["id"], comparison["data"]["outcome"]) == (line["id"], "mismatch")
    assert {"$.id", "$.password"} == {difference["path"] for difference in comparison["data"]["differences"]}
    assert b"hunter2" not in first.value
    assert json.loads(new.value)["type"] == "signature.new"
