"""The requests to the arms for one capture, and the comparison of their responses.

captured pair ──▶ ask the other arm ──▶ compare ──┬─ match ───────────────────────────────▶ finding
                                                  ├─ mismatch ──▶ recheck: that arm again ──▶ finding
       now and then, without credentials: ask both arms again, compare legacy with itself ────┘
"""

import asyncio
import random
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace

from strangler.comparing.arm_request import lines_of
from strangler.comparing.comparer import ArmResponse, ComparedPair, Comparer, Times, times_of
from strangler.comparing.digest import Pair, digest
from strangler.control.shadow.arms import CapturedArms
from strangler.control.shadow.recheck import Recheck
from strangler.core.compare import (
    NO_RULES,
    Comparison,
    Outcome,
    Reason,
    Response,
    compare,
    conditions_of,
    not_comparable,
)
from strangler.core.fault import Fault
from strangler.core.privacy.request_credentials import has_credentials
from strangler.core.routing.arm import Arm
from strangler.store.evidence.findings import Finding
from strangler.store.evidence.index import IndexState
from strangler.times import utc_day


@dataclass(slots=True)
class ShadowComparison:
    """The comparison for one capture. Call `run` once."""

    arms: CapturedArms
    index: IndexState
    threads: Executor
    is_timeable: bool = field(init=False)
    """A baseline may send this request again, so that both arms can be timed."""
    comparer: Comparer = field(init=False)

    def __post_init__(self) -> None:
        self.is_timeable = self.may_have_baseline()
        arms = self.arms
        self.comparer = Comparer(
            arms.captured, arms.route, arms.rules, self.threads, arms.route.is_dry_run(arms.captured.method)
        )

    async def run(self) -> Finding:
        """Ask, compare, and recheck a mismatch. Counts itself in `route.first` until the first comparison is over."""
        route = self.arms.route
        route.first += 1
        try:
            pair = await self.first_pair()
        finally:
            route.first -= 1
        may_recheck = self.arms.is_safe and self.arms.captured.failed is None and route.shadow.recheck_s > 0
        if pair.comparison.outcome is Outcome.MISMATCH and may_recheck:
            pair = await Recheck(self.arms, self.comparer).run(pair)
        return await self._finding(pair)

    async def first_pair(self) -> ComparedPair:
        """Return the responses of both arms, one of them as the client got it, and their comparison."""
        served = self.arms.served()
        settled = self._settled(served)
        if settled is not None:
            return settled
        legacy, candidate = await self.arms.pair(served)
        comparison = await self.comparer.compare(legacy, candidate)
        baseline, times = await self._baseline(legacy)
        return ComparedPair(legacy, candidate, comparison, baseline, times)

    # 1. What needs no request

    def _settled(self, served: ArmResponse) -> ComparedPair | None:
        """Return a pair that is known without a request; None if the other arm has to be asked."""
        captured, response = self.arms.captured, served.response
        if captured.failed is not None:
            failed = self.arms.failed(captured.failed)
            return ComparedPair(served, failed, self._after_fallback(response, failed.response))
        reason = self._why_not(response)
        if reason is None:
            return None
        nobody = ArmResponse(Response(0), None)
        if captured.arm == Arm.LEGACY:
            candidate = self.arms.of_candidate(nobody.response, None, captured.at)
            return ComparedPair(served, candidate, not_comparable(reason))
        return ComparedPair(nobody, served, not_comparable(reason))

    def _why_not(self, served: Response) -> Reason | None:
        """Return why the response that the client got cannot be compared, or None."""
        captured = self.arms.captured
        if captured.arm == Arm.LEGACY and (served.fault is not None or served.status >= 500):
            return Reason.LEGACY_ERROR
        if served.fault is not None:
            return Reason.TIMEOUT if served.fault is Fault.TIMEOUT else Reason.UNAVAILABLE
        if served.status >= 500 and captured.is_body_complete:
            return None  # a failure of the candidate is evidence, whatever its body
        if served.is_streaming:
            return Reason.STREAMING
        is_whole = not served.is_too_large and captured.is_body_complete
        return None if is_whole else Reason.TOO_LARGE

    def _after_fallback(self, legacy: Response, failed: Response) -> Comparison:
        """Compare legacy's status with the failure of the candidate that it replaced.

        The candidate is not asked again: a 5xx is evidence, and a candidate that did not respond is busy enough.
        """
        request = conditions_of(lines_of(self.arms.captured.lines))
        return compare(replace(legacy, headers=[], body=b""), failed, NO_RULES, utc_day(), request=request)

    # 2. Legacy compared with itself

    def may_have_baseline(self) -> bool:
        """Return whether the request may be sent to both arms once more."""
        baseline, captured = self.arms.route.shadow.baseline, self.arms.captured
        if not self.arms.is_safe or not baseline.share:
            return False
        return baseline.credentials or not has_credentials(list(lines_of(captured.lines)), captured.target)

    async def _baseline(self, legacy: ArmResponse) -> tuple[Comparison | None, Times | None]:
        """Ask both arms again for a share of safe requests, and compare legacy's two responses.

        The times of both arms are taken here, where both are asked alike and at once. A worker's time for the client's
        response is not comparable: it asks faster, and first.
        """
        route = self.arms.route
        is_wanted = self.is_timeable and route.stopped is None and legacy.response.fault is None
        # the draw is not a secret
        if not is_wanted or random.random() >= route.shadow.baseline.share:  # noqa: S311
            return None, None
        again, candidate = await self.arms.ask_both()
        comparison = await self.comparer.compare(legacy, ArmResponse(again.response, None), is_baseline=True)
        return comparison, times_of(again, candidate)

    # 3. What is kept

    async def _finding(self, pair: ComparedPair) -> Finding:
        route, comparison, release = self.arms.route, pair.comparison, pair.candidate.release
        if comparison.outcome is not Outcome.NOT_COMPARABLE:
            route.uses.record(comparison.rules_used, self.arms.rules.indices)
        this_pair, index = self._pair_of(pair), self.index

        def digested() -> Finding:
            return digest(
                this_pair,
                self.arms.endpoint,
                comparison,
                pair.baseline,
                pair.times,
                route.redactor,
                index,
                release,
                is_timeable=self.is_timeable,
            )

        if comparison.outcome is Outcome.MATCH and pair.baseline is None:  # nothing has to be redacted
            return digested()
        return await asyncio.get_running_loop().run_in_executor(self.threads, digested)

    def _pair_of(self, pair: ComparedPair) -> Pair:
        captured, size = self.arms.captured, self.arms.captured.response.size
        by_legacy = captured.arm == Arm.LEGACY
        legacy, candidate = pair.legacy.response, pair.candidate.response
        return Pair(
            captured=captured,
            legacy=legacy,
            candidate=candidate,
            candidate_upstream=self.arms.route.upstream_of(Arm.CANDIDATE, captured.method),
            legacy_bytes=size if by_legacy and legacy.is_too_large else None,
            candidate_bytes=size if not by_legacy and candidate.is_too_large else None,
        )
