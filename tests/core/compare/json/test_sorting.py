"""Another order is said once: of the same elements, and of others that a page shows because it is sorted otherwise."""

from random import Random
from typing import Any

import pytest

from strangler.core.compare import Outcome
from strangler.core.settings import CompareSettings
from tests.core.compare.responses import Found, accept, body, compared, found, response, settings, trees

GOODS: list[dict[str, Any]] = [
    {"sku": f"p{n:03}", "name": name, "price": price, "currency": "EUR", "stock": {"left": price * 7 % 5}}
    for n, (name, price) in enumerate(
        zip(
            ["kiwi", "fig", "plum", "apple", "lemon", "cherry", "pear", "grape", "date", "melon", "lime", "peach"],
            Random(3).sample(range(100), 12),
            strict=True,
        )
    )
]
ORDER = body("$.items", "order", "risky")
LENGTH = body("$.items", "length", "risky")


def page(by: str, size: int = 5, *, falling: bool = False, without: str = "", **changes: Any) -> Any:
    """The first elements by a field. `without`: a field that they do not have."""
    listed = sorted(GOODS, key=lambda row: str(row[by]) if by == "name" else row[by], reverse=falling)[:size]
    return {"items": [{key: value for key, value in {**row, **changes}.items() if key != without} for row in listed]}


def anonymous(by: str, **more: Any) -> Any:
    """A page without anything that tells one element from another by its name."""
    rows = page(by, **more)["items"]
    return {"items": [{"label": row["name"], **{k: row[k] for k in row if k not in ("sku", "name")}} for row in rows]}


CASES: dict[str, tuple[Any, Any, Found]] = {
    "by another field": (anonymous("price"), anonymous("name"), {ORDER}),
    "in another direction": (anonymous("price"), anonymous("price", falling=True), {ORDER}),
    "with an identity, those that are gone are told": (page("price"), page("price", falling=True), {ORDER, LENGTH}),
    "and a field is gone": (
        anonymous("price"),
        anonymous("name", without="currency"),
        {ORDER, body("$.items[*].currency", "missing", "breaking")},
    ),
    "and a field is new": (
        anonymous("price", without="currency"),
        anonymous("name"),
        {ORDER, body("$.items[*].currency", "extra", "additive")},
    ),
    "and a field has another type": (
        anonymous("price"),
        anonymous("name", currency=None),
        {ORDER, body("$.items[*].currency", "type", "breaking")},
    ),
    "and a field has another value everywhere": (
        anonymous("price"),
        anonymous("name", currency="USD"),
        {ORDER, body("$.items[*].currency", "value", "value")},
    ),
    "and a field within has another type": (
        anonymous("price"),
        anonymous("name", stock={"left": "many"}),
        {ORDER, body("$.items[*].stock.left", "type", "breaking")},
    ),
    "texts": ({"items": ["a", "b", "c"]}, {"items": ["z", "y", "x"]}, {ORDER}),
    "texts, whatever their case": ({"items": ["a", "B", "c"]}, {"items": ["Z", "y", "X"]}, {ORDER}),
    "numbers": ({"items": [1, 2, 3]}, {"items": [9, 8, 7]}, {ORDER}),
    "in the same direction": ({"items": [1, 2, 3]}, {"items": [7, 8, 9]}, {body("$.items[*]", "value", "value")}),
    "one side in no order": ({"items": [1, 2, 3]}, {"items": [7, 9, 8]}, {body("$.items[*]", "value", "value")}),
    "too few to tell": ({"items": [1, 2]}, {"items": [9, 8]}, {body("$.items[*]", "value", "value")}),
    "all alike on one side": ({"items": [1, 2, 3]}, {"items": [7, 7, 7]}, {body("$.items[*]", "value", "value")}),
    "texts and numbers": ({"items": [1, 2, 3]}, {"items": ["c", "b", "a"]}, {body("$.items[*]", "type", "breaking")}),
    "another length": ({"items": [1, 2, 3]}, {"items": [9, 8, 7, 6]}, {LENGTH, body("$.items[*]", "value", "value")}),
}


@pytest.mark.parametrize(("legacy", "candidate", "expected"), CASES.values(), ids=CASES)
def test_sorted_otherwise_is_one_order(legacy: Any, candidate: Any, expected: Found) -> None:
    assert found(trees(legacy, candidate)) == expected


