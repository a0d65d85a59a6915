"""The keeper of rollouts: it drives them by what workers count, by people's commands, and by what goes wrong.

A change that sends more callers to the candidate, or that a person asked for, is stored before it is followed. A fall
is followed at once: it goes to the file that a start of the proxy reads, to the workers, and to the store once that
works.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Final

import structlog

from strangler.control.events import gates as gate_watch
from strangler.control.own_metrics import OwnMetrics
from strangler.control.reload import InForce
from strangler.control.rollout import documents, stored
from strangler.control.rollout.climb import Audit, ClimbState, GateFinding, Unsaved
from strangler.control.rollout.group_gates import find_gates
from strangler.control.rollout.groups import is_overridden, led_by, waiting_at
from strangler.control.rollout.reports import report
from strangler.control.rollout.restoring import restored
from strangler.control.rollout.saving import Publisher, write
from strangler.control.rollout.stored import StoredMove
from strangler.control.totals import Key
from strangler.core.documents import RolloutsDocument, RolloutShort, RolloutStatus
from strangler.core.gate import Verdict
from strangler.core.rollout.advance import advance, happen, needs_gate
from strangler.core.rollout.evidence import Numbers, StepCounts
from strangler.core.rollout.machine import COMMANDS, NoTransitionError, RolloutEvent
from strangler.core.rollout.position import Position, awaits, step_above
from strangler.core.rollout_percents import percent_before, rollout_groups, with_percents
from strangler.core.settings import Settings
from strangler.core.time_buckets import BOUNDS_S
from strangler.evidence.findings import Finding
from strangler.ipc.messages import RolloutBatch
from strangler.state import rollout_file
from strangler.state.kill_switch import KillSwitchState
from strangler.state.rollout_file import KeptPercent
from strangler.state.store import Store, StoreError

MOVE_EVERY_S: Final = 1.0
SAVE_COUNTS_EVERY_S: Final = 5.0
"""How often counts are stored that nothing was decided by yet: a killed control loses those of this time."""
_GOES_ANYWAY: Final = (RolloutEvent.BACK, RolloutEvent.PAUSE)
"""The commands that are followed although they cannot be stored: they send nobody to the candidate."""

log = structlog.get_logger()


class UnknownRolloutError(Exception):
    """There is no such route, or it has no rollout; the text says which."""


class RolloutKeeper:
    """Owns the positions of all rollouts. `wall_clock` returns Unix time.

    `put_in_force` makes the percents of `effective` those of all workers, and returns the generation that has them.
    `has_successor`: whether a new program is being started, whose workers serve before they hear of a step.
    """

    def __init__(
        self,
        store: Store,
        publisher: Publisher,
        own: OwnMetrics,
        settings: Settings,
        kill_switch: KillSwitchState,
        put_in_force: Callable[[], int],
        generation: int = 1,
        wall_clock: Callable[[], float] = time.time,
        has_successor: Callable[[], bool] = lambda: False,
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._own = own
        self._settings = settings
        self._kill_switch = kill_switch
        self._put_in_force = put_in_force
        self._generation = generation
        self._now = wall_clock
        self._has_successor = has_successor
        self._climbs: dict[str, ClimbState] = {}
        self._groups: dict[str, str] = {}
        """By route: its group."""
        self._gone: set[str] = set()
        """Groups that have no rollout any more, and that the store still has."""
        self._is_restored = False
        self._kept: dict[str, KeptPercent] = {}
        """The content of the file in the state folder."""
        self._file_problem: str | None = None
        self._counts_saved = 0.0
        self._acting = asyncio.Lock()
        self._hint = asyncio.Event()
        """Set if there is something to be stored that should not wait."""
        self._writing: asyncio.Task[bool] | None = None

    # 1. From start to end

    async def restore(self) -> None:
        """Continue the rollouts that an earlier control has stored; tried again while the store cannot be read."""
        self._kept = rollout_file.read(self._store.folder)
        await self._restore()

    async def _restore(self) -> None:
        groups = rollout_groups(self._settings)
        try:
            rows = await self._store.call(stored.load)
            former = await self._store.call(gate_watch.load_rollouts) if groups.keys() - rows.keys() else None
        except StoreError:  # logged by the store itself
            rows, former = {}, None
        else:
            self._is_restored = True
        self._gone |= rows.keys() - groups.keys() if self._is_restored else set()
        for group in groups:
            climb = self._climbs.get(group)
            if climb is not None and not climb.is_provisional:
                climb.moves = [*rows[group].history, *climb.moves] if group in rows else climb.moves
                continue
            percents = {name: each.percent for name, each in former.rollouts.items()} if former is not None else {}
            found = restored(group, groups[group], rows.get(group), self._kept.get(group), percents, self._now())
            self._climbs[group] = climb = found.climb
            climb.generation, climb.is_provisional = self._generation, not self._is_restored
            if self._is_restored and (group not in rows or found.changes):
                self._note(climb, report(climb, found.changes))
        self._follow_routes(self._settings)

    async def run(self) -> None:
        """Move the rollouts every second until cancelled; what has happened is stored at once."""
        self.begin()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(MOVE_EVERY_S):
                    await self._hint.wait()
            await self.tick()
            self._hint.clear()

    def begin(self) -> None:
        """Put the stored percents in force, if others are: the settings of a start may be older."""
        if any(route.split.percent != climb.percent for climb in self._climbs.values() for route in climb.routes):
            self._enforce(*self._climbs.values())
        else:
            self._keep_file()

    async def tick(self) -> None:
        """Do what is due, and store what has changed."""
        if not self._climbs and not self._gone:
            return
        async with self._acting:
            if not self._is_restored:
                await self._restore()
                self.begin()
            for climb in list(self._climbs.values()):
                await self._advance(climb)
            await self._save()

    async def close(self) -> None:
        """Wait for a change that is being stored, and store what is left."""
        if self._writing is not None:
            await asyncio.wait([self._writing])
        async with self._acting:
            await self._save(is_last=True)

    async def _finished(self, writing: Coroutine[None, None, bool]) -> bool:
        """Return the result of a change of the store. It goes on if the caller is cancelled: `close` awaits it."""
        self._writing = asyncio.create_task(writing)
        return await asyncio.shield(self._writing)

    # 2. What comes from outside

    def effective(self, settings: Settings) -> Settings:
        """Return settings with the percents of rollouts. One that is new begins with what was in force before."""
        percents = {
            group: climb.percent
            if (climb := self._climbs.get(group)) is not None
            else percent_before(self._settings, routes)
            for group, routes in rollout_groups(settings).items()
        }
        return with_percents(settings, percents)

    def adopt(self, in_force: InForce) -> None:
        """Follow new settings. Their percents are those of `effective`."""
        self._generation = in_force.generation
        self._follow_routes(in_force.settings)

    def _follow_routes(self, settings: Settings) -> None:
        self._settings = settings
        groups, now = rollout_groups(settings), self._now()
        self._groups = {route.name: group for group, routes in groups.items() for route in routes}
        for group in self._climbs.keys() - groups.keys():
            del self._climbs[group]
            self._gone.add(group)
        for group, routes in groups.items():
            climb = self._climbs.get(group)
            if climb is None:
                climb = ClimbState(group, routes, waiting_at(routes[0].split.percent, now), self._generation)
                climb.is_provisional = not self._is_restored
                climb.is_changed = True
                self._climbs[group] = climb
                self._gone.discard(group)
            before, climb.routes = climb.routes, routes
            if before[0].rollout != routes[0].rollout:
                self._happen(climb, RolloutEvent.PLAN_CHANGED)
            elif led_by(before) != led_by(routes):  # what other candidates did says nothing of these
                climb.set_position(climb.position.afresh(now))
                climb.is_changed = True
        self._keep_file()
        self._follow_switch()

    def turned(self, kill_switch: KillSwitchState) -> None:
        """Follow the kill switch."""
        self._kill_switch = kill_switch
        self._follow_switch()

    def _follow_switch(self) -> None:
        for climb in self._climbs.values():
            is_on = is_overridden(climb.routes, self._kill_switch)
            queued = [each for each in climb.queue or () if each in _SWITCH]
            was_on = climb.position.is_overridden if not queued else queued[-1] is RolloutEvent.KILL_SWITCH_ON
            if is_on != was_on:
                self._happen(climb, RolloutEvent.KILL_SWITCH_ON if is_on else RolloutEvent.KILL_SWITCH_OFF)

    def breaker_opened(self, upstream: str) -> None:
        """Send nobody to an upstream whose breaker has opened."""
        for climb in list(self._climbs.values()):
            if climb.percent and upstream in led_by(climb.routes):
                self._happen(climb, RolloutEvent.BREAKER_OPENED)

    def take(self, batch: RolloutBatch) -> None:
        """Count requests that a worker has served."""
        for counts in batch.counts:
            climb = self._climbs.get(self._groups.get(counts.route, ""))
            if climb is not None:
                climb.take(counts)

    def observe(self, finding: Finding) -> None:
        """Count a request that a shadow has sent to both arms."""
        climb = self._climbs.get(self._groups.get(finding.route, ""))
        if climb is None or finding.latency is None or climb.plan.latency is None or finding.at < climb.position.since:
            return
        counted = climb.pairs.count(*finding.latency, climb.plan.latency.ratio)
        climb.counts = climb.counts.plus(StepCounts(paired=counted))

    async def command(
        self,
        route: str,
        command: str,
        actor: str,
        why: str = "",
        percent: float | None = None,
        announced_at: float | None = None,
    ) -> RolloutStatus:
        """Follow a person's command. Raises UnknownRolloutError, NoTransitionError and StoreError; a command that stops
        a rollout or sends it back is followed even if it cannot be stored yet.

        `announced_at`: of an approval that is for this announcement alone, and is refused once it waits no more.
        """
        event = next((each for each in COMMANDS if each.value == command), None)
        if event is None:
            raise NoTransitionError(f"{command!r} is no command; these are: {', '.join(COMMANDS)}")
        async with self._acting:
            climb = self._climb_of(route)
            if not self._is_restored:
                await self._restore()
                climb = self._climb_of(route)
            if not self._is_restored and event not in _GOES_ANYWAY:
                raise StoreError(self._store.problem)
            if announced_at is not None and not awaits(climb.position, percent, announced_at):
                raise NoTransitionError("this approval does not wait any more")
            await self._command(climb, event, Audit(self._now(), actor, f"rollout {command}", route, why, ""), percent)
            await self._save()
            return documents.status(self._climb_of(route), route, self._problem)

    async def _command(self, climb: ClimbState, event: RolloutEvent, audit: Audit, percent: float | None) -> None:
        before = climb.position
        waits = step_above(climb.plan, before.percent)
        if event is RolloutEvent.APPROVE and percent is not None and percent != waits:
            found = "the last step is reached" if waits is None else f"the next step is {waits:g} %"
            raise NoTransitionError(f"{percent:g} % cannot be approved now: {found}")
        after, changes = happen(before, climb.plan, event, audit.at)
        to = waits if event is RolloutEvent.APPROVE and waits is not None else after.percent
        unsaved = report(climb, changes)
        unsaved.moves.insert(0, StoredMove(audit.at, before.percent, to, event.value, audit.why, audit.actor))
        detail = (
            f"{to:g} %" if to == before.percent or event is RolloutEvent.APPROVE else f"{before.percent:g} to {to:g} %"
        )
        unsaved.audits.append(replace(audit, detail=detail))
        if event in _GOES_ANYWAY:
            self._follow(climb, after, unsaved)
        elif not await self._store_first(climb, after, unsaved):
            raise StoreError(self._store.problem)
        log.info("audit", who=audit.actor, what=audit.what, route=audit.route, why=audit.why, detail=detail)

    # 3. Moves

    async def _advance(self, climb: ClimbState) -> None:
        if climb.is_provisional:
            return
        now = self._now()
        gate = Verdict.NOT_ENOUGH_EVIDENCE
        if needs_gate(climb.position, climb.plan, now):
            gate = await self._gate(climb, now)
            if self._climbs.get(climb.group) is not climb:
                return
        counts, climb.counts = climb.counts, StepCounts()
        climb.has_new_counts |= counts != StepCounts()
        before = climb.position
        after, changes = advance(before, climb.plan, now, Numbers(counts, BOUNDS_S, gate))
        if after.looks[-1:] != before.looks[-1:]:
            verdict = after.looks[-1].verdict.value
            for route in climb.routes:
                self._own.counter("strangler_rollout_looks_total", route.name, verdict).inc()
        if after.percent <= before.percent:
            self._follow(climb, after, report(climb, changes))
            return
        counted = replace(before, counts=before.counts.plus(counts), looked_at=now, looks=after.looks, failed_looks=0)
        climb.position = counted  # so that nothing is lost if the step cannot be stored
        if not self._has_successor():
            await self._store_first(climb, after, report(climb, changes))

    async def _gate(self, climb: ClimbState, now: float) -> Verdict:
        """Return the verdict of all routes' gates. At 0 % it is asked for every second, and found at each look."""
        if climb.gate is None or not 0 <= now - climb.gate.at < climb.plan.look_s:
            verdict, reasons = await find_gates(self._store, self._settings, climb.routes)
            climb.gate = GateFinding(now, verdict, reasons)
        return climb.gate.verdict

    def _happen(self, climb: ClimbState, event: RolloutEvent) -> None:
        """Follow what has happened outside, at once, or as soon as a change is stored that is on its way."""
        if climb.queue is not None:
            climb.queue.append(event)
            if event is RolloutEvent.BREAKER_OPENED:
                climb.is_zeroed = True
                self._enforce(climb)
            return
        before, now = climb.position, self._now()
        after, changes = happen(before, climb.plan, event, now)
        unsaved = report(climb, changes)
        if event in _SWITCH:
            unsaved.moves.append(StoredMove(now, before.percent, after.percent, "kill_switch", _switch_text(event)))
        self._follow(climb, after, unsaved)

    def _follow(self, climb: ClimbState, after: Position, unsaved: Unsaved) -> None:
        """Stand at another position at once, and store it soon."""
        before = climb.position
        climb.set_position(after)
        if after == before and unsaved.is_empty:
            return
        if replace(after, counts=before.counts) != before or not unsaved.is_empty:
            self._note(climb, unsaved)
        if (after.percent, after.state) != (before.percent, before.state):
            climb.is_provisional = False
        if after.percent != before.percent:
            self._enforce(climb)

    def _note(self, climb: ClimbState, unsaved: Unsaved) -> None:
        climb.is_changed = True
        self._hint.set()
        climb.unsaved.add(unsaved)
        for move in unsaved.moves:
            climb.move(move)

    async def _store_first(self, climb: ClimbState, after: Position, unsaved: Unsaved) -> bool:
        """Store a change, then follow it; return False if it cannot be stored. What happens meanwhile follows it."""
        return await self._finished(self._step_to(climb, after, unsaved))

    async def _step_to(self, climb: ClimbState, after: Position, unsaved: Unsaved) -> bool:
        climb.queue = []
        earlier, climb.unsaved = climb.unsaved, Unsaved()
        both = Unsaved()
        both.add(earlier)
        both.add(unsaved)
        position = climb.position
        try:
            is_stored = await self._write({climb.group: climb.stored(after)}, [(climb.group, both)])
        except BaseException:
            climb.unsaved = earlier
            raise
        finally:
            queue, climb.queue = climb.queue, None
            climb.is_zeroed = False
        if self._climbs.get(climb.group) is not climb:
            return is_stored  # its plan was taken out meanwhile
        if is_stored:
            climb.set_position(after)
            for move in unsaved.moves:
                climb.move(move)
            begins_anew = after.percent != position.percent or (after.percent and after.since != position.since)
            if begins_anew and RolloutEvent.BREAKER_OPENED not in queue:
                self._enforce(climb)
        else:
            climb.unsaved = earlier
        for event in queue:
            self._happen(climb, event)
        return is_stored

    def _enforce(self, *climbs: ClimbState) -> None:
        """Put percents in force: for a start of the proxy, then for all workers."""
        self._keep_file()
        generation = self._put_in_force()
        for climb in climbs:
            climb.generation = generation

    # 4. What is kept

    def _keep_file(self) -> None:
        """Keep the percents in the file, if they have changed. A full disk holds nothing up; it is tried again."""
        kept = {group: KeptPercent(climb.percent, climb.position.moves) for group, climb in self._climbs.items()}
        if kept == self._kept:
            return
        try:
            rollout_file.write(self._store.folder, kept)
        except OSError as error:
            problem = error.strerror or str(error)
            if problem != self._file_problem:
                log.error("rollout.not_kept", reason=problem, remedy="make room in the state folder")
            self._file_problem = problem
            return
        self._kept, self._file_problem = kept, None

    async def _save(self, *, is_last: bool = False) -> None:
        """Store what has changed; counts alone every few seconds."""
        self._keep_file()
        if not self._is_restored:
            return
        now = self._now()
        are_counts_due = is_last or not 0 <= now - self._counts_saved < SAVE_COUNTS_EVERY_S
        due = [
            climb for climb in self._climbs.values() if climb.is_changed or (are_counts_due and climb.has_new_counts)
        ]
        if not due and not self._gone:
            return
        is_stored = await self._finished(self._save_due(due))
        self._counts_saved = now if is_stored and are_counts_due else self._counts_saved

    async def _save_due(self, due: Sequence[ClimbState]) -> bool:
        unsaved = [(climb, climb.unsaved) for climb in due]
        for climb in due:
            climb.unsaved, climb.is_changed, climb.has_new_counts = Unsaved(), False, False
        positions = {climb.group: climb.stored(climb.position) for climb in due}
        gone = tuple(self._gone)
        is_stored = False
        try:
            is_stored = await self._write(positions, [(climb.group, each) for climb, each in unsaved], gone)
        finally:
            if not is_stored:
                for climb, each in unsaved:
                    each.add(climb.unsaved)
                    climb.unsaved, climb.is_changed = each, True
        if is_stored:
            self._gone.difference_update(gone)
        return is_stored

    async def _write(
        self,
        positions: dict[str, stored.StoredPosition],
        unsaved: Sequence[tuple[str, Unsaved]],
        gone: Sequence[str] = (),
    ) -> bool:
        """Store positions, moves, events and audits in one transaction; return False if that is not possible."""
        events = [event for _, each in unsaved for event in each.events]
        work = partial(write, self._publisher, positions, unsaved, gone)
        try:
            await self._store.call(work)
        except StoreError:  # logged by the store itself, and in the status
            return False
        self._publisher.on_stored(events)
        return True

    # 5. For the admin listener

    @property
    def _problem(self) -> str | None:
        """Why nothing climbs."""
        return self._store.problem

    def _climb_of(self, route: str) -> ClimbState:
        climb = self._climbs.get(self._groups.get(route, ""))
        if climb is not None:
            return climb
        if any(each.name == route for each in self._settings.routes):
            raise UnknownRolloutError(f"route {route!r} has no rollout: write `rollout` in routes.yaml")
        raise UnknownRolloutError(f"there is no route {route!r}")

    def position(self, group: str) -> Position | None:
        """Return where a group stands; None if it has no rollout."""
        climb = self._climbs.get(group)
        return None if climb is None else climb.position

    def of(self, route: str) -> RolloutStatus | None:
        """Return a route's rollout; None if it has none."""
        climb = self._climbs.get(self._groups.get(route, ""))
        return None if climb is None else documents.status(climb, route, self._problem)

    def find(self, route: str) -> RolloutStatus:
        """Return a route's rollout. Raises UnknownRolloutError."""
        return documents.status(self._climb_of(route), route, self._problem)

    def document(self) -> RolloutsDocument:
        """Return all rollouts, in the order of routes.yaml."""
        routes = [route.name for route in self._settings.routes if route.name in self._groups]
        return RolloutsDocument([self.find(route) for route in routes])

    def short(self, route: str) -> RolloutShort | None:
        """Return a route's rollout in short; None if it has none."""
        climb = self._climbs.get(self._groups.get(route, ""))
        return None if climb is None else documents.short(climb)

    def gauges(self) -> dict[Key, float]:
        """Return the metrics of rollouts, by route."""
        found: dict[Key, float] = {}
        for route, group in self._groups.items():
            found |= documents.gauges(self._climbs[group], route)
        return found


_SWITCH: Final = (RolloutEvent.KILL_SWITCH_ON, RolloutEvent.KILL_SWITCH_OFF)


def _switch_text(event: RolloutEvent) -> str:
    if event is RolloutEvent.KILL_SWITCH_ON:
        return "the kill switch is on, or a route is disabled"
    return "the kill switch is off, and all routes are enabled"
