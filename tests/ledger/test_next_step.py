"""The next step of an endpoint in each state: its sentence, its command, and a block that the real loader takes."""

from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from strangler.config.load import parse
from strangler.core.ledger.states import State
from strangler.core.rollout_percents import with_percents
from strangler.core.settings import Settings
from strangler.ledger.next_step import StepFacts, next_step
from strangler.ledger.route_blocks import match_of
from tests.ledger.ledgers import DAY, NOW

BASE = """\
version: 1
upstreams:
  legacy: {url: "http://127.0.0.1:8000"}
  orders: {url: "http://127.0.0.1:8001"}
  chat: {url: "http://127.0.0.1:8002"}
"""
ROUTES = """\
routes:
  - {name: chat, match: {prefix: /chat}, passthrough: chat}
  - {name: get-orders-id, match: {prefix: /api/orders}, candidate: orders, split: {percent: 25}, shadow: {percent: 5}}
  - {name: order-page, match: {path: "/orders/{id}", methods: [GET]}, candidate: orders, split: {percent: 100}}
  - {name: "off", match: {prefix: /off}, candidate: orders, enabled: false}
  - {name: idle, match: {prefix: /idle}, candidate: orders, split: {percent: 0}, fallback: false}
  - {name: kept, match: {prefix: /kept}, candidate: legacy}
  - {name: ends, match: {prefix: /ends}, retire: {sunset: 2027-03-01}}
  - name: climbs
    match: {prefix: /climbs}
    candidate: orders
    split: {sticky: ["cookie:sid"]}
    shadow: {percent: 5, of: any}
    rollout: {steps: [2, 20, 100]}
  - name: blind
    match: {prefix: /blind}
    candidate: orders
    split: {sticky: ["cookie:sid"]}
    rollout: {steps: [2, 20, 50], gate: never}
"""


def settings_of(text: str, *new: str) -> Settings:
    """Return the settings of a text that has no mistake, and no warning about the routes that are new in it."""
    loaded = parse(text, "routes.yaml", {}, now=NOW)
    assert loaded.settings is not None, loaded.problems
    assert not [each for each in loaded.warnings if any(f"'{name}'" in each.where for name in new)], loaded.warnings
    return loaded.settings


ALL = with_percents(settings_of(BASE + ROUTES), {"climbs": 2.0})


def facts(state: State, endpoint: str, route: str | None = None, **changes: Any) -> StepFacts:
    method, _, template = endpoint.partition(" ")
    found = next((each for each in ALL.routes if each.name == route), None)
    values: dict[str, Any] = {
        "last_call": NOW - DAY,
        "last_legacy": NOW - 2 * DAY,
        "deletable_at": NOW + 5 * DAY,
        "callers": ["okhttp/4", "Firefox"],
        "callers_of_legacy": [],
    }
    return StepFacts(method=method, template=template, state=state, route=found, **(values | changes))


NOBODY: dict[str, Any] = {"last_call": None, "last_legacy": None, "callers": []}


