"""`Snapshot.plan`: which arm, why, with a shadow or not; and that no trick reaches a candidate."""

import gc
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from strangler.core.http import problem
from strangler.core.http.head import RequestHead
from strangler.core.routing.arm import Arm, Reason
from strangler.core.routing.path import Oddity
from strangler.core.routing.plan import Plan
from strangler.core.routing.rewrite import rewrite_target
from strangler.core.routing.snapshot import Snapshot
from strangler.core.routing.split import bucket
from strangler.core.settings import AggregatePart, RouteSettings
from tests.factories import head, route, settings, shadow, upstream


def snapshot(*routes: RouteSettings, **changes: Any) -> Snapshot:
    return Snapshot(settings(routes, **changes), 1)


def no_draw() -> float:
    raise AssertionError("nothing is left to chance here")


def drawing(*numbers: float) -> Callable[[], float]:
    return iter(numbers).__next__


Killed = bool | str
"""Whether the kill switch is on, or the route that it is on for."""


def decide(
    this_route: RouteSettings, request: RequestHead, draw: Callable[[], float] = no_draw, killed: Killed = False
) -> Plan:
    if isinstance(killed, str):
        return snapshot(this_route).plan(request, draw, killed_routes=frozenset({killed}))
    return snapshot(this_route).plan(request, draw, killed)


# ── the order of the rules ───────────────────────────────────────────────────────────────────────────────────────────

SPLIT: dict[str, Any] = {"split_headers": {"X-Beta": "1"}, "override": "X-Strangler-Arm"}
BETA, TO_LEGACY, TO_CANDIDATE = {"X-Beta": "1"}, {"X-Strangler-Arm": "legacy"}, {"X-Strangler-Arm": "candidate"}

ORDER = [
    pytest.param(route("r", prefix="/r"), {}, False, Arm.CANDIDATE, Reason.PERCENT, id="percent 100"),
    pytest.param(route("r", prefix="/r", percent=0), {}, False, Arm.LEGACY, Reason.PERCENT, id="percent 0"),
    pytest.param(
        route("r", enabled=False, **SPLIT), TO_CANDIDATE, False, Arm.LEGACY, Reason.DISABLED, id="disabled first"
    ),
    pytest.param(
        route("r", **SPLIT), TO_CANDIDATE | BETA, True, Arm.LEGACY, Reason.KILL_SWITCH, id="kill switch first"
    ),
    pytest.param(
        route("r", **SPLIT), TO_CANDIDATE | BETA, "r", Arm.LEGACY, Reason.KILL_SWITCH, id="its own kill switch first"
    ),
    pytest.param(route("r", percent=0), {}, "r", Arm.LEGACY, Reason.KILL_SWITCH, id="its own over percent"),
    pytest.param(route("r", enabled=False), {}, "r", Arm.LEGACY, Reason.DISABLED, id="disabled over its own"),
    pytest.param(route("r"), {}, "R", Arm.CANDIDATE, Reason.PERCENT, id="the kill switch of another route"),
    pytest.param(
        route("r", is_passthrough=True), {}, True, Arm.CANDIDATE, Reason.PERCENT, id="no kill switch for a passthrough"
    ),
    pytest.param(route("r", is_passthrough=True), {}, "r", Arm.CANDIDATE, Reason.PERCENT, id="nor one of its own"),
    pytest.param(
        route("r", is_passthrough=True, enabled=False), {}, True, Arm.LEGACY, Reason.DISABLED, id="a disabled one"
    ),
    pytest.param(route("r", **SPLIT), TO_LEGACY | BETA, False, Arm.LEGACY, Reason.OVERRIDE, id="override over headers"),
    pytest.param(
        route("r", percent=0, **SPLIT), TO_CANDIDATE, False, Arm.CANDIDATE, Reason.OVERRIDE, id="override over percent"
    ),
    pytest.param(
        route("r", percent=0, **SPLIT), BETA, False, Arm.CANDIDATE, Reason.SPLIT_HEADER, id="split header over percent"
    ),
    pytest.param(
        route("r", percent=0, **SPLIT), {"X-Beta": "2"}, False, Arm.LEGACY, Reason.PERCENT, id="another value of it"
    ),
    pytest.param(
        route("r", percent=0, **SPLIT),
        {"X-Strangler-Arm": "Candidate"},
        False,
        Arm.LEGACY,
        Reason.PERCENT,
        id="another value of the override",
    ),
    pytest.param(
        route("r", percent=0, split_headers={"X-A": "1", "X-B": "1"}),
        {"X-B": "1"},
        False,
        Arm.CANDIDATE,
        Reason.SPLIT_HEADER,
        id="any split header",
    ),
    pytest.param(
        route("r", percent=0), TO_CANDIDATE, False, Arm.LEGACY, Reason.PERCENT, id="no override unless it is named"
    ),
]


