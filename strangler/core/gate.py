"""The verdict whether a route is ready to be cut over: statistics of its comparisons, judged by the route's gate.

What it says about the match share is valid however often it is looked at. The interval of the latency is that of one
look.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import ceil
from typing import Protocol

from strangler.core.claims import Claim
from strangler.core.proportions import further_matches, further_pairs, match_low, refutes_match
from strangler.core.settings import GateSettings

_RESAMPLES = 2000
_P95 = 0.95
MIN_ENDPOINT_PAIRS = 30
_MANY_LAGS = 5
_MANY_LAGS_SHARE = 0.01
MAX_CLAIMS_LISTED = 12
"""Unproven claims that are listed one by one."""


class Verdict(StrEnum):
    READY = "ready"
    NOT_READY = "not ready"
    NOT_ENOUGH_EVIDENCE = "not enough evidence"


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the verdict on routes that are cut over together: all of them must be ready."""
    found = set(verdicts)
    return next((each for each in (Verdict.NOT_READY, Verdict.NOT_ENOUGH_EVIDENCE) if each in found), Verdict.READY)


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Latency:
    """The candidate's time divided by legacy's for the same request: median and 95th percentile over all pairs."""

    median: Interval
    p95: Interval


@dataclass(frozen=True, slots=True)
class Evidence:
    """The evidence of one route. `matches` counts accepted pairs too; only comparable pairs count at all."""

    pairs: int
    matches: int
    breaking_open: int
    age_s: float
    """The time over which the pairs were observed."""
    latency: Latency | None
    endpoints: Mapping[str, int]
    """Pairs that count, by endpoint (`GET /api/orders/{}`); 0 for an endpoint whose pairs all do not count."""
    claims: tuple[Claim, ...] = ()
    """The differences that are marked as fixed."""
    timeable: int = 0
    """Pairs whose request could be timed at both arms."""
    is_timed: bool = True
    """Whether the settings allow any request to be timed at both arms."""
    lags: int = 0
    """Pairs that differed at first, but not at the second look: they do not count."""
    is_age_since_fix: bool = False
    """Whether `age_s` counts from the last mark of a fix, and not from the first pair."""


@dataclass(frozen=True, slots=True)
class Readiness:
    verdict: Verdict
    reasons: tuple[str, ...]
    """Why it is not ready, or what evidence is lacking; empty if it is ready."""
    match_share: float | None
    match_low: float | None
    """The lower bound of the match share, of 95 % at any time."""
    pairs_needed: int
    """The number of further pairs, if the route goes on as before; 0 if pairs are not what is lacking.

    If it never gets there as before, the number of further pairs without a mismatch.
    """
    thin_endpoints: tuple[str, ...]
    """Endpoints with fewer than `MIN_ENDPOINT_PAIRS` pairs, fewest first."""
    notes: tuple[str, ...] = ()
    """Remarks on what could not be measured and is therefore not part of the verdict."""


def cut_percent(share: float) -> float:
    """Return a share (0 to 1) in percent, cut to three decimals: 99.9999 % must not read as 100 %."""
    return int(share * 1e5 + 1e-6) / 1e3


class Chance(Protocol):
    """The source of chance, `random.Random(seed)`."""

    def betavariate(self, alpha: float, beta: float, /) -> float: ...


def latency_of(pairs: Iterable[tuple[float, float]], chance: Chance) -> Latency | None:
    """Return the latency ratios of (legacy, candidate) durations in any unit; None without a pair of positive ones.

    The bootstrap draws places, not values: the k-th smallest of n values resampled from n sorted ones stands at a
    Beta(k, n + 1 - k) share of them. So it is exact, and 2,000 resamples take milliseconds whatever n is.
    """
    ratios = sorted(candidate / legacy for legacy, candidate in pairs if legacy > 0 and candidate > 0)
    if not ratios:
        return None
    return Latency(_quantile(ratios, 0.5, chance), _quantile(ratios, _P95, chance))


def _quantile(ordered: Sequence[float], share: float, chance: Chance) -> Interval:
    count = len(ordered)
    rank = max(1, ceil(share * count))
    draws = (chance.betavariate(rank, count + 1 - rank) for _ in range(_RESAMPLES))
    drawn = sorted(ordered[min(count - 1, int(draw * count))] for draw in draws)
    return Interval(ordered[rank - 1], drawn[round(0.025 * _RESAMPLES)], drawn[round(0.975 * _RESAMPLES) - 1])


def judge(evidence: Evidence, gate: GateSettings) -> Readiness:
    """Return the result of all checks; what speaks against the route wins over what is not known yet."""
    checks = (
        _match(evidence, gate),
        _breaking(evidence, gate),
        _claims(evidence),
        _latency(evidence, gate),
        _age(evidence, gate),
    )
    against = [reason for refused, _, _ in checks for reason in refused]
    lacking = [reason for _, unknown, _ in checks for reason in unknown]
    verdict = Verdict.NOT_READY if against else Verdict.NOT_ENOUGH_EVIDENCE if lacking else Verdict.READY
    thin = sorted((pairs, name) for name, pairs in evidence.endpoints.items() if pairs < MIN_ENDPOINT_PAIRS)
    return Readiness(
        verdict=verdict,
        reasons=tuple(against or lacking),
        match_share=evidence.matches / evidence.pairs if evidence.pairs else None,
        match_low=match_low(evidence.matches, evidence.pairs) if evidence.pairs else None,
        pairs_needed=0 if against else max(needed for _, _, needed in checks),
        thin_endpoints=tuple(name for _, name in thin),
        notes=_notes(evidence),
    )