@pytest.mark.parametrize(
    ("given", "text", "command"),
    [
        (facts(State.LEGACY, "GET /a"), "Compare a new service with it first", None),
        (facts(State.LEGACY, "GET /off/a", "off"), "Route 'off' is disabled", None),
        (facts(State.LEGACY, "GET /kept/a", "kept"), "name the new service as its `candidate`", None),
        (facts(State.LEGACY, "GET /idle/a", "idle"), "give it a shadow", None),
        (facts(State.LEGACY, "GET /ends/a", "ends"), "still called, by okhttp/4, Firefox: tell them", None),
        (facts(State.QUIET, "GET /ends/a", "ends", **NOBODY), "Route 'ends' ends it on 2027-03-01 00:00 UTC.", None),
        (facts(State.SHADOWED, "GET /api/orders", "get-orders-id"), "its verdict", "strangler ready get-orders-id"),
        (facts(State.SPLITTING, "GET /api/orders", "get-orders-id"), "to 50 %", "strangler shift get-orders-id 50"),
        (facts(State.SPLITTING, "GET /orders/{}", "order-page"), "to 100 %", "strangler shift order-page 100"),
        (
            facts(State.SPLITTING, "GET /orders/{}", "order-page", open_differences=2),
            "2 differences of its responses are open: review what is open before you raise it to 100 %.",
            "strangler diffs --route order-page --endpoint 'GET /orders/{}'",
        ),
        (
            facts(State.SHADOWED, "GET /api/orders", "get-orders-id", open_differences=1),
            "1 difference of its responses is open: review what is open before you send callers there.",
            "strangler diffs --route get-orders-id --endpoint 'GET /api/orders'",
        ),
        (
            facts(State.SPLITTING, "GET /climbs/a", "climbs"),
            "sends 2 % of the callers to its candidate, and its rollout moves them: see what it waits for.",
            "strangler rollout status climbs",
        ),
        (
            facts(State.SPLITTING, "GET /climbs/a", "climbs", open_differences=1),
            "review what is open before you let its rollout go on.",
            "strangler diffs --route climbs --endpoint 'GET /climbs/a'",
        ),
        (facts(State.SHADOWED, "GET /climbs/a", "climbs"), "its rollout moves", "strangler rollout status climbs"),
        (facts(State.LEGACY, "GET /blind/a", "blind"), "'blind' sends nobody to", "strangler rollout status blind"),
        (facts(State.CUT_OVER, "GET /chat/a", "chat"), "was never part of legacy", None),
        (facts(State.CUT_OVER, "GET /orders/{}", "order-page"), "deletable on 2024-10-09", None),
        (
            facts(State.CUT_OVER, "GET /orders/{}", "order-page", callers_of_legacy=["a", "b", "c", "d", "e"]),
            "Legacy served a call on 2024-10-02 for a, b, c and 2 others. If the candidate fails no more, take the",
            None,
        ),
        (facts(State.CUT_OVER, "GET /idle/a", "idle", callers_of_legacy=["a"]), "on 2024-10-02 for a. It is", None),
        (facts(State.QUIET, "GET /a", **NOBODY), "Nobody has ever called it. It is deletable on 2024-10-09", None),
        (facts(State.QUIET, "GET /chat/a", "chat"), "leads to a service beside legacy", None),
        (facts(State.DELETABLE, "GET /orders/{}", "order-page"), "delete the code in legacy. Take the fallback", None),
        (facts(State.DELETABLE, "GET /a", **NOBODY), "Nobody has called it for 30 days.", None),
        (facts(State.DELETABLE, "GET /static/app-{}.js", **NOBODY), "end it in legacy", None),
        (facts(State.LEGACY, "* …"), "stands for all endpoints that no row had room for", None),
        (facts(State.PROBED, "GET /wp-login.php"), "only probes", None),
    ],
)  # fmt: skip
def test_each_state_has_its_step(given: StepFacts, text: str, command: str | None) -> None:
    step = next_step(given, ALL, NOW)
    assert text in step.text
    assert step.command == command


def test_who_calls_an_end_is_named() -> None:
    after = datetime(2027, 3, 5, tzinfo=UTC).timestamp()
    step = next_step(facts(State.RETIRED, "GET /ends/a", "ends", last_call=after - 60), ALL, after)
    assert step.text == (
        "It ended on 2027-03-01 00:00 UTC. It was last called on 2027-03-04; its callers were okhttp/4, Firefox."
        " Tell them, then delete its code in legacy."
    )
    step = next_step(facts(State.RETIRED, "GET /ends/a", "ends"), ALL, after)
    assert "Nobody has called it since: delete its code in legacy, then its route." in step.text


TEMPLATES = [
    "GET /",
    "GET /a",
    "HEAD /a/",
    "OPTIONS /a",
    "* /a/{}",
    "GET /orders/{}/lines/{}",
    "POST /orders",
    "DELETE /api/orders/{}",
    "GET /static/app-{}.js",
    "GET /wiki/{...}",
    "GET /index.php?action=list",
    "GET /index.php?action={}&mode=x",
    "GET /stra%C3%9Fe/{}",
    "GET /straße/{}",
    "GET /{}",
    "GET /.well-known/security.txt",
]


