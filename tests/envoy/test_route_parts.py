"""Parts of the route configuration as values: hosts, trees, splits, kinds of requests, and the entries' order."""

from itertools import pairwise
from typing import Any

import msgspec
import pytest
from xxhash import xxh64_intdigest

from strangler.core.routing.split import bucket, hundredths
from strangler.core.settings import RouteSettings
from strangler.envoy.arm_actions import ArmActions
from strangler.envoy.arm_clusters import candidate_arm
from strangler.envoy.hosts import by_host
from strangler.envoy.matching import literal_head, precedence
from strangler.envoy.place import Switches
from strangler.envoy.request_kinds import RequestKind
from strangler.envoy.route_configuration import route_configuration
from strangler.envoy.route_entries import RouteEntries
from strangler.envoy.route_tree import Placed, lists
from strangler.envoy.runtime import runtime_layer
from strangler.envoy.split_entries import division, intervals
from tests import factories as f


def test_a_host_has_the_routes_of_wider_hosts_after_its_own() -> None:
    hosts = (None, "a.b.example", "*.b.example", "*.example", "other.test")
    found = {each.host: each.tiers for each in by_host([f.route(f"r{i}", host=host) for i, host in enumerate(hosts)])}
    assert found == {
        "a.b.example": ((1,), (2,), (3,), (0,)),
        "*.b.example": ((2,), (3,), (0,)),
        "*.example": ((3,), (0,)),
        "other.test": ((4,), (0,)),
        "*": ((0,),),
    }


def placed(*prefixes: str) -> list[Placed]:
    matches = [f.route(prefix=prefix).match for prefix in prefixes]
    return [Placed(literal_head(each), precedence(each, i), i) for i, each in enumerate(matches)]


def test_few_routes_are_one_list() -> None:
    assert lists(placed("/a", "/a/b", "/")) == {(): [1, 0, 2]}


def test_many_routes_are_found_by_the_beginning_of_their_paths() -> None:
    found = lists(placed("/", "/{x}/r1", *(f"/s{i % 2}/r{i}" for i in range(100))))
    assert found[()] == [1, 0]
    assert found["s0", "r4"] == [6, 1, 0] or found["s0", "r4"] == [1, 6, 0]
    assert len(found) == 103 or len(found) == 101


def test_routes_that_begin_with_a_name_do_not_multiply() -> None:
    found = lists(placed(*(f"/{{x}}/r{i}" for i in range(500)), *(f"/s{i}" for i in range(500))))
    assert sum(map(len, found.values())) <= 4 * 1000 + 1000


def test_no_routes_are_an_empty_list() -> None:
    assert lists([]) == {(): []}


@pytest.mark.parametrize("group", ["orders", "", "ü"])
@pytest.mark.parametrize("percent", [0.01, 5.0, 33.33, 50.0, 99.99])
def test_intervals_are_the_buckets_of_the_split(group: str, percent: float) -> None:
    share = hundredths(percent)
    found = intervals(group, share)
    assert sum(length for is_candidate, length in found if is_candidate) == share
    assert all(here[0] is not there[0] for here, there in pairwise(found))
    arms = [is_candidate for is_candidate, length in found for _ in range(length)]
    keys = [f"caller {number}".encode() for number in range(2000)]
    assert all(arms[xxh64_intdigest(key) % 10_000] is (bucket(group, key) < share) for key in keys)


def test_a_split_without_sticky_keys_is_made_by_chance() -> None:
    split = f.split(25, sticky=[])
    parts = [{"name": "new", "weight": 2500}, {"name": "old", "weight": 7500}]
    assert division(split, "new", "old") == {"weighted_clusters": {"clusters": parts}}


def test_sticky_sources_end_the_search() -> None:
    split = f.split(25, sticky=["header:X-User-Id", "cookie:sid", "client_ip", "header:Host"])
    assert division(split, "new", "old")["hash_policy"] == [
        {"header": {"header_name": "x-user-id"}, "terminal": True},
        {"cookie": {"name": "sid"}, "terminal": True},
        {"connection_properties": {"source_ip": True}, "terminal": True},
        {"header": {"header_name": ":authority"}, "terminal": True},
    ]


@pytest.mark.parametrize(
    ("methods", "kinds"),
    [
        ((), {"tunnel": 0, "read": 0, "write": 0}),
        (("GET", "HEAD", "OPTIONS"), {"tunnel": 0, "read": 0}),
        (("POST",), {"write": 1}),
        (("GET", "PUT"), {"tunnel": 0, "read": 1, "write": 1}),
        (("HEAD",), {"read": 1}),
    ],
)
def test_methods_of_a_route_say_which_kinds_it_takes(methods: tuple[str, ...], kinds: dict[str, int]) -> None:
    found = {kind.value: kind.conditions(methods) for kind in RequestKind}
    assert {name: len(each) for name, each in found.items() if each is not None} == kinds


