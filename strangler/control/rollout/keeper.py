"""The keeper of rollouts: it drives them by what workers count, by people's commands, and by what goes wrong.

A change that sends more callers to the candidate, or that a person asked for, is stored before it is followed. A fall
is followed at once: it goes to the file that a start of the proxy reads, to the workers, and to the store once that
works.

Its parts, each of which uses only those before it: `climbs` has the rollouts, `percents_in_force` and `saving` take
them outside, `moves` changes them, `stepping` and `commands` decide on moves, `views` reads them.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from strangler.control.own_metrics import OwnMetrics
from strangler.control.reload import InForce
from strangler.control.rollout.climb import Audit
from strangler.control.rollout.climbs import ClimbsState
from strangler.control.rollout.commands import GOES_ANYWAY, command_event, follow_command
from strangler.control.rollout.groups import led_by
from strangler.control.rollout.moves import RolloutMoves
from strangler.control.rollout.percents_in_force import PercentsInForce
from strangler.control.rollout.reports import report
from strangler.control.rollout.restoring import log_unread, restored
from strangler.control.rollout.saving import Publisher, RolloutSaver
from strangler.control.rollout.stepping import RolloutStepping
from strangler.control.rollout.views import RolloutViews
from strangler.core.documents import RolloutStatus
from strangler.core.rollout.evidence import StepCounts
from strangler.core.rollout.machine import NoTransitionError, RolloutEvent
from strangler.core.rollout.position import awaits
from strangler.core.rollout_percents import rollout_groups
from strangler.core.settings import Settings
from strangler.ipc.messages import RolloutBatch
from strangler.state.kill_switch import KillSwitchState
from strangler.store.events import stored_gates
from strangler.store.evidence import stored_rollouts
from strangler.store.evidence.findings import Finding
from strangler.store.store import Store, StoreError

MOVE_EVERY_S: Final = 1.0


class RolloutKeeper(RolloutViews):
    """Drives the rollouts in `climbs`. `wall_clock` returns Unix time.

    `put_in_force` makes the percents of `ClimbsState.effective` those of all workers, and returns the generation that
    has them. `has_successor`: whether a new program is being started, whose workers serve before they hear of a step.
    """

    def __init__(
        self,
        store: Store,
        publisher: Publisher,
        own: OwnMetrics,
        climbs: ClimbsState,
        put_in_force: Callable[[], int],
        wall_clock: Callable[[], float] = time.time,
        has_successor: Callable[[], bool] = lambda: False,
    ) -> None:
        saver = RolloutSaver(store, publisher, climbs)
        super().__init__(climbs, lambda: saver.problem)
        self._saver = saver
        self._store = store
        self._now = wall_clock
        self._percents = PercentsInForce(store.folder, climbs, put_in_force)
        self._moves = RolloutMoves(climbs, saver, self._percents, wall_clock)
        self._stepping = RolloutStepping(store, own, climbs, self._moves, wall_clock, has_successor)
        self._acting = asyncio.Lock()

    # 1. From start to end

    async def restore(self) -> None:
        """Continue the rollouts that an earlier control has stored; tried again while the store cannot be read."""
        self._percents.read()
        await self._restore()

    async def _restore(self) -> None:
        climbs, groups = self._climbs, rollout_groups(self._climbs.settings)
        try:
            rows = await self._store.call(stored_rollouts.load)
            former = await self._store.call(stored_gates.load_rollouts) if groups.keys() - rows.keys() else None
        except StoreError:  # logged by the store itself
            rows, former = {}, None
        else:
            climbs.is_restored = True
            log_unread(rows)
            climbs.gone |= rows.keys() - groups.keys()
        for group in groups:
            climb = climbs.in_group(group)
            if climb is not None and not climb.is_provisional:
                climb.moves = [*rows[group].history, *climb.moves] if group in rows else climb.moves
                continue
            percents = {name: each.percent for name, each in former.rollouts.items()} if former is not None else {}
            kept = self._percents.kept.get(group)
            found = restored(group, groups[group], rows.get(group), kept, percents, self._now())
            climbs.put(found.climb)
            found.climb.generation, found.climb.is_provisional = climbs.generation, not climbs.is_restored
            if climbs.is_restored and (group not in rows or found.changes):
                self._moves.note(found.climb, report(found.climb, found.changes))
        self._follow_routes(climbs.settings)

    async def run(self) -> None:
        """Move the rollouts every second until cancelled; what has happened is stored at once."""
        self.begin()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(MOVE_EVERY_S):
                    await self._saver.hint.wait()
            await self.tick()
            self._saver.hint.clear()

    def begin(self) -> None:
        """Put the stored percents in force, if others are."""
        self._percents.begin()

    async def tick(self) -> None:
        """Do what is due, and store what has changed."""
        if not self._climbs.all() and not self._climbs.gone:
            return
        async with self._acting:
            if not self._climbs.is_restored:
                await self._restore()
                self.begin()
            for climb in self._climbs.all():
                await self._stepping.advance(climb)
            await self._save()

    async def close(self) -> None:
        """Wait for a change that is being stored, and store what is left."""
        await self._saver.settle()
        async with self._acting:
            await self._save(is_last=True)

    async def _save(self, *, is_last: bool = False) -> None:
        self._percents.keep()
        if self._climbs.is_restored:
            await self._saver.save(self._now(), is_last=is_last)

    # 2. What comes from outside

    def adopt(self, in_force: InForce) -> None:
        """Follow new settings. Their percents are those of `ClimbsState.effective`."""
        self._climbs.generation = in_force.generation
        self._follow_routes(in_force.settings)

    def _follow_routes(self, settings: Settings) -> None:
        for climb in self._climbs.adopt(settings, self._now()):
            self._moves.happen(climb, RolloutEvent.PLAN_CHANGED)
        self._percents.keep()
        self._follow_switch()

    def turned(self, kill_switch: KillSwitchState) -> None:
        """Follow the kill switch."""
        self._climbs.kill_switch = kill_switch
        self._follow_switch()

    def _follow_switch(self) -> None:
        for climb, event in self._climbs.switch_events():
            self._moves.happen(climb, event)

    def breaker_opened(self, upstream: str) -> None:
        """Send nobody to an upstream whose breaker has opened."""
        for climb in self._climbs.all():
            if climb.percent and upstream in led_by(climb.routes):
                self._moves.happen(climb, RolloutEvent.BREAKER_OPENED)

    def take(self, batch: RolloutBatch) -> None:
        """Count requests that a worker has served."""
        self._climbs.take(batch)

    def observe(self, finding: Finding) -> None:
        """Count a request that a shadow has sent to both arms."""
        pair = self._climbs.timed_pair(finding)
        if pair is not None:
            counted = pair.climb.pairs.count(*pair.latency, pair.ratio)
            pair.climb.counts = pair.climb.counts.plus(StepCounts(paired=counted))

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
        event = command_event(command)
        async with self._acting:
            self._climbs.find(route)
            if not self._climbs.is_restored:
                await self._restore()
            climb = self._climbs.find(route)
            if not self._climbs.is_restored and event not in GOES_ANYWAY:
                raise StoreError(self._saver.problem)
            if announced_at is not None and not awaits(climb.position, percent, announced_at):
                raise NoTransitionError("this approval does not wait any more")
            audit = Audit(self._now(), actor, f"rollout {command}", route, why, "")
            if not await follow_command(self._moves, climb, event, audit, percent):
                raise StoreError(self._saver.problem)
            await self._save()
            return self.find(route)
