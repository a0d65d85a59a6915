"""Clusters of Envoy as values: what is shared, what is limited, and what a write may never do."""

import json
from typing import Any

import pytest

from strangler.core import settings as s
from strangler.envoy.arm_clusters import candidate_arm, candidate_composite, composites, legacy_arm, route_timeouts
from strangler.envoy.clusters import cluster_list
from strangler.envoy.gates import all_gates, candidate_gate
from strangler.envoy.listening import listener_list
from strangler.envoy.mirrors import arm_share, route_mirrors
from strangler.envoy.place import EnvoyPlace
from strangler.envoy.protection import outlier_detection
from strangler.envoy.rewriting import path_rewrite
from strangler.envoy.units import duration, kib, limit
from tests import factories

PLACE = EnvoyPlace("/envoy", "admin.sock", "telemetry.sock", "/state/receiver.sock")
DEFAULT_WHEN = ("connect", "timeout", "open", "full", 500, 502, 503, 504)
RETRY = s.RetrySettings(2, ("connect", "reset"), 0.025, 0.25, 0.2)


def route(
    name: str = "orders", when: tuple[str | int, ...] = DEFAULT_WHEN, *, written: bool = False, **changes: Any
) -> Any:
    fallback = s.FallbackSettings(when, 60.0, is_when_written=written)
    return factories.route(name, **{"fallback": fallback, "candidate": "orders", **changes})


def upstreams(**changes: Any) -> list[s.UpstreamSettings]:
    short = s.TimeoutSettings(2.0, 10.0, 60.0)
    return [
        factories.upstream("legacy", "http://10.0.0.1:80", retry=RETRY),
        factories.upstream("orders", "http://10.0.0.2:80", **{"timeouts": short, **changes}),
    ]


def test_many_routes_share_their_clusters() -> None:
    shadow = factories.shadow(10, of="any")
    routes = [route(f"route{at}", prefix=f"/r{at}", shadow=shadow) for at in range(1000)]
    clusters = cluster_list(factories.settings(routes, upstreams()), PLACE)
    assert sorted(each["name"].partition("/")[0] for each in clusters) == ["arms", "arms", "shadow", "up", "up", "up"]


def test_names_of_clusters_are_unique_and_all_members_are_there() -> None:
    routes = [route(), route("far", written=True), route("moved", rewrite="/v2"), route("bare", fallback=None)]
    clusters = cluster_list(factories.settings(routes, upstreams()), PLACE)
    names = [each["name"] for each in clusters]
    assert len(names) == len(set(names))
    for each in clusters:
        members = each.get("cluster_type", {}).get("typed_config", {}).get("clusters", [])
        assert {member["name"] for member in members} <= set(names)


def test_defaults_make_no_gate() -> None:
    settings = factories.settings([route()], upstreams())
    assert all_gates(settings) == ()
    assert route_timeouts(settings, settings.routes[0]) == (10.0, 61.0)
    assert route_timeouts(settings, None) == (60.0, 61.0)


@pytest.mark.parametrize(
    ("of_route", "of_upstream"),
    [
        ({"written": True}, {}),
        ({"rewrite": "/v2"}, {}),
        ({}, {"timeouts": s.TimeoutSettings(2.0, 5.0, 60.0, ("default", "upstream", "default"))}),
        ({}, {"host": "upstream"}),
        ({}, {"headers": s.HeaderEdits((("X-A", "b"),), ())}),
        ({}, {"urls": (factories.url("http://10.0.0.2/base"),)}),
        ({"when": ("connect", "open", "reset"), "written": True}, {}),
        ({"when": ("connect",), "written": True}, {}),
    ],
)
def test_what_is_an_upstreams_own_makes_a_gate(of_route: dict[str, Any], of_upstream: dict[str, Any]) -> None:
    settings = factories.settings([route(**of_route)], upstreams(**of_upstream))
    gate = candidate_gate(settings, settings.routes[0])
    assert gate is not None
    names = {each["name"] for each in listener_list(settings, PLACE)}
    assert f"gate-{gate.name}" in names


def test_what_keeps_envoys_own_reasons_makes_no_gate() -> None:
    when = ("connect", "reset", "timeout", "open", 503)
    assert all_gates(factories.settings([route(when=when, written=True)], upstreams())) == ()


def test_another_gate_has_another_name() -> None:
    routes = [route("a", rewrite="/v1"), route("b", prefix="/a", rewrite="/v2"), route("c", prefix="/a", rewrite="/v2")]
    gates = all_gates(factories.settings(routes, upstreams()))
    assert len({gate.name for gate in gates}) == 2


