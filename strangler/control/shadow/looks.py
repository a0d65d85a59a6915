"""What is asked of the arms for one capture, and what comes of it.

captured pair ──▶ ask the other arm ──▶ compare ──┬─ match ───────────────────────────────▶ finding
                                                  ├─ mismatch ──▶ second look, both anew ──▶ finding
                        now and then: ask legacy again, compare it with itself ─────────────┘
"""

import asyncio
import random
import time
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime

from strangler.control.shadow.digest import Pair, digest
from strangler.control.shadow.evidence import Finding, IndexState
from strangler.control.shadow.outgoing import lines_of, outgoing
from strangler.control.shadow.parts import ask_parts
from strangler.control.shadow.releases import ReleasesState
from strangler.control.shadow.route import ShadowRoute
from strangler.control.shadow.sending import ShadowUpstream
from strangler.core.compare import (
    NO_RULES,
    Answer,
    Comparison,
    Outcome,
    Reason,
    compare,
    not_comparable,
    second_look,
)
from strangler.core.fault import Fault
from strangler.core.methods import SAFE
from strangler.core.plan import Arm
from strangler.core.settings import Url
from strangler.wire.messages import CandidateFailed, Captured, CapturedAnswer

_Times = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Asked:
    """An answer, and the URL that gave it (None: nothing was asked, or several)."""

    answer: Answer
    url: Url | None