Check = tuple[list[str], list[str], int]
"""The reasons against the route, the evidence lacking, and the further pairs that would provide it."""


def _match(evidence: Evidence, gate: GateSettings) -> Check:
    matches, pairs, required = evidence.matches, evidence.pairs, gate.min_match
    differing = f"{pairs - matches} of {pairs} pairs differ"
    if refutes_match(matches, pairs, required):
        return [f"{differing}: {_percent(matches / pairs)} match, {required:.3%} are required"], [], 0
    further = further_pairs(matches, pairs, required)
    needed = max(gate.min_pairs - pairs, further_matches(matches, pairs, required) if further is None else further)
    if needed <= 0:
        return [], [], 0
    so_far = f"; {_percent(match_low(matches, pairs))} shown so far, {required:.3%} required" if further != 0 else ""
    if further is None:
        return [], [f"{needed} more pairs are needed at least, if none of them differs: {differing}{so_far}"], needed
    return [], [f"{needed} more pairs are needed, {pairs} were compared{so_far}"], needed


def _percent(share: float) -> str:
    return f"{cut_percent(share):.3f}%"


def _breaking(evidence: Evidence, gate: GateSettings) -> Check:
    if evidence.breaking_open <= gate.max_breaking:
        return [], [], 0
    return [f"{evidence.breaking_open} breaking differences are open, {gate.max_breaking} are allowed"], [], 0


def _claims(evidence: Evidence) -> Check:
    """Return the claims that still lack new pairs of their own endpoint."""
    open_claims = sorted((claim for claim in evidence.claims if claim.lacking), key=lambda claim: -claim.lacking)
    reasons = [
        f"{claim.endpoint}: {claim.signature[:8]} is marked as fixed; {claim.lacking} more pairs without it are"
        f" needed, {claim.pairs} of {claim.needed} were compared since"
        for claim in open_claims[:MAX_CLAIMS_LISTED]
    ]
    if len(open_claims) > MAX_CLAIMS_LISTED:
        reasons.append(
            f"{len(open_claims) - MAX_CLAIMS_LISTED} more differences are marked as fixed without proof so far"
        )
    return [], reasons, max((claim.lacking for claim in open_claims), default=0)


def _cannot_be_timed(evidence: Evidence) -> bool:
    """Return True if no times are required, since none can be measured. Before the first pair this is unknown."""
    return not evidence.is_timed or (evidence.pairs > 0 and not evidence.timeable)


def _notes(evidence: Evidence) -> tuple[str, ...]:
    return _notes_on_lags(evidence) + _notes_on_times(evidence)


def _notes_on_lags(evidence: Evidence) -> tuple[str, ...]:
    """Return a note if there are many lags: a fault that occurs at random looks like one."""
    if evidence.lags < _MANY_LAGS or evidence.lags < _MANY_LAGS_SHARE * (evidence.pairs + evidence.lags):
        return ()
    return (
        f"{evidence.lags} pairs differed at first but not at the second look, and do not count: a lag of the"
        " candidate's data, or a fault that occurs at random; see the lines of shadow-diffs.jsonl with reason lag",
    )


def _notes_on_times(evidence: Evidence) -> tuple[str, ...]:
    if evidence.latency is not None or not _cannot_be_timed(evidence):
        return ()
    if not evidence.is_timed:
        return ("times are not judged: shadow.baseline is 0, so no request is timed at both arms",)
    return (
        f"times are not judged: none of the {evidence.pairs} pairs could be timed at both arms, since writes and"
        " requests with credentials are not repeated (see shadow.baseline)",
    )


def _latency(evidence: Evidence, gate: GateSettings) -> Check:
    if evidence.latency is None:
        if _cannot_be_timed(evidence):
            return [], [], 0
        possible = f"; {evidence.timeable} of {evidence.pairs} could have been" if evidence.timeable else ""
        return [], [f"no request was timed at both arms{possible}"], 1
    median, limit = evidence.latency.median, gate.max_latency_ratio
    text = f"{median.value:.2f} times legacy's ({median.low:.2f} to {median.high:.2f}), {limit:.2f} is allowed"
    if median.low > limit:
        return [f"the candidate's median time is {text}"], [], 0
    if median.high <= limit:
        return [], [], 0
    return (
        [],
        [f"the candidate's median time is not certain enough: {text}"],
        _pairs_needed(evidence.pairs, median, limit),
    )


def _pairs_needed(pairs: int, estimate: Interval, limit: float) -> int:
    """Return the further pairs that shrink an interval enough: it shrinks with the root of their number.

    The estimate is limited to a hundred times the pairs so far.
    """
    half, room = (estimate.high - estimate.low) / 2, abs(limit - estimate.value)
    times = min(100.0, (half / room) ** 2) if room else 100.0
    return max(1, ceil(pairs * times) - pairs)


def _age(evidence: Evidence, gate: GateSettings) -> Check:
    left = gate.min_age_s - evidence.age_s
    if left <= 0:
        return [], [], 0
    since = " since the last fix" if evidence.is_age_since_fix else ""
    return [], [f"observed for {evidence.age_s / 3600:.1f} h{since}, {left / 3600:.1f} h more are needed"], 0
