"""Which mirrored requests are compared, and by which route."""

from collections.abc import Mapping
from types import MappingProxyType

from hypothesis import given
from hypothesis import strategies as st

from strangler.core.routing.received import Uncompared, received_route, without_suffix
from strangler.core.routing.route import Route
from strangler.core.routing.snapshot import Snapshot
from strangler.core.settings import RouteSettings
from tests.factories import head, route, settings, shadow

NOBODY: frozenset[str] = frozenset()


def found(
    made: RouteSettings, method: str = "GET", draw: float = 0.5, fields: Mapping[str, str] = MappingProxyType({})
) -> str:
    """Return the name of the route, or why the request is not compared."""
    request = head("/r/7", method, fields)
    result = received_route(Snapshot(settings([made]), 1), request, lambda: draw, False, lambda: 0.0, NOBODY)
    return result.name if isinstance(result, Route) else result.value


@given(st.floats(0, 100).map(lambda percent: round(percent, 2)), st.floats(0, 0.999999))
def test_percent_is_a_chance(percent: float, draw: float) -> None:
    made = route("r", prefix="/r", shadow=shadow(percent))
    assert found(made, draw=draw) == ("r" if draw * 100 < percent else "unsampled")


@given(st.sampled_from(["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "get", "PROPFIND"]))
def test_only_safe_methods_that_shadow_names_are_compared(method: str) -> None:
    every = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "PROPFIND")
    for methods in ((), ("GET",), every):
        made = route("r", prefix="/r", shadow=shadow(100, methods=methods, writes="dry_run"))
        is_compared = method in methods and method in ("GET", "HEAD", "OPTIONS")
        assert found(made, method) == ("r" if is_compared else "unsafe")


def test_a_field_that_overrides_the_method_makes_a_write() -> None:
    made = route("r", prefix="/r", shadow=shadow(100))
    assert found(made, fields={"X-HTTP-Method-Override": "head"}) == "r"
    assert found(made, fields={"X-HTTP-Method-Override": "DELETE"}) == "unsafe"


def test_the_arm_that_a_split_gives_does_not_matter() -> None:
    for percent in (0, 50, 100):
        for of in ("legacy", "candidate", "any"):
            made = route("r", prefix="/r", percent=percent, shadow=shadow(100, of=of))
            assert found(made) == "r"


def test_a_route_without_shadow_is_not_compared() -> None:
    assert found(route("r", prefix="/r", shadow=None)) == "unmatched"


def test_a_worker_makes_no_shadow_where_only_mirrored_requests_are_compared() -> None:
    made = route("r", prefix="/r", shadow=shadow(100, is_only_received=True))
    plan = Snapshot(settings([made]), 1).plan(head("/r/7"), lambda: 0.5)
    assert not plan.shadow
    assert found(made) == "r"


def test_a_shadow_is_never_compared() -> None:
    made = route("r", prefix="/r", shadow=shadow(100))
    assert found(made, fields={"X-Strangler-Shadow": "1"}) == Uncompared.SHADOW
    assert found(made, fields={"X-Strangler-Shadow": ""}) == Uncompared.SHADOW


def test_only_the_ending_of_the_name_is_taken_off() -> None:
    cases = {
        b"shop-shadow": b"shop",
        b"shop-shadow:80": b"shop:80",
        b"shop-shadow-shadow": b"shop-shadow",
        b"shop": b"shop",
        b"shop:80": b"shop:80",
        b"shop-shadow.example": b"shop-shadow.example",
        b"-shadow": b"-shadow",
        b"[::1]:80": b"[::1]:80",
        b"": b"",
    }
    assert {host: without_suffix(host) for host in cases} == cases
