"""Kafka: events to one topic, comparisons to another. Needs the extra `strangler[kafka]`.

Events come from the outbox and stay there until a broker has them. Comparisons are in the store already: a bounded
number of them waits in memory, and those beyond it are dropped and counted.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

import structlog
from tenacity import AsyncRetrying, retry_if_exception_type, wait_exponential, wait_random

from strangler.control.events.delivery import Done, Patience, SinkError
from strangler.core.settings import KafkaSettings
from strangler.store.events.event import CONTENT_TYPE, Event, encode
from strangler.store.events.outbox import Stored

try:
    import aiokafka
    from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError
except ImportError as _error:
    aiokafka = None
    MISSING: str | None = f"events.kafka needs the extra: pip install 'strangler[kafka]' ({_error})"
else:
    MISSING = None
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # the sink logs each problem once

REQUEST_TIMEOUT_S: Final = 10.0
CLOSE_S: Final = 1.0
MAX_COMPARISONS: Final = 10_000
MAX_COMPARISON_BYTES: Final = 16 * 1024 * 1024
_HEADERS = [("content-type", CONTENT_TYPE.encode())]

log = structlog.get_logger()


async def _started(settings: KafkaSettings) -> Any:
    """Return a connected producer. Raises SinkError."""
    producer = aiokafka.AIOKafkaProducer(
        bootstrap_servers=settings.bootstrap_servers,
        client_id="strangler",
        acks="all",
        enable_idempotence=True,  # a retry inside the producer writes nothing twice
        request_timeout_ms=int(REQUEST_TIMEOUT_S * 1000),
        retry_backoff_ms=200,
    )
    try:
        await producer.start()
    except (KafkaError, OSError) as error:
        await _stop(producer)
        raise SinkError(f"no broker of {settings.bootstrap_servers} can be used: {error}") from error
    except BaseException:
        await _stop(producer)
        raise
    return producer


async def _stop(producer: Any) -> None:
    """Stop a producer even without a broker. Its own `stop` waits for ever for a broker that is gone."""
    with contextlib.suppress(TimeoutError, KafkaError):
        async with asyncio.timeout(CLOSE_S):
            await producer.stop()
            return
    sender = getattr(producer, "_sender", None)
    if sender is not None and sender.sender_task is not None:
        await sender.close()
    await producer.client.close()


class Kafka:
    """The topic of events. Unconfirmed events are awaited, or sent again by a new producer."""

    name = "kafka"
    batch = 100

    def __init__(self, settings: KafkaSettings, patience: Patience | None = None) -> None:
        self.patience = patience or Patience(most_s=5.0, age_s=float("inf"))
        self._settings = settings
        self._producer: Any = None
        self._under_way: dict[int, asyncio.Future[Any]] = {}

    async def deliver(self, events: Sequence[Stored]) -> Done:
        if self._producer is None:
            self._producer = await _started(self._settings)
        try:
            for event in events:
                if event.seq not in self._under_way:
                    self._under_way[event.seq] = await self._producer.send(
                        self._settings.topic, event.body, key=event.key.encode(), headers=_HEADERS
                    )
        except (MessageSizeTooLargeError, RecordListTooLargeError) as error:
            if event is events[0]:
                return Done(1, {event.seq: f"larger than a broker takes: {error}"})
        except (KafkaError, OSError) as error:
            if not self._under_way:
                await self._give_up()
                raise SinkError(f"topic {self._settings.topic}: {error!r}") from error
        await asyncio.wait(self._under_way.values(), timeout=REQUEST_TIMEOUT_S)
        return await self._confirmed(events)

    async def _confirmed(self, events: Sequence[Stored]) -> Done:
        """Return how many events at the head of the batch a broker has."""
        dead: dict[int, str] = {}
        count = 0
        for event in events:
            future = self._under_way.get(event.seq)
            if future is None or not future.done():
                break
            error = future.exception()
            if isinstance(error, (MessageSizeTooLargeError, RecordListTooLargeError)):
                dead[event.seq] = f"larger than a broker takes: {error}"
            elif error is not None:
                await self._give_up()
                if count == 0:
                    raise SinkError(f"topic {self._settings.topic}: {error!r}") from error
                return Done(count, dead)
            self._under_way.pop(event.seq, None)
            count += 1
        if count == 0:
            raise SinkError(f"no broker of {self._settings.bootstrap_servers} has confirmed it yet")
        return Done(count, dead)

    async def _give_up(self) -> None:
        """Drop the producer: the next try begins with a new one, and sends again what was not confirmed."""
        producer, self._producer = self._producer, None
        for future in self._under_way.values():
            future.add_done_callback(_seen)
        self._under_way.clear()
        await _stop(producer)

    async def close(self) -> None:
        if self._producer is not None:
            await self._give_up()


class KafkaComparisons:
    """The topic of comparisons, `TOPIC.shadow`. `offer` never waits; `count` is called with the results."""

    def __init__(self, settings: KafkaSettings, source: str, count: Callable[[str, int], None]) -> None:
        self._settings = settings
        self._topic = f"{settings.topic}.shadow"
        self._source = source
        self._count = count
        self._waiting: deque[tuple[bytes, bytes]] = deque()
        self._bytes = 0
        self._hint = asyncio.Event()

    def offer(self, comparison: Event) -> None:
        """Queue a comparison for sending, or drop it if the queue is full."""
        body = encode(comparison, self._source)
        if len(self._waiting) >= MAX_COMPARISONS or self._bytes + len(body) > MAX_COMPARISON_BYTES:
            self._count("dropped", 1)
            return
        self._waiting.append((comparison.subject.encode(), body))
        self._bytes += len(body)
        self._hint.set()

    @property
    def backlog(self) -> int:
        return len(self._waiting)

    async def run(self) -> None:
        """Send comparisons until cancelled."""
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(SinkError), wait=wait_exponential(0.5, 5.0) + wait_random(0, 0.5)
        ):
            with attempt:
                await self._send_all()

    async def _send_all(self) -> None:
        """Send comparisons until a broker fails. Raises SinkError."""
        producer = await _started(self._settings)
        try:
            while True:
                self._hint.clear()
                while self._waiting:
                    await self._send_some(producer)
                await self._hint.wait()
        except (KafkaError, OSError) as error:
            raise SinkError(f"topic {self._topic}: {error!r}") from error
        finally:
            await _stop(producer)

    async def _send_some(self, producer: Any) -> None:
        """Send a batch. It leaves memory when a broker has it; in the worst case it is sent twice."""
        batch = [self._waiting[place] for place in range(min(500, len(self._waiting)))]
        futures = []
        for key, body in batch:
            try:
                futures.append(await producer.send(self._topic, body, key=key, headers=_HEADERS))
            except (MessageSizeTooLargeError, RecordListTooLargeError):
                self._count("dropped", 1)
        results = await asyncio.gather(*futures, return_exceptions=True)
        failed = next((result for result in results if isinstance(result, BaseException)), None)
        if failed is not None and not isinstance(failed, (MessageSizeTooLargeError, RecordListTooLargeError)):
            raise failed
        for _, body in batch:
            self._waiting.popleft()
            self._bytes -= len(body)
        self._count("delivered", sum(not isinstance(result, BaseException) for result in results))


def _seen(future: asyncio.Future[Any]) -> None:
    """Retrieve the exception of an abandoned send, so that asyncio does not log it: the event is sent again."""
    if not future.cancelled():
        future.exception()
