"""The watch for percents raised past a gate: an edit of routes.yaml that `strangler shift` would have refused.

The store keeps what was last in force, so that a change made while the proxy was down is noticed too. The reload waits
for nothing here. Of several nodes, the one that leads judges its routes.yaml.
"""

import asyncio
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog

from strangler.control.events.publisher import EventPublisher
from strangler.control.fleet.leadership import Leadership, SoleLeadership
from strangler.control.reload import InForce
from strangler.core.documents import PassedGate, VerdictDocument
from strangler.core.gate import Verdict
from strangler.core.percents import Raise, RouteRollout, raises, rollouts_of
from strangler.core.settings import GateSettings, Settings
from strangler.store.connection import Connection
from strangler.store.events.event import Event, Kind, event
from strangler.store.events.stored_gates import Stored, load_rollouts, store_rollouts, take_back
from strangler.store.evidence import queries
from strangler.store.evidence.audits import has_forced
from strangler.store.evidence.reading import CorruptEvidenceError, NoEvidenceError, ask
from strangler.store.store import Store, StoreError
from strangler.times import utc_day

GRACE_S: Final = 2.0
"""A forced shift writes the file first and the audit right after it."""

LOOK_EVERY_S: Final = 60.0
"""How often a gate that was bypassed is checked against the evidence again."""

RETRY_S: Final = 5.0
MAX_STEPS: Final = 16
"""The most reloads that wait to be judged; if there are more, the oldest are skipped."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Judged:
    """A raise, and the verdict of the stricter gate on it."""

    rise: Raise
    verdict: str
    reasons: tuple[str, ...]


class GateWatch:
    """Owns the settings that are still to be judged, and the raises past a gate."""

    def __init__(
        self, store: Store, publisher: EventPublisher, settings: Settings, leadership: Leadership | None = None
    ) -> None:
        """`leadership`: None if no other node has the store."""
        self.passed_by: Mapping[str, PassedGate] = {}
        """By route: how its percent was raised past its gate, while the gate is not met."""
        self._store = store
        self._leadership: Leadership = leadership or SoleLeadership(store)
        self._publisher = publisher
        self._settings = settings
        self._steps: deque[Settings] = deque([settings], MAX_STEPS)
        self._hint = asyncio.Event()
        self._hint.set()

    def adopt(self, in_force: InForce) -> None:
        """Judge the step to these settings soon."""
        self._settings = in_force.settings
        self._steps.append(in_force.settings)
        self._hint.set()

    async def run(self) -> None:
        """Judge adopted settings until cancelled."""
        while True:
            await self._pause(LOOK_EVERY_S)
            try:
                await self.look()
            except (StoreError, NoEvidenceError) as error:  # logged by the store itself; tried again
                log.debug("gate.unknown", reason=str(error))
                await asyncio.sleep(RETRY_S)
                self._hint.set()

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._hint.wait()
        except TimeoutError:
            return
        self._hint.clear()
        await asyncio.sleep(GRACE_S)

    async def look(self) -> None:
        """Judge every waiting step, then earlier raises past a gate again. Raises StoreError, NoEvidenceError.

        A node that does not lead judges nothing: once it does, it begins with what is in force then.
        """
        if not self._leadership.holds:
            self._steps = deque([self._settings], MAX_STEPS)
            self.passed_by = (await self._store.call(load_rollouts)).passed
            return
        while self._steps:
            await self._judge_step(self._steps[0])
            self._steps.popleft()
        await self._recheck()

    async def _judge_step(self, settings: Settings) -> None:
        before = await self._store.call(load_rollouts)
        after, found = await asyncio.to_thread(_risen, before, settings)  # 10,000 routes take a moment
        judged = [await self._judged(settings, rise, rise.gate) for rise in found if rise.gate is not None]
        unmet = [raised for raised in judged if raised.verdict != Verdict.READY]
        events, self.passed_by = await self._leadership.call(partial(self._keep, after=after, found=found, unmet=unmet))
        self._publisher.on_stored(events)
        for each_event in events:
            data = {key: value for key, value in each_event.data.items() if key != "route"}
            log.warning("gate.passed_by", route=each_event.subject, **data)

    async def _judged(self, settings: Settings, rise: Raise, gate: GateSettings) -> _Judged:
        try:
            found = await self._verdict(settings, rise.route, gate)
        except CorruptEvidenceError:
            raise
        except NoEvidenceError as error:
            return _Judged(rise, Verdict.NOT_ENOUGH_EVIDENCE.value, (str(error),))
        if found is None:
            return _Judged(rise, Verdict.NOT_ENOUGH_EVIDENCE.value, ("nothing was compared yet",))
        return _Judged(rise, found.verdict, tuple(found.reasons))

    async def _verdict(self, settings: Settings, name: str, gate: GateSettings | None = None) -> VerdictDocument | None:
        """Return the verdict by the given gate, else by the route's; None if there is no such route."""
        return await ask(
            self._store, lambda connection: queries.ready(connection, settings, name, utc_day(), gate=gate)
        )

    def _keep(
        self,
        connection: Connection,
        after: Mapping[str, RouteRollout],
        found: Sequence[Raise],
        unmet: Sequence[_Judged],
    ) -> tuple[list[Event], dict[str, PassedGate]]:
        """Store, in one transaction, what is in force now and the events of raises past a gate."""
        before, now = load_rollouts(connection), time.time()
        passed_by = [item for item in unmet if not _is_forced(connection, item.rise, before)]
        events = [_passed_event(item, now) for item in passed_by]
        fresh = {item.rise.route: _passed_gate(item, now) for item in passed_by}
        over = {rise.route for rise in found} | {name for name, item in after.items() if _is_lower(before, name, item)}
        passed = {name: item for name, item in before.passed.items() if name in after and name not in over} | fresh
        store_rollouts(connection, before, after, passed, now)
        self._publisher.insert(connection, events)
        return events, passed

    async def _recheck(self) -> None:
        """Withdraw each report whose gate is met by now."""
        for name in list(self.passed_by):
            found = await self._verdict(self._settings, name)
            if found is not None and found.verdict == Verdict.READY:
                await self._leadership.call(partial(take_back, route=name))
                self.passed_by = {key: passed_gate for key, passed_gate in self.passed_by.items() if key != name}


def _risen(before: Stored, settings: Settings) -> tuple[dict[str, RouteRollout], list[Raise]]:
    """Return the rollouts of these settings, and the raises; there are none at the first start."""
    after = rollouts_of(settings)
    return after, raises(before.rollouts, after) if before.since is not None else []


def _is_forced(connection: Connection, rise: Raise, before: Stored) -> bool:
    """Return whether the raise was forced by `strangler shift` since the former percent came into force."""
    since = before.times.get(rise.route, before.since or 0.0)
    return has_forced(connection, rise.route, rise.to_percent, since)


def _is_lower(before: Stored, name: str, now: RouteRollout) -> bool:
    was = before.rollouts.get(name)
    return was is not None and now.percent < was.percent


def _passed_gate(judged: _Judged, now: float) -> PassedGate:
    rise = judged.rise
    return PassedGate(rise.route, rise.from_percent, rise.to_percent, judged.verdict, list(judged.reasons), now)


def _passed_event(raised: _Judged, now: float) -> Event:
    rise = raised.rise
    data = {
        "route": rise.route,
        "from": rise.from_percent,
        "to": rise.to_percent,
        "verdict": raised.verdict,
        "reasons": list(raised.reasons),
    }
    return event(Kind.GATE_PASSED_BY, rise.route, data, now)
