"""XML is compared by namespace URI and local name, each difference at a path."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strangler.core.compare import Comparison, Outcome, Redactor, redact_difference
from strangler.core.compare.accept_rules.places import covers_place
from strangler.core.compare.model.values import Excerpt, Opaque
from strangler.core.settings import AcceptRule
from tests.core.compare.responses import accept, compared, response
from tests.core.compare.responses import settings as rules_of

XML = "application/xml"
Found = set[tuple[str | None, str]]


def documents(legacy: str | bytes, candidate: str | bytes, *rules: AcceptRule, media: str = XML) -> Comparison:
    left, right = (response(side.encode() if isinstance(side, str) else side, media) for side in (legacy, candidate))
    return compared(left, right, rules_of(*rules))


def places_of(comparison: Comparison) -> Found:
    return {(difference.path, difference.kind.value) for difference in comparison.differences}


SAME = {
    "prefixes": ('<r xmlns="u"><a/></r>', '<x:r xmlns:x="u"><x:a/></x:r>'),
    "prefixes of attributes": ('<r xmlns:x="u" x:a="1"/>', '<r xmlns:y="u" y:a="1"/>'),
    "where a prefix is declared": ('<r xmlns:x="u"><x:a/></r>', '<r><x:a xmlns:x="u"/></r>'),
    "an unused prefix": ("<r/>", '<r xmlns:x="u"/>'),
    "order and quotes of attributes": ("<r a='1' b='2'/>", '<r b="2"  a="1"/>'),
    "an empty element": ("<r><a/></r>", "<r><a></a></r>"),
    "CDATA": ("<r><![CDATA[a < b]]></r>", "<r>a &lt; b</r>"),
    "CDATA in part": ("<r>a <![CDATA[< b]]> c</r>", "<r>a &lt; b c</r>"),
    "references": ("<r>&#233;&apos;</r>", "<r>\u00e9'</r>"),
    "comments": ("<r>a<!-- x -->b</r>", "<r>ab</r>"),
    "processing instructions": ("<?xml-stylesheet href='a'?><r><?x y?></r>", "<r/>"),
    "declaration": ('<?xml version="1.0" standalone="yes"?><r/>', "<r/>"),
    "a doctype without entities": ('<!DOCTYPE r SYSTEM "http://127.0.0.1:9/r.dtd"><r/>', "<r/>"),
    "whitespace between elements": ("<r>\n  <a>x</a>\n</r>", "<r><a>x</a></r>"),
    "line ends": ("<r>a\r\nb</r>", "<r>a\nb</r>"),
    "an entity of XHTML": ('<!DOCTYPE r PUBLIC "x" "y"><r>&nbsp;</r>', "<r>\u00a0</r>"),
    "neither parses, the same bytes": ("<r>", "<r>"),
}


@pytest.mark.parametrize(("legacy", "candidate"), SAME.values(), ids=SAME)
def test_documents_that_say_the_same_match(legacy: str, candidate: str) -> None:
    assert documents(legacy, candidate).outcome is Outcome.MATCH


def test_the_encoding_is_that_of_the_bytes() -> None:
    latin = '<?xml version="1.0" encoding="ISO-8859-1"?><r>\u00e9</r>'.encode("latin-1")
    assert documents(latin, "<r>\u00e9</r>").outcome is Outcome.MATCH
    assert documents("<r>\u00e9</r>".encode("utf-16"), "<r>\u00e9</r>").outcome is Outcome.MATCH


FEED = """<?xml version="1.0"?>
<feed xmlns="http://www.w3.org/2005/Atom" version="1">
  <title>News</title>
  <entry id="1"><title>One</title><price currency="EUR">19.90</price></entry>
  <entry id="2"><title>Two</title><price currency="EUR">5.00</price></entry>
  <entry id="3"><title>Three</title><price currency="EUR">7.00</price></entry>
