"""A route that ends: served, off, or gone at a time, and what its responses announce."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.core.first_loads import first_loads, with_first_loads
from strangler.core.http.problem import Problem
from strangler.core.retire_settings import BrownoutSettings, RetireSettings
from strangler.core.routing.arm import Arm, Reason
from strangler.core.routing.explain import explain
from strangler.core.routing.plan import Plan
from strangler.core.routing.retirement import Retirement
from strangler.core.routing.snapshot import Snapshot
from strangler.core.settings import RouteSettings
from tests.factories import head, route, settings, shadow

SUNSET = 1_803_859_200  # 2027-03-01
HOUR = 3600
OFF = BrownoutSettings(SUNSET - 48 * HOUR, SUNSET - 47 * HOUR)
LINK = "https://example.com/ends?a=1&b=2"


def retire(*brownouts: BrownoutSettings, **changes: Any) -> RetireSettings:
    made = {"sunset": SUNSET, "since": SUNSET - 90 * 24 * HOUR, "link": None, "status": 410, "brownouts": brownouts}
    return RetireSettings(**(made | changes))


def plan(this_route: RouteSettings, now: float, killed: bool | str = False) -> Plan:
    """Return the plan. `killed`: whether the kill switch is on, or the route that it is on for."""
    routes = frozenset({killed} if isinstance(killed, str) else ())
    return Snapshot(settings([this_route]), 1).plan(head("/r"), lambda: 0.5, killed is True, lambda: now, routes)


SERVED, BROWNOUT, RETIRED = Reason.PERCENT, Reason.BROWNOUT, Reason.RETIRED
TIMES = [
    pytest.param(0, SERVED, None, id="long before"),
    pytest.param(OFF.begins - 0.001, SERVED, None, id="just before a brownout"),
    pytest.param(OFF.begins, BROWNOUT, 503, id="as a brownout begins"),
    pytest.param(OFF.ends - 0.001, BROWNOUT, 503, id="just before it is over"),
    pytest.param(OFF.ends, SERVED, None, id="as it is over"),
    pytest.param(SUNSET - 0.001, SERVED, None, id="just before the sunset"),
    pytest.param(SUNSET, RETIRED, 410, id="at the sunset"),
    pytest.param(SUNSET + 1e9, RETIRED, 410, id="long after"),
]


@pytest.mark.parametrize(("now", "reason", "status"), TIMES)
def test_the_time_decides(now: float, reason: Reason, status: int | None) -> None:
    found = plan(route("r", retire=retire(OFF), shadow=shadow(100, of="any")), now)
    assert (found.reason, found.refusal.status if found.refusal else None) == (reason, status)
    assert found.shadow is (reason is SERVED)
    assert found.route is not None


@pytest.mark.parametrize("now", [OFF.begins, SUNSET], ids=["brownout", "retired"])
@pytest.mark.parametrize(
    ("changes", "killed", "reason", "arm"),
    [
        pytest.param({"enabled": False}, False, Reason.DISABLED, Arm.LEGACY, id="disabled"),
        pytest.param({}, True, Reason.KILL_SWITCH, Arm.LEGACY, id="kill switch"),
        pytest.param({}, "r", Reason.KILL_SWITCH, Arm.LEGACY, id="its own kill switch"),
        pytest.param({"is_passthrough": True}, True, Reason.PERCENT, Arm.CANDIDATE, id="passthrough, kill switch"),
        pytest.param({"is_passthrough": True}, "r", Reason.PERCENT, Arm.CANDIDATE, id="passthrough, its own"),
    ],
)
def test_what_undoes_a_migration_undoes_its_end(
    changes: dict[str, Any], killed: bool | str, reason: Reason, arm: Arm, now: float
) -> None:
    found = plan(route("r", retire=retire(OFF), **changes), now, killed)
    assert (found.reason, found.arm, found.refusal) == (reason, arm, None)


def test_the_kill_switch_of_another_route_brings_nothing_back() -> None:
    assert plan(route("r", retire=retire()), SUNSET, "other").reason is RETIRED


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "POST"])
def test_every_method_ends(method: str) -> None:
    made = Snapshot(settings([route("r", retire=retire())]), 1)
    assert made.plan(head("/r", method), lambda: 0.5, False, lambda: SUNSET).reason is RETIRED


def test_an_override_does_not_bring_a_route_back() -> None:
    made = Snapshot(settings([route("r", retire=retire(), override="X-Arm")]), 1)
    assert made.plan(head("/r", headers={"X-Arm": "legacy"}), lambda: 0.5, False, lambda: SUNSET).reason is RETIRED


def test_the_clock_is_read_only_for_a_route_that_ends() -> None:
    def no_clock() -> float:
        raise AssertionError("not needed")

    made = Snapshot(settings([route("r"), route("s", retire=retire(), enabled=False)]), 1)
    for target in ("/r", "/s", "/other"):
        assert made.plan(head(target), lambda: 0.5, False, no_clock).refusal is None


WINDOWS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=6)


@given(WINDOWS, st.integers(1, 50), st.lists(st.floats(-5, 70) | st.integers(0, 60).map(float), min_size=1))
def test_a_route_is_served_or_off_or_gone(spans: list[tuple[int, int]], sunset: int, times: list[float]) -> None:
    """The three exclude each other at any time, in whichever order times come, and agree with what is written."""
    brownouts = tuple(BrownoutSettings(*span) for span in spans if span[0] < span[1])
    made = retire(*brownouts, sunset=sunset, since=0)
    retirement = Retirement(made)
    for now in times:
        refusal = retirement.refusal(now)
        is_off = any(each.begins <= now < each.ends for each in brownouts)
        expected = RETIRED if now >= sunset else BROWNOUT if is_off else None
        assert (refusal and refusal.reason) == expected
        assert (made.brownout_at(now) is not None) is (expected is BROWNOUT)


@given(WINDOWS, st.integers(1, 50))
def test_windows_are_apart_and_before_the_sunset(spans: list[tuple[int, int]], sunset: int) -> None:
    windows = retire(*(BrownoutSettings(*span) for span in spans), sunset=sunset).windows
    assert all(window.begins < window.ends <= sunset for window in windows)
    assert all(before.ends < after.begins for before, after in pairwise(windows))


def test_responses_announce_the_end() -> None:
    announced = Retirement(retire(link=LINK)).announcement
    assert announced == (
        b"Deprecation: @1796083200\r\nSunset: Mon, 01 Mar 2027 00:00:00 GMT\r\n"
        b'Link: <https://example.com/ends?a=1&b=2>; rel="sunset"\r\n'
    )


DEPRECATED = [
    pytest.param(None, None, None, id="never loaded by a proxy"),
    pytest.param(5, 9, 5, id="as written"),
    pytest.param(None, 9, 9, id="when it was first loaded"),
    pytest.param(None, SUNSET + 9, SUNSET, id="not after the sunset (RFC 9745 section 4)"),
]


@pytest.mark.parametrize(("since", "first_loaded", "at"), DEPRECATED)
def test_the_time_of_deprecation(since: int | None, first_loaded: int | None, at: int | None) -> None:
    made = retire(since=since, first_loaded=first_loaded)
    assert made.deprecated_at == at
    assert (b"Deprecation: @%d\r\n" % (at or 0) in Retirement(made).announcement) is (at is not None)


def problem(now: float, *brownouts: BrownoutSettings, **changes: Any) -> Problem:
    refusal = Retirement(retire(*brownouts, **changes)).refusal(now)
    assert refusal is not None
    return refusal.problem


def test_a_brownout_says_when_to_come_back() -> None:
    made = retire(OFF, link=LINK)
    found = problem(OFF.begins, OFF, link=LINK)
    assert found.lines == b"Retry-After: Sat, 27 Feb 2027 01:00:00 GMT\r\n" + Retirement(made).announcement
    assert (found.status, found.fault) == (503, "brownout")
    assert found.title == "This is switched off until 2027-02-27 01:00 UTC, and for good on 2027-03-01 00:00 UTC."
    assert found.members == (("sunset", "2027-03-01T00:00:00Z"), ("link", LINK))


def test_brownouts_that_touch_are_over_together() -> None:
    later = BrownoutSettings(OFF.ends, OFF.ends + HOUR)
    assert b"Retry-After: Sat, 27 Feb 2027 02:00:00 GMT\r\n" in (problem(OFF.begins, OFF, later).lines or b"")


def test_nobody_is_asked_to_come_back_after_the_sunset() -> None:
    last = BrownoutSettings(SUNSET - HOUR, SUNSET + HOUR)
    assert b"Retry-After" not in (problem(SUNSET - 1, last).lines or b"")
    assert b"Retry-After" not in (problem(SUNSET, last).lines or b"")


def test_after_the_sunset_only_the_link_is_announced() -> None:
    assert problem(SUNSET).lines == b""
    assert problem(SUNSET, link=LINK).lines == b'Link: <https://example.com/ends?a=1&b=2>; rel="sunset"\r\n'
    assert problem(SUNSET, status=404).status == 404


def test_the_page_has_the_link() -> None:
    assert '<a href="https://example.com/ends?a=1&amp;b=2">' in (problem(SUNSET, link=LINK).page or "")
    assert "<a" not in (problem(SUNSET).page or "<a")


EXPLAINED = [
    (0, False, "percent", "candidate", "every request goes to the candidate; its sunset is 2027-03-01 00:00 UTC"),
    (OFF.begins, False, "brownout", None, "a brownout from 2027-02-27 00:00 UTC to 2027-02-27 01:00 UTC"),
    (SUNSET, False, "retired", None, "refuses with 410, and asks neither arm: its sunset was 2027-03-01 00:00 UTC"),
    (SUNSET, True, "kill_switch", "legacy", "its sunset, 2027-03-01 00:00 UTC, has no effect meanwhile"),
    (OFF.begins, True, "kill_switch", "legacy", "to 2027-02-27 01:00 UTC has no effect meanwhile"),
]


@pytest.mark.parametrize(("now", "killed", "reason", "arm", "words"), EXPLAINED)
def test_explain_says_what_the_end_means(now: float, killed: bool, reason: str, arm: str | None, words: str) -> None:
    made = Snapshot(settings([route("r", retire=retire(OFF), shadow=shadow(of="any"))]), 1)
    found = explain(made, head("/r"), killed, now)
    assert (found.route, found.reason, found.arm) == ("r", reason, arm)
    assert words in found.detail
    assert found.shadow is (reason == "percent")


def test_first_loads_are_kept_and_new_ones_are_now() -> None:
    made = settings([route("a", retire=retire()), route("b", retire=retire()), route("c")])
    filled = with_first_loads(made, {"a": 5, "c": 7}, 9.9)
    assert first_loads(filled) == {"a": 5, "b": 9}
    assert with_first_loads(filled, first_loads(filled), 20.0) == filled
    assert with_first_loads(settings([route("c")]), {}, 9.9) == settings([route("c")])