@pytest.mark.parametrize(("this_route", "headers", "killed", "arm", "reason"), ORDER)
def test_rules_are_asked_in_order(
    this_route: RouteSettings, headers: dict[str, str], killed: Killed, arm: Arm, reason: Reason
) -> None:
    plan = decide(this_route, head("/r", headers=headers), killed=killed)
    assert plan.route is not None
    assert (plan.route.name, plan.arm, plan.reason) == ("r", arm, reason)
    assert plan.upstream == ("orders" if arm is Arm.CANDIDATE else "legacy")
    assert (plan.bucket, plan.sticky_key, plan.shadow, plan.refusal) == (None, None, False, None)


def test_what_no_route_matches_goes_to_legacy() -> None:
    plan = decide(route("r"), head("/other"))
    assert (plan.route, plan.arm, plan.upstream, plan.reason) == (None, Arm.LEGACY, "legacy", Reason.NO_ROUTE)


def test_options_asterisk_goes_to_legacy() -> None:
    assert decide(route("r", prefix="/"), head("*", "OPTIONS")).reason is Reason.NO_ROUTE


def test_a_snapshot_that_is_replaced_leaves_nothing_to_the_garbage_collector() -> None:
    """A worker collects its oldest objects hardly ever: a cycle would keep the routes of every reload."""
    gc.collect()
    gc.disable()
    try:
        made = snapshot(route("r", percent=50), route("s", path="/s/{id}", shadow=shadow(100)))
        assert made.plan(head("/r"), lambda: 0.5).route is not None
        del made
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_an_aggregate_is_planned_like_a_candidate() -> None:
    parts = (AggregatePart("order", "orders", "/v2/orders/{id}", True, None),)
    plan = decide(route("page", path="/pages/{id}", candidate=None, aggregate=parts), head("/pages/7"))
    assert (plan.arm, plan.upstream) == (Arm.CANDIDATE, "aggregate")
    assert [part.name for part in plan.parts] == ["order"]


@pytest.mark.parametrize("killed", [False, True, "page"], ids=["percent 0", "kill switch", "its own kill switch"])
def test_an_aggregate_that_legacy_serves_has_no_parts(killed: Killed) -> None:
    parts = (AggregatePart("order", "orders", "/v2/orders/{id}", True, None),)
    page = route("page", path="/pages/{id}", candidate=None, aggregate=parts, percent=100 if killed else 0)
    plan = decide(page, head("/pages/7"), killed=killed)
    assert (plan.upstream, plan.parts) == ("legacy", ())


# ── the split ────────────────────────────────────────────────────────────────────────────────────────────────────────


def user(name: object, path: str = "/r") -> RequestHead:
    return head(path, headers={"X-User-Id": str(name)})


def test_the_bucket_below_the_percent_goes_to_the_candidate() -> None:
    at = bucket("r", b"9")
    below = decide(route("r", percent=(at + 1) / 100), user(9))
    above = decide(route("r", percent=at / 100), user(9))
    assert (below.arm, below.upstream, below.bucket, below.sticky_key) == (Arm.CANDIDATE, "orders", at, b"9")
    assert (above.arm, above.upstream, above.bucket, above.sticky_key) == (Arm.LEGACY, "legacy", at, b"9")
    assert below.reason is above.reason is Reason.PERCENT


