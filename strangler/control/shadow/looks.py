"""What is asked of the arms for one capture, and what comes of it.

captured pair ──▶ ask the other arm ──▶ compare ──┬─ match ───────────────────────────────────▶ finding
                                                  ├─ mismatch ──▶ second look: that arm again ──▶ finding
       now and then, without credentials: ask both arms again, compare legacy with itself ────────┘
"""

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime

from strangler.control.shadow.digest import Pair, digest, endpoint_of
from strangler.control.shadow.dry_runs import Permit
from strangler.control.shadow.evidence_index import IndexState
from strangler.control.shadow.findings import Finding
from strangler.control.shadow.outgoing import lines_of, outgoing, question
from strangler.control.shadow.parts import ask_parts
from strangler.control.shadow.releases import ReleasesState, named_in
from strangler.control.shadow.route import ShadowRoute
from strangler.control.shadow.sending import ShadowUpstream
from strangler.core.compare import (
    NO_RULES,
    Answer,
    Comparison,
    Outcome,
    Reason,
    compare,
    conditions_of,
    not_comparable,
    second_look,
)
from strangler.core.credentials import has_credentials
from strangler.core.dry_runs import Basis, Place
from strangler.core.fault import Fault
from strangler.core.looks import Key, Look, LooksState, found_again
from strangler.core.methods import SAFE
from strangler.core.plan import LEGACY, Arm
from strangler.core.settings import Url
from strangler.wire.messages import CandidateFailed, Captured, CapturedAnswer

_Times = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Asked:
    """An answer, and the URL that gave it (None: nothing was asked, or several)."""

    answer: Answer
    url: Url | None
    release: str = ""
    """The candidate's, if it is the one that answered."""


@dataclass(frozen=True, slots=True)
class _Pair:
    """Both answers to one request, and what they came to."""

    legacy: Asked
    candidate: Asked
    comparison: Comparison
    baseline: Comparison | None = None
    """Legacy's answer compared with another one of its own."""
    times: _Times | None = None


