"""`strangler export gateway-api`: HTTPRoutes that a cluster takes, with every loss named at its place."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from strangler.cli import main
from tests.gateway_api.crd_schemas import check

TOP = """\
version: 1
upstreams:
  legacy: {url: "http://monolith.shop.svc.cluster.local:8000"}
  orders: {url: "http://orders:8001"}
routes:
"""
ROUTE = '- {name: a, match: {prefix: /api/orders}, candidate: orders, split: {percent: 12.5, sticky: ["cookie:sid"]}}\n'

Export = Callable[..., Result]


@pytest.fixture
def export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Export:
    """The command in a folder with a routes.yaml of these routes."""
    monkeypatch.chdir(tmp_path)

    def run(routes: str, *arguments: str, top: str = TOP) -> Result:
        (tmp_path / "routes.yaml").write_text(top + routes)
        return CliRunner().invoke(main, ["export", "gateway-api", *arguments])

    return run


def manifests(done: Result) -> list[dict[str, Any]]:
    """Return what was printed, each of which a cluster takes."""
    assert done.exit_code == 0, done.stderr
    found = list(yaml.safe_load_all(done.stdout))
    for each in found:
        check(each)
    return found


def rules(done: Result) -> list[dict[str, Any]]:
    return [rule for each in manifests(done) if each["kind"] == "HTTPRoute" for rule in each["spec"]["rules"]]


def weights(rule: dict[str, Any]) -> dict[str, int]:
    return {each["name"]: each["weight"] for each in rule["backendRefs"]}


def test_a_percent_is_a_weight_and_all_else_is_legacys(export: Export) -> None:
    orders, rest = rules(export(ROUTE))
    assert orders["matches"] == [{"path": {"type": "PathPrefix", "value": "/api/orders"}}]
    assert orders["backendRefs"] == [
        {"name": "orders", "port": 8001, "weight": 1250},
        {"name": "monolith", "namespace": "shop", "port": 8000, "weight": 8750},
    ]
    assert rest["matches"] == [{"path": {"type": "PathPrefix", "value": "/"}}]
    assert [each["name"] for each in rest["backendRefs"]] == ["monolith"]


@pytest.mark.parametrize(
    ("percent", "expected"),
    [(0, {"monolith": 10000}), (100, {"orders": 10000}), (0.01, {"orders": 1, "monolith": 9999})],
)
def test_an_arm_without_a_share_is_not_named(export: Export, percent: float, expected: dict[str, int]) -> None:
    assert weights(rules(export(ROUTE.replace("12.5", str(percent))))[0]) == expected


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ("path: /cart", [{"path": {"type": "Exact", "value": "/cart"}}]),
        ('prefix: "/käse!"', [{"path": {"type": "PathPrefix", "value": "/k%C3%A4se!"}}]),
        ('path: "/a.b/{id}/x"', [{"path": {"type": "RegularExpression", "value": r"/a\.b/[^/]+/x"}}]),
        ('prefix: "/a/{id}"', [{"path": {"type": "RegularExpression", "value": "/a/[^/]+(/.*)?"}}]),
        (
            "prefix: /a, methods: [GET, PUT]",
            [{"path": {"type": "PathPrefix", "value": "/a"}, "method": method} for method in ("GET", "PUT")],
        ),
        (
            "prefix: /a, headers: {X-V: '2'}, query: {f: json}",
            [
                {
                    "path": {"type": "PathPrefix", "value": "/a"},
                    "headers": [{"type": "Exact", "name": "x-v", "value": "2"}],
                    "queryParams": [{"type": "Exact", "name": "f", "value": "json"}],
                }
            ],
        ),
    ],
)
def test_a_match_is_said_as_gateway_api_says_it(export: Export, match: str, expected: list[dict[str, Any]]) -> None:
    assert rules(export(ROUTE.replace("prefix: /api/orders", match)))[0]["matches"] == expected


def test_a_host_has_httproutes_of_its_own(export: Export) -> None:
    other = ROUTE.replace("name: a", "name: b").replace("prefix: /api/orders", "prefix: /b, host: '*.example.com'")
    found = manifests(export(ROUTE + other))
    assert [each["spec"].get("hostnames") for each in found] == [["*.example.com"], None]
    assert [len(each["spec"]["rules"]) for each in found] == [1, 2]


def test_the_most_specific_rule_stands_first_whatever_the_order_of_the_file(export: Export) -> None:
    paths = ["/a", "/a/b/c", "/a/b"]
    routes = "".join(
        ROUTE.replace("name: a", f"name: r{i}").replace("/api/orders", each) for i, each in enumerate(paths)
    )
    routes += ROUTE.replace("prefix: /api/orders", "path: /a")
    values = [rule["matches"][0]["path"]["value"] for rule in rules(export(routes))]
    assert values == ["/a", "/a/b/c", "/a/b", "/a", "/"]


def test_an_httproute_has_16_rules_at_most(export: Export) -> None:
    routes = "".join(ROUTE.replace("name: a", f"name: r{i}").replace("/api/orders", f"/r{i:02}") for i in range(40))
    found = manifests(export(routes))
    assert [len(each["spec"]["rules"]) for each in found] == [16, 16, 9]
    assert [each["metadata"]["name"] for each in found] == ["strangler-0001", "strangler-0002", "strangler-0003"]


def test_a_rule_has_a_match_for_each_method(export: Export) -> None:
    methods = "GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH"
    found = rules(export(ROUTE.replace("prefix: /api/orders", f"prefix: /a, methods: [{methods}]")))
    assert [each["method"] for each in found[0]["matches"]] == methods.split(", ")


def test_override_and_split_headers_stand_before_the_split(export: Export) -> None:
    split = "split: {override: X-Arm, headers: {X-Beta: '1'}, percent: 12.5, "
    found = rules(export(ROUTE.replace("split: {percent: 12.5, ", split)))
    named = [rule["matches"][0].get("headers", [{}])[0].get("value") for rule in found]
    assert named == ["legacy", "candidate", "1", None, None]
    assert [weights(rule) for rule in found[:3]] == [{"monolith": 10000}, {"orders": 10000}, {"orders": 10000}]


def test_a_route_that_is_off_is_legacys(export: Export) -> None:
    assert weights(rules(export(ROUTE.replace("candidate: orders", "candidate: orders, enabled: false")))[0]) == {
        "monolith": 10000
    }


def test_a_rewrite_is_the_candidates_alone(export: Export) -> None:
    done = export(ROUTE.replace("candidate: orders", "candidate: orders, rewrite: {prefix: /v2}"))
    candidate, legacy = rules(done)[0]["backendRefs"]
    path = {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/v2"}
    assert candidate["filters"] == [{"type": "URLRewrite", "urlRewrite": {"path": path}}]
    assert "filters" not in legacy
    assert "rewrite.prefix is kept only nearly by Gateway API" in done.stderr


def test_a_rewrite_with_methods_is_one_rule_for_each(export: Export) -> None:
    text = ROUTE.replace("/api/orders}", "/api/orders, methods: [GET, POST]}")
    done = export(text.replace("candidate: orders", "candidate: orders, rewrite: {prefix: /v2}"))
    assert [rule["matches"][0].get("method") for rule in rules(done)] == ["GET", "POST", None]


def test_an_upstreams_host_headers_and_path_are_filters_of_its_service(export: Export) -> None:
    top = TOP.replace('8001"', '8001/base", host: upstream, headers: {set: {X-T: a}, remove: [X-D]}')
    candidate = rules(export(ROUTE, top=top))[0]["backendRefs"][0]
    path = {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/base/api/orders"}
    assert candidate["filters"] == [
        {"type": "URLRewrite", "urlRewrite": {"path": path, "hostname": "orders"}},
        {
            "type": "RequestHeaderModifier",
            "requestHeaderModifier": {"set": [{"name": "X-T", "value": "a"}], "remove": ["X-D"]},
        },
    ]


@pytest.mark.parametrize(
    ("percent", "expected"),
    [("100", {}), ("10", {"percent": 10}), ("0.5", {"fraction": {"numerator": 50, "denominator": 10000}})],
)
def test_a_shadow_is_a_mirror_to_the_receiver(export: Export, percent: str, expected: dict[str, Any]) -> None:
    routes = ROUTE.replace("candidate: orders", f"candidate: orders, shadow: {{percent: {percent}}}, gate: {{}}")
    done = export(routes, "--receiver-service", "strangler.ops:8082")
    mirror = {"backendRef": {"name": "strangler", "namespace": "ops", "port": 8082}, **expected}
    assert rules(done)[0]["filters"] == [{"type": "RequestMirror", "requestMirror": mirror}]
    bare = export(routes)
    assert "filters" not in rules(bare)[0]
    assert "route 'a': shadow is not kept by Gateway API; nothing is mirrored; name the receiver's" in bare.stderr


def test_writes_are_not_mirrored_where_methods_are_named(export: Export) -> None:
    routes = ROUTE.replace("candidate: orders", "candidate: orders, shadow: {percent: 5}, gate: {}")
    routes = routes.replace("/api/orders}", "/api/orders, methods: [GET, POST]}")
    read, write, _ = rules(export(routes, "--receiver-service", "strangler:8082"))
    assert ([each["method"] for each in read["matches"]], "filters" in read) == (["GET"], True)
    assert ([each["method"] for each in write["matches"]], "filters" in write) == (["POST"], False)


@pytest.mark.parametrize(("written", "expected"), [("5s", "5s"), ("1.5s", "1s500ms"), ("100s", "100s"), ("2d", "48h")])
def test_a_timeout_that_a_route_writes_is_kept(export: Export, written: str, expected: str) -> None:
    routes = ROUTE.replace("candidate: orders", f"candidate: orders, timeouts: {{response: {written}}}")
    assert rules(export(routes))[0]["timeouts"] == {"backendRequest": expected}


def test_the_gateway_and_the_namespaces_are_options(export: Export) -> None:
    *routes, grant = manifests(export(ROUTE, "--gateway", "infra/web:https", "--namespace", "web", "--name", "shop"))
    (only,) = routes
    assert only["metadata"] == {"name": "shop-0001", "namespace": "web"}
    assert only["spec"]["parentRefs"] == [{"name": "web", "namespace": "infra", "sectionName": "https"}]
    assert grant["metadata"] == {"name": "shop", "namespace": "shop"}
    assert grant["spec"]["to"] == [{"group": "", "kind": "Service", "name": "monolith"}]


def test_what_the_manifest_lacks_is_noted(export: Export) -> None:
    done = export(ROUTE)
    assert "note: the HTTPRoutes belong to no Gateway yet; name it with --gateway\n" in done.stderr
    assert "note: Services are in the namespace shop; name that of the HTTPRoutes with --namespace" in done.stderr


def test_each_loss_has_its_place_and_stands_in_the_file_too(export: Export) -> None:
    done = export(ROUTE)
    sticky = (
        "routes.yaml:6:94: warning: route 'a': split.sticky[0] is not kept by Gateway API; weights are by chance: a"
        " caller changes between both arms from request to request"
    )
    assert sticky in done.stderr.splitlines()
    assert f"# {sticky}" in done.stdout.splitlines()
    fallback = "routes.yaml:1:1: warning: the default of fallback is not kept by Gateway API (route 'a'); "
    assert fallback in done.stderr


LOST = [
    ("candidate: orders", "retire: {sunset: 2027-03-01}, candidate: orders", "retire is not kept"),
    ("candidate: orders", "fallback: {fence: 5s}, candidate: orders", "fallback is not kept"),
    ("split: {percent: 12.5,", "rollout: {steps: [5, 100]}, split: {", "rollout is not kept"),
    ("/api/orders}", "/api/orders, methods: [GET, PROPFIND]}", "match.methods is kept only nearly"),
    ("prefix: /api/orders", 'path: "/a/{id}"', "match.path is kept only nearly"),
    ("/api/orders}", "/api/orders, query: {'a b': c}}", "match is not kept"),
    ("candidate: orders", "timeouts: {idle: 5s}, candidate: orders", "timeouts.idle is not kept"),
    ("candidate: orders", "timeouts: {response: 5s}, candidate: orders", "timeouts.response is kept only nearly"),
    ("/api/orders}", '"/o/{id}"}, rewrite: {prefix: "/v2/{id}"}', "rewrite is not kept"),
]


@pytest.mark.parametrize(("old", "new", "line"), LOST, ids=[line for *_, line in LOST])
def test_a_loss_is_named(export: Export, old: str, new: str, line: str) -> None:
    done = export(ROUTE.replace(old, new))
    manifests(done)
    assert f"route 'a': {line} by Gateway API; " in done.stderr


def test_a_route_that_cannot_be_said_is_legacys(export: Export) -> None:
    assert len(rules(export(ROUTE.replace("/api/orders}", "/api/orders, query: {'a b': c}}")))) == 1
    moved = rules(export(ROUTE.replace("/api/orders}", '"/o/{id}"}, rewrite: {prefix: "/v2/{id}"}')))
    assert weights(moved[0]) == {"monolith": 10000}


def test_settings_of_upstreams_and_of_the_file_are_named_where_they_are_written(export: Export) -> None:
    top = TOP.replace('8001"', '8001", breaker: {trials: 1}, retry: false').replace(
        "upstreams:", "trusted_proxies: [10.0.0.1]\nupstreams:"
    )
    lines = export(ROUTE, top=top).stderr
    assert "upstream 'orders': breaker is not kept" in lines
    assert "upstream 'orders': retry is not kept" in lines
    assert "trusted_proxies is not kept" in lines
    assert "bulkhead" not in lines


def test_strict_exits_with_1(export: Export) -> None:
    assert export(ROUTE, "--strict").exit_code == 1
    assert export(ROUTE, "--strict", "-o", "k8s.yaml").exit_code == 1


def test_check_compares_what_lies_there(export: Export) -> None:
    assert export(ROUTE, "-o", "k8s.yaml").exit_code == 0
    same = export(ROUTE, "--check", "k8s.yaml")
    assert (same.exit_code, same.stdout) == (0, "k8s.yaml: as routes.yaml says\n")
    other = export(ROUTE.replace("12.5", "25"), "--check", "k8s.yaml")
    assert other.exit_code == 1
    assert other.stdout.splitlines() == [
        "k8s.yaml: HTTPRoute strangler-0001: spec.rules[0].backendRefs[0].weight is 1250 there, not 2500",
        "k8s.yaml: HTTPRoute strangler-0001: spec.rules[0].backendRefs[1].weight is 8750 there, not 7500",
    ]


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://orders", ("orders", None, 80)),
        ("http://orders.shop.svc:81", ("orders", "shop", 81)),
        ("https://orders.shop.svc.cluster.local", ("orders", "shop", 443)),
    ],
)
def test_a_url_names_a_service(export: Export, url: str, name: tuple[str, str | None, int]) -> None:
    reference = rules(export(ROUTE, top=TOP.replace("http://orders:8001", url)))[0]["backendRefs"][0]
    assert (reference["name"], reference.get("namespace"), reference["port"]) == name


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1:80", "http://orders.example.com", "http://localhost:1", "unix:/run/s"]
)
def test_a_url_that_names_none_needs_an_option(export: Export, url: str) -> None:
    top = TOP.replace("http://orders:8001", url)
    done = export(ROUTE, top=top)
    assert done.exit_code == 2
    assert "names no one Service of Kubernetes; name it with --service orders=NAME:PORT" in done.stderr
    reference = rules(export(ROUTE, "--service", "orders=new.shop:81", top=top))[0]["backendRefs"][0]
    assert reference == {"name": "new", "namespace": "shop", "port": 81, "weight": 1250}


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--service", "orders"], "--service 'orders': write UPSTREAM=NAME:PORT"),
        (["--service", "orders=x"], "'x' is no Service; write NAME:PORT or NAME.NAMESPACE:PORT"),
        (["--service", "orders=x:70000"], "'x:70000' is no Service"),
        (["--service", "ordres=x:80"], "there is no upstream 'ordres'"),
        (["--receiver-service", "x"], "'x' is no Service"),
        (["--gateway", "infra/"], "--gateway 'infra/' names no Gateway; write [NAMESPACE/]NAME[:LISTENER]"),
        (["--check", "nowhere"], "nowhere: it cannot be read: No such file or directory"),
        (["--check", "routes.yaml"], "routes.yaml: this is nothing that `strangler export` has written"),
        (["--check", "a", "-o", "b"], "--check writes nothing; leave -o out"),
        (["-o", "no/where"], "no/where: it cannot be written: No such file or directory"),
    ],
)
def test_wrong_input_exits_with_2_and_names_the_way_out(export: Export, arguments: list[str], line: str) -> None:
    done = export(ROUTE, *arguments)
    assert done.exit_code == 2
    assert line in done.stderr
