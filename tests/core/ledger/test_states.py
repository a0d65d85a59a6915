"""The states of an endpoint: a table, and laws that hold whatever happens."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.core.ledger.states import (
    MAX_SPANS,
    Activity,
    Placement,
    Span,
    State,
    WatchState,
    deletable_at,
    served_by_candidates,
    state_of,
)

DAY = 86_400.0
NOW = 400 * DAY
QUIET = 30 * DAY
ALWAYS = WatchState([Span(0.0, NOW)])
FULL = Placement(has_candidate=True, percent=100)
HALF = Placement(has_candidate=True, percent=50)
BOTH = Activity(0.0, NOW - 1, NOW - 1)
"""Called at both arms a moment ago."""


def ago(days: float) -> float:
    return NOW - days * DAY


CASES: dict[str, tuple[Placement, Activity, WatchState, State]] = {
    "no route": (Placement(), BOTH, ALWAYS, State.LEGACY),
    "a candidate at 0 %": (Placement(has_candidate=True), BOTH, ALWAYS, State.LEGACY),
    "shadowed at 0 %": (Placement(has_candidate=True, is_shadowed=True), BOTH, ALWAYS, State.SHADOWED),
    "at 50 %": (HALF, BOTH, ALWAYS, State.SPLITTING),
    "at 50 %, shadowed": (Placement(True, 50, is_shadowed=True), BOTH, ALWAYS, State.SPLITTING),
    "at 100 %, legacy called a day ago": (FULL, Activity(0.0, NOW, ago(1)), ALWAYS, State.CUT_OVER),
    "at 100 %, legacy quiet": (FULL, Activity(0.0, NOW, ago(31)), ALWAYS, State.DELETABLE),
    "at 100 %, legacy not quiet for long enough": (FULL, Activity(0.0, NOW, ago(29.9)), ALWAYS, State.CUT_OVER),
    "at 100 %, never at legacy": (FULL, Activity(ago(60), NOW), ALWAYS, State.DELETABLE),
    "at 100 %, never at legacy, but new": (FULL, Activity(ago(3), NOW), ALWAYS, State.CUT_OVER),
    "nobody calls": (Placement(), Activity(0.0, ago(40), ago(40)), ALWAYS, State.DELETABLE),
    "nobody calls, half of it down": (
        Placement(),
        Activity(0.0, ago(40), ago(40)),
        WatchState([Span(0.0, ago(35)), Span(ago(20), NOW)]),
        State.QUIET,
    ),
    "legacy quiet, half of it down": (
        FULL,
        Activity(0.0, NOW, ago(40)),
        WatchState([Span(0.0, ago(35)), Span(ago(20), NOW)]),
        State.CUT_OVER,
    ),
    "imported, never called": (Placement(), Activity(ago(31)), ALWAYS, State.DELETABLE),
    "imported yesterday": (Placement(), Activity(ago(1)), ALWAYS, State.LEGACY),
    "probes alone": (Placement(), Activity(ago(60), has_probes_alone=True), ALWAYS, State.PROBED),
    "the sunset is over": (Placement(sunset=NOW), BOTH, ALWAYS, State.RETIRED),
    "the sunset is over, and it is deletable": (Placement(sunset=ago(1)), Activity(0.0), ALWAYS, State.RETIRED),
    "the sunset is to come": (Placement(sunset=NOW + 1), BOTH, ALWAYS, State.LEGACY),
}


@pytest.mark.parametrize(("placement", "activity", "watch", "state"), CASES.values(), ids=CASES)
def test_an_endpoint_has_one_state(placement: Placement, activity: Activity, watch: WatchState, state: State) -> None:
    assert state_of(placement, activity, watch, NOW, QUIET) is state


times = st.floats(0, NOW)
pairs = st.lists(st.tuples(times, times).map(sorted), max_size=8)
placements = st.builds(Placement, st.booleans(), st.sampled_from([0, 5, 100]), st.booleans(), st.none() | times)
activities = st.builds(Activity, times, st.none() | times, st.none() | times, st.booleans())
quiets = st.floats(1, 100 * DAY)


def watched(spans: list[list[float]]) -> WatchState:
    watch = WatchState()
    for start, end in spans:
        watch.add(start, end)
    return watch


@given(placements, activities, pairs, quiets)
def test_never_deletable_while_a_call_of_legacy_is_younger_than_quiet(
    placement: Placement, activity: Activity, spans: list[list[float]], quiet: float
) -> None:
    state = state_of(placement, activity, watched(spans), NOW, quiet)
    if state is State.DELETABLE:
        assert NOW - (activity.last_legacy or 0.0) >= quiet * (1 - 1e-9)
        assert NOW - activity.known_since >= quiet * (1 - 1e-9)


@given(placements, activities, pairs, st.integers(0, 7), quiets)
def test_downtime_never_makes_it_deletable_earlier(
    placement: Placement, activity: Activity, spans: list[list[float]], down: int, quiet: float
) -> None:
    less = watched(spans[:down] + spans[down + 1 :])
    more = watched(spans)
    if state_of(placement, activity, less, NOW, quiet) is State.DELETABLE:
        assert state_of(placement, activity, more, NOW, quiet) is State.DELETABLE
    assert deletable_at(activity, less, NOW, quiet) >= deletable_at(activity, more, NOW, quiet)


@given(placements, activities, pairs, quiets, times)
def test_a_later_call_of_legacy_never_makes_it_deletable(
    placement: Placement, activity: Activity, spans: list[list[float]], quiet: float, at: float
) -> None:
    later = replace(activity, last_legacy=max(at, activity.last_legacy or 0.0))
    if state_of(placement, later, watched(spans), NOW, quiet) is State.DELETABLE:
        assert state_of(placement, activity, watched(spans), NOW, quiet) is State.DELETABLE


@given(activities, pairs, quiets)
def test_it_is_deletable_when_the_forecast_says_so(activity: Activity, spans: list[list[float]], quiet: float) -> None:
    watch = watched(spans)
    watch.add(NOW - 1, NOW)
    at = deletable_at(activity, watch, NOW, quiet)
    watch.add(NOW - 1, at + 1)
    if not activity.has_probes_alone:
        assert state_of(Placement(), activity, watch, at + 1, quiet) is State.DELETABLE


@given(pairs, times)
def test_watched_time_is_never_counted_twice(spans: list[list[float]], since: float) -> None:
    assert watched(spans).watched_s(since, NOW) <= NOW - since + 1e-6
    assert watched(spans).spans == watched(spans[::-1]).spans


def test_the_watching_is_bounded_and_forgets_the_oldest() -> None:
    watch = WatchState()
    for hour in range(3 * MAX_SPANS):
        watch.add(3600.0 * hour, 3600.0 * hour + 1800)
    assert len(watch.spans) == MAX_SPANS
    watch.add(5.0, 4.0)
    assert len(watch.spans) == MAX_SPANS
    assert watch.spans[-1].end == 3600.0 * (3 * MAX_SPANS - 1) + 1800


@pytest.mark.parametrize(("legacy", "candidate", "share"), [(0, 0, 0.0), (3, 1, 0.25), (0, 5, 1.0)])
def test_the_share_of_the_migration_counts_requests(legacy: int, candidate: int, share: float) -> None:
    assert served_by_candidates(legacy, candidate) == share
