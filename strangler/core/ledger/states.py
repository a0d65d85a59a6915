"""The state of an endpoint in its migration: decided by what routes.yaml says of it, and by who still calls it.

Control's part. Times are Unix times, given by the caller.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum


class State(StrEnum):
    """States in the order of their precedence."""

    RETIRED = "retired"
    DELETABLE = "deletable"
    QUIET = "quiet"
    PROBED = "probed"
    CUT_OVER = "cut_over"
    SPLITTING = "splitting"
    SHADOWED = "shadowed"
    LEGACY = "legacy"


@dataclass(frozen=True, slots=True)
class Placement:
    """The part of the settings in force that decides an endpoint's state."""

    has_candidate: bool = False
    percent: float = 0.0
    """The candidate's share of the callers; 0 while the route is disabled."""
    is_shadowed: bool = False
    sunset: float | None = None
    """When its `retire` block ends it."""
    is_passthrough: bool = False
    """Whether a service beside legacy has always served it, so that legacy has nothing to delete."""


@dataclass(frozen=True, slots=True)
class Activity:
    """The calls of an endpoint, probes apart; `known_since` is its first call or its import."""

    known_since: float
    last_call: float | None = None
    last_legacy: float | None = None
    has_probes_alone: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """A time in which calls would have been seen."""

    start: float
    end: float


MAX_SPANS = 1000
SHORT_GAP_S = 60.0
"""A restart: a gap in the watching this short does not begin another span, and does count as watched."""


@dataclass(slots=True)
class WatchState:
    """The times in which the proxy ran, or that imported logs cover, in order."""

    spans: list[Span] = field(default_factory=list)

    def add(self, start: float, end: float) -> None:
        """Note that all calls from `start` to `end` were seen; without room the oldest times count as not watched."""
        if end <= start:
            return
        spans = _joined(sorted([*self.spans, Span(start, end)], key=lambda span: span.start))
        self.spans = spans[-MAX_SPANS:]

    def watched_s(self, since: float, now: float) -> float:
        """Return how much of the time from `since` to `now` was watched."""
        watched = 0.0
        for span in reversed(self.spans):
            if span.end <= since:
                break
            watched += max(0.0, min(span.end, now) - max(span.start, since))
        return watched


def _joined(spans: Iterable[Span]) -> list[Span]:
    joined: list[Span] = []
    for span in spans:
        if joined and span.start <= joined[-1].end + SHORT_GAP_S:
            joined[-1] = Span(joined[-1].start, max(joined[-1].end, span.end))
        else:
            joined.append(span)
    return joined


def state_of(placement: Placement, activity: Activity, watch: WatchState, now: float, quiet_s: float) -> State:
    """Return the state of an endpoint.

    It is quiet if nobody has called it for `quiet_s`, and deletable if legacy has not served it while it was watched
    for as long: downtime is no proof that nobody calls. Fallbacks are legacy's calls, shadows are nobody's.
    """
    if placement.sunset is not None and now >= placement.sunset:
        return State.RETIRED
    if activity.has_probes_alone:
        return State.PROBED
    watched_s = watch.watched_s(_latest(activity.last_legacy, activity.known_since), now)
    if watched_s >= quiet_s and not placement.is_passthrough:
        return State.DELETABLE
    if now - _latest(activity.last_call, activity.known_since) >= quiet_s:
        return State.QUIET
    return _placed(placement)


def _latest(last: float | None, known_since: float) -> float:
    return known_since if last is None else max(last, known_since)


def _placed(placement: Placement) -> State:
    if placement.has_candidate and placement.percent >= 100:
        return State.CUT_OVER
    if placement.has_candidate and placement.percent > 0:
        return State.SPLITTING
    return State.SHADOWED if placement.has_candidate and placement.is_shadowed else State.LEGACY


def deletable_at(activity: Activity, watch: WatchState, now: float, quiet_s: float) -> float:
    """Return when an endpoint will be deletable at the earliest, if legacy is not called and the watching goes on."""
    missing = quiet_s - watch.watched_s(_latest(activity.last_legacy, activity.known_since), now)
    return now + max(0.0, missing)


def served_by_candidates(legacy_calls: int, candidate_calls: int) -> float:
    """Return the share of the requests that candidates served (`strangler_migration_share`); 0 without requests."""
    total = legacy_calls + candidate_calls
    return candidate_calls / total if total else 0.0
