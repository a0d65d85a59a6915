"""`defaults:`: what upstreams and routes have that do not say it themselves."""

import os
from dataclasses import replace

import pytest

from strangler.config.edit import has_gate, set_percent
from strangler.config.edit_accept import add_accepts
from strangler.config.load import Loaded, parse
from strangler.config.source_files import Files
from strangler.core.settings import RouteSettings, Settings

FILE = """\
version: 1
defaults:
  upstreams: {timeouts: {connect: 1s, response: 3s}, keepalive: 4s}
  routes:
    split: {sticky: ["cookie:sid"]}
    shadow: {percent: 5}
    compare:
      redact: ["$..email"]
      accept: [{path: "$.generated_at"}]
    gate: {min_pairs: 500}
upstreams:
  legacy: {url: "http://127.0.0.1:8000"}
  orders: {url: "http://127.0.0.1:8001", timeouts: {response: 7s}}
routes:
  - name: a
    match: {prefix: /a}
    candidate: orders
"""


def read(text: str) -> Loaded:
    return parse(text, "f", {})


def settings(text: str) -> Settings:
    loaded = read(text)
    assert loaded.settings is not None, [str(problem) for problem in loaded.problems]
    return loaded.settings


def first(text: str) -> RouteSettings:
    return settings(text).routes[0]


def test_they_are_what_is_not_said_key_by_key() -> None:
    orders = settings(FILE).upstreams["orders"]
    assert (orders.timeouts.connect_s, orders.timeouts.response_s, orders.keepalive_s) == (1.0, 7.0, 4.0)
    route = first(FILE + "    split: {percent: 20}\n")
    assert route.split.percent == 20
    assert [source.name for source in route.split.sticky] == ["sid"]
    assert route.shadow is not None
    assert (route.shadow.percent, route.gate.min_pairs, route.is_gated) == (5.0, 500, True)


def test_legacy_says_its_own() -> None:
    legacy = settings(FILE).upstreams["legacy"]
    assert (legacy.timeouts.response_s, legacy.keepalive_s) == (60.0, 30.0)


def test_null_is_none_and_an_empty_section_is_nothing_said() -> None:
    route = first(FILE + "    shadow: null\n    gate:\n")
    assert (route.shadow, route.gate.min_pairs) == (None, 500)


def test_rules_of_compare_are_added_up() -> None:
    route = first(FILE + '    compare: {redact: ["$..phone"], accept: [{header: etag}]}\n')
    assert route.compare.redact == ("$..phone", "$..email")
    assert [(rule.header, rule.path) for rule in route.compare.accept] == [("etag", None), (None, "$.generated_at")]


@pytest.mark.parametrize(
    "goes",
    ["candidate: legacy", "passthrough: orders", 'aggregate: {x: {upstream: orders, path: "/x"}}'],
)
def test_what_has_no_meaning_for_a_route_is_left_out(goes: str) -> None:
    text = FILE.replace("candidate: orders", goes).replace("    gate:", "    timeouts: {response: 5s}\n    gate:")
    assert read(text).problems == ()


@pytest.mark.parametrize(
    ("was", "becomes", "expected"),
    [
        (
            "shadow: {percent: 5}",
            "shadow: {percent: 500}",
            "f:6:23: defaults.routes.shadow.percent is 500; it must be 0 to 100",
        ),
        ("shadow: {percent", "shadw: {percent", "f:6:5: unknown key 'defaults.routes.shadw'; did you mean 'shadow'?"),
        (
            "shadow: {percent: 5}",
            "shadow: {of: any}",
            "f:6:5: defaults.routes.shadow.percent is missing; add `percent: 10`",
        ),
        ("shadow: {percent: 5}", "name: b", "f:6:5: unknown key 'defaults.routes.name'"),
        ("keepalive: 4s}", "keepalive: soon}", "f:3:65: defaults.upstreams.keepalive is 'soon'"),
    ],
)
def test_a_wrong_one_is_told_once_at_its_place(was: str, becomes: str, expected: str) -> None:
    many = "".join(f"  - {{name: r{n}, match: {{prefix: /r{n}}}, candidate: orders}}\n" for n in range(40))
    (problem,) = read(FILE.replace(was, becomes) + many).problems
    assert str(problem).startswith(expected)


def test_a_warning_of_one_is_told_once() -> None:
    many = "".join(
        f"  - {{name: r{n}, match: {{prefix: /r{n}}}, candidate: orders, split: {{percent: 5}}}}\n" for n in range(40)
    )
    warnings = read(FILE.replace('["cookie:sid"]', "[client_ip]") + many).warnings
    (warning,) = [warning for warning in warnings if "trusted_proxies is empty" in str(warning)]
    assert str(warning).startswith("f:5:13: warning: route 'r0' and 39 more: split.sticky has client_ip")


@pytest.mark.parametrize("more", ["", "    split: {override: X-Arm}\n"])
def test_a_percent_can_be_shifted_beside_them(more: str) -> None:
    edit = set_percent(Files("f", FILE + more), "a", 20, os.environ)
    assert edit.loaded.settings is not None
    route = edit.loaded.settings.routes[0]
    assert (route.split.percent, [source.name for source in route.split.sticky]) == (20, ["sid"])
    assert edit.after.text.startswith(FILE)


@pytest.mark.parametrize("more", ["", "    compare: {accept: [{header: etag}]}\n"])
def test_an_accept_rule_can_be_added_beside_them(more: str) -> None:
    known = first(FILE).compare.accept[0]
    rule = replace(known, path="$.note", why="agreed")
    edit = add_accepts(Files("f", FILE + more), [("a", rule)], os.environ)
    assert edit.loaded.settings is not None
    assert {rule, known} <= set(edit.loaded.settings.routes[0].compare.accept)


def test_the_sources_of_a_gate_are_those_of_the_defaults_or_its_own() -> None:
    both = FILE.replace("{min_pairs: 500}", "{min_pairs: 500, from: [live, replay]}")
    assert first(FILE).gate.sources == ("live",)
    assert first(both).gate.sources == ("live", "replay")
    assert first(both + "    gate: {from: [replay]}\n").gate.sources == ("replay",)


def test_a_gate_among_them_is_the_route_s() -> None:
    assert has_gate(Files("f", FILE), "a")
    assert not has_gate(Files("f", FILE.replace("    gate: {min_pairs: 500}\n", "")), "a")


def test_without_any_nothing_changes() -> None:
    bare = FILE[: FILE.index("defaults:")] + FILE[FILE.index("upstreams:\n  legacy") :]
    assert settings(bare) == settings(bare.replace("version: 1\n", "version: 1\ndefaults: {}\n"))