</feed>"""
ENTRY = '<entry id="2"><title>Two</title><price currency="EUR">5.00</price></entry>'

CHANGES: dict[str, tuple[list[tuple[str, str]], Found]] = {
    "text": ([("News", "Old")], {("/feed/title", "value")}),
    "text of one in a list": ([("Two", "II")], {("/feed/entry/title", "value")}),
    "attribute": ([('version="1"', 'version="2"')], {("/feed/@version", "value")}),
    "attribute lost": ([(' version="1"', "")], {("/feed/@version", "missing")}),
    "attribute new": ([("<title>News", '<title lang="en">News')], {("/feed/title/@lang", "extra")}),
    "element lost": ([("<title>News</title>", "")], {("/feed/title", "missing")}),
    "element new": ([("<title>News", "<rights/><title>News")], {("/feed/rights", "extra")}),
    "entry lost": ([(ENTRY, "")], {("/feed/entry", "missing")}),
    "entry in front": ([('<entry id="1">', '<entry id="0"/><entry id="1">')], {("/feed/entry", "extra")}),
    "entry in front, and all changed": (
        [('<entry id="1">', '<entry id="0"/><entry id="1">'), ("EUR", "eur")],
        {("/feed/entry", "extra"), ("/feed/entry/price/@currency", "value")},
    ),
    "entries in another order": ([(ENTRY, ""), ("</feed>", f"{ENTRY}</feed>")], {("/feed", "order")}),
    "case of a name": (
        [("<title>News</title>", "<Title>News</Title>")],
        {("/feed/title", "missing"), ("/feed/Title", "extra")},
    ),
    "another namespace": ([("2005/Atom", "2005/atom")], {("/feed", "missing"), ("/feed", "extra")}),
    "another namespace within": (
        [("<title>News</title>", '<title xmlns="v">News</title>')],
        {("/feed/title", "missing"), ("/feed/title", "extra")},
    ),
    "space in a text": ([("News", "News ")], {("/feed/title", "value")}),
    "another root": ([("feed", "rss")], {("/feed", "missing"), ("/rss", "extra")}),
}


@pytest.mark.parametrize(("changes", "expected"), CHANGES.values(), ids=CHANGES)
def test_a_change_has_one_place_and_no_others(changes: list[tuple[str, str]], expected: Found) -> None:
    document = FEED
    for old, new in changes:
        assert old in document
        document = document.replace(old, new)
    assert places_of(documents(FEED, document)) == expected


def test_a_namespace_of_an_attribute_counts() -> None:
    found = documents('<r xmlns:x="u" x:a="1"/>', '<r xmlns:x="v" x:a="1"/>')
    assert places_of(found) == {("/r/@a", "missing"), ("/r/@a", "extra")}


def test_attributes_that_are_sets_in_html_are_texts_in_xml() -> None:
    assert places_of(documents("<r class='a b'/>", "<r class='b a'/>")) == {("/r/@class", "value")}
    assert places_of(documents("<r style='a: b'/>", "<r style='a:b'/>")) == {("/r/@style", "value")}


def test_whitespace_is_kept_where_the_document_says_so() -> None:
    left, right = '<r xml:space="preserve"> <a/></r>', '<r xml:space="preserve"><a/></r>'
    assert places_of(documents(left, right)) == {("/r", "value")}
    default = '<r xml:space="preserve"><a xml:space="default">{}<b/></a></r>'
    assert documents(default.format(" "), default.format("")).outcome is Outcome.MATCH


@pytest.mark.parametrize("media", ["text/xml", "application/soap+xml", "image/svg+xml", "application/xhtml+xml"])
def test_whatever_is_called_xml_is_compared_as_xml(media: str) -> None:
    assert places_of(documents("<r><a x='1'/></r>", "<r><a x='2'/></r>", media=media)) == {("/r/a/@x", "value")}


ACCEPTED = {
    "the path": (accept("/feed/title"), [("News", "Old")]),
    "a path above": (accept("/feed"), [("News", "Old"), ("Two", "II")]),
    "any step": (accept("/feed/*/title"), [("Two", "II")]),
    "any depth": (accept("//title"), [("News", "Old"), ("Two", "II")]),
    "an attribute": (accept("/feed/@version"), [('version="1"', 'version="2"')]),
    "a lost attribute": (accept("//@currency"), [(' currency="EUR"', "")]),
    "any attribute": (accept("//price/@*"), [("EUR", "eur")]),
    "a lost element": (accept("/feed/entry", kind="missing"), [(ENTRY, "")]),
    "the whole document": (accept("$"), [("News", "Old")]),
    "a pair of values": (accept("/feed/title", from_="News", to="Old"), [("News", "Old")]),
    "a pair of values that read as numbers": (accept("//price", from_="5.00", to="5"), [("5.00", "5")]),
    "a tolerance": (accept("//price", abs="0.01"), [("5.00", "5.01")]),
    "a relative tolerance": (accept("//price", rel="0.01"), [("19.90", "19.95")]),
    "order": (accept("/feed", kind="order"), [(ENTRY, ""), ("</feed>", f"{ENTRY}</feed>")]),
}


@pytest.mark.parametrize(("rule", "changes"), ACCEPTED.values(), ids=ACCEPTED)
def test_a_rule_accepts_what_its_path_names(rule: AcceptRule, changes: list[tuple[str, str]]) -> None:
    document = FEED
    for old, new in changes:
        document = document.replace(old, new)
    comparison = documents(FEED, document, rule)
    assert (comparison.outcome, comparison.rules_used) == (Outcome.ACCEPTED, frozenset([0]))


NOT_ACCEPTED = {
    "another path": accept("/feed/entry/title"),
    "a path below": accept("/feed/title/x"),
    "an attribute": accept("/feed/title/@lang"),
    "another kind": accept("/feed/title", kind="missing"),
    "another pair": accept("/feed/title", from_="News", to="New"),
    "a tolerance of what is no number": accept("/feed/title", abs="1"),
    "a selector": accept(css="title"),
    "a path into JSON": accept("$.feed.title"),
}


@pytest.mark.parametrize("rule", NOT_ACCEPTED.values(), ids=NOT_ACCEPTED)
def test_a_rule_accepts_nothing_else(rule: AcceptRule) -> None:
    assert places_of(documents(FEED, FEED.replace("News", "Old"), rule)) == {("/feed/title", "value")}


def test_what_a_rule_accepts_does_not_disturb_which_entries_belong_together() -> None:
    entries = [f"<e><n>Entry {n}</n><at>{n}</at></e>" for n in range(20)]
    right = [entry.replace("<at>", "<at>9") for entry in entries]
    left, two = f"<r>{''.join(entries)}</r>", f"<r><e><n>new</n></e>{''.join(right)}</r>"
    assert places_of(documents(left, two, accept("/r/e/at"))) == {("/r/e", "extra")}


UNREADABLE = {
    "unclosed": "<r><a>x</a>",
    "a lost bracket": "<r>a></a></r>",
    "cut": FEED[:100],
    "an entity that is declared": '<!DOCTYPE r [<!ENTITY x "y">]><r>&x;</r>',
    "an entity that is declared and not used": '<!DOCTYPE r [<!ENTITY x "y">]><r/>',
    "an external entity": '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/hostname">]><r>&x;</r>',
    "a parameter entity": '<!DOCTYPE r [<!ENTITY % x SYSTEM "http://127.0.0.1:9/"> %x;]><r/>',
    "an unknown entity": "<r>&x;</r>",
    "an unknown prefix": "<x:r/>",
    "two roots": "<r/><r/>",
    "HTML": "<p>a<br>b",
}


@pytest.mark.parametrize("broken", UNREADABLE.values(), ids=UNREADABLE)
def test_what_parses_on_one_side_only_is_a_breaking_type(broken: str) -> None:
    (difference,) = documents("<r>y</r>", broken).differences
    assert (difference.path, difference.kind.value, difference.severity.value) == ("$", "type", "breaking")
    assert isinstance(difference.legacy, Excerpt)
    assert difference.candidate == Opaque(broken.encode())
    (difference,) = documents(broken, "<r>y</r>").differences
    assert (difference.path, difference.kind.value, difference.severity.value) == ("$", "type", "breaking")


@pytest.mark.parametrize("broken", UNREADABLE.values(), ids=UNREADABLE)
def test_what_parses_on_neither_side_is_compared_as_bytes(broken: str) -> None:
    (difference,) = documents(broken, f"{broken} ").differences
    assert (difference.path, difference.kind.value) == ("$", "value")
    assert (difference.legacy, difference.candidate) == (Opaque(broken.encode()), Opaque(f"{broken} ".encode()))
    assert documents(broken, broken).outcome is Outcome.MATCH


CALLED = {
    "XML and HTML": ("text/xml", "<r><a>1</a></r>", "text/html", "<r><a>2</a></r>", {("/r/a", "value")}),
    "XHTML and HTML": (
        "application/xhtml+xml", "<html><body><p>x</p></body></html>",
        "text/html", "<html><body><p>y</p></body></html>",
        {("/html/body/p", "value")},
    ),
    "XML and an error page": ("text/xml", "<r/>", "text/html", "<p>Error<br>", {("$", "type")}),
    "XML and a text": ("text/xml", "<r/>", "text/plain", "Error", {("$", "type")}),
    "XML and nothing": ("text/xml", "<r/>", "text/xml", "", {("$", "type")}),
    "XML and bytes": ("text/xml", "<r/>", "image/png", "<r/> ", {("$", "type")}),
    "XML and JSON": ("text/xml", "<r/>", "application/json", "{}", {("$", "type")}),
    "HTML and a text": ("text/html", "<p>x</p>", "text/plain", "Error", {("$", "type")}),
    "HTML and HTML called a text": ("text/html", "<p>x</p>", "text/plain", "<p>y</p>", {("p", "value")}),
    "a text called HTML and a text": ("text/html", "pong", "text/plain", "ping", {("$", "value")}),
    "the same bytes": ("text/xml", "<r/>", "text/plain", "<r/>", set()),
}  # fmt: skip


@pytest.mark.parametrize(("media", "legacy", "other", "candidate", "expected"), CALLED.values(), ids=CALLED)
def test_what_is_called_otherwise_is_compared_as_what_it_is(
    media: str, legacy: str, other: str, candidate: str, expected: Found
) -> None:
    sides = response(legacy.encode(), media), response(candidate.encode(), other)
    assert places_of(compared(*sides)) == expected
    assert places_of(compared(*sides[::-1])) == expected


def kept(comparison: Comparison) -> list[dict[str, Any]]:
    redactor = Redactor.of(b"key", ["$..email"])
    return [redact_difference(difference, redactor).as_json() for difference in comparison.differences]


@pytest.mark.parametrize(
    "document",
    [
        "<r><password>{}</password></r>",
        "<r token='{}'/>",
        "<r><f name='api-key'>{}</f></r>",
        "<r><secrets><a><b>{}</b></a></secrets></r>",
        "<r><email>{}</email></r>",
    ],
)
def test_what_a_secret_name_holds_is_not_kept(document: str) -> None:
    rows = kept(documents(document.format("S3C_1"), document.format("S3C_2")))
    assert rows
    assert "S3C_" not in str(rows)
    assert rows[0]["path"].startswith("/r")


HOSTILE = {
    "billion laughs": '<!DOCTYPE r [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><r>&b;</r>',
    "quadratic blowup": f'<!DOCTYPE r [<!ENTITY a "{"x" * 50_000}">]><r>{"&a;" * 20_000}</r>',
    "deep": "<a>" * 80_000 + "</a>" * 80_000,
    "unclosed": "<a>" * 80_000,
    "many attributes": "<a " + " ".join(f"a{at}=''" for at in range(30_000)) + "/>",
    "many namespaces": "<a " + " ".join(f"xmlns:a{at}='u'" for at in range(15_000)) + "/>",
    "many elements": "<r>" + "<a/>" * 60_000 + "</r>",
    "a long text": f"<r>{'x' * 250_000}</r>",
    "CDATA": "<r>" + "<![CDATA[x]]>" * 20_000 + "</r>",
    "NUL": "<r>\0</r>",
}


@pytest.mark.parametrize("document", HOSTILE.values(), ids=HOSTILE)
def test_hostile_documents_end_soon(document: str) -> None:
    assert documents(document, f"{document}\n<!-- x -->").outcome in (Outcome.MATCH, Outcome.MISMATCH)
    assert documents(document, "<r/>").outcome is Outcome.MISMATCH


NAMES = st.sampled_from(["a", "b", "entry", "x:a", "id"])
FIELDS = st.dictionaries(st.sampled_from(["id", "x:id", "lang"]), st.sampled_from(["", "1", "2"]), max_size=2)
TEXTS = st.sampled_from(["x", " ", "1.50", "&amp;", "a  b"])


def written(element: tuple[str, dict[str, str], list[str]]) -> str:
    name, fields, children = element
    attributes = "".join(f' {key}="{value}"' for key, value in fields.items())
    return f"<{name}{attributes}>{''.join(children)}</{name}>"


TREES = st.recursive(TEXTS, lambda inner: st.tuples(NAMES, FIELDS, st.lists(inner, max_size=5)).map(written)).map(
    '<r xmlns:x="u">{}</r>'.format
)
MIRRORED = {"missing": "extra", "extra": "missing"}


@settings(deadline=None)
@given(TREES)
def test_a_document_matches_itself_under_another_prefix(document: str) -> None:
    assert documents(document, document.replace("x:", "y:").replace("xmlns:x", "xmlns:y")).outcome is Outcome.MATCH


@settings(deadline=None, max_examples=300)
@given(TREES, TREES)
def test_swapping_the_sides_mirrors_the_differences(left: str, right: str) -> None:
    forth, back = documents(left, right), documents(right, left)
    assert forth.outcome is back.outcome
    assert {(d.path, d.kind.value, d.count) for d in forth.differences} == {
        (d.path, MIRRORED.get(d.kind.value, d.kind.value), d.count) for d in back.differences
    }


@settings(deadline=None, max_examples=200)
@given(TREES, TREES)
def test_every_place_is_a_path_and_its_rule_accepts_it(left: str, right: str) -> None:
    """An accepted attribute no longer pairs elements, so that there may be another difference then."""
    comparison, rules = documents(left, right), list[AcceptRule]()
    for _ in range(4):
        rules += [accept(difference.path) for difference in comparison.differences]
        comparison = documents(left, right, *rules)
    assert all(covers_place(rule.path or "", rule.path or "") for rule in rules)
    assert comparison.outcome is (Outcome.ACCEPTED if rules else Outcome.MATCH)
