"""The recheck of a mismatch: the shadowed arm is asked once more, for it may only have lagged behind the other."""

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass, replace

from strangler.control.shadow.arms import CapturedArms
from strangler.control.shadow.comparing import ComparedPair, Comparer
from strangler.core.compare import Outcome, Reason, second_look
from strangler.core.routing.arm import Arm
from strangler.core.shadowing.recheck import Key, Look, LooksState, found_again


@dataclass(frozen=True, slots=True)
class Recheck:
    """Asks the shadowed arm alone once more, or goes by what earlier rechecks of the same differences have told."""

    arms: CapturedArms
    comparer: Comparer

    async def run(self, pair: ComparedPair) -> ComparedPair:
        """Return what counts of a mismatch: what is left of it, or that the arm had only lagged behind."""
        looks = self.arms.route.looks[self.arms.shadowed]
        look = looks.begin(
            pair.candidate.release,
            self.arms.endpoint,
            pair.comparison.differences,
            random.random(),  # noqa: S311 - no secret
        )
        if not look.is_wanted:
            await self._await_others(looks, look)
            return replace(pair, comparison=looks.judged(look, pair.comparison))
        again = await self._ask(pair, looks, look)
        return replace(pair, comparison=looks.judged(look, pair.comparison)) if again is None else again

    async def _ask(self, pair: ComparedPair, looks: LooksState, look: Look) -> ComparedPair | None:
        """Ask again after a pause, and note what was found; None if that tells nothing of the first time."""
        route = self.arms.route
        found: frozenset[Key] | None = None
        try:
            await asyncio.sleep(route.shadow.recheck_s)
            again = await self._compare_again(pair)
            if again is not None and again.comparison.outcome is not Outcome.NOT_COMPARABLE:
                found = found_again(look, pair.comparison, again.comparison)
            elif again is not None and again.comparison.reason is Reason.LAG:
                found = frozenset()
        finally:
            looks.end(look, found)
            route.end_look()
        return again

    async def _compare_again(self, pair: ComparedPair) -> ComparedPair | None:
        """Return what counts of both times; None if the second tells nothing of the first: shadows have stopped, or
        another release responded."""
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

    async def _await_others(self, looks: LooksState, look: Look) -> None:
        """Wait for the rechecks under way to tell of these differences, but no longer than one takes."""
        shadow = self.arms.route.shadow
        with suppress(TimeoutError):
            async with asyncio.timeout(shadow.recheck_s + shadow.timeout_s):
                while not looks.is_settled(look):
                    await self.arms.route.look_ended.wait()