@dataclass(slots=True)
class Looks:
    """All that is done for one capture. `run` once."""

    captured: Captured
    route: ShadowRoute
    upstreams: Mapping[str, ShadowUpstream]
    served_url: Url | None
    index: IndexState
    threads: Executor
    releases: ReleasesState = field(default_factory=ReleasesState)

    async def run(self) -> Finding:
        """Ask, compare, look again. Counts itself in `route.first` until the first look is over."""
        route = self.route
        route.first += 1
        try:
            legacy, candidate, comparison, baseline, latency = await self._first_look()
        finally:
            route.first -= 1
        if comparison.outcome is Outcome.MISMATCH and self._is_safe and route.shadow.recheck_s:
            await asyncio.sleep(route.shadow.recheck_s)
            legacy, candidate, comparison, again = await self._look_again(legacy, candidate, comparison)
            latency = latency or again
        return await self._finding(legacy, candidate, comparison, baseline, latency)

    async def _first_look(self) -> tuple[Asked, Asked, Comparison, Comparison | None, _Times | None]:
        """Legacy's answer, the candidate's, what they came to, legacy against itself, and the times of both arms."""
        served = Asked(_answer_of(self.captured.answer), self.served_url)
        settled = self._settled(served)
        if settled is not None:
            return *settled, None, None
        legacy, candidate = await self._first_pair(served)
        comparison = await self._compared(legacy, candidate)
        baseline, latency = await self._baseline(legacy)
        return legacy, candidate, comparison, baseline, latency

    # 1. What needs no asking

    def _settled(self, served: Asked) -> tuple[Asked, Asked, Comparison] | None:
        """A pair that is known without asking anyone; None if the other arm has to be asked."""
        captured = self.captured
        answer, nobody = served.answer, Asked(Answer(0), None)
        legacy, candidate = (served, nobody) if captured.arm == Arm.LEGACY else (nobody, served)
        if captured.failed is not None:
            failed = Asked(_failed(captured.failed), None)
            return served, failed, self._after_fallback(answer, failed.answer)
        if captured.arm == Arm.LEGACY and (answer.fault is not None or answer.status >= 500):
            return legacy, candidate, not_comparable(Reason.LEGACY_ERROR)
        if answer.fault is not None:
            is_late = answer.fault is Fault.TIMEOUT
            return legacy, candidate, not_comparable(Reason.TIMEOUT if is_late else Reason.UNAVAILABLE)
        if answer.is_streaming:
            return legacy, candidate, not_comparable(Reason.STREAMING)
        if answer.is_too_large or not captured.is_body_complete:
            return legacy, candidate, not_comparable(Reason.TOO_LARGE)
        return None

    def _after_fallback(self, legacy: Answer, failed: Answer) -> Comparison:
        """Legacy answered in the place of a candidate that had just failed: only its status is known.

        It is not asked again: a 5xx is evidence as it is, and one that did not answer has enough to do.
        """
        return compare(replace(legacy, headers=[], body=b""), failed, NO_RULES, _today())

    # 2. Ask and compare

    @property
    def _is_safe(self) -> bool:
        return self.captured.method in SAFE

    async def _first_pair(self, served: Asked) -> tuple[Asked, Asked]:
        """Legacy's answer and the candidate's, one of them as the client got it."""
        if self.captured.arm == Arm.LEGACY:
            return served, await self._ask(Arm.CANDIDATE)
        return await self._ask(Arm.LEGACY), served

    async def _ask(self, arm: Arm) -> Asked:
        route, captured = self.route, self.captured
        if arm is Arm.CANDIDATE and route.parts:
            shadow = route.shadow
            async with route.sending:
                answer = await ask_parts(captured, route.parts, self.upstreams, shadow.timeout_s, shadow.max_body_bytes)
            return Asked(answer, None)
        upstream = self.upstreams[route.upstream_of(arm, captured.method)]
        url = upstream.pick()
        is_candidate = arm is Arm.CANDIDATE
        request = outgoing(
            captured,
            upstream.settings,
            url,
            route.rewrite if is_candidate else None,
            is_dry_run=is_candidate and route.is_dry_run(captured.method),
        )
        async with route.sending:
            return Asked(await upstream.ask(request, route.shadow.timeout_s, route.shadow.max_body_bytes), url)

    async def _compared(self, legacy: Asked, candidate: Asked, *, is_baseline: bool = False) -> Comparison:
        """In a thread: a large body takes tens of milliseconds. A baseline: legacy stands on both sides."""
        route, captured = self.route, self.captured

        def work() -> Comparison:
            return compare(
                legacy.answer,
                candidate.answer,
                route.rules,
                _today(),
                rewrite_back=lambda location: route.public_location(location, captured, candidate.url),
                is_dry_run=route.is_dry_run(captured.method) and not is_baseline,
            )

        return await asyncio.get_running_loop().run_in_executor(self.threads, work)

    # 3. Look again, and look at legacy alone

    async def _look_again(
        self, legacy: Asked, candidate: Asked, first: Comparison
    ) -> tuple[Asked, Asked, Comparison, _Times | None]:
        again = await self._ask_both()
        second = await self._compared(*again)
        both = second_look(first, second)
        if both.outcome is Outcome.MISMATCH:
            legacy, candidate = again
        return legacy, candidate, both, _times(*again)

    async def _baseline(self, legacy: Asked) -> tuple[Comparison | None, _Times | None]:
        """For a share of safe requests: both arms once more, and legacy's two answers compared.

        The times of the two arms are taken here, where both are asked alike and at once. What a worker took for the
        client's answer cannot be set beside them: it asks faster, and asks first.
        """
        # the draw is no secret
        if not self._is_safe or random.random() >= self.route.shadow.baseline.share:  # noqa: S311
            return None, None
        again, candidate = await self._ask_both()
        comparison = await self._compared(legacy, Asked(again.answer, None), is_baseline=True)
        return comparison, _times(again, candidate)

    async def _ask_both(self) -> tuple[Asked, Asked]:
        """Legacy and the candidate at the same time; which one is first is left to chance."""
        arms = [Arm.LEGACY, Arm.CANDIDATE]
        random.shuffle(arms)
        answers = dict(zip(arms, await asyncio.gather(*map(self._ask, arms)), strict=True))
        return answers[Arm.LEGACY], answers[Arm.CANDIDATE]

    async def _finding(
        self,
        legacy: Asked,
        candidate: Asked,
        comparison: Comparison,
        baseline: Comparison | None = None,
        latency: _Times | None = None,
    ) -> Finding:
        captured, size = self.captured, self.captured.answer.size
        by_legacy = captured.arm == Arm.LEGACY
        pair = Pair(
            captured=captured,
            legacy=legacy.answer,
            candidate=candidate.answer,
            candidate_upstream=self.route.upstream_of(Arm.CANDIDATE, captured.method),
            legacy_bytes=size if by_legacy and legacy.answer.is_too_large else None,
            candidate_bytes=size if not by_legacy and candidate.answer.is_too_large else None,
        )
        release = self._release(candidate.answer)
        if comparison.outcome is not Outcome.NOT_COMPARABLE:
            self.route.uses.record(comparison.rules_used)
        route, index = self.route, self.index
        # the times of both arms are taken by baselines; see `_baseline`
        is_timeable = self._is_safe and route.shadow.baseline.share > 0
        return await asyncio.get_running_loop().run_in_executor(
            self.threads,
            lambda: digest(
                pair, comparison, baseline, latency, route.redactor, index, release, route.templates, is_timeable
            ),
        )

    def _release(self, candidate: Answer) -> str:
        """The release that the pair belongs to: the one that the candidate's response names, else the one that was
        current when the candidate was asked."""
        captured, now = self.captured, time.time()
        served_by_candidate = captured.arm == Arm.CANDIDATE or captured.failed is not None
        asked_at = captured.at if served_by_candidate else now - (candidate.duration_s or 0.0)
        return self.releases.see(self.route.settings, candidate, asked_at, now)


def _today() -> date:
    return datetime.now(UTC).date()


def _answer_of(captured: CapturedAnswer) -> Answer:
    return Answer(
        status=captured.status,
        headers=list(lines_of(captured.head.partition(b"\r\n")[2])),
        body=captured.body,
        fault=None if captured.fault is None else Fault(captured.fault),
        duration_s=captured.duration_s,
        is_too_large=captured.is_too_large,
        is_streaming=captured.is_streaming,
    )


def _failed(failed: CandidateFailed) -> Answer:
    fault = None if failed.fault is None else Fault(failed.fault)
    return Answer(failed.status or 0, fault=fault, duration_s=failed.duration_s)


def _times(legacy: Asked, candidate: Asked) -> _Times | None:
    """Seconds of both; None unless both answered."""
    one, other = legacy.answer, candidate.answer
    if one.fault is not None or other.fault is not None or one.duration_s is None or other.duration_s is None:
        return None
    return one.duration_s, other.duration_s
