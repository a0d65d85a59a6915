"""Places in markup: how they are written, which accept rules cover them, and the rule that is written for one."""

import pytest

from strangler.core.compare.accept_rules.css import SelectorError, escape_identifier, parse_css
from strangler.core.compare.accept_rules.places import (
    below,
    covers_place,
    is_stable_class,
    is_stable_name,
    rule_for_place,
    step_of,
)
from strangler.core.compare.accept_rules.xmlpath import parse_xml_path

COVERS = {
    "the same place": ("main > .price", "main > .price", None, True),
    "written closer": ("main>.price", "main > .price", None, True),
    "an element above": ("main", "main > ul > .price", "value", True),
    "any element above": ("html", "main > .price", "missing", True),
    "body": ("body", "main > .price", "missing", True),
    "a descendant": ("main .price", "main > ul > .price", None, True),
    "a class anywhere": (".price", "main > ul > .price", None, True),
    "the attribute of a covered element": (".price", "main > .price::attr(title)", None, True),
    "own text": ("main > .price::text", "main > .price", "value", True),
    "own text, by a wider selector": (".price::text", "main > .price", "value", True),
    "an attribute": ("a::attr(href)", "main > a::attr(href)", "missing", True),
    "a field by its name": ("input[name=qty]", '#cart > input[name="qty"]::attr(value)', None, True),
    "everything": ("$", "main > .price", None, True),
    "everything in XML": ("$", "/feed/title", None, True),
    "a column": ("td:nth-child(2)", "tr > td:nth-child(2)", None, True),
    "own text is not the element": ("main > .price::text", "main > .price", "missing", False),
    "own text is not its order": ("main > .price::text", "main > .price", "order", False),
    "own text, of no kind in particular": ("main > .price::text", "main > .price", None, False),
    "own text is not an attribute": (".price::text", ".price::attr(title)", "value", False),
    "own text is not that of a child": ("main::text", "main > .price", "value", False),
    "another attribute": ("a::attr(href)", "main > a::attr(title)", None, False),
    "an attribute is not the text": ("a::attr(href)", "main > a", "value", False),
    "a child is not a descendant": ("main > .price", "main > ul > .price", None, False),
    "an element below": ("main > .price", "main", None, False),
    "a tag that the place does not tell": ("span.price", "main > .price", None, False),
    "a class that the place does not tell": (".price.sale", "main > .price", None, False),
    "an ancestor that the place does not tell": (".shop main", "main > .price", None, False),
    "a child of body, which is in doubt": ("body > main", "main > .price", None, False),
    "a negation": ("p:not(.price)", "main > p", None, False),
    "a place among siblings": ("p:first-child", "main > p", None, False),
    "another column": ("td:nth-child(3)", "tr > td:nth-child(2)", None, False),
    "a list": ("main, aside", "main > .price", None, False),
    "what is no selector": ("main >", "main > .price", None, False),
    "JSON by css": (".price", "$.price", None, False),
    "XML by css": ("title", "/feed/title", None, False),
    "the path itself": ("/feed/title", "/feed/title", None, True),
    "a path above": ("/feed", "/feed/entry/@id", None, True),
    "any step": ("/*/title", "/feed/title", None, True),
    "any depth": ("//title", "/feed/entry/title", None, True),
    "an attribute at any depth": ("//@id", "/feed/entry/@id", None, True),
    "another path": ("/feed/title", "/feed/entry/title", None, False),
    "an element is not an attribute": ("//id", "/feed/entry/@id", None, False),
    "a path below": ("/feed/entry/title", "/feed/entry", None, False),
    "HTML by a path": ("/html/body", "body", None, False),
}


@pytest.mark.parametrize(("rule", "place", "kind", "expected"), COVERS.values(), ids=COVERS)
def test_a_rule_covers_a_written_place_only_if_that_is_sure(
    rule: str, place: str, kind: str | None, expected: bool
) -> None:
    assert covers_place(rule, place, kind) is expected


def test_a_long_selector_is_judged_at_once() -> None:
    assert not covers_place("b " * 400 + "i", " > ".join(["b"] * 200) + " > u")