@pytest.mark.parametrize(
    ("percent", "draw", "arm"),
    [
        (25, 0.2499, Arm.CANDIDATE),
        (25, 0.25, Arm.LEGACY),
        (0.01, 0.0, Arm.CANDIDATE),
        (0.01, 0.0001, Arm.LEGACY),
        (99.99, 0.9998, Arm.CANDIDATE),
        (99.99, 0.99995, Arm.LEGACY),
    ],
)
def test_without_a_sticky_key_chance_decides(percent: float, draw: float, arm: Arm) -> None:
    plan = decide(route("r", percent=percent), head("/r"), drawing(draw))
    assert (plan.arm, plan.reason, plan.bucket) == (arm, Reason.CHANCE, None)


@pytest.mark.parametrize(("percent", "arm"), [(0, Arm.LEGACY), (100, Arm.CANDIDATE)])
def test_none_and_all_are_exact_and_leave_nothing_to_chance(percent: float, arm: Arm) -> None:
    assert {decide(route("r", percent=percent), request).arm for request in (head("/r"), user(1), user(2))} == {arm}


@given(st.integers(0, 10000), st.integers(0, 10000), st.text(max_size=8), st.text(max_size=8))
@hypothesis_settings(max_examples=100)
def test_a_rising_percent_never_takes_a_caller_from_the_candidate(
    number: int, other: int, name: str, group: str
) -> None:
    low, high = sorted((number, other))
    request = head("/r", headers={"X-User-Id": name or "-"})
    if decide(route("r", percent=low / 100, group=group), request).arm is Arm.CANDIDATE:
        assert decide(route("r", percent=high / 100, group=group), request).arm is Arm.CANDIDATE


def test_routes_of_one_group_move_a_caller_together() -> None:
    made = snapshot(route("a", percent=40, group="g"), route("b", percent=40, group="g"), route("c", percent=40))
    arms = [[made.plan(user(n, path), no_draw).arm for path in ("/a", "/b", "/c")] for n in range(300)]
    assert all(a is b for a, b, _ in arms)
    assert any(a is not c for a, _, c in arms)


def test_the_share_of_many_callers_is_near_the_percent() -> None:
    made = snapshot(route("r", percent=25))
    count = sum(made.plan(user(n), no_draw).arm is Arm.CANDIDATE for n in range(8000))
    assert count / 80 == pytest.approx(25, abs=1.5)


# ── the shadow ───────────────────────────────────────────────────────────────────────────────────────────────────────


def shadowed(percent: float = 0, **changes: Any) -> RouteSettings:
    return route("r", percent=percent, override="x-arm", shadow=shadow(**changes))


ARM_LEGACY, ARM_CANDIDATE = {"X-Arm": "legacy"}, {"X-Arm": "candidate"}
SHADOWS = [
    pytest.param(shadowed(), head("/r"), [], True, id="100 leaves nothing to chance"),
    pytest.param(shadowed(percent=0, methods=("GET",)), head("/r", "POST"), [], False, id="another method"),
    pytest.param(route("r", percent=0, shadow=shadow(0)), head("/r"), [], False, id="0 leaves nothing to chance"),
    pytest.param(route("r", percent=0, shadow=shadow(10)), head("/r"), [0.0999], True, id="drawn below the percent"),
    pytest.param(route("r", percent=0, shadow=shadow(10)), head("/r"), [0.1], False, id="drawn at the percent"),
    pytest.param(
        route("r", percent=0, shadow=shadow(0.01)), head("/r"), [0.00009], True, id="a hundredth of a percent"
    ),
    pytest.param(shadowed(of="legacy"), head("/r", headers=ARM_CANDIDATE), [], False, id="of legacy, candidate serves"),
    pytest.param(shadowed(of="candidate"), head("/r", headers=ARM_CANDIDATE), [], True, id="of candidate, it serves"),
    pytest.param(shadowed(of="candidate"), head("/r", headers=ARM_LEGACY), [], False, id="of candidate, legacy serves"),
    pytest.param(shadowed(of="any"), head("/r", headers=ARM_CANDIDATE), [], True, id="of any, candidate serves"),
    pytest.param(shadowed(of="any"), head("/r", headers=ARM_LEGACY), [], True, id="of any, legacy serves"),
    pytest.param(
        route("r", percent=50, shadow=shadow(10)), head("/r"), [0.9, 0.05], True, id="a draw for each question"
    ),
]


