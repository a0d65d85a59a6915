"""The Kafka topic of comparisons, if routes.yaml has one."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from strangler.control.events.ending import EndingTasks, log_crash
from strangler.control.own_metrics import OwnMetrics
from strangler.control.reload import InForce
from strangler.core.settings import KafkaSettings
from strangler.store.events.event import Kind, event

if TYPE_CHECKING:
    from strangler.control.events.kafka import KafkaComparisons


@dataclass(frozen=True, slots=True)
class _Served:
    topic: "KafkaComparisons"
    task: asyncio.Task[None]


class ComparisonTopic:
    """Owns the task that sends comparisons. They may be dropped: the store has the evidence already."""

    def __init__(self, source: str, own: OwnMetrics) -> None:
        self._source = source
        self._own = own
        self._settings: KafkaSettings | None = None
        self._served: _Served | None = None
        self._ending = EndingTasks()

    @property
    def is_served(self) -> bool:
        """Whether `send` does anything."""
        return self._served is not None

    @property
    def backlog(self) -> int | None:
        """The number of comparisons that wait; None if none are sent."""
        return None if self._served is None else self._served.topic.backlog

    def send(self, route: str, at: float, comparison: Mapping[str, Any]) -> None:
        """Queue a redacted comparison for sending, or drop it if too many wait."""
        if self._served is not None:
            self._served.topic.offer(event(Kind.COMPARISON, route, comparison, at))

    def adopt(self, in_force: InForce) -> None:
        """Send to the topic that these settings name from now on."""
        settings = in_force.settings.events.kafka
        if settings == self._settings:
            return
        self._settings = settings
        self._end()
        if settings is not None and settings.shadow:
            self._serve(settings)

    def _serve(self, settings: KafkaSettings) -> None:
        from strangler.control.events import kafka  # 30 ms of libraries, only if it is used

        if kafka.MISSING is None:
            topic = kafka.KafkaComparisons(settings, self._source, self._count)
            task = asyncio.create_task(topic.run())
            task.add_done_callback(log_crash)
            self._served = _Served(topic, task)

    def _count(self, result: str, count: int) -> None:
        self._own.counter("strangler_comparisons_sent_total", result).inc(count)

    def _end(self) -> None:
        if self._served is not None:
            self._ending.end(self._served.task)
            self._served = None

    async def close(self) -> None:
        """Send no more."""
        self._end()
        await self._ending.wait()
