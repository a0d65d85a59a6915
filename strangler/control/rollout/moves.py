"""The moves of rollouts: up once it is stored, down at once, and what happens meanwhile after it."""

from collections.abc import Callable
from dataclasses import replace

from strangler.control.rollout.climb import ClimbState, Unsaved
from strangler.control.rollout.climbs import SWITCH_EVENTS, ClimbsState
from strangler.control.rollout.percents_in_force import PercentsInForce
from strangler.control.rollout.reports import report
from strangler.control.rollout.saving import RolloutSaver
from strangler.core.rollout.advance import happen
from strangler.core.rollout.machine import RolloutEvent
from strangler.core.rollout.position import Position
from strangler.store.evidence.stored_rollouts import StoredMove


class RolloutMoves:
    """Moves rollouts to other positions, in memory, in force and in the store. `wall_clock` returns Unix time."""

    def __init__(
        self, climbs: ClimbsState, saver: RolloutSaver, percents: PercentsInForce, wall_clock: Callable[[], float]
    ) -> None:
        self._climbs = climbs
        self._saver = saver
        self._percents = percents
        self._now = wall_clock

    def happen(self, climb: ClimbState, event: RolloutEvent) -> None:
        """Follow what has happened outside, at once, or as soon as a change is stored that is on its way."""
        if climb.queue is not None:
            climb.queue.append(event)
            if event is RolloutEvent.BREAKER_OPENED:
                climb.is_zeroed = True
                self._percents.enforce(climb)
            return
        self.follow(climb, *decided(climb, event, self._now()))

    def follow(self, climb: ClimbState, after: Position, unsaved: Unsaved) -> None:
        """Stand at another position at once, and store it soon."""
        before = climb.position
        climb.set_position(after)
        if after == before and unsaved.is_empty:
            return
        if replace(after, counts=before.counts) != before or not unsaved.is_empty:
            self.note(climb, unsaved)
        if (after.percent, after.state) != (before.percent, before.state):
            climb.is_provisional = False
        if after.percent != before.percent:
            self._percents.enforce(climb)

    def note(self, climb: ClimbState, unsaved: Unsaved) -> None:
        """Remember what is to be stored with the position, soon."""
        climb.is_changed = True
        self._saver.hint.set()
        climb.unsaved.add(unsaved)
        for move in unsaved.moves:
            climb.move(move)

    async def store_first(self, climb: ClimbState, after: Position, unsaved: Unsaved) -> bool:
        """Store a change, then follow it; return False if it cannot be stored. What happens meanwhile follows it."""
        return await self._saver.complete(self._step_to(climb, after, unsaved))

    async def _step_to(self, climb: ClimbState, after: Position, unsaved: Unsaved) -> bool:
        climb.queue = []
        earlier, climb.unsaved = climb.unsaved, Unsaved()
        both = Unsaved()
        both.add(earlier)
        both.add(unsaved)
        before = climb.position
        try:
            is_stored = await self._saver.write({climb.group: climb.stored(after)}, [(climb.group, both)])
        except BaseException:
            climb.unsaved = earlier
            raise
        finally:
            queue, climb.queue = climb.queue, None
            climb.is_zeroed = False
        if not self._climbs.has(climb):
            return is_stored  # its plan was taken out meanwhile
        if is_stored:
            climb.set_position(after)
            for move in unsaved.moves:
                climb.move(move)
            begins_anew = after.percent != before.percent or (after.percent and after.since != before.since)
            if begins_anew and RolloutEvent.BREAKER_OPENED not in queue:
                self._percents.enforce(climb)
        else:
            climb.unsaved = earlier
        for event in queue:
            self.happen(climb, event)
        return is_stored


def decided(climb: ClimbState, event: RolloutEvent, now: float) -> tuple[Position, Unsaved]:
    """Return the position after what has happened outside, and what is to be stored with it. Nothing changes here."""
    before = climb.position
    after, changes = happen(before, climb.plan, event, now)
    unsaved = report(climb, changes)
    if event in SWITCH_EVENTS:
        unsaved.moves.append(StoredMove(now, before.percent, after.percent, "kill_switch", _switch_text(event)))
    return after, unsaved


def _switch_text(event: RolloutEvent) -> str:
    if event is RolloutEvent.KILL_SWITCH_ON:
        return "the kill switch is on, or a route is disabled"
    return "the kill switch is off, and all routes are enabled"