@pytest.mark.parametrize(
    ("place", "kind", "rule"),
    [
        ("main > .price", "value", ("css", "main > .price::text")),
        ("main > .price", "missing", ("css", "main > .price")),
        ("main > ul", "order", ("css", "main > ul")),
        ("main > a::attr(href)", "value", ("css", "main > a::attr(href)")),
        ("main > a::attr(href)", "missing", ("css", "main > a::attr(href)")),
        ("/feed/entry/title", "value", ("path", "/feed/entry/title")),
        ("/feed/@version", "missing", ("path", "/feed/@version")),
        ("$.items[*].price", "value", ("path", "$.items[*].price")),
    ],
)
def test_the_rule_for_a_place_is_as_narrow_as_the_place(place: str, kind: str, rule: tuple[str, str]) -> None:
    assert rule_for_place(place, kind) == rule
    if rule[0] == "css":
        parse_css(rule[1])
    if not place.startswith("$"):
        assert covers_place(rule[1], place, kind)


WORDS = {
    "price": True,
    "product__name": True,
    "btn-primary": True,
    "productPrice": True,
    "ProductCard": True,
    "col-6": True,
    "h2": True,
    "item12": True,
    "field-price": True,
    "active": False,
    "row1": False,
    "css-1q2w3e": False,
    "sc-bdVaJa": False,
    "Button_root__3xF2d": False,
    "svelte-abc123": False,
    "product-10432": False,
    "a1b2c3d4": False,
    "md:flex": False,
    "12": False,
}


@pytest.mark.parametrize(("name", "expected"), WORDS.items(), ids=WORDS)
def test_a_class_is_a_step_if_it_is_a_word(name: str, expected: bool) -> None:
    assert is_stable_class(name) is expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [("basket", True), ("id_quantity", True), ("product-7", False), ("a1b2c3d4e5", False), ("", False), ("a b", False)],
)
def test_an_id_with_a_number_is_that_of_one_page(name: str, expected: bool) -> None:
    assert is_stable_name(name) is expected


STEPS = {
    "id": ("div", [{"id": "basket", "class": "box"}], "#basket"),
    "class": ("span", [{"class": "active price big"}], ".price"),
    "tag": ("p", [{"class": "css-1q2w3e"}], "p"),
    "landmark": ("main", [{"class": "wide"}], "main"),
    "field": ("input", [{"class": "form-control", "name": "q"}], 'input[name="q"]'),
    "field of a numbered form": ("input", [{"class": "form-control", "name": "form-0-qty"}], ".form-control"),
    "meta": ("meta", [{"property": "og:title"}], 'meta[property="og:title"]'),
    "what both sides have": ("div", [{"class": "new price", "id": "x"}, {"class": "price", "id": "y"}], ".price"),
    "escaped": ("div", [{"id": "a.b"}], "#a\\.b"),
}


@pytest.mark.parametrize(("name", "sides", "step"), STEPS.values(), ids=STEPS)
def test_a_step_is_what_a_person_would_write(name: str, sides: list[dict[str, str]], step: str) -> None:
    assert step_of(name, sides) == step


def test_a_cell_is_known_by_its_column() -> None:
    assert step_of("td", [{}], 2) == "td:nth-child(2)"


def test_steps_begin_at_the_nearest_landmark() -> None:
    assert below(("#shop", ".list"), "main", "main") == ("main",)
    assert below(("body",), "div", ".wrapper") == (".wrapper",)
    assert len(below(("i",) * 12, "b", "b")) == 12


@pytest.mark.parametrize(
    ("name", "escaped"),
    [
        ("price", "price"),
        ("1a", "\\31 a"),
        ("-1", "-\\31 "),
        ("-", "\\-"),
        ("a:b", "a\\:b"),
        ("é", "é"),
        ("a b", "a\\ b"),
        ("a\x01", "a\\1 "),
    ],
)
def test_identifiers_are_escaped_as_css_does(name: str, escaped: str) -> None:
    assert escape_identifier(name) == escaped
    parse_css(f".{escaped}")


BAD_SELECTORS = {
    "main >": "is not a CSS selector",
    "": "is not a selector",
    "p:no-such-thing": "is not a CSS selector",
    "a, b::text": "one rule for each",
    "div::before": "pseudo-element",
    "$.price": "is not a CSS selector",
    "p::text::text": "pseudo-element",
}


@pytest.mark.parametrize(("text", "message"), BAD_SELECTORS.items(), ids=BAD_SELECTORS)
def test_a_selector_that_cannot_be_read_is_told(text: str, message: str) -> None:
    with pytest.raises(SelectorError, match=message):
        parse_css(text)


@pytest.mark.parametrize("text", ["feed", "/", "/feed/", "/a:b", "/feed/entry[1]", "/feed/@id/x", "/@", "///x", "/a b"])
def test_a_path_into_xml_that_cannot_be_read_is_told(text: str) -> None:
    with pytest.raises(ValueError, match=r"write|nothing|elements"):
        parse_xml_path(text)