@pytest.mark.parametrize(("this_route", "request_head", "draws", "is_shadowed"), SHADOWS)
def test_shadow(this_route: RouteSettings, request_head: RequestHead, draws: list[float], is_shadowed: bool) -> None:
    assert decide(this_route, request_head, drawing(*draws)).shadow is is_shadowed


def test_a_shadowed_plan_differs_in_nothing_else() -> None:
    plan = decide(route("r", percent=50, shadow=shadow(of="any")), user(9))
    assert plan.shadow
    same = decide(route("r", percent=50), user(9))
    for name in {"arm", "upstream", "reason", "bucket", "sticky_key", "refusal"}:
        assert getattr(plan, name) == getattr(same, name)


@pytest.mark.parametrize(
    ("enabled", "killed"), [(False, False), (True, True), (True, "r")], ids=["disabled", "killed", "killed by itself"]
)
def test_a_route_that_is_off_sends_no_shadows(enabled: bool, killed: Killed) -> None:
    assert not decide(route("r", enabled=enabled, shadow=shadow()), head("/r"), killed=killed).shadow


# ── paths that can be read in several ways ───────────────────────────────────────────────────────────────────────────

ORDERS = route("orders", prefix="/api/orders")
MOVED = route("orders", prefix="/api/orders", rewrite="/v2/sales")
TO_ROOT = route("orders", prefix="/api/orders", rewrite="/")
NAMED = route("orders", prefix="/shops/{shop}/orders")
SAME, DIFFERS, ELSEWHERE = "candidate", "ambiguous", "no route"

