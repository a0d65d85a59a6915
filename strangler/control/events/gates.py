"""Telling when a percent rises past a gate: somebody edited routes.yaml where `strangler shift` would have refused.

What was last in force is in the store, so that a file that was changed while the proxy was down is noticed, too. All of
it happens beside the reload, which waits for nothing here.
"""

import asyncio
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from sqlite3 import Connection
from typing import Final

import msgspec
import structlog

from strangler.control.events.event import Event, Kind, event
from strangler.control.events.publisher import EventPublisher
from strangler.control.reload import InForce
from strangler.core.documents import PassedGate, VerdictDocument
from strangler.core.gate import Verdict
from strangler.core.rollout import Raise, RouteRollout, raises, rollouts_of
from strangler.core.settings import GateSettings, Settings
from strangler.evidence import queries
from strangler.evidence.audits import has_forced
from strangler.evidence.reading import CorruptEvidenceError, NoEvidenceError, ask
from strangler.state.database import read_meta, write_meta
from strangler.state.store import Store, StoreError
from strangler.times import utc_day

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS rollouts (
    route TEXT PRIMARY KEY, at REAL NOT NULL, content TEXT NOT NULL, passed TEXT NOT NULL
) WITHOUT ROWID;
"""
"""By route: what was last in force, since when, and how it was raised past its gate (empty: it was not)."""

GRACE_S: Final = 2.0
"""A forced shift writes the file first and the audit right after it."""

LOOK_EVERY_S: Final = 60.0
"""How often a gate that was passed by is held against the evidence again."""

RETRY_S: Final = 5.0
MAX_STEPS: Final = 16
"""Reloads that wait to be judged; of more in a row those in between are skipped."""

_META: Final = "rollouts_since"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Stored:
    """The rollouts that the store knows. `since`: Unix time of the first start; None: this is the first."""

    since: float | None
    rollouts: dict[str, RouteRollout]
    times: dict[str, float]
    passed: dict[str, PassedGate]


@dataclass(frozen=True, slots=True)
class _Judged:
    """A raise, and what the stricter gate says of it."""

    rise: Raise
    verdict: str
    reasons: tuple[str, ...]


class GateWatch:
    """Owns what was in force at the last look."""

    def __init__(self, store: Store, publisher: EventPublisher, settings: Settings) -> None:
        self.passed_by: Mapping[str, PassedGate] = {}
        """By route: how its percent was raised past its gate, which is not met yet."""
        self._store = store
        self._publisher = publisher
        self._settings = settings
        self._steps: deque[Settings] = deque([settings], MAX_STEPS)
        self._hint = asyncio.Event()
        self._hint.set()

    def adopt(self, in_force: InForce) -> None:
        """Judge the step to these settings some time soon."""
        self._settings = in_force.settings
        self._steps.append(in_force.settings)
        self._hint.set()

    async def run(self) -> None:
        """Judge what was adopted, until cancelled."""
        while True:
            await self._pause(LOOK_EVERY_S)
            try:
                await self.look()
            except (StoreError, NoEvidenceError) as error:  # told by the store itself; looked for again
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
        """Judge every step that waits, then what was passed by before. Raises StoreError, NoEvidenceError."""
        while self._steps:
            await self._judge_step(self._steps[0])
            self._steps.popleft()
        await self._recheck()

    async def _judge_step(self, settings: Settings) -> None:
        before = await self._store.call(load_rollouts)
        after, found = await asyncio.to_thread(_risen, before, settings)  # 10,000 routes take a moment
        judged = [await self._judged(settings, rise, rise.gate) for rise in found if rise.gate is not None]
        unmet = [raised for raised in judged if raised.verdict != Verdict.READY]
        events, self.passed_by = await self._store.call(partial(self._keep, after=after, found=found, unmet=unmet))
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
        """By the gate of the route, unless another is given; None if there is no such route."""
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
        """Store, in one transaction, what is in force now and the events of what was raised past its gate."""
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
        """Take back what has come to be true: a gate that is met by now."""
        for name in list(self.passed_by):
            found = await self._verdict(self._settings, name)
            if found is not None and found.verdict == Verdict.READY:
                await self._store.call(partial(_take_back, route=name))
                self.passed_by = {key: passed_gate for key, passed_gate in self.passed_by.items() if key != name}


def _risen(before: Stored, settings: Settings) -> tuple[dict[str, RouteRollout], list[Raise]]:
    """Return what is in force with these settings, and the raises; the very first start knows of none."""
    after = rollouts_of(settings)
    return after, raises(before.rollouts, after) if before.since is not None else []


def load_rollouts(connection: Connection) -> Stored:
    """Return what was last in force."""
    since = read_meta(connection, _META)
    rows = connection.execute("SELECT route, at, content, passed FROM rollouts").fetchall()
    return Stored(
        since=None if since is None else float(since),
        rollouts={route: msgspec.json.decode(content, type=RouteRollout) for route, _, content, _ in rows},
        times={route: at for route, at, _, _ in rows},
        passed={route: msgspec.json.decode(passed, type=PassedGate) for route, _, _, passed in rows if passed},
    )


def store_rollouts(
    connection: Connection,
    before: Stored,
    after: Mapping[str, RouteRollout],
    passed: Mapping[str, PassedGate],
    now: float,
) -> None:
    """Keep what is in force; of 10,000 routes only those are written that are others than before."""
    if before.since is None:
        write_meta(connection, _META, str(now))
    connection.executemany("DELETE FROM rollouts WHERE route = ?", [(name,) for name in before.rollouts.keys() - after])
    for name, rollout in after.items():
        is_new = before.rollouts.get(name) != rollout
        if is_new or passed.get(name) != before.passed.get(name):
            at = now if is_new else before.times[name]
            texts = msgspec.json.encode(rollout).decode(), _text(passed.get(name))
            connection.execute("INSERT OR REPLACE INTO rollouts VALUES (?, ?, ?, ?)", (name, at, *texts))


def _text(passed: PassedGate | None) -> str:
    return "" if passed is None else msgspec.json.encode(passed).decode()


def _take_back(connection: Connection, route: str) -> None:
    connection.execute("UPDATE rollouts SET passed = '' WHERE route = ?", (route,))


def _is_forced(connection: Connection, rise: Raise, before: Stored) -> bool:
    """Somebody has taken it upon themselves since the former percent came in force."""
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
