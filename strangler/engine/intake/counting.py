# Compiled with mypyc: see docs/hot-path.md.
"""Counts requests that Envoy has served, as a worker counts its own: metrics, access lines, ledger and rollouts."""

from typing import Final

from strangler.core.routing.snapshot import Snapshot
from strangler.engine.intake.attempts import Attempts
from strangler.engine.intake.finished_calls import finished_call, further_in
from strangler.engine.intake.record_values import Record, duration_of, started_of
from strangler.envoy.access_records import ATTEMPT_TAG, REQUEST_TAG
from strangler.ipc.metrics import Metrics
from strangler.worker.request_metrics import RequestMetrics
from strangler.worker.telemetry import Telemetry

MAX_SNAPSHOTS: Final = 4
"""The generations whose requests may still come after a reload; each has the memory of its routes."""

EARLY_S: Final = 5.0
"""How long requests wait for settings that Envoy serves by already."""
MAX_EARLY: Final = 20_000

MAX_FURTHER: Final = 64
"""The fields of earlier settings that records may still have."""


class RecordCounting:
    """Counts records. Those of requests name the generation of the route that served them, if it has a rollout."""

    __slots__ = ("_attempts", "_early", "_early_until", "_further", "_snapshot", "_snapshots", "_telemetry")

    def __init__(self, telemetry: Telemetry, metrics: RequestMetrics, numbers: Metrics, snapshot: Snapshot) -> None:
        self._telemetry = telemetry
        self._attempts = Attempts(metrics, numbers)
        self._snapshot = snapshot
        self._snapshots = {snapshot.generation: snapshot}
        self._further = further_in(snapshot.settings)
        self._early: list[Record] = []
        self._early_until = 0.0

    def adopt(self, snapshot: Snapshot, now: float) -> None:
        """Count by new settings from now on."""
        self._snapshot = snapshot
        self._snapshots[snapshot.generation] = snapshot
        while len(self._snapshots) > MAX_SNAPSHOTS:
            del self._snapshots[min(self._snapshots)]
        self._further = tuple({**dict(self._further[-MAX_FURTHER:]), **dict(further_in(snapshot.settings))}.items())
        self._count_early(now)

    def count(self, tag: str, record: Record, now: float) -> None:
        """Count one record. `now` is monotonic."""
        if tag == REQUEST_TAG:
            generation = record.get("gen")
            if isinstance(generation, int) and generation > self._snapshot.generation and len(self._early) < MAX_EARLY:
                self._wait(record, now)
            else:
                self._count_request(record, generation, now)
        elif tag == ATTEMPT_TAG:
            self._attempts.add_failed(record, now)

    def tick(self, now: float) -> None:
        """Give up waiting for what has not come. Called many times a second."""
        self._attempts.tick(now)
        if self._early and now >= self._early_until:
            self._count_early(now)

    def finish(self, now: float) -> None:
        """Count what still waits."""
        self._count_early(now)
        self._attempts.finish()

    def _wait(self, record: Record, now: float) -> None:
        """Keep a request until the settings that it was served by are adopted here too."""
        if not self._early:
            self._early_until = now + EARLY_S
        self._early.append(record)

    def _count_early(self, now: float) -> None:
        early, self._early = self._early, []
        for record in early:
            self._count_request(record, record.get("gen"), now)

    def _count_request(self, record: Record, generation: object, now: float) -> None:
        snapshot: Snapshot | None = self._snapshot
        if isinstance(generation, int):
            snapshot = self._snapshots.get(generation)
        call = finished_call(record, snapshot or self._snapshot, self._further)
        duration_s = duration_of(record)
        started = started_of(record)
        route = "" if call.plan.route is None else call.plan.route.name
        ended = started + duration_s if started else 0.0
        self._telemetry.record_ended(call, duration_s, ended, snapshot is not None)
        self._attempts.add_call(call, route, record, now)