@pytest.mark.parametrize("endpoint", TEMPLATES)
@pytest.mark.parametrize(
    "base", [BASE + ROUTES, BASE, 'version: 1\nupstreams: {legacy: {url: "http://127.0.0.1:1"}}\n']
)
def test_a_proposed_shadow_loads(base: str, endpoint: str) -> None:
    settings = settings_of(base)
    block = next_step(facts(State.LEGACY, endpoint), settings, NOW).block
    assert block is not None
    before, after = yaml.safe_load(base), yaml.safe_load(block)
    before["upstreams"] |= after.get("upstreams", {})
    before["routes"] = [*before.get("routes", []), *after["routes"]]
    route = settings_of(yaml.safe_dump(before), after["routes"][0]["name"]).routes[-1]
    assert route.shadow is not None
    assert (route.split.percent, route.candidate) == (0.0, "new-service" if "orders" not in base else "orders")


@pytest.mark.parametrize("endpoint", TEMPLATES)
def test_a_proposed_end_loads_and_ends_that_endpoint_alone(endpoint: str) -> None:
    block = next_step(facts(State.DELETABLE, endpoint, **NOBODY), ALL, NOW).block
    if endpoint in ("GET /static/app-{}.js", "GET /wiki/{...}"):
        assert block is None
        return
    assert block is not None
    document = yaml.safe_load(BASE + ROUTES)
    (new,) = yaml.safe_load(block)["routes"]
    document["routes"].append(new)
    route = settings_of(yaml.safe_dump(document), new["name"]).routes[-1]
    assert route.retire is not None
    assert route.match.path is not None
    assert 30 * DAY <= route.retire.sunset - NOW <= 31 * DAY


@pytest.mark.parametrize(
    ("state", "endpoint", "route", "key"),
    [
        (State.DELETABLE, "GET /orders/{}", "order-page", "retire"),
        (State.LEGACY, "GET /idle/a", "idle", "shadow"),
        (State.LEGACY, "PUT /idle/a", "idle", "shadow"),
        (State.CUT_OVER, "GET /orders/{}", "order-page", "fallback"),
    ],
)
def test_a_block_for_a_route_that_there_is_loads_in_it(state: State, endpoint: str, route: str, key: str) -> None:
    nobody = NOBODY if state is State.DELETABLE else {"callers_of_legacy": ["a"]}
    step = next_step(facts(state, endpoint, route, **nobody), ALL, NOW)
    assert f"'{route}'" in step.text
    assert step.block is not None
    document = yaml.safe_load(BASE + ROUTES)
    (found,) = (each for each in document["routes"] if each["name"] == route)
    found |= yaml.safe_load(step.block)
    assert key in found
    settings_of(yaml.safe_dump(document))


@pytest.mark.parametrize(
    ("endpoint", "match"),
    [
        ("GET /a/{}/b/{}", '{path: "/a/{id}/b/{id2}", methods: [GET]}'),
        ("GET /a/", '{path: "/a/", methods: [GET]}'),
        ("* /", '{path: "/"}'),
        ("GET /s/app-{}.js", '{prefix: "/s", methods: [GET]}'),
        ("GET /app-{}.js", None),
        ("POST /soap#SOAPAction=GetOrder", None),
        ("GET /x.php?do=list&id={}", '{path: "/x.php", methods: [GET], query: {"do": "list"}}'),
        ("OPTIONS *", None),
        ("GET /a/…", '{prefix: "/a", methods: [GET]}'),
        ("GET /a/%2e%2e/b", '{prefix: "/a", methods: [GET]}'),
    ],
)
def test_a_match_names_what_a_route_can_name(endpoint: str, match: str | None) -> None:
    method, _, template = endpoint.partition(" ")
    assert match_of(method, template) == match
