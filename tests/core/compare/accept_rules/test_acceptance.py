"""The verdict of the rules in force on a difference that was found earlier."""

from typing import Any

import pytest

from strangler.core.compare import Acceptance, Kind, Where, acceptance, compile_rules
from strangler.core.settings import AcceptRule
from tests.core.compare.responses import TODAY, accept, settings

ENDPOINT = "GET /api/orders/{}"
PRICE = (Where.BODY, "$.items[*].price", Kind.TYPE)
TOTAL = (Where.BODY, "$.total", Kind.VALUE)
ETAG = (Where.HEADER, "etag", Kind.VALUE)
STATUS = (Where.STATUS, None, Kind.VALUE)
PLACE = (Where.BODY, "main > .price", Kind.VALUE)

CASES: dict[str, tuple[AcceptRule, tuple[Where, str | None, Kind], str]] = {
    "the place": (accept("$.items[*].price"), PRICE, "ALL"),
    "above it": (accept("$.items"), PRICE, "ALL"),
    "any depth": (accept("$..price", kind="type"), PRICE, "ALL"),
    "another place": (accept("$.items[*].name"), PRICE, "NONE"),
    "below it": (accept("$.items[*].price.net"), PRICE, "NONE"),
    "another kind": (accept("$..price", kind="value"), PRICE, "NONE"),
    "its endpoint": (accept("$.total", endpoint=ENDPOINT), TOTAL, "ALL"),
    "another endpoint": (accept("$.total", endpoint="POST /api/orders/{}"), TOTAL, "NONE"),
    "last day": (accept("$.total", until="2026-11-23"), TOTAL, "ALL"),
    "expired": (accept("$.total", until="2026-11-22"), TOTAL, "NONE"),
    "a tolerance": (accept("$.total", abs="0.1"), TOTAL, "SOME"),
    "a tolerance of another kind": (accept("$..price", abs="0.1"), PRICE, "NONE"),
    "a pair of values": (accept("$.total", from_="1", to="2"), TOTAL, "SOME"),
    "a pair of values of two types": (accept("$..price", from_="1", to='"1"'), PRICE, "SOME"),
    "a pair of values and a field that is gone": (
        accept("$.total", from_="1", to="2"),
        (Where.BODY, "$.total", Kind.MISSING),
        "NONE",
    ),
    "a header": (accept(header="ETag"), ETAG, "ALL"),
    "a pair of header values": (accept(header="etag", from_="a", to="b"), ETAG, "SOME"),
    "another header": (accept(header="vary"), ETAG, "NONE"),
    "a path that is called like a header": (accept("$.etag"), ETAG, "NONE"),
    "the pair of statuses": (accept(status=(302, 303)), STATUS, "ALL"),
    "another pair": (accept(status=(302, 307)), STATUS, "NONE"),
    "the pair turned": (accept(status=(303, 302)), STATUS, "NONE"),
    "everything below $ is no status": (accept("$"), STATUS, "NONE"),
    "a selector": (accept(css="main > .price"), PLACE, "ALL"),
    "another selector": (accept(css="main > .name"), PLACE, "NONE"),
    "all of the body": (accept("$"), PLACE, "ALL"),
    "a path is no selector": (accept("$.price"), PLACE, "NONE"),
    "a path into XML": (accept("/feed/entry"), (Where.BODY, "/feed/entry/title", Kind.VALUE), "ALL"),
    "another path into XML": (accept("/feed/link"), (Where.BODY, "/feed/entry/title", Kind.VALUE), "NONE"),
    "a pair of texts of a page": (accept(css=".price", from_="1", to="2"), PLACE, "SOME"),
    "a path that was cut": (accept("$.a"), (Where.BODY, "$.a.b…0f", Kind.VALUE), "NONE"),
}


def acceptance_of(
    rule: AcceptRule, of: tuple[Where, str | None, Kind], legacy: Any = 302, candidate: Any = 303
) -> Acceptance:
    rules = compile_rules(settings(rule))
    return acceptance(rules, ENDPOINT, *of, legacy=legacy, candidate=candidate, today=TODAY)


@pytest.mark.parametrize(("rule", "of", "expected"), CASES.values(), ids=CASES)
def test_how_much_of_a_difference_is_accepted(
    rule: AcceptRule, of: tuple[Where, str | None, Kind], expected: str
) -> None:
    assert acceptance_of(rule, of) is Acceptance[expected]


def test_a_server_error_is_never_accepted() -> None:
    assert acceptance_of(accept(status=(200, 503)), STATUS, 200, 503) is Acceptance.NONE
    assert acceptance_of(accept(status=(200, 404)), STATUS, 200, 404) is Acceptance.ALL


def test_a_rule_for_all_counts_more_than_one_for_some() -> None:
    rules = compile_rules(settings(accept("$.total", abs="1"), accept("$.total", kind="value")))
    assert acceptance(rules, ENDPOINT, *TOTAL, legacy=1, candidate=9, today=TODAY) is Acceptance.ALL


@pytest.mark.parametrize(
    ("path", "kind", "expected"),
    [("$.tags", Kind.ORDER, "ALL"), ("$.tags", Kind.LENGTH, "NONE"), ("$.tags[*].x", Kind.ORDER, "NONE")],
)
def test_an_unordered_rule_covers_the_order_of_its_array(path: str, kind: Kind, expected: str) -> None:
    rules = compile_rules(settings(unordered={"$.tags": None}))
    found = acceptance(rules, ENDPOINT, Where.BODY, path, kind, legacy=[1], candidate=[2], today=TODAY)
    assert found is Acceptance[expected]
