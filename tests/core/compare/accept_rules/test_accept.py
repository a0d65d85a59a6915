"""Accept rules: what they cover, and what is told of them."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from strangler.core.compare import (
    Comparison,
    EndpointRules,
    Outcome,
    Response,
    RuleUseState,
    compare,
    compile_rules,
    expired_rules,
    second_look,
)
from strangler.core.settings import AcceptRule
from tests.core.compare.responses import TODAY, accept, body, compared, found, response, settings, trees

NESTED = {"meta": {"at": 1, "by": {"name": "x"}}, "items": [{"at": 1, "v": 1}, {"at": 2, "v": 2}]}
COVERED: dict[str, tuple[AcceptRule, Any, Any]] = {
    "the node": (accept("$.a"), {"a": 1}, {"a": 2}),
    "all below it": (accept("$.a"), {"a": {"b": [{"c": 1}]}}, {"a": {"b": [{"c": 2}]}}),
    "its absence": (accept("$.a"), {"a": 1}, {}),
    "its presence": (accept("$.a"), {}, {"a": 1}),
    "its type": (accept("$.a"), {"a": 1}, {"a": None}),
    "its length": (accept("$.a"), {"a": [1]}, {"a": [1, 2]}),
    "elements": (accept("$.a[*].b"), {"a": [{"b": 1}]}, {"a": [{"b": 2}]}),
    "any depth": (accept("$..at"), NESTED, {**NESTED, "meta": {"at": 9, "by": {"name": "x"}}}),
    "any depth, at the top": (accept("$..a"), {"a": 1}, {"a": 2}),
    "any depth, then a path": (accept("$..by.name"), NESTED, {**NESTED, "meta": {"at": 1, "by": {"name": "y"}}}),
    "a wild step": (accept("$.*.at"), {"x": {"at": 1}, "y": {"at": 1}}, {"x": {"at": 2}, "y": {"at": 3}}),
    "a quoted key": (accept("$['odd key']"), {"odd key": 1}, {"odd key": 2}),
    "a dashed key": (accept("$.odd-key"), {"odd-key": 1}, {"odd-key": 2}),
    "everything": (accept("$"), [1], {"a": 1}),
    "the right kind": (accept("$.a", kind="value"), {"a": 1}, {"a": 2}),
    "abs, inclusive": (accept("$.a", abs="0.01"), {"a": 1.00}, {"a": 1.01}),
    "abs, exact where floats are not": (accept("$.a", abs="0.1"), {"a": 0.2}, {"a": 0.3}),
    "abs, downwards": (accept("$.a", abs="5"), {"a": 10}, {"a": 5}),
    "abs, below the node": (accept("$.a", abs="1"), {"a": {"b": [1]}}, {"a": {"b": [2]}}),
    "rel, inclusive": (accept("$.a", rel="0.01"), {"a": 200}, {"a": 202}),
    "rel of a negative number": (accept("$.a", rel="0.5"), {"a": -10}, {"a": -15}),
    "abs or rel": (accept("$.a", abs="1", rel="0.001"), {"a": 10}, {"a": 11}),
    "until today": (accept("$.a", until="2026-11-23"), {"a": 1}, {"a": 2}),
}


@pytest.mark.parametrize(("rule", "legacy", "candidate"), COVERED.values(), ids=COVERED)
def test_rule_covers(rule: AcceptRule, legacy: Any, candidate: Any) -> None:
    comparison = trees(legacy, candidate, settings(rule))
    assert (comparison.outcome, comparison.differences) == (Outcome.ACCEPTED, ())
    assert comparison.accepted >= 1
    assert comparison.rules_used == {0}


NOT_COVERED: dict[str, tuple[AcceptRule, Any, Any]] = {
    "a sibling": (accept("$.a"), {"b": 1}, {"b": 2}),
    "a key that begins alike": (accept("$.a"), {"ab": 1}, {"ab": 2}),
    "the node above": (accept("$.a.b"), {"a": {"b": 1}}, {}),
    "the array, if elements are named": (accept("$.a[*]"), {"a": [1]}, {"a": [1, 2]}),
    "elements, if a key is named": (accept("$.a.b"), {"a": [{"b": 1}]}, {"a": [{"b": 2}]}),
    "another kind": (accept("$.a", kind="value"), {"a": 1}, {"a": "1"}),
    "beyond abs": (accept("$.a", abs="0.01"), {"a": 1.00}, {"a": 1.0100001}),
    "beyond rel": (accept("$.a", rel="0.01"), {"a": 200}, {"a": 202.0001}),
    "rel is of legacy's number": (accept("$.a", rel="0.1"), {"a": 90}, {"a": 100}),
    "tolerance of strings": (accept("$.a", abs="1"), {"a": "1"}, {"a": "2"}),
    "tolerance of null": (accept("$.a", abs="1"), {"a": 0}, {"a": None}),
    "tolerance of a length": (accept("$.a", abs="1"), {"a": [1]}, {"a": [1, 2]}),
    "after until": (accept("$.a", until="2026-11-22"), {"a": 1}, {"a": 2}),
    "a header rule": (accept(header="a"), {"a": 1}, {"a": 2}),
}


@pytest.mark.parametrize(("rule", "legacy", "candidate"), NOT_COVERED.values(), ids=NOT_COVERED)
def test_rule_does_not_cover(rule: AcceptRule, legacy: Any, candidate: Any) -> None:
    comparison = trees(legacy, candidate, settings(rule))
    assert (comparison.outcome, comparison.accepted) == (Outcome.MISMATCH, 0)
    assert not comparison.rules_used


@pytest.mark.parametrize(
    ("legacy", "candidate", "is_within"),
    [
        (b"1e400", b"1.0000001e400", True),
        (b"1e400", b"1.1e400", False),
        (b"1e999999999", b"1e-999999999", False),
        (b"1e999999999999999999999", b"2e999999999999999999999", False),
        (b"123456789012345678901234567890", b"123456789012345678901234567891", True),
    ],
)
def test_tolerance_of_huge_numbers_is_exact_and_bounded(legacy: bytes, candidate: bytes, is_within: bool) -> None:
    rules = settings(accept("$", rel="0.0001"))
    assert (compared(response(legacy), response(candidate), rules).outcome is Outcome.ACCEPTED) == is_within


def test_rest_is_told_beside_what_is_accepted() -> None:
    comparison = trees({"a": 1, "b": 1, "c": 1}, {"a": 2, "b": 2}, settings(accept("$.a"), accept("$.x")))
    assert found(comparison) == {body("$.b", "value", "value"), body("$.c", "missing", "breaking")}
    assert (comparison.outcome, comparison.accepted) == (Outcome.MISMATCH, 1)
    assert comparison.rules_used == {0}


def test_one_element_beyond_a_tolerance_is_told() -> None:
    comparison = trees([1, 1, 1], [1.5, 3, 1.5], settings(accept("$[*]", abs="0.5")))
    assert [(d.path, d.count, d.candidate) for d in comparison.differences] == [("$[*]", 1, b"3")]


def test_header_rule() -> None:
    rules = settings(accept(header="Cache-Control", kind="value"), headers=("cache-control",))
    legacy = response({}, cache_control="a")
    assert compared(legacy, response({}, cache_control="b"), rules).outcome is Outcome.ACCEPTED
    assert compared(legacy, response({}), rules).outcome is Outcome.MISMATCH


def test_expired_rule_that_would_have_matched_is_reported() -> None:
    rule = accept("$.a", until="2026-11-22")
    assert trees({"a": 1}, {"a": 2}, settings(rule)).rules_expired == {0}
    assert trees({"a": 1}, {"a": 2}, settings(rule, accept("$.a"))).outcome is Outcome.ACCEPTED
    assert expired_rules([rule, accept("$.b")], date(2026, 11, 23)) == (rule,)
    assert expired_rules([rule], date(2026, 11, 22)) == ()


def test_today_is_an_argument() -> None:
    rules = compile_rules(settings(accept("$", until="2026-01-31")))
    pair = response([1]), response([2])
    assert compare(*pair, rules, date(2026, 1, 31)).outcome is Outcome.ACCEPTED
    assert compare(*pair, rules, date(2026, 2, 1)).outcome is Outcome.MISMATCH


def test_every_rule_that_matches_counts_as_used() -> None:
    comparison = trees({"a": 1}, {"a": 2}, settings(accept("$.a"), accept("$..a"), accept("$.b")))
    assert comparison.rules_used == {0, 1}


def test_dead_rules_are_those_that_never_matched() -> None:
    uses = RuleUseState(3)
    for used in ({0}, {0, 2}, set[int]()):
        uses.record(used)
    assert uses.dead(min_comparisons=3) == (1,)
    assert uses.dead(min_comparisons=4) == ()


def test_accepted_fields_do_not_blur_which_elements_belong_together() -> None:
    legacy = [{"kind": kind, "at": at} for at, kind in enumerate("abc")]
    candidate = [{"kind": kind, "at": at + 50} for at, kind in enumerate("xabc")]
    comparison = trees(legacy, candidate, settings(accept("$[*].at", kind="value")))
    assert found(comparison) == {body("$", "length", "risky")}


@pytest.mark.parametrize(
    ("path", "way_out"),
    [
        ("a", "must start with $"),
        ("$.items[0]", "write [*]"),
        ("$.a b", "cannot be read"),
        ("$a", "cannot be read"),
        ("$.", "write .name"),
        ("$.['a']", "write .name"),
        ("$...a", "write .name"),
        ("$[a]", "write .name"),
        ("$['a", "write .name"),
    ],
)
def test_path_that_cannot_be_read_is_refused(path: str, way_out: str) -> None:
    with pytest.raises(ValueError, match=r"JSON path|cannot be read") as refused:
        compile_rules(settings(accept(path)))
    assert way_out in str(refused.value)


PAIRS: dict[str, tuple[AcceptRule, Any, Any]] = {
    "texts": (accept("$.c", from_="EUR", to="eur"), {"c": "EUR"}, {"c": "eur"}),
    "numbers, whatever their spelling": (accept("$.n", from_="1.50", to="2"), {"n": 1.5}, {"n": 2.0}),
    "null": (accept("$.n", from_="null", to="0"), {"n": None}, {"n": 0}),
    "another type": (accept("$.n", from_="5", to='"5"'), {"n": 5}, {"n": "5"}),
    "another type, by its kind": (accept("$.n", kind="type", from_="5", to='"5"'), {"n": 5}, {"n": "5"}),
    "an empty text": (accept("$.n", from_='""', to="null"), {"n": ""}, {"n": None}),
    "booleans": (accept("$.n", from_="true", to="false"), {"n": True}, {"n": False}),
    "in every element": (accept("$..c", from_="EUR", to="eur"), [{"c": "EUR"}] * 3, [{"c": "eur"}] * 3),
    "below the node": (accept("$.a", from_="1", to="2"), {"a": {"b": [1]}}, {"a": {"b": [2]}}),
    "what is no number": (accept("$.n", from_="NaN", to="null"), {"n": float("nan")}, {"n": None}),
}


@pytest.mark.parametrize(("rule", "legacy", "candidate"), PAIRS.values(), ids=PAIRS)
def test_a_pair_of_values_is_accepted(rule: AcceptRule, legacy: Any, candidate: Any) -> None:
    comparison = trees(legacy, candidate, settings(rule))
    assert (comparison.outcome, comparison.rules_used) == (Outcome.ACCEPTED, frozenset({0}))
    assert trees(candidate, legacy, settings(rule)).outcome is Outcome.MISMATCH, "not the other way round"


NO_PAIRS: dict[str, tuple[AcceptRule, Any, Any]] = {
    "another value": (accept("$.c", from_="EUR", to="eur"), {"c": "EUR"}, {"c": "usd"}),
    "another value of legacy": (accept("$.c", from_="EUR", to="eur"), {"c": "USD"}, {"c": "eur"}),
    "a text that looks like the number": (accept("$.n", from_="5", to="6"), {"n": "5"}, {"n": "6"}),
    "a number that looks like the text": (accept("$.n", from_='"5"', to='"6"'), {"n": 5}, {"n": 6}),
    "null and nothing there": (accept("$.n", from_="null", to="5"), {}, {"n": 5}),
    "null and nothing left": (accept("$.n", from_="5", to="null"), {"n": 5}, {}),
    "true is not 1": (accept("$.n", from_="true", to="2"), {"n": 1}, {"n": 2}),
    "lengths": (accept("$.n", from_="1", to="2"), {"n": [0]}, {"n": [0, 0]}),
    "another kind": (accept("$.n", kind="value", from_="5", to='"5"'), {"n": 5}, {"n": "5"}),
    "a status": (accept("$", from_="200", to="201"), {"n": 200}, {"m": 201}),
}


@pytest.mark.parametrize(("rule", "legacy", "candidate"), NO_PAIRS.values(), ids=NO_PAIRS)
def test_a_pair_of_values_accepts_no_other(rule: AcceptRule, legacy: Any, candidate: Any) -> None:
    comparison = trees(legacy, candidate, settings(rule))
    assert (comparison.outcome, comparison.accepted) == (Outcome.MISMATCH, 0)


def test_a_pair_of_values_hides_no_other_in_the_same_place() -> None:
    rules = settings(accept("$[*].c", from_="EUR", to="eur"))
    legacy = [{"id": n, "c": "EUR"} for n in range(4)]
    candidate = [{"id": n, "c": "eur" if n else "usd"} for n in range(4)]
    comparison = trees(legacy, candidate, rules)
    assert [(d.path, d.count, d.candidate) for d in comparison.differences] == [("$[*].c", 1, "usd")]
    assert trees(legacy, candidate[::-1], rules).differences[0].kind == "order"


def test_a_pair_of_values_of_a_header() -> None:
    rules = settings(accept(header="Vary", from_="Cookie", to="Cookie, Accept"), headers=("vary",))
    legacy, agreed = response({}, vary="Cookie"), response({}, vary="Cookie, Accept")
    assert compared(legacy, agreed, rules).outcome is Outcome.ACCEPTED
    assert compared(agreed, legacy, rules).outcome is Outcome.MISMATCH
    assert compared(legacy, response({}, vary="*"), rules).outcome is Outcome.MISMATCH
    assert compared(legacy, response({}), rules).outcome is Outcome.MISMATCH


def test_a_pair_of_texts() -> None:
    rules = settings(accept("$", from_="pong", to="PONG"))
    assert compared(response(b"pong", "text/plain"), response(b"PONG", "text/plain"), rules).outcome is Outcome.ACCEPTED
    assert (
        compared(response(b"pong", "text/plain"), response(b"pong!", "text/plain"), rules).outcome is Outcome.MISMATCH
    )


def test_in_typed_rules_a_pair_may_be_one_of_types() -> None:
    rules = replace(settings(accept("$.n", from_="5", to="5.0")), numbers="typed")
    assert trees({"n": 5}, {"n": 5.0}, rules).outcome is Outcome.ACCEPTED
    assert trees({"n": 5.0}, {"n": 5}, rules).outcome is Outcome.MISMATCH


def test_a_pair_of_statuses_is_accepted_and_no_other() -> None:
    rules = settings(accept(status=(302, 303)), headers=("location",))
    legacy = response(b"", None, 302, location="/a")
    agreed = compared(legacy, response(b"", None, 303, location="/a"), rules)
    assert (agreed.outcome, agreed.rules_used) == (Outcome.ACCEPTED, frozenset({0}))
    for status in (301, 307, 200, 404):
        assert compared(legacy, response(b"", None, status, location="/a"), rules).outcome is Outcome.MISMATCH
    assert compared(response(b"", None, 303), response(b"", None, 302), rules).outcome is Outcome.MISMATCH
    beside = compared(legacy, response(b"", None, 303, location="/b"), rules)
    assert (found(beside), beside.accepted) == ({("header", "location", "value", "risky")}, 1)


ENDPOINTS = [
    accept("$.id", endpoint="POST /x"),
    accept(header="etag", endpoint="GET /x/{}"),
    accept(status=(302, 303), endpoint="POST /x"),
    accept("$.at"),
]


def at(endpoint: str, legacy: Response, candidate: Response) -> Comparison:
    rules = EndpointRules(compile_rules(settings(*ENDPOINTS, headers=("etag",))))
    return compare(legacy, candidate, rules.of(endpoint, endpoint), TODAY)


def test_a_rule_of_an_endpoint_counts_there_alone() -> None:
    pair = response({"id": 1, "at": 1}), response({"id": 2, "at": 2})
    assert at("POST /x", *pair).rules_used == {0, 3}
    elsewhere = at("GET /x/{}", *pair)
    assert (found(elsewhere), elsewhere.rules_used) == ({body("$.id", "value", "value")}, frozenset({3}))
    moved = response(b"", None, 302), response(b"", None, 303)
    assert at("POST /x", *moved).rules_used == {2}
    assert at("GET /x/{}", *moved).outcome is Outcome.MISMATCH
    tags = response({}, etag="1"), response({}, etag="2")
    assert at("GET /x/{}", *tags).rules_used == {1}
    assert at("PUT /x/{}", *tags).outcome is Outcome.MISMATCH


PARTS = {
    "the very path": ("GET /posts/hello", "GET /posts/{}", "GET /posts/hello", True),
    "another path": ("GET /posts/hello", "GET /posts/{}", "GET /posts/other", False),
    "another method": ("GET /posts/hello", "POST /posts/{}", "POST /posts/hello", False),
    "values below a word": ("GET /a/x/items/{}", "GET /a/{}/items/{}", "GET /a/x/items/7", True),
    "a bundle": ("GET /app-3f9ab21c.js", "GET /app-{}.js", "GET /app-3f9ab21c.js", True),
    "a rest": ("GET /w/a/{}", "GET /w/{...}", "GET /w/a/b", True),
    "an endpoint beside it": ("GET /items/{}", "GET /items/new", "GET /items/new", False),
    "a finer endpoint": ("GET /list/{}", "GET /list/page-{}", "GET /list/page-12", False),
}


@pytest.mark.parametrize(("rule", "endpoint", "request_text", "is_in_force"), PARTS.values(), ids=PARTS)
def test_a_rule_for_a_part_of_an_endpoint_covers_that_part_alone(
    rule: str, endpoint: str, request_text: str, is_in_force: bool
) -> None:
    rules = EndpointRules(compile_rules(settings(accept("$.b"), accept("$.a", endpoint=rule), accept("$.c"))))
    assert rules.of(endpoint, request_text).indices == ((0, 1, 2) if is_in_force else (0, 2))


def test_a_rule_is_dead_only_where_it_is_in_force() -> None:
    rules = EndpointRules(compile_rules(settings(*ENDPOINTS)))
    uses = RuleUseState(len(ENDPOINTS))
    for _ in range(10):
        uses.record({3}, rules.of("GET /y", "GET /y").indices)
    assert uses.dead(min_comparisons=10) == ()
    for _ in range(10):
        uses.record({0, 3}, rules.of("POST /x", "POST /x").indices)
    assert uses.dead(min_comparisons=10) == (2,)
    assert uses.comparisons == 20


def test_what_is_accepted_goes_on_being_told() -> None:
    rules = settings(accept("$.a"), accept("$.n[*]", abs="1"), accept(header="etag"), headers=("etag",))
    comparison = compared(response({"a": 1, "n": [1, 5]}, etag="1"), response({"a": "x", "n": [2, 6]}, etag="2"), rules)
    accepted = [(d.in_, d.path, d.kind, d.severity, d.count) for d in comparison.accepted_differences]
    assert accepted == [
        ("body", "$.a", "type", "breaking", 1),
        ("header", "etag", "value", "risky", 1),
        ("body", "$.n[*]", "value", "value", 2),
    ]
    assert (comparison.accepted, comparison.outcome) == (3, Outcome.ACCEPTED)


def test_a_place_of_which_a_part_is_accepted_is_open_and_counted_once() -> None:
    rules = settings(accept("$[*].v", abs="1"), accept("$[*].w"))
    legacy, candidate = [{"v": 1, "w": 1}, {"v": 1, "w": 1}], [{"v": 2, "w": 2}, {"v": 9, "w": 2}]
    comparison = trees(legacy, candidate, rules)
    assert [(d.path, d.count, d.candidate) for d in comparison.differences] == [("$[*].v", 1, b"9")]
    assert [(d.path, d.count) for d in comparison.accepted_differences] == [("$[*].w", 2)]
    assert comparison.accepted == 1
    assert comparison.rules_used == {0, 1}


def test_the_gravest_of_what_is_accepted_is_the_one_shown() -> None:
    comparison = trees({"a": [None, 1]}, {"a": [2, "x"]}, settings(accept("$.a")))
    (accepted,) = comparison.accepted_differences
    assert (accepted.severity, accepted.legacy, accepted.candidate, accepted.count) == ("breaking", b"1", "x", 2)


def test_the_accepted_are_bounded_too() -> None:
    legacy = {f"k{n:04}": 1 for n in range(300)}
    comparison = trees(legacy, {}, settings(accept("$")))
    assert (len(comparison.accepted_differences), comparison.accepted) == (200, 300)


def test_a_second_look_carries_what_it_accepted() -> None:
    rules = settings(accept("$.a"))
    both = second_look(
        trees({"a": 1, "b": 1}, {"a": 2, "b": 2}, rules), trees({"a": 1, "b": 1}, {"a": 3, "b": 3}, rules)
    )
    assert found(both) == {body("$.b", "value", "value")}
    assert [(d.path, d.candidate) for d in both.accepted_differences] == [("$.a", b"3")]