READ_IN_WAYS = [
    pytest.param(ORDERS, "/api/orders/a%20b", SAME, id="an encoded space"),
    pytest.param(ORDERS, "/api/orders/caf%C3%A9", SAME, id="an encoded letter"),
    pytest.param(ORDERS, "/api/orders/a%2Fb", SAME, id="a hidden slash below the prefix"),
    pytest.param(ORDERS, "/api/orders//7", SAME, id="slashes below the prefix"),
    pytest.param(ORDERS, "/api/orders/7;v=1", SAME, id="a parameter below the prefix"),
    pytest.param(ORDERS, "/api/orders/x/../7", SAME, id="dots that stay below the prefix"),
    pytest.param(ORDERS, "/api/orders/../orders/7", SAME, id="dots that come back"),
    pytest.param(ORDERS, "/api/orders/a\\b", SAME, id="a backslash below the prefix"),
    pytest.param(ORDERS, "/api/orders/100%25", SAME, id="an encoded percent"),
    pytest.param(ORDERS, "/api/orders/..", DIFFERS, id="dots at the end"),
    pytest.param(ORDERS, "/api/orders/.", SAME, id="a dot at the end"),
    pytest.param(ORDERS, "/api/orders/../users", DIFFERS, id="dots"),
    pytest.param(ORDERS, "/api/orders/%2e%2e/users", DIFFERS, id="encoded dots"),
    pytest.param(ORDERS, "/api/orders/.%2e/users", DIFFERS, id="half encoded dots"),
    pytest.param(ORDERS, "/api/orders/%2e%2e%2fusers", DIFFERS, id="encoded dots and slash"),
    pytest.param(ORDERS, "/api/orders/%252e%252e/users", DIFFERS, id="dots encoded twice"),
    pytest.param(ORDERS, "/api/orders/%25252e%25252e/users", DIFFERS, id="dots encoded three times"),
    pytest.param(ORDERS, "/api/orders/..;/users", DIFFERS, id="dots and a parameter"),
    pytest.param(ORDERS, "/api/orders/..;a=b/users", DIFFERS, id="dots and a longer parameter"),
    pytest.param(ORDERS, "/api/orders/..%3b/users", DIFFERS, id="dots and an encoded parameter"),
    pytest.param(ORDERS, "/api/orders/..\\users", DIFFERS, id="dots and a backslash"),
    pytest.param(ORDERS, "/api/orders/..%5cusers", DIFFERS, id="dots and an encoded backslash"),
    pytest.param(ORDERS, "/api/orders/x%2fy/../../..", DIFFERS, id="dots that climb as far as slashes are seen"),
    pytest.param(ORDERS, "/api/orders/x\\y/../..", DIFFERS, id="dots that climb if a backslash is none"),
    pytest.param(ORDERS, "/api/orders/x%2fy/../..", DIFFERS, id="dots that climb if they are resolved first"),
    pytest.param(ORDERS, "/users/../api/orders/7", DIFFERS, id="dots that lead in"),
    pytest.param(ORDERS, "/users/..%2fapi/orders/7", DIFFERS, id="a hidden slash that leads in"),
    pytest.param(ORDERS, "//api/orders/7", DIFFERS, id="slashes in front"),
    pytest.param(ORDERS, "/api//orders/7", DIFFERS, id="slashes in the prefix"),
    pytest.param(ORDERS, "/api%2forders/7", DIFFERS, id="a hidden slash in the prefix"),
    pytest.param(ORDERS, "/api\\orders/7", DIFFERS, id="a backslash in the prefix"),
    pytest.param(ORDERS, "/api;v=1/orders/7", DIFFERS, id="a parameter in the prefix"),
    pytest.param(ORDERS, "/api/orders;v=1", DIFFERS, id="a parameter at the prefix's end"),
    pytest.param(ORDERS, "/api/./orders", DIFFERS, id="a dot in the prefix"),
    pytest.param(ORDERS, "/api/%256frders", DIFFERS, id="a letter encoded twice"),
    pytest.param(ORDERS, "/api/orders/%zz", DIFFERS, id="a bad percent"),
    pytest.param(ORDERS, "/api/orders/100%", DIFFERS, id="a percent alone"),
    pytest.param(ORDERS, "/api/orders/%c0%ae%c0%ae/users", DIFFERS, id="overlong dots"),
    pytest.param(ORDERS, "/api/orders/%ff", DIFFERS, id="no UTF-8"),
    pytest.param(ORDERS, b"/api/orders/\xff", DIFFERS, id="no UTF-8, raw"),
    pytest.param(ORDERS, "/api/orders/%25ff", DIFFERS, id="no UTF-8 to those who decode twice"),
    pytest.param(ORDERS, "/api/orders/%2500", DIFFERS, id="NUL to those who decode twice"),
    pytest.param(ORDERS, "/api/orders/" + "a%20" * 3000, DIFFERS, id="longer than is looked at"),
    pytest.param(ORDERS, "/api/orders/" + "a/" * 5000, SAME, id="long and clean"),
    pytest.param(ORDERS, "/x//y;v=1/../z", ELSEWHERE, id="no reading leads to a route"),
    pytest.param(ORDERS, "/search/100%", ELSEWHERE, id="a bad percent far from any route"),
    pytest.param(NAMED, "/shops/a%2Fb/orders", DIFFERS, id="a hidden slash in a name"),
    pytest.param(NAMED, "/shops/../orders", DIFFERS, id="dots as a name"),
    pytest.param(NAMED, "/shops//orders", ELSEWHERE, id="an empty name"),
    pytest.param(MOVED, "/api/orders/x/../7", SAME, id="rewritten: dots that stay inside"),
    pytest.param(MOVED, "/api/orders/../orders/7", DIFFERS, id="rewritten: dots that would come back elsewhere"),
    pytest.param(MOVED, "/api/orders/%2e%2e/orders/7", DIFFERS, id="rewritten: encoded dots that would"),
    pytest.param(MOVED, "/api/orders//7", SAME, id="rewritten: slashes inside"),
    pytest.param(TO_ROOT, "/api/orders//evil.example/x", DIFFERS, id="rewritten to what looks like a host"),
    pytest.param(TO_ROOT, "/api/orders/\\evil.example/x", DIFFERS, id="rewritten to what looks like one to browsers"),
    pytest.param(
        route("r", prefix="/{a}", rewrite="/v2/{a}"), "/../b", DIFFERS, id="rewritten: a name that would climb"
    ),
]