def test_it_is_found_at_any_depth_and_in_lines() -> None:
    legacy, candidate = anonymous("price"), anonymous("name")
    for steps in ("a", "abc", "abcdefghij"):
        for step in reversed(steps):
            legacy, candidate = {step: [legacy]}, {step: [candidate]}
        (difference,) = trees(legacy, candidate).differences
        assert (difference.kind, difference.count) == ("order", 1)
    lines = tuple(b"\n".join(response(row).body for row in anonymous(by)["items"]) for by in ("price", "name"))
    media = "application/x-ndjson"
    assert found(compared(response(lines[0], media), response(lines[1], media))) == {body("$", "order", "risky")}


def test_of_an_identity_that_half_share_partners_are_compared() -> None:
    legacy, candidate = page("price", 8), page("price", 8, falling=True, currency="USD")
    assert found(trees(legacy, candidate)) == {
        ORDER,
        LENGTH,
        body("$.items[*].currency", "value", "value"),
    }


def test_of_an_identity_that_few_share_partners_are_compared() -> None:
    legacy, candidate = page("price", 5), page("name", 5)
    shared = {row["sku"] for row in legacy["items"]} & {row["sku"] for row in candidate["items"]}
    assert 0 < len(shared) < 3, "the case is another one"
    for row in candidate["items"]:
        if row["sku"] in shared:
            row["price"] = -1
    comparison = trees(legacy, candidate)
    reported = {(d.path, d.kind.value): (d.count, d.legacy) for d in comparison.differences}
    spare = 5 - len(shared)
    assert reported["$.items", "length"] == (1, f"5 elements, {spare} of them only here")
    assert reported["$.items[*].price", "value"][0] == len(shared)
    assert set(reported) == {("$.items", "order"), ("$.items", "length"), ("$.items[*].price", "value")}


MOVED: dict[str, list[Any]] = {
    "with an id": [{"id": n, "at": n * 3 % 7, "tags": ["a", n]} for n in range(9)],
    "with an id within": [{"product": {"id": n, "name": "x"}, "at": n * 3 % 7} for n in range(9)],
}


@pytest.mark.parametrize("rows", MOVED.values(), ids=MOVED)
def test_the_same_elements_in_another_order_are_one_order_however_many_changed(rows: list[Any]) -> None:
    for changed in (0, 1, 5, 9):
        turned = [{**row, "at": -1} if n < changed else row for n, row in enumerate(rows)][::-1]
        expected = {body("$", "order", "risky")} | ({body("$[*].at", "value", "value")} if changed else set())
        comparison = trees(rows, turned)
        assert found(comparison) == expected
        assert {d.count for d in comparison.differences} <= {1, changed}


RULES: dict[str, tuple[CompareSettings, str, Found]] = {
    "the order is accepted": (settings(accept("$.items", kind="order")), "accepted", set()),
    "all of it is accepted": (settings(accept("$.items")), "accepted", set()),
    "values of elements are accepted": (settings(accept("$.items[*]", kind="value")), "accepted", set()),
    "a tolerance": (
        settings(accept("$.items[*].price", abs="1000"), accept("$.items[*]", kind="value")),
        "accepted",
        set(),
    ),
    "a field of it is accepted": (settings(accept("$..price")), "mismatch", {ORDER}),
    "another field is accepted": (settings(accept("$.at")), "mismatch", {ORDER}),
}


@pytest.mark.parametrize(("rules", "outcome", "expected"), RULES.values(), ids=RULES)
def test_a_match_is_never_taken_away_by_it(rules: CompareSettings, outcome: str, expected: Found) -> None:
    comparison = trees(anonymous("price"), anonymous("name"), rules)
    assert (comparison.outcome, found(comparison)) == (Outcome(outcome), expected)


NUMBERS = {
    "values": settings(accept("$.items", kind="value")),
    "values of elements": settings(accept("$.items[*]", kind="value")),
    "a tolerance": settings(accept("$.items[*]", abs="9")),
    "a tolerance above": settings(accept("$..items", abs="9")),
    "pairs": settings(*(accept("$.items[*]", from_=str(n), to=str(10 - n)) for n in (1, 2, 3))),
    "the order": settings(accept("$.items", kind="order")),
}


@pytest.mark.parametrize("rules", NUMBERS.values(), ids=NUMBERS)
def test_nor_is_one_of_numbers(rules: CompareSettings) -> None:
    assert trees({"items": [1, 2, 3]}, {"items": [9, 8, 7]}, rules).outcome is Outcome.ACCEPTED
