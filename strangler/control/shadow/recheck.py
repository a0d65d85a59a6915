"""The recheck of a mismatch: the shadowed arm is asked again, for it may only have lagged behind the other."""

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass, replace

from strangler.comparing.comparer import ComparedPair, Comparer
from strangler.control.shadow.arms import CapturedArms
from strangler.core.compare import Outcome, Reason, second_look
from strangler.core.routing.arm import Arm
from strangler.core.shadowing.recheck import Key, PendingRecheck, RecheckState, found_again


@dataclass(frozen=True, slots=True)
class Recheck:
    """Asks the shadowed arm again, or uses the results of earlier rechecks of the same differences."""

    arms: CapturedArms
    comparer: Comparer

    async def run(self, pair: ComparedPair) -> ComparedPair:
        """Return the differences of a mismatch that are still there, or that the arm had only lagged behind."""
        rechecks = self.arms.route.looks[self.arms.shadowed]
        recheck = rechecks.begin(
            pair.candidate.release,
            self.arms.endpoint,
            pair.comparison.differences,
            random.random(),  # noqa: S311 - not a secret
        )
        if not recheck.is_wanted:
            await self._await_others(rechecks, recheck)
            return replace(pair, comparison=rechecks.judged(recheck, pair.comparison))
        again = await self._ask(pair, rechecks, recheck)
        return replace(pair, comparison=rechecks.judged(recheck, pair.comparison)) if again is None else again

    async def _ask(self, pair: ComparedPair, rechecks: RecheckState, recheck: PendingRecheck) -> ComparedPair | None:
        """Ask again after a pause, and note the result; return None if it says nothing about the first comparison."""
        route = self.arms.route
        found: frozenset[Key] | None = None
        try:
            await asyncio.sleep(route.shadow.recheck_s)
            again = await self._compare_again(pair)
            if again is not None and again.comparison.outcome is not Outcome.NOT_COMPARABLE:
                found = found_again(recheck, pair.comparison, again.comparison)
            elif again is not None and again.comparison.reason is Reason.LAG:
                found = frozenset()
        finally:
            rechecks.end(recheck, found)
            route.end_recheck()
        return again

    async def _compare_again(self, pair: ComparedPair) -> ComparedPair | None:
        """Return the differences of both comparisons; None if the second says nothing about the first, because shadows
        have stopped or another release responded."""
        if self.arms.route.stopped is not None:
            return None
        arm = self.arms.shadowed
        response = await self.arms.ask(arm)
        legacy, candidate = (pair.legacy, response) if arm is Arm.CANDIDATE else (response, pair.candidate)
        if candidate.release != pair.candidate.release:
            return None
        both = second_look(pair.comparison, await self.comparer.compare(legacy, candidate))
        if both.outcome is not Outcome.MISMATCH:
            legacy, candidate = pair.legacy, pair.candidate
        return replace(pair, legacy=legacy, candidate=candidate, comparison=both)

    async def _await_others(self, rechecks: RecheckState, recheck: PendingRecheck) -> None:
        """Wait until rechecks in progress have settled these differences, but no longer than one takes."""
        shadow = self.arms.route.shadow
        with suppress(TimeoutError):
            async with asyncio.timeout(shadow.recheck_s + shadow.timeout_s):
                while not rechecks.is_settled(recheck):
                    await self.arms.route.recheck_ended.wait()