@pytest.mark.parametrize(("this_route", "target", "expected"), READ_IN_WAYS)
def test_readings_that_lead_to_different_routes_go_to_legacy(
    this_route: RouteSettings, target: str, expected: str
) -> None:
    plan = decide(this_route, head(target))
    wanted = {
        SAME: (Arm.CANDIDATE, Reason.PERCENT),
        DIFFERS: (Arm.LEGACY, Reason.AMBIGUOUS_PATH),
        ELSEWHERE: (Arm.LEGACY, Reason.NO_ROUTE),
    }[expected]
    assert ((plan.arm, plan.reason), plan.refusal) == (wanted, None)


def documented_rows(heading: str) -> list[list[str]]:
    page = (Path(__file__).parents[3] / "docs" / "paths.md").read_text()
    rows = [line for line in page.split(heading, 1)[1].split("\n#", 1)[0].splitlines() if line.startswith("| `")]
    return [[cell.strip(" `") for cell in row.strip("|").split(" | ")] for row in rows]


@pytest.mark.parametrize(("target", "goes_to", "because"), documented_rows("### Examples"))
def test_the_documented_examples_hold(target: str, goes_to: str, because: str) -> None:
    plan = decide(ORDERS, head(target))
    assert (str(plan.refusal.status) if plan.refusal else plan.arm) == goes_to, because


@pytest.mark.parametrize(("match", "rewrite", "target", "seen"), documented_rows("## Rewriting"))
def test_the_documented_rewrites_hold(match: str, rewrite: str, target: str, seen: str) -> None:
    plan = decide(route("r", prefix=match, rewrite=rewrite), head(target))
    assert plan.route is not None
    assert rewrite_target(target.encode(), plan.route.rewrite) == seen.encode()


def test_a_base_path_of_the_upstream_is_not_climbed_out_of() -> None:
    routes, request = [route("all", prefix="/", candidate="new")], head("/../x")
    plain = Snapshot(settings(routes, [upstream("legacy"), upstream("new", "http://new:80")]), 1)
    based = Snapshot(settings(routes, [upstream("legacy"), upstream("new", "http://new:80/base")]), 1)
    assert plain.plan(request, no_draw).arm is Arm.CANDIDATE
    assert based.plan(request, no_draw).reason is Reason.AMBIGUOUS_PATH


def test_readings_that_lead_to_two_routes_of_one_candidate_go_to_legacy() -> None:
    made = snapshot(route("a", prefix="/a"), route("b", prefix="/b"))
    assert made.plan(head("/a/../b/7"), no_draw).reason is Reason.AMBIGUOUS_PATH


def test_a_segment_that_keeps_its_percent_after_decoding_is_a_reading_too() -> None:
    made = snapshot(route("all", prefix="/"), route("sale", prefix="/a/100%2520"))
    assert made.plan(head("/a%2F100%2520"), no_draw).reason is Reason.AMBIGUOUS_PATH


def test_methods_and_headers_count_in_every_reading() -> None:
    made = snapshot(route("a", prefix="/a"), route("b", prefix="/a/b", methods=["POST"]))
    assert made.plan(head("/a//b"), no_draw).arm is Arm.CANDIDATE
    assert made.plan(head("/a//b", "POST"), no_draw).reason is Reason.AMBIGUOUS_PATH


def test_ambiguous_paths_reject_answers_400() -> None:
    made = snapshot(ORDERS, ambiguous_paths="reject")
    plan = made.plan(head("/api/orders/../users"), no_draw)
    assert (plan.reason, plan.refusal) == (Reason.AMBIGUOUS_PATH, problem.AMBIGUOUS_PATH)
    assert plan.oddity is Oddity.READINGS_DIFFER
    assert made.plan(head("/api/orders/x/../7"), no_draw).refusal is None
    assert made.plan(head("/x/../y"), no_draw).refusal is None


