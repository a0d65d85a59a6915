"""The rules that accept differences: what is written, what is refused, and what is there already."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from strangler.config.edit_accept import add_accepts
from strangler.config.load import parse
from strangler.config.source_files import Files
from strangler.core.compare import compile_rules, endpoint_shape
from strangler.core.documents import SignatureRow
from strangler.core.settings import AcceptRule, CompareSettings
from strangler.store.evidence.hints import endpoint_hints, order_hints
from strangler.store.evidence.reviews import Review, ReviewError, accept_rule, covers, plan_accepts
from tests.factories import route, settings
from tests.store.evidence.pairs import signature_row

TODAY = date(2026, 11, 30)
YAML = """\
version: 1
upstreams: {legacy: {url: "http://127.0.0.1:1"}, orders: {url: "http://127.0.0.1:2"}}
routes:
  - {name: orders, match: {prefix: /}, candidate: orders}
"""


_STATUS: dict[str, Any] = {"in_": "status"}
_HEADER: dict[str, Any] = {"in_": "header"}


def row(path: str | None = "$.price", kind: str = "value", **more: Any) -> SignatureRow:
    return signature_row(path=path, kind=kind, **more)


def rule(found: SignatureRow, *, values: bool = False) -> AcceptRule:
    return accept_rule(found, None, None, "agreed", values=values)


ENDPOINT = "GET /api/orders/{}"


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(row(), AcceptRule(path="$.price", endpoint=ENDPOINT, kind="value", why="agreed"), id="JSON"),
        pytest.param(
            row("vary", **_HEADER),
            AcceptRule(header="vary", endpoint=ENDPOINT, kind="value", why="agreed"),
            id="header",
        ),
        pytest.param(
            row(None, **_STATUS, legacy=302, candidate=303),
            AcceptRule(status=(302, 303), endpoint=ENDPOINT, why="agreed"),
            id="a status is its pair",
        ),
        pytest.param(
            row("main > .price"),
            AcceptRule(css="main > .price::text", endpoint=ENDPOINT, kind="value", why="agreed"),
            id="the text of an element",
        ),
        pytest.param(
            row("main > .price", "missing"),
            AcceptRule(css="main > .price", endpoint=ENDPOINT, kind="missing", why="agreed"),
            id="an element",
        ),
        pytest.param(
            row("/feed/entry/title"),
            AcceptRule(path="/feed/entry/title", endpoint=ENDPOINT, kind="value", why="agreed"),
            id="XML",
        ),
    ],
)
def test_a_rule_is_for_the_place_and_the_endpoint(found: SignatureRow, expected: AcceptRule) -> None:
    assert rule(found) == expected
    assert parse(add_accepts(Files("f", YAML), [("orders", expected)], {}).after.text, "f", {}).problems == ()


@pytest.mark.parametrize(
    ("path", "written"),
    [
        pytest.param(b"/orders/7.json", "/orders/{}.json", id="a file with a folded name"),
        pytest.param(b"/docs/my%20file", "/docs/my%20file", id="a blank"),
        pytest.param(b"/docs/a%3Fb%23c", "/docs/a%3Fb%23c", id="what would begin a query"),
        pytest.param(b"/docs/%2541", "/docs/%2541", id="a percent sign"),
        pytest.param(b"/docs/%7Ba%7D", "/docs/{}", id="braces"),
        pytest.param(b"/app-3f9ab21c.js", "/app-{}.js", id="a hole within a segment"),
        pytest.param(b"/docs/caf%C3%A9", "/docs/café", id="letters"),
    ],
)
def test_a_rule_counts_on_the_endpoint_that_it_was_made_for(path: bytes, written: str) -> None:
    name = f"GET {endpoint_shape(path)}"
    after = add_accepts(Files("f", YAML), [("orders", rule(row(endpoint=name)))], {}).after.text
    assert f'endpoint: "GET {written}"' in after
    loaded = parse(after, "f", {}).settings
    assert loaded is not None
    assert loaded.routes[0].compare.accept[0].endpoint == name


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (row(None, **_STATUS, legacy=200, candidate=502), "a 5xx is a failure"),
        (row("…"), "not a single place"),
        (row("$.a" + "b" * 1000 + "…0123"), "not a single place"),
        (row("$['redacted:0123abcd'].x"), "not kept"),
        (row("$['string(12) 0123abcd']"), "not kept"),
        (row(endpoint="GET …"), "not a single endpoint"),
        (row(endpoint="GET /api/…"), "not a single endpoint"),
        (row(endpoint="GET /" + "a/" * 20), "not a single endpoint"),
    ],
    ids=[
        "5xx",
        "folded",
        "cut",
        "a redacted key",
        "a hashed key",
        "many endpoints",
        "endpoints beyond a limit",
        "an endpoint that is too deep",
    ],
)
def test_what_no_rule_can_say_is_refused_with_a_reason(found: SignatureRow, reason: str) -> None:
    with pytest.raises(ReviewError, match=reason):
        rule(found)


@pytest.mark.parametrize(
    ("legacy", "candidate", "expected"),
    [
        pytest.param("EUR", "eur", ("EUR", "eur"), id="texts"),
        pytest.param("5", 5, ('"5"', "5"), id="a text that looks like a number"),
        pytest.param("null", None, ('"null"', "null"), id="null and its text"),
        pytest.param("{", "[1]", ("{", '"[1]"'), id="texts that look like JSON"),
        pytest.param("", "a\nb", ('""', '"a\\nb"'), id="texts that YAML would not take"),
        pytest.param(19.99, "19.99", ("19.99", '"19.99"'), id="a number"),
        pytest.param({"a": [True]}, ["ü"], ('{"a": [true]}', '["ü"]'), id="trees"),
    ],
)
def test_a_pair_of_values_means_just_these(legacy: Any, candidate: Any, expected: tuple[str, str]) -> None:
    made = rule(row(kind="type", legacy=legacy, candidate=candidate), values=True)
    assert (made.from_, made.to) == expected
    loaded = parse(add_accepts(Files("f", YAML), [("orders", made)], {}).after.text, "f", {}).settings
    assert loaded is not None
    assert loaded.routes[0].compare.accept == (made,)


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (row(legacy="redacted:0123abcd", candidate="x"), "redacted"),
        (row(legacy={"mail": "x redacted:0123abcd y"}, candidate=1), "redacted"),
        (row(legacy="string(3) 0123abcd", candidate="string(4) 89abcdef"), "hashed"),
        (row(legacy=["boolean 0123abcd"], candidate=[]), "hashed"),
        (row(legacy="x" * 300 + "… (400 characters)", candidate="x"), "not kept whole"),
        (row(legacy="[1, 2…", candidate=[]), "not kept whole"),
        (row("$", legacy={"hash": "0123abcd", "length": 3}, candidate=1), "not kept whole"),
        (row(kind="missing", legacy=1, candidate=None), "no pair of values"),
        (row(legacy="12345678901234567890123", candidate=1), "such a long number"),
        (row("vary", **_HEADER, legacy="", candidate="x"), "not plain texts"),
    ],
    ids=[
        "redacted",
        "inside",
        "hashed",
        "hashed inside",
        "long",
        "tree",
        "opaque",
        "missing",
        "number",
        "empty header",
    ],
)
def test_values_that_are_not_known_cannot_be_accepted(found: SignatureRow, reason: str) -> None:
    with pytest.raises(ReviewError, match=reason):
        rule(found, values=True)


WANTED = AcceptRule(path="$.items[*].price", endpoint=ENDPOINT, kind="value", why="new")


@pytest.mark.parametrize(
    ("there", "is_covered"),
    [
        pytest.param(AcceptRule(path="$.items[*].price", endpoint=ENDPOINT, kind="value"), True, id="the same"),
        pytest.param(AcceptRule(path="$.items"), True, id="above, any endpoint and kind"),
        pytest.param(AcceptRule(path="$..price", kind="value"), True, id="deep"),
        pytest.param(AcceptRule(path="$.items[*].price", until="2026-11-30"), True, id="until today"),
        pytest.param(AcceptRule(path="$.items[*].price", until="2026-11-29"), False, id="expired"),
        pytest.param(AcceptRule(path="$.items[*].price", kind="type"), False, id="another kind"),
        pytest.param(AcceptRule(path="$.items[*].price", endpoint="POST /api/orders/{}"), False, id="another endpoint"),
        pytest.param(AcceptRule(path="$.items[*].price.net"), False, id="below"),
        pytest.param(AcceptRule(path="$.items[*].price", abs="0.01"), False, id="a tolerance"),
        pytest.param(AcceptRule(path="$.items[*].price", from_="1", to="2"), False, id="one pair of values"),
        pytest.param(AcceptRule(css="main"), False, id="a page"),
        pytest.param(AcceptRule(header="vary"), False, id="a header"),
        pytest.param(AcceptRule(status=(302, 303)), False, id="a status"),
    ],
)
def test_a_rule_that_covers_another_makes_it_needless(there: AcceptRule, is_covered: bool) -> None:
    assert covers(there, WANTED, TODAY) is is_covered


@pytest.mark.parametrize(
    ("there", "wanted", "is_covered"),
    [
        (AcceptRule(css="main"), AcceptRule(css="main > .price::text", kind="value"), True),
        (AcceptRule(css="main > .price::text"), AcceptRule(css="main > .price::attr(title)", kind="value"), False),
        (AcceptRule(path="/feed"), AcceptRule(path="/feed/entry/title", kind="value"), True),
        (AcceptRule(path="/feed/entry"), AcceptRule(path="/feed/title", kind="value"), False),
        (AcceptRule(header="Vary"), AcceptRule(header="vary", kind="value"), True),
        (AcceptRule(status=(302, 303)), AcceptRule(status=(302, 303), endpoint=ENDPOINT), True),
        (AcceptRule(status=(302, 303)), AcceptRule(status=(303, 302), endpoint=ENDPOINT), False),
    ],
)
def test_so_it_does_in_pages_xml_headers_and_statuses(there: AcceptRule, wanted: AcceptRule, is_covered: bool) -> None:
    assert covers(there, wanted, TODAY) is is_covered


def planned(*rows: SignatureRow, accept: tuple[AcceptRule, ...] = ()) -> Any:
    this_route = route("orders", compare=CompareSettings((), accept, (), (), "decimal"))
    return plan_accepts(rows, settings([this_route]), Review("accepted", why="agreed"), TODAY)


def test_two_rows_that_need_one_rule_write_one() -> None:
    plan = planned(row(id="1", severity="risky"), row(id="2", severity="breaking"), row("$.price.net", id="3"))
    assert [name for name, _ in plan.rules] == ["orders"]
    assert {item.id for item in plan.accepted} == {"1", "2", "3"}


def test_what_is_there_and_what_cannot_be_is_told_apart() -> None:
    status = _STATUS | {"legacy": 200, "candidate": 500}
    plan = planned(
        row(id="1"), row("$.note", id="2"), row(None, id="3", **status), row(id="4", route="gone"),
        accept=(AcceptRule(path="$.note"),),
    )  # fmt: skip
    assert [made.path for _, made in plan.rules] == ["$.price"]
    assert [item.id for item in plan.already] == ["2"]
    assert [(item.id, "5xx" in why or "no route" in why) for item, why in plan.refused] == [("3", True), ("4", True)]


def test_another_order_is_a_hint_once_for_an_endpoint() -> None:
    rows = [
        row("$.items", "order"),
        row("$.tags", "order"),
        row("$.tags", "order", state="accepted"),
        row("$.items", "length"),
        row("$.items", "order", endpoint="GET /api/other"),
    ]
    first, second = order_hints(rows)
    assert first.paths == ("$.items", "$.tags")
    assert 'unordered: [{path: "$.items"}, {path: "$.tags"}]' in first.text
    assert second.endpoint == "GET /api/other"


HINTS = {
    "a part of it": ("GET /posts/{}", "GET /posts/hello", "is for that part of it alone"),
    "one beside it": ("GET /list/page-{}", "GET /list/{}", "is not for this endpoint"),
    "the same": ("GET /posts/{}", "GET /posts/{}", None),
    "every endpoint": ("GET /posts/{}", None, None),
    "another": ("GET /posts/{}", "GET /pages/x", None),
    "another method": ("GET /posts/{}", "POST /posts/x", None),
}


@pytest.mark.parametrize(("endpoint", "rule_endpoint", "text"), HINTS.values(), ids=HINTS)
def test_a_rule_for_another_endpoint_is_a_hint(endpoint: str, rule_endpoint: str | None, text: str | None) -> None:
    accept = AcceptRule(path="$.price", endpoint=rule_endpoint, why="agreed")
    rules = {"orders": compile_rules(replace(route("orders").compare, accept=(accept,)))}
    rows = [row(endpoint=endpoint), row(endpoint=endpoint, kind="type"), row(endpoint=endpoint, state="accepted")]
    found = [hint.text for hint in endpoint_hints(rows, rules, TODAY)]
    assert len(found) == (text is not None)
    assert text is None or (text in found[0] and found[0].startswith(f"{endpoint}: "))
    assert endpoint_hints([row("$.other", endpoint=endpoint)], rules, TODAY) == []
    assert endpoint_hints([row(endpoint=endpoint, route="gone")], rules, TODAY) == []
