"""The course of requests, errors and times, from totals that only grow."""

import pytest

from strangler.control.history import RATE_S, HistoryState, Recent, counts, quantile_s
from strangler.control.totals import Key, Vector
from strangler.ipc.metrics import BOUNDS_S


def times(**by_bound: int) -> Vector:
    """Buckets by their place: `times(b0=3, b14=1)`."""
    buckets = [float(by_bound.get(f"b{place}", 0)) for place in range(len(BOUNDS_S) + 1)]
    return (*buckets, 0.0)


def totals(legacy: int = 0, candidate: int = 0, errors: int = 0, unrouted: int = 0) -> dict[Key, Vector]:
    """Return the totals of the route `orders`; errors are the candidate's, beside its good responses."""
    return {
        ("strangler_requests_total", ("orders", "legacy", "legacy", "2xx")): (legacy,),
        ("strangler_requests_total", ("orders", "candidate", "orders", "2xx")): (candidate,),
        ("strangler_requests_total", ("orders", "candidate", "orders", "5xx")): (errors,),
        ("strangler_requests_total", ("", "legacy", "legacy", "2xx")): (unrouted,),
        ("strangler_request_duration_seconds", ("orders", "legacy")): times(b1=legacy),
        ("strangler_request_duration_seconds", ("orders", "candidate")): times(b3=candidate + errors),
    }


def test_counts_are_by_route_and_arm_and_of_all_together() -> None:
    found = counts(totals(legacy=5, candidate=3, errors=2, unrouted=7))
    assert (found["orders", "candidate"].requests, found["orders", "candidate"].errors) == (5, 2)
    assert (found[None, "legacy"].requests, found[None, "candidate"].requests) == (12, 5)
    assert found[None, "legacy"].times == times(b1=5)


def test_a_rate_is_the_mean_of_the_last_seconds() -> None:
    history = HistoryState()
    for second in range(31):
        history.observe(1000.0 + second, totals(legacy=4 * second, candidate=second))
    assert history.recent(1030.5, "orders", "legacy").rate == 4.0
    assert history.recent(1030.5, "orders", "candidate").rate == 1.0
    assert history.recent(1030.5, None, "legacy").rate == 4.0


def test_a_rate_falls_to_zero_when_traffic_ends() -> None:
    history = HistoryState()
    history.observe(1000.0, totals())
    for second in range(1, 5 + RATE_S + 2):
        history.observe(1000.0 + second, totals(legacy=min(second, 5)))
    assert history.recent(1005.0 + RATE_S + 1, "orders", "legacy").rate == 0.0


def test_error_share_and_p95_are_of_the_last_minute() -> None:
    history = HistoryState()
    history.observe(1000.0, totals(candidate=100, errors=100))
    for second in range(1, 100):
        history.observe(1000.0 + second, totals(candidate=100 + 3 * second, errors=100 + second))
    recent = history.recent(1099.0, "orders", "candidate")
    assert recent.error_share == pytest.approx(0.25)
    assert recent.p95_s == pytest.approx(0.025 + 0.95 * 0.025)


def test_old_errors_are_forgotten_even_without_traffic() -> None:
    history = HistoryState()
    history.observe(1000.0, {})
    for second in range(1, 100):
        history.observe(1000.0 + second, totals(errors=1))
    assert history.recent(1099.0, "orders", "candidate").error_share is None


def test_what_an_earlier_control_had_counted_is_no_traffic_of_now() -> None:
    history = HistoryState()
    history.observe(1000.0, totals(legacy=1_000_000))
    history.observe(1001.0, totals(legacy=1_000_000))
    assert history.recent(1001.0, "orders", "legacy") == Recent(0.0, None, None)


def test_what_appears_later_is_all_new() -> None:
    history = HistoryState()
    history.observe(1000.0, {})
    history.observe(1001.0, totals(legacy=20))
    history.observe(1002.0, totals(legacy=20))
    assert history.recent(1002.0, "orders", "legacy").rate == 2.0


def test_points_are_oldest_first_and_end_with_the_last_second_that_is_over() -> None:
    history = HistoryState()
    for second in range(6):
        history.observe(1000.0 + second, totals(legacy=second * (second + 1) // 2))
    points = history.seconds(1005.5, "orders", "legacy")
    assert [point.requests for point in points[-5:]] == [1, 2, 3, 4, 5]
    assert [point.age_s for point in points[-2:]] == [1, 0]
    assert points[-1].p95_s is not None
    assert points[0].p95_s is None


def test_a_minute_has_the_sum_of_its_seconds() -> None:
    history = HistoryState()
    for second in range(121):
        history.observe(960.0 + second, totals(legacy=second))
    assert [point.requests for point in history.minutes(1080.0, "orders", "legacy")[-2:]] == [60, 60]


def test_seconds_slept_through_are_empty() -> None:
    history = HistoryState()
    history.observe(1000.0, totals())
    history.observe(1001.0, totals(legacy=1))
    history.observe(1400.0, totals(legacy=9))
    points = history.seconds(1400.0, "orders", "legacy")
    assert sum(point.requests for point in points) == 0
    assert len(points) == 299


def test_routes_beyond_the_limit_are_part_of_the_sum_only() -> None:
    history = HistoryState(max_routes=2)
    history.observe(1000.0, {})
    for second in range(1, 3):
        history.observe(
            1000.0 + second,
            {("strangler_requests_total", (f"r{number}", "legacy", "legacy", "2xx")): (second,) for number in range(5)},
        )
    kept = [number for number in range(5) if history.seconds(1002.0, f"r{number}", "legacy")]
    assert len(kept) == 2
    assert history.recent(1002.0, None, "legacy").rate == 1.0


def test_the_sum_has_a_course_however_many_routes_are_there_at_the_beginning() -> None:
    history = HistoryState(max_routes=2)
    for second in range(2):
        history.observe(
            1000.0 + second,
            {("strangler_requests_total", (f"r{n}", "legacy", "legacy", "2xx")): (2 * second,) for n in range(5)},
        )
    assert history.recent(1001.0, None, "legacy").rate == 1.0


def test_a_route_without_traffic_has_no_course() -> None:
    history = HistoryState()
    assert history.seconds(1000.0, "orders", "legacy") == []
    assert history.recent(1000.0, "orders", "legacy") == Recent()


@pytest.mark.parametrize(
    ("vector", "share", "expected"),
    [
        pytest.param(times(), 0.95, None, id="nothing"),
        pytest.param(times(b0=100), 0.5, 0.0025, id="within the first bucket"),
        pytest.param(times(b0=50, b1=50), 0.5, 0.005, id="at a bound"),
        pytest.param(times(b0=90, b5=10), 0.95, 0.0875, id="within a later bucket"),
        pytest.param(times(b14=1), 0.95, 10.0, id="beyond the last bound"),
    ],
)
def test_a_quantile_is_that_of_prometheus(vector: Vector, share: float, expected: float | None) -> None:
    assert quantile_s(vector, share) == (None if expected is None else pytest.approx(expected))
