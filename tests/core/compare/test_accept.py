"""Accept rules: what they cover, and what is told of them."""

from datetime import date
from typing import Any

import pytest

from strangler.core.compare import Outcome, RuleUseState, compare, compile_rules, expired_rules
from strangler.core.settings import AcceptRule
from tests.core.compare.answers import accept, answer, body, compared, found, settings, trees

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
    assert (compared(answer(legacy), answer(candidate), rules).outcome is Outcome.ACCEPTED) == is_within


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
    legacy = answer({}, cache_control="a")
    assert compared(legacy, answer({}, cache_control="b"), rules).outcome is Outcome.ACCEPTED
    assert compared(legacy, answer({}), rules).outcome is Outcome.MISMATCH


def test_expired_rule_that_would_have_matched_is_reported() -> None:
    rule = accept("$.a", until="2026-11-22")
    assert trees({"a": 1}, {"a": 2}, settings(rule)).rules_expired == {0}
    assert trees({"a": 1}, {"a": 2}, settings(rule, accept("$.a"))).outcome is Outcome.ACCEPTED
    assert expired_rules([rule, accept("$.b")], date(2026, 11, 23)) == (rule,)
    assert expired_rules([rule], date(2026, 11, 22)) == ()


def test_today_is_an_argument() -> None:
    rules = compile_rules(settings(accept("$", until="2026-01-31")))
    pair = answer([1]), answer([2])
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