def reasons(route: RouteSettings, kind: RequestKind = RequestKind.READ, now: float = 0.0) -> list[str]:
    entries = RouteEntries(f.settings([route]), 3, now).of(route)[kind]
    return [entry["metadata"]["filter_metadata"]["strangler"]["reason"] for entry in entries]


def test_entries_stand_in_the_order_of_our_decisions() -> None:
    route = f.route(override="X-Arm", split_headers={"x-beta": "1", "x-team": "a"}, percent=25)
    assert reasons(route) == ["kill_switch", "override", "override", "split_header", "split_header", "percent"]
    assert reasons(f.route(enabled=False, override="X-Arm")) == ["disabled"]
    assert reasons(f.route(is_passthrough=True)) == ["percent"]


def test_the_generation_is_only_on_routes_with_a_rollout() -> None:
    route = f.route()
    (entry,) = RouteEntries(f.settings([route]), 3, 0.0).of(route)[RequestKind.READ][-1:]
    assert entry["metadata"]["filter_metadata"]["strangler"] == {"route": "orders", "reason": "percent"}


def test_a_tunnel_has_no_idle_timeout_and_counts_apart() -> None:
    route = f.route(percent=100)
    found = RouteEntries(f.settings([route]), 3, 0.0).of(route)
    assert found[RequestKind.TUNNEL][-1]["route"]["idle_timeout"] == "0s"
    assert found[RequestKind.TUNNEL][-1]["route"]["priority"] == "HIGH"
    assert found[RequestKind.READ][-1]["route"]["idle_timeout"] != "0s"


def test_only_reads_are_mirrored() -> None:
    route = f.route(percent=0, shadow=f.shadow(10))
    found = RouteEntries(f.settings([route]), 3, 0.0).of(route)
    mirrored = [kind for kind in RequestKind if "request_mirror_policies" in found[kind][-1]["route"]]
    assert mirrored == [RequestKind.READ]
    assert "request_mirror_policies" not in found[RequestKind.READ][0]["route"], (
        "legacy alone, while it is switched off"
    )


def various() -> list[RouteSettings]:
    """Routes that differ in something that their arm may depend on."""
    plain = f.route(percent=100)
    times = f.upstream("x").timeouts
    return [
        plain,
        f.route("b", percent=25, fallback=None),
        f.route("c", percent=100, shadow=f.shadow(10)),
        f.route("d", percent=100, rewrite="/v2"),
        f.route("e", percent=100, rewrite="/v2"),
        f.route("g", percent=100, timeouts=type(times)(1.0, 2.0, 3.0)),
        f.route("h", percent=100, candidate="shop"),
        f.route("i", is_passthrough=True),
        f.route("j", percent=100, candidate="legacy"),
        f.route("k", percent=0, shadow=f.shadow(10)),
    ]


def test_actions_that_are_kept_are_those_of_each_route() -> None:
    settings = f.settings(various())
    actions = ArmActions(settings)
    for _ in range(2):
        for route in settings.routes:
            for kind in RequestKind:
                own = candidate_arm(settings, route, is_read=kind.is_read)
                assert actions.candidate(route, kind)["cluster"] == own


def decoded(value: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value))


def test_all_clusters_are_named_where_envoy_checks_them() -> None:
    settings = f.settings(various())
    found = decoded(route_configuration(settings, 1, 0.0))
    *_, last = found["virtual_hosts"]
    named = {each["name"] for each in last["routes"][0]["route"]["weighted_clusters"]["clusters"]}
    arms = {candidate_arm(settings, route, is_read=is_read) for route in settings.routes for is_read in (True, False)}
    assert arms | {"up/legacy", "shadow"} <= named
    assert last["routes"][0]["match"]["runtime_fraction"]["default_value"]["numerator"] == 0


def test_a_switch_is_a_key_and_the_switch_of_all_is_one_for_each_route() -> None:
    routes = [f.route("a"), f.route("b"), f.route("c", is_passthrough=True), f.route("d", enabled=False)]
    settings = f.settings(routes)
    assert runtime_layer(settings, Switches()) == {"strangler.kill_switch": 0}
    single = runtime_layer(settings, Switches(killed_routes=frozenset({"a", "c", "gone"})))
    assert single == {"strangler.kill_switch": 0, "strangler.off.a": 100}
    whole = runtime_layer(settings, Switches(is_killed=True))
    assert whole == {"strangler.kill_switch": 100, "strangler.off.a": 100, "strangler.off.b": 100}
