"""The comparison for a mirrored request: no response of an arm has been seen, so both are asked."""

import random

from strangler.comparing.comparer import ArmResponse, ComparedPair, times_of
from strangler.control.shadow.comparison import ShadowComparison
from strangler.core.compare import Comparison
from strangler.core.routing.arm import Arm


class ReceivedComparison(ShadowComparison):
    """Both arms are asked at the same time. A mismatch is checked again at one arm alone, as that of a shadow."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.is_timeable = True  # both arms are asked alike: each pair of times counts

    async def first_pair(self) -> ComparedPair:
        """Ask both arms, and compare; now and then, compare legacy with itself."""
        legacy, candidate = await self.arms.ask_both()
        comparison = await self.comparer.compare(legacy, candidate)
        return ComparedPair(legacy, candidate, comparison, await self._again(legacy), times_of(legacy, candidate))

    async def _again(self, legacy: ArmResponse) -> Comparison | None:
        """Ask legacy again for the share of a baseline, and compare its two responses."""
        route = self.arms.route
        is_wanted = self.may_have_baseline() and route.stopped is None and legacy.response.fault is None
        # the draw is not a secret
        if not is_wanted or random.random() >= route.shadow.baseline.share:  # noqa: S311
            return None
        again = await self.arms.ask(Arm.LEGACY)
        return await self.comparer.compare(legacy, again, is_baseline=True)
