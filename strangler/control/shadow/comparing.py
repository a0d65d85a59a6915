"""The comparison of the responses of both arms to one capture, in a thread."""

import asyncio
from concurrent.futures import Executor
from dataclasses import dataclass

from strangler.control.shadow.arms import ArmResponse, CapturedArms
from strangler.control.shadow.request import lines_of
from strangler.core.compare import Comparison, compare, conditions_of
from strangler.times import utc_day

Times = tuple[float, float]
"""Seconds that legacy and the candidate took."""


@dataclass(frozen=True, slots=True)
class ComparedPair:
    """Both responses to one request, and their comparison."""

    legacy: ArmResponse
    candidate: ArmResponse
    comparison: Comparison
    baseline: Comparison | None = None
    """Legacy's response compared with a second one of legacy."""
    times: Times | None = None


@dataclass(frozen=True, slots=True)
class Comparer:
    """Compares the responses to one capture by the rules of its route."""

    arms: CapturedArms
    threads: Executor
    """A large body takes tens of milliseconds."""

    async def compare(self, legacy: ArmResponse, candidate: ArmResponse, *, is_baseline: bool = False) -> Comparison:
        """Compare two responses. A baseline has legacy on both sides."""
        route, captured = self.arms.route, self.arms.captured

        def work() -> Comparison:
            return compare(
                legacy.response,
                candidate.response,
                self.arms.rules,
                utc_day(),
                request=conditions_of(lines_of(captured.lines)),
                rewrite_back=lambda location: route.public_location(location, captured, candidate.url),
                cookie_back=lambda cookie: route.public_cookie(cookie, captured, candidate.url),
                is_dry_run=route.is_dry_run(captured.method) and not is_baseline,
            )

        return await asyncio.get_running_loop().run_in_executor(self.threads, work)