@pytest.mark.parametrize("written", [True, False])
def test_a_write_goes_on_only_if_it_was_never_sent(written: bool) -> None:
    when = (*DEFAULT_WHEN, "reset")
    settings = factories.settings([route(when=when, written=written)], upstreams(retry=RETRY))
    composite = candidate_composite(settings, settings.routes[0], is_read=False)
    assert composite is not None
    policy = composite.options["retry_policy"]
    conditions = set(policy["retry_on"].split(","))
    assert conditions <= {"connect-failure", "refused-stream", "reset-before-request", "retriable-headers"}
    assert "retriable_status_codes" not in policy
    for matcher in policy.get("retriable_headers", []):
        assert matcher["string_match"]["safe_regex"]["regex"] == "connect|full|open"


def test_no_policy_of_a_gate_repeats_what_may_not_be_repeated() -> None:
    settings = factories.settings([route(rewrite="/v2")], upstreams(retry=RETRY))
    gates = [each for each in listener_list(settings, PLACE) if "internal_listener" in each]
    manager = gates[0]["filter_chains"][0]["filters"][0]["typed_config"]
    entries = manager["route_config"]["virtual_hosts"][0]["routes"]
    repeating = [each for each in entries if "reset," in each["route"]["retry_policy"].get("retry_on", "") + ","]
    (only,) = [each for each in repeating if ",reset," in "," + each["route"]["retry_policy"]["retry_on"] + ","]
    assert only["match"]["headers"][0]["string_match"]["safe_regex"]["regex"] == "GET|HEAD|OPTIONS|PUT|DELETE"


def test_a_route_without_fallback_leads_straight_to_its_candidate() -> None:
    settings = factories.settings([route(fallback=None)], upstreams())
    assert candidate_arm(settings, settings.routes[0], is_read=True) == "up/orders"
    assert candidate_composite(settings, settings.routes[0], is_read=False) is None
    assert (legacy_arm(settings, is_read=True), legacy_arm(settings, is_read=False)) == ("up/legacy:reads", "up/legacy")


def test_every_number_that_has_a_low_default_is_rendered() -> None:
    settings = factories.settings([route(shadow=factories.shadow(10))], upstreams(bulkhead=None))
    for each in cluster_list(settings, PLACE):
        for threshold in each["circuit_breakers"]["thresholds"]:
            assert {"max_connections", "max_pending_requests", "max_requests", "max_retries"} <= set(threshold)


def test_legacy_is_never_left_without_an_endpoint() -> None:
    by_name = {each["name"]: each for each in cluster_list(factories.settings([route()], upstreams()), PLACE)}
    assert by_name["up/legacy"]["common_lb_config"] == {"healthy_panic_threshold": {"value": 1}}
    assert by_name["up/orders"]["common_lb_config"] == {"healthy_panic_threshold": {"value": 0}}


def test_a_breaker_that_is_off_ejects_nothing() -> None:
    detection = outlier_detection(None)
    assert [value for name, value in detection.items() if name.startswith("enforcing")] == [0, 0, 0, 0]


@pytest.mark.parametrize(("of", "shares"), [("legacy", (1000, 0)), ("candidate", (None, 1000)), ("any", (1000, 1000))])
def test_each_arm_has_its_mirror(of: str, shares: tuple[int | None, int]) -> None:
    made = route(shadow=factories.shadow(10, of=of))
    settings = factories.settings([made], upstreams())

    def share(policies: list[dict[str, Any]]) -> int | None:
        found: list[int] = [each["runtime_fraction"]["default_value"]["numerator"] for each in policies]
        return found[0] if found else None

    assert (share(route_mirrors(settings, made)), arm_share(made)) == shares
    writes = candidate_composite(settings, made, is_read=False)
    assert writes is not None
    assert "request_mirror_policies" not in writes.options, "legacy never runs a write that the candidate ran"


def test_resources_are_json() -> None:
    settings = factories.settings([route(shadow=factories.shadow(10), rewrite="/v2")], upstreams(retry=RETRY))
    assert json.loads(json.dumps(cluster_list(settings, PLACE))) == cluster_list(settings, PLACE)
    assert [each.name for each in composites(settings)] == sorted(each.name for each in composites(settings))


def test_no_rewrite_changes_nothing() -> None:
    assert path_rewrite(None, "/") == {}


@pytest.mark.parametrize(
    ("seconds", "text"), [(2.0, "2s"), (0.025, "0.025s"), (10.5, "10.5s"), (0.0, "0.001s"), (100.0, "100s")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_limits_and_sizes() -> None:
    assert (limit(None), limit(2.0)) == ("0s", "2s")
    assert (kib(1), kib(1024), kib(1025)) == (1, 1, 2)