@pytest.mark.parametrize("mode", ["legacy", "reject"])
@pytest.mark.parametrize("target", ["/a%00", "/a%0A", "/a%7f", b"/a\x00", b"/a\x1f", "/a#b", "/a?b#c", "orders", ""])
def test_control_characters_fragments_and_no_paths_are_400(target: str | bytes, mode: str) -> None:
    plan = snapshot(route("r", prefix="/"), ambiguous_paths=mode).plan(head(target), no_draw)
    if target == "":  # only an absolute URL has an empty path
        assert plan.arm is Arm.CANDIDATE
        return
    assert (plan.reason, plan.refusal) == (Reason.MALFORMED_TARGET, problem.BAD_TARGET)
    assert plan.oddity is not None


def test_encoded_control_characters_in_the_query_are_nobodys_business() -> None:
    assert decide(route("r"), head("/r?text=a%0Ab%00/../;")).arm is Arm.CANDIDATE


# ── as an attacker would ─────────────────────────────────────────────────────────────────────────────────────────────
# Each of these reads a path as some server does, written anew and without a look at strangler.core.routing.path.


def _dots(segments: list[bytes]) -> list[bytes]:
    kept: list[bytes] = []
    for segment in segments:
        if segment == b"..":
            kept = kept[:-1]
        elif segment != b".":
            kept.append(segment)
    return kept


def _parts(text: bytes) -> list[bytes]:
    return text.split(b"/")[1:]


def _merged(segments: list[bytes]) -> list[bytes]:
    return [segment for segment in segments if segment]


def _router(path: bytes) -> Iterator[list[bytes]]:
    yield [unquote_to_bytes(part) for part in _parts(path)]


def _wsgi(path: bytes) -> Iterator[list[bytes]]:
    yield _parts(unquote_to_bytes(path))


def _nginx(path: bytes) -> Iterator[list[bytes]]:
    yield _dots(_merged(_parts(unquote_to_bytes(path))))


def _rfc3986(path: bytes) -> Iterator[list[bytes]]:
    yield [unquote_to_bytes(part) for part in _dots(_parts(path))]


def _browser(path: bytes) -> Iterator[list[bytes]]:
    path = path.replace(b"\\", b"/")
    dots = {b"%2e": b".", b".%2e": b"..", b"%2e.": b"..", b"%2e%2e": b".."}
    yield [unquote_to_bytes(part) for part in _dots([dots.get(part.lower(), part) for part in _parts(path)])]


def _servlets(path: bytes) -> Iterator[list[bytes]]:
    for text in (path, path.replace(b"\\", b"/")):
        plain = unquote_to_bytes(re.sub(rb";[^/]*", b"", text))
        yield _dots(_merged(_parts(plain)))
        yield _dots(_merged(_parts(plain.replace(b"\\", b"/"))))


def _everything(path: bytes) -> Iterator[list[bytes]]:
    for times in (1, 2):
        for _ in range(times):
            path = unquote_to_bytes(path)
        plain = re.sub(rb";[^/]*", b"", path.replace(b"\\", b"/"))
        yield _dots(_merged(_parts(plain)))


def _chained(path: bytes) -> Iterator[list[bytes]]:
    """A proxy that resolves, in front of a server that resolves again."""
    for first in (_nginx, _rfc3986, _browser, _servlets):
        for segments in first(path):
            for second in (_wsgi, _nginx, _servlets, _everything):
                yield from second(b"/" + b"/".join(segments))


SERVERS = (_router, _wsgi, _nginx, _rfc3986, _browser, _servlets, _everything, _chained)

