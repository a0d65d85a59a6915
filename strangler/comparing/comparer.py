"""The comparison of the responses of both arms to one request, in a thread."""

import asyncio
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final

from strangler.comparing.arm_request import lines_of
from strangler.comparing.route import ComparedRoute
from strangler.core.compare import (
    NO_CONDITIONS,
    CompareRules,
    Comparison,
    Response,
    compare,
    conditions_of,
    may_decide,
)
from strangler.core.settings import Url
from strangler.ipc.messages import Captured
from strangler.times import utc_day

Times = tuple[float, float]
"""Seconds that legacy and the candidate took."""


@dataclass(frozen=True, slots=True)
class ArmResponse:
    """The response of an arm, and the URL that gave it (None: no upstream was asked, or several)."""

    response: Response
    url: Url | None
    release: str = ""
    """The candidate's release, if the candidate responded."""


@dataclass(frozen=True, slots=True)
class ComparedPair:
    """Both responses to one request, and their comparison."""

    legacy: ArmResponse
    candidate: ArmResponse
    comparison: Comparison
    baseline: Comparison | None = None
    """Legacy's response compared with a second one of legacy."""
    times: Times | None = None


MAX_HERE_BYTES: Final = 4096
"""The most bytes of two bodies that are compared in the event loop: the way to a thread and back costs as much."""


def are_small(*responses: Response) -> bool:
    """Return whether responses are compared within a millisecond or so. A coded body may have any length."""
    return sum(len(response.body) for response in responses) <= MAX_HERE_BYTES and not any(
        response.field_values(b"content-encoding") for response in responses
    )


def times_of(legacy: ArmResponse, candidate: ArmResponse) -> Times | None:
    """Return the times of both; None unless both responded."""
    first, other = legacy.response, candidate.response
    if first.fault is not None or other.fault is not None or first.duration_s is None or other.duration_s is None:
        return None
    return first.duration_s, other.duration_s


@dataclass(frozen=True, slots=True)
class Comparer:
    """Compares the responses to one request by the rules of its route that are in force for it."""

    captured: Captured
    route: ComparedRoute
    rules: CompareRules
    threads: Executor | None
    """For `compare`: a large body takes tens of milliseconds. None: the loop's own threads."""
    is_dry_run: bool = False

    async def compare(self, legacy: ArmResponse, candidate: ArmResponse, *, is_baseline: bool = False) -> Comparison:
        """Compare two responses, in the thread unless they are small. A baseline has legacy on both sides."""
        if are_small(legacy.response, candidate.response):
            return self.compare_here(legacy, candidate, is_baseline=is_baseline)
        return await asyncio.get_running_loop().run_in_executor(
            self.threads, lambda: self.compare_here(legacy, candidate, is_baseline=is_baseline)
        )

    def compare_here(self, legacy: ArmResponse, candidate: ArmResponse, *, is_baseline: bool = False) -> Comparison:
        """Compare two responses in the thread that calls: small ones, whose comparison costs less than the way."""
        route, captured, sides = self.route, self.captured, (legacy.response, candidate.response)
        return compare(
            *sides,
            self.rules,
            utc_day(),
            request=conditions_of(lines_of(captured.lines)) if may_decide(*sides) else NO_CONDITIONS,
            rewrite_back=lambda location: route.public_location(location, captured, candidate.url),
            cookie_back=lambda cookie: route.public_cookie(cookie, captured, candidate.url),
            is_dry_run=self.is_dry_run and not is_baseline,
        )