@dataclass(slots=True)
class Looks:
    """All that is done for one capture. `run` once. `halt` stops the shadows of a route, and says why."""

    captured: Captured
    route: ShadowRoute
    upstreams: Mapping[str, ShadowUpstream]
    served_url: Url | None
    index: IndexState
    threads: Executor
    halt: Callable[[ShadowRoute, str], None]
    releases: ReleasesState = field(default_factory=ReleasesState)
    endpoint: str = field(init=False)
    is_timeable: bool = field(init=False)
    """A baseline may ask for this request again, so that both arms can be timed."""

    def __post_init__(self) -> None:
        self.endpoint = endpoint_of(self.captured, self.route.redactor, self.route.templates)
        self.is_timeable = self._may_have_baseline()

    async def run(self) -> Finding:
        """Ask, compare, look again. Counts itself in `route.first` until the first look is over."""
        route = self.route
        route.first += 1
        try:
            pair = await self._first_look()
        finally:
            route.first -= 1
        if pair.comparison.outcome is Outcome.MISMATCH and self._is_safe and route.shadow.recheck_s:
            pair = await self._second_look(pair)
        return await self._finding(pair)

    async def _first_look(self) -> _Pair:
        served = self._served()
        settled = self._settled(served)
        if settled is not None:
            return settled
        legacy, candidate = await self._first_pair(served)
        comparison = await self._compared(legacy, candidate)
        baseline, times = await self._baseline(legacy)
        return _Pair(legacy, candidate, comparison, baseline, times)

    def _served(self) -> Asked:
        answer = _answer_of(self.captured.answer)
        if self.captured.arm == Arm.LEGACY:
            return Asked(answer, self.served_url)
        return self._of_candidate(answer, self.served_url, self.captured.at)

    def _of_candidate(self, answer: Answer, url: Url | None, asked_at: float) -> Asked:
        """An answer of the candidate with its release: the one that it names, else the one that was current when the
        candidate was asked. Take note of what it names."""
        settings = self.route.settings
        release = self.releases.see(settings, answer, asked_at, time.time())
        if self._named(answer) is not None:
            self.route.dry_runs.state.see(release)
        return Asked(answer, url, release)

    def _named(self, answer: Answer) -> str | None:
        """The release that a response of the candidate names by its header, if there is one."""
        return named_in(self.route.settings, answer) or None

    # 1. What needs no asking

    def _settled(self, served: Asked) -> _Pair | None:
        """A pair that is known without asking anyone; None if the other arm has to be asked."""
        captured = self.captured
        answer = served.answer
        if captured.failed is not None:
            failed = self._of_candidate(_failed(captured.failed), None, captured.at)
            return _Pair(served, failed, self._after_fallback(answer, failed.answer))
        reason = self._why_not(answer)
        if reason is None:
            return None
        nobody = Asked(Answer(0), None)
        if captured.arm == Arm.LEGACY:
            return _Pair(served, self._of_candidate(nobody.answer, None, captured.at), not_comparable(reason))
        return _Pair(nobody, served, not_comparable(reason))

    def _why_not(self, served: Answer) -> Reason | None:
        """Why the answer that the client got cannot be compared with any other."""
        if self.captured.arm == Arm.LEGACY and (served.fault is not None or served.status >= 500):
            return Reason.LEGACY_ERROR
        if served.fault is not None:
            return Reason.TIMEOUT if served.fault is Fault.TIMEOUT else Reason.UNAVAILABLE
        if served.status >= 500 and self.captured.is_body_complete:
            return None  # a failure of the candidate is evidence, whatever body comes with it
        if served.is_streaming:
            return Reason.STREAMING
        is_whole = not served.is_too_large and self.captured.is_body_complete
        return None if is_whole else Reason.TOO_LARGE

    def _after_fallback(self, legacy: Answer, failed: Answer) -> Comparison:
        """Legacy answered in the place of a candidate that had just failed: only its status is known.

        It is not asked again: a 5xx is evidence as it is, and one that did not answer has enough to do.
        """
        request = conditions_of(lines_of(self.captured.lines))
        return compare(replace(legacy, headers=[], body=b""), failed, NO_RULES, _today(), request=request)

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
        if arm is Arm.CANDIDATE:
            return await self._ask_candidate()
        route, upstream = self.route, self.upstreams[LEGACY]
        url = upstream.pick()
        request = outgoing(self.captured, upstream.settings, url, None, is_dry_run=False)
        async with route.sending:
            return Asked(await upstream.ask(request, route.shadow.timeout_s, route.shadow.max_body_bytes), url)

    async def _ask_candidate(self) -> Asked:
        route, captured, shadow = self.route, self.captured, self.route.shadow
        async with route.sending:
            asked_at = time.time()
            if route.parts:
                answer = await ask_parts(captured, route.parts, self.upstreams, shadow.timeout_s, shadow.max_body_bytes)
                return self._of_candidate(answer, None, asked_at)
            upstream = self.upstreams[route.upstream_of(Arm.CANDIDATE, captured.method)]
            url = upstream.pick()
            if route.is_dry_run(captured.method):
                answer = await self._ask_dry_run(upstream, url)
            else:
                request = outgoing(captured, upstream.settings, url, route.rewrite, is_dry_run=False)
                answer = await upstream.ask(request, shadow.timeout_s, shadow.max_body_bytes)
            if route.is_sandboxed(captured.method):  # a copy may have another release, which says nothing
                return Asked(answer, url, self.releases.at(route.name, asked_at))
            return self._of_candidate(answer, url, asked_at)

    async def _ask_dry_run(self, upstream: ShadowUpstream, url: Url) -> Answer:
        """Send a write as a dry run, but not before the candidate has said that it knows them."""
        route, captured, shadow = self.route, self.captured, self.route.shadow
        runs, place = route.dry_runs, Place(self.endpoint, str(url))

        def basis() -> Basis:
            return Basis(self.releases.current(route.name), upstream.failures)

        async def ask() -> Answer:
            asking = question(captured, upstream.settings, url, route.rewrite)
            response = await upstream.ask(asking, shadow.timeout_s, shadow.max_body_bytes)
            return self._of_candidate(response, url, time.time()).answer

        permit = await runs.admit(place, basis, ask, self._named)
        if not isinstance(permit, Permit):
            if runs.state.is_refused:
                self.halt(route, _unconfirmed(self.endpoint, route.name))
            return permit
        request = outgoing(captured, upstream.settings, url, route.rewrite, is_dry_run=True)
        may_send = lambda: runs.is_open(place, basis())  # noqa: E731
        answer: Answer | None = None
        try:
            answer = await upstream.ask(request, shadow.timeout_s, shadow.max_body_bytes, may_send)
        finally:
            if not runs.judge(place, permit, answer):
                self.halt(route, _unhandled(self.endpoint, route.name))
        return answer

    async def _compared(self, legacy: Asked, candidate: Asked, *, is_baseline: bool = False) -> Comparison:
        """In a thread: a large body takes tens of milliseconds. A baseline: legacy stands on both sides."""
        route, captured = self.route, self.captured

        def work() -> Comparison:
            return compare(
                legacy.answer,
                candidate.answer,
                route.endpoint_rules.of(self.endpoint),
                _today(),
                request=conditions_of(lines_of(captured.lines)),
                rewrite_back=lambda location: route.public_location(location, captured, candidate.url),
                cookie_back=lambda cookie: route.public_cookie(cookie, captured, candidate.url),
                is_dry_run=route.is_dry_run(captured.method) and not is_baseline,
            )

        return await asyncio.get_running_loop().run_in_executor(self.threads, work)

    # 3. Look again, and look at legacy alone

    async def _second_look(self, pair: _Pair) -> _Pair:
        """Ask the shadow's arm alone once more, or go by what earlier looks at the same differences have told."""
        route = self.route
        arm = Arm.CANDIDATE if self.captured.arm == Arm.LEGACY else Arm.LEGACY
        looks = route.looks[arm]
        look = looks.begin(
            pair.candidate.release,
            self.endpoint,
            pair.comparison.differences,
            random.random(),  # noqa: S311 - no secret
        )
        if not look.is_wanted:
            await self._await_looks(looks, look)
            return replace(pair, comparison=looks.judged(look, pair.comparison))
        found: frozenset[Key] | None = None
        try:
            await asyncio.sleep(route.shadow.recheck_s)
            again = await self._look_again(pair, arm)
            if again is not None and again.comparison.outcome is not Outcome.NOT_COMPARABLE:
                found = found_again(look, pair.comparison, again.comparison)
            elif again is not None and again.comparison.reason is Reason.LAG:
                found = frozenset()
        finally:
            looks.end(look, found)
            route.end_look()
        return replace(pair, comparison=looks.judged(look, pair.comparison)) if again is None else again

    async def _look_again(self, pair: _Pair, arm: Arm) -> _Pair | None:
        """Return what counts of both looks; None if the second tells nothing of the first: shadows have stopped, or
        another release responded."""
        if self.route.stopped is not None:
            return None
        asked = await self._ask(arm)
        legacy, candidate = (pair.legacy, asked) if arm is Arm.CANDIDATE else (asked, pair.candidate)
        if candidate.release != pair.candidate.release:
            return None
        both = second_look(pair.comparison, await self._compared(legacy, candidate))
        if both.outcome is not Outcome.MISMATCH:
            legacy, candidate = pair.legacy, pair.candidate
        return replace(pair, legacy=legacy, candidate=candidate, comparison=both)

    async def _await_looks(self, looks: LooksState, look: Look) -> None:
        """Wait for the looks under way to tell of these differences, but no longer than one takes."""
        shadow = self.route.shadow
        with suppress(TimeoutError):
            async with asyncio.timeout(shadow.recheck_s + shadow.timeout_s):
                while not looks.is_settled(look):
                    await self.route.look_ended.wait()

    def _may_have_baseline(self) -> bool:
        baseline, captured = self.route.shadow.baseline, self.captured
        if not self._is_safe or not baseline.share:
            return False
        return baseline.credentials or not has_credentials(list(lines_of(captured.lines)), captured.target)

    async def _baseline(self, legacy: Asked) -> tuple[Comparison | None, _Times | None]:
        """For a share of safe requests: both arms once more, and legacy's two answers compared.

        The times of the two arms are taken here, where both are asked alike and at once. What a worker took for the
        client's answer cannot be set beside them: it asks faster, and asks first.
        """
        is_wanted = self.is_timeable and self.route.stopped is None and legacy.answer.fault is None
        # the draw is no secret
        if not is_wanted or random.random() >= self.route.shadow.baseline.share:  # noqa: S311
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

    async def _finding(self, pair: _Pair) -> Finding:
        captured, size = self.captured, self.captured.answer.size
        by_legacy = captured.arm == Arm.LEGACY
        legacy, candidate, comparison = pair.legacy.answer, pair.candidate.answer, pair.comparison
        told = Pair(
            captured=captured,
            legacy=legacy,
            candidate=candidate,
            candidate_upstream=self.route.upstream_of(Arm.CANDIDATE, captured.method),
            legacy_bytes=size if by_legacy and legacy.is_too_large else None,
            candidate_bytes=size if not by_legacy and candidate.is_too_large else None,
        )
        release = pair.candidate.release
        if comparison.outcome is not Outcome.NOT_COMPARABLE:
            in_force = self.route.endpoint_rules.of(self.endpoint).indices
            self.route.uses.record(comparison.rules_used, in_force)
        route, index = self.route, self.index
        finding = await asyncio.get_running_loop().run_in_executor(
            self.threads,
            lambda: digest(
                told, comparison, pair.baseline, pair.times, route.redactor, index, release, route.templates
            ),
        )
        return replace(finding, is_timeable=self.is_timeable)


_WAY_OUT = "let it confirm dry runs, then `strangler shadow resume {}`"


def _unconfirmed(endpoint: str, route: str) -> str:
    path = endpoint.partition(" ")[2]
    return (
        f"the candidate answered OPTIONS {path} with X-Strangler-Shadow: dry-run, but without"
        f" X-Strangler-Shadow-Handled: 1, so no write was sent; {_WAY_OUT.format(route)}"
    )


def _unhandled(endpoint: str, route: str) -> str:
    return (
        f"the candidate answered {endpoint} without X-Strangler-Shadow-Handled: 1, though it had confirmed dry runs by"
        f" OPTIONS: it may have run that write; {_WAY_OUT.format(route)}"
    )


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