PIECES = [
    "api",
    "orders",
    "users",
    "a",
    "7",
    "..",
    ".",
    "...",
    "..;",
    "..;x",
    ";v=1",
    ";",
    "%2e",
    "%2E%2e",
    ".%2e",
    "%2e%2e%2f",
    "%2f",
    "%2F",
    "%5c",
    "%5C",
    "\\",
    "\\..\\",
    "%252e",
    "%252e%252e",
    "%252f",
    "%255c",
    "%25",
    "%3b",
    "%253b",
    "é",
    "%C3%A9",
    "%c0%ae",
    "%c0%af",
    "%zz",
    "%",
    "%ff",
    "%6f",
    "%256f",
    "orders;",
    "orders%2f",
    "api%2forders",
    "api/orders",
    "api/orders/",
    "orders/../",
    "../orders",
    "../api",
    "../../api/orders",
    "x/..",
    "x%2fy/../..",
    "x\\y/../..",
    "x/%2e%2e",
]


def nasty_path(rng: random.Random) -> str:
    front = rng.choice(["/", "/", "/api/orders/", "/api/orders/", "/api/", "//", "/users/"])
    return front + "".join(rng.choice(PIECES) + rng.choice(["", "/", "/", "//"]) for _ in range(rng.randint(1, 6)))


def is_orders(segments: list[bytes]) -> bool:
    return segments[:2] == [b"api", b"orders"]


@pytest.mark.parametrize("seed", range(4))
def test_the_candidate_is_reached_only_if_every_server_reads_its_prefix(seed: int) -> None:
    rng = random.Random(seed)
    made = snapshot(ORDERS)
    reached = refused = 0
    for _ in range(1500):
        path = nasty_path(rng)
        plan = made.plan(head(path), no_draw)
        all_readings = [is_orders(item) for server in SERVERS for item in server(path.encode())]
        if plan.arm is Arm.CANDIDATE:
            reached += 1
            assert all(all_readings), path
        elif any(all_readings):
            refused += 1
            assert plan.reason is Reason.AMBIGUOUS_PATH, path
    assert reached > 100  # or the law would say nothing
    assert refused > 100


@pytest.mark.parametrize("seed", range(2))
def test_a_rewritten_path_stays_under_the_candidates_prefix_for_every_server(seed: int) -> None:
    rng = random.Random(seed)
    made = snapshot(MOVED)
    reached = 0
    for _ in range(1500):
        path = nasty_path(rng)
        plan = made.plan(head(path), no_draw)
        if plan.arm is not Arm.CANDIDATE:
            continue
        reached += 1
        assert plan.route is not None
        assert plan.route.rewrite is not None
        sent = plan.route.rewrite.path(path.encode())
        for server in SERVERS:
            assert all(item[:2] == [b"v2", b"sales"] for item in server(sent)), path
    assert reached > 50


@hypothesis_settings(max_examples=300, deadline=None)
@given(st.text("/.%2eEfF5cC\\;aо", max_size=24), st.booleans())
def test_short_paths_of_the_worst_letters_are_no_way_in(rest: str, is_below: bool) -> None:
    path = ("/api/orders/" if is_below else "/") + rest
    if decide(ORDERS, head(path)).arm is Arm.CANDIDATE:
        assert all(is_orders(item) for server in SERVERS for item in server(path.encode()))


@hypothesis_settings(max_examples=300, deadline=None)
@given(st.binary(max_size=40), st.binary(max_size=20), st.binary(max_size=20), st.binary(max_size=20))
def test_plan_never_raises_whatever_the_bytes(path: bytes, query: bytes, host: bytes, value: bytes) -> None:
    made = snapshot(
        route("a", prefix="/", host="*.example", percent=50, sticky=["cookie:sid", "client_ip"], query={"a": "b"}),
        route("b", prefix="/{x}", rewrite="/v2/{x}", headers={"x-v": "1"}, override="x-arm"),
        route("c", prefix="/", percent=50, sticky=["cookie:sid"], shadow=shadow(50)),
    )
    fields = {b"cookie": value, b"x-v": value, b"x-arm": value}
    for raw in (path, b"/" + path):
        made.plan(RequestHead(b"GET", raw + b"?" + query, raw, query, host, fields, value), lambda: 0.5)
