"""The steps of rollouts that are due, by the counts, the gates and the clock."""

from collections.abc import Callable
from dataclasses import replace

from strangler.control.own_metrics import OwnMetrics
from strangler.control.rollout.climb import ClimbState, GateFinding
from strangler.control.rollout.climbs import ClimbsState
from strangler.control.rollout.group_gates import find_gates
from strangler.control.rollout.moves import RolloutMoves
from strangler.control.rollout.reports import report
from strangler.core.gate import Verdict
from strangler.core.rollout.advance import advance, needs_gate
from strangler.core.rollout.evidence import Numbers, StepCounts
from strangler.core.time_buckets import BOUNDS_S
from strangler.store.store import Store


class RolloutStepping:
    """Looks at rollouts, and moves those that are due. `wall_clock` returns Unix time.

    No step up is taken while there `has_successor`: a new program that is being started.
    """

    def __init__(
        self,
        store: Store,
        own: OwnMetrics,
        climbs: ClimbsState,
        moves: RolloutMoves,
        wall_clock: Callable[[], float],
        has_successor: Callable[[], bool],
    ) -> None:
        self._store = store
        self._own = own
        self._climbs = climbs
        self._moves = moves
        self._now = wall_clock
        self._has_successor = has_successor

    async def advance(self, climb: ClimbState) -> None:
        """Do what is due of a rollout: at most one step. A provisional one stays where it is."""
        if climb.is_provisional:
            return
        now = self._now()
        gate = Verdict.NOT_ENOUGH_EVIDENCE
        if needs_gate(climb.position, climb.plan, now):
            gate = await self._gate(climb, now)
            if not self._climbs.has(climb):
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
            self._moves.follow(climb, after, report(climb, changes))
            return
        counted = replace(before, counts=before.counts.plus(counts), looked_at=now, looks=after.looks, failed_looks=0)
        climb.position = counted  # so that nothing is lost if the step cannot be stored
        if not self._has_successor():
            await self._moves.store_first(climb, after, report(climb, changes))

    async def _gate(self, climb: ClimbState, now: float) -> Verdict:
        """Return the verdict of all routes' gates. At 0 % it is asked for every second, and found at each look."""
        if climb.gate is None or not 0 <= now - climb.gate.at < climb.plan.look_s:
            verdict, reasons = await find_gates(self._store, self._climbs.settings, climb.routes)
            climb.gate = GateFinding(now, verdict, reasons)
        return climb.gate.verdict
