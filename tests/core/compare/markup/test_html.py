"""HTML is compared as the tree that a browser makes of it, each difference at a place that a person would write."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strangler.core.compare import Comparison, Kind, Outcome, Reason, Redactor, redact_difference
from strangler.core.compare.accept_rules.css import parse_css
from strangler.core.compare.markup.html_tree import parse_html
from strangler.core.compare.model.values import Excerpt
from strangler.core.settings import AcceptRule
from tests.core.compare.responses import accept, compared, response
from tests.core.compare.responses import settings as rules_of

HTML = "text/html"
Found = set[tuple[str | None, str]]


def pages(legacy: str, candidate: str, *rules: AcceptRule) -> Comparison:
    return compared(response(legacy.encode(), HTML), response(candidate.encode(), HTML), rules_of(*rules))


def places_of(comparison: Comparison) -> Found:
    return {(difference.path, difference.kind.value) for difference in comparison.differences}


SAME = {
    "whitespace between blocks": ("<ul>\n  <li>a</li>\n</ul>", "<ul><li>a</li></ul>"),
    "whitespace within text": ("<p>a \n b</p>", "<p>a b</p>"),
    "a space on either side of a tag": ("<p>a <b>b</b></p>", "<p>a<b> b</b></p>"),
    "a space on either side of two tags": ("<p>a <b><i>b</i></b></p>", "<p>a<b><i> b</i></b></p>"),
    "a space at the end of a tag": ("<p><b>a </b>b</p>", "<p><b>a</b> b</p>"),
    "a space around what is not seen": ("a <script>x</script> b", "a<script>x</script> b"),
    "a space at the edge of a block": ("<p> a </p>", "<p>a</p>"),
    "a space at the edge of a button": ("<button> x </button>", "<button>x</button>"),
    "a hidden field between spaces": ("a <input type=hidden name=x> b", "a<input type=hidden name=x> b"),
    "order of attributes": ("<a href=/x title=t>y", "<a title=t href=/x>y"),
    "quotes": ("<a href=/x>y", "<a href='/x'>y"),
    "case of names": ("<P CLASS=a>x</P>", "<p class=a>x</p>"),
    "entities": ("<p title='&quot;'>&eacute;&nbsp;&#38;", '<p title=\'"\'>\u00e9\u00a0&amp;'),
    "order of classes": ("<p class='a b'>x", "<p class='b  a a'>x"),
    "one class, spaced": ("<p class=' a '>x", "<p class=a>x"),
    "order of rel": ("<a rel='noopener nofollow'>x", "<a rel='nofollow noopener'>x"),
    "a style": ("<p style='color: red; top:0'>x", "<p style='color:red;top: 0;'>x"),
    "a boolean attribute": ("<input disabled>", "<input disabled=disabled>"),
    "a boolean attribute, empty": ("<input checked=''>", "<input checked>"),
    "comments": ("<p>a<!-- x -->b", "<p>ab"),
    "conditional comments": ("<p>x<!--[if lt IE 9]><script src=/a></script><![endif]-->", "<p>x"),
    "tags that may be left out": ("<ul><li>a<li>b</ul>", "<ul><li>a</li><li>b</li></ul>"),
    "html, head and body": ("<p>x", "<html><head></head><body><p>x</p></body></html>"),
    "a tbody": ("<table><tr><td>x</table>", "<table><tbody><tr><td>x</td></tr></tbody></table>"),
    "a self-closing tag": ("<br/>", "<br>"),
    "CRLF in pre": ("<pre>a\r\nb</pre>", "<pre>a\nb</pre>"),
    "a first line end in pre": ("<pre>\na</pre>", "<pre>a</pre>"),
    "a doctype's case": ("<!doctype HTML><p>x", "<!DOCTYPE html>\n<p>x"),
    "JSON in a script": (
        "<script type=application/json>{\"a\": 1.0, \"b\": [2]}</script>",
        "<script type=application/json>{\"b\":[2],\"a\":1}</script>",
    ),
    "JSON-LD in a script": (
        "<script type='application/ld+json'>{\"@type\": \"Thing\", \"n\": 1}</script>",
        "<script type='application/ld+json'>{\"n\":1,\"@type\":\"Thing\"}</script>",
    ),
    "a misnested tag": ("<p><b><i>x</b></i>", "<p><b><i>x</i></b>"),
    "part of a table": ("<tr><td>a</td></tr>", "<tr>\n <td>a\n</tr>"),
}  # fmt: skip


@pytest.mark.parametrize(("legacy", "candidate"), SAME.values(), ids=SAME)
def test_pages_that_look_the_same_match(legacy: str, candidate: str) -> None:
    assert pages(legacy, candidate).outcome is Outcome.MATCH


SHOP = """<!DOCTYPE html><html lang=en><head><title>Shirt</title><meta name=description content=Cotton></head><body>
<header><a class=logo href=/>Shop</a></header>
<main><h1>Shirt</h1><p class=price>19.90</p>
<ul class=list>
<li class=item><a href=/1>One</a> <span class=stock>3</span></li>
<li class=item><a href=/2>Two</a> <span class=stock>5</span></li>
<li class=item><a href=/3>Three</a> <span class=stock>7</span></li>
</ul>
<form id=basket action=/basket method=post><input type=number name=quantity value=1><button>Add</button></form>
<table><tr><td>Size</td><td>M</td></tr><tr><td>Colour</td><td>red</td></tr></table>
</main><footer>Terms</footer></body></html>"""
ROW = "<li class=item><a href=/2>Two</a> <span class=stock>5</span></li>"

CHANGES: dict[str, tuple[list[tuple[str, str]], Found]] = {
    "text": ([("19.90", "19.95")], {("main > .price", "value")}),
    "text of the head": ([("<title>Shirt", "<title>Skirt")], {("head > title", "value")}),
    "meta": ([("Cotton", "Wool")], {('head > meta[name="description"]::attr(content)', "value")}),
    "attribute": ([("/2", "/4")], {("main > .list > .item > a::attr(href)", "value")}),
    "attribute lost": ([(" href=/2", "")], {("main > .list > .item > a::attr(href)", "missing")}),
    "attribute new": ([("<a href=/2", "<a title=x href=/2")], {("main > .list > .item > a::attr(title)", "extra")}),
    "attribute of html": ([("lang=en", "lang=pt")], {("html::attr(lang)", "value")}),
    "class": ([("<p class=price>", "<p class='price sale'>")], {("main > .price::attr(class)", "value")}),
    "field": ([("value=1", "value=2")], {('#basket > input[name="quantity"]::attr(value)', "value")}),
    "attribute of what has an id": ([("/basket", "/cart")], {("#basket::attr(action)", "value")}),
    "cell": ([(">red", ">blue")], {("main > table > tbody > tr > td:nth-child(2)", "value")}),
    "element lost": ([("<p class=price>19.90</p>", "")], {("main > .price", "missing")}),
    "element new": ([("<p class=price>", "<p class=old>25</p><p class=price>")], {("main > .old", "extra")}),
    "landmark lost": ([("<footer>Terms</footer>", "")], {("footer", "missing")}),
    "row lost": ([(ROW, "")], {("main > .list > .item", "missing")}),
    "row in front": (
        [("<ul class=list>", "<ul class=list><li class=item>0</li>")],
        {("main > .list > .item", "extra")},
    ),
    "rows in another order": ([(ROW, ""), ("</ul>", f"{ROW}</ul>")], {("main > .list", "order")}),
    "row moved and changed": (
        [(ROW, ""), ("</ul>", f"{ROW.replace('>5<', '>6<')}</ul>")],
        {("main > .list", "order"), ("main > .list > .item > .stock", "value")},
    ),
    "row in front, and all changed": (
        [
            ("class=stock>", "class=stock>1"),
            ("<ul class=list>", "<ul class=list><li class=item><a href=/0>No</a></li>"),
        ],
        {("main > .list > .item", "extra"), ("main > .list > .item > .stock", "value")},
    ),
    "tag": (
        [("<h1>Shirt</h1>", "<h2>Shirt</h2>")],
        {("main > h1", "missing"), ("main > h2", "extra")},
    ),
    "text lost": ([("19.90", "")], {("main > .price", "value")}),
    "text before or behind an element": (
        [("<a class=logo href=/>Shop</a>", "<a class=logo href=/>Shop</a>x"), ("Terms", "x<b>y</b>")],
        {("header", "value"), ("footer", "value"), ("footer > b", "extra")},
    ),
    "doctype lost": ([("<!DOCTYPE html>", "")], {("html", "value")}),
}


@pytest.mark.parametrize(("changes", "expected"), CHANGES.values(), ids=CHANGES)
def test_a_change_has_one_place_and_no_others(changes: list[tuple[str, str]], expected: Found) -> None:
    page = SHOP
    for old, new in changes:
        assert old in page
        page = page.replace(old, new)
    assert places_of(pages(SHOP, page)) == expected


OTHER: dict[str, tuple[str, str, Found]] = {
    "a space that is seen": ("<b>a</b> <i>b</i>", "<b>a</b><i>b</i>", {("body", "value")}),
    "a space around a picture": ("<p>a <img src=x>", "<p>a<img src=x>", {("p", "value")}),
    "a space that does not break": ("<p>a&nbsp;b", "<p>a b", {("p", "value")}),
    "pre": ("<pre>a  b</pre>", "<pre>a b</pre>", {("pre", "value")}),
    "textarea": ("<textarea>a\n</textarea>", "<textarea>a</textarea>", {("textarea", "value")}),
    "script": ("<script>a  = 1</script>", "<script>a = 1</script>", {("head > script", "value")}),
    "markup in a script": ("<script>'<b a=1>'</script>", "<script>'<b a=2>'</script>", {("head > script", "value")}),
    "JSON in a script": (
        "<body><script type=application/json>[1]</script>",
        "<body><script type=application/json>[2]</script>",
        {("script", "value")},
    ),
    "style": ("<style>a {b: c}</style>", "<style>a {b: d}</style>", {("head > style", "value")}),
    "a template": (
        "<template><p>x</p></template>",
        "<template><p>y</p></template>",
        {("head > template > p", "value")},
    ),
    "text moved over an element": ("<p>a<b>x</b>", "<p><b>x</b>a", {("p", "order")}),
    "part of a table": ("<tr class=a><td>x</tr>", "<tr class=b><td>x</tr>", {("tr::attr(class)", "value")}),
    "options": (
        "<select name=s><option value=1>A<option value=2>B</select>",
        "<select name=s><option value=2>B<option value=1>A</select>",
        {('select[name="s"]', "order")},
    ),
    "an svg": ("<svg><path d=M1 /></svg>", "<svg><path d=M2 /></svg>", {("svg > path::attr(d)", "value")}),
    "plain text": ("pong", "ping", {("body", "value")}),
    "a style's string": ("<p style='a: \"b : c\"'>", "<p style='a: \"b:c\"'>", {("p::attr(style)", "value")}),
    "order of a style": ("<p style='a:1;b:2'>", "<p style='b:2;a:1'>", {("p::attr(style)", "value")}),
    "hidden until found": ("<p hidden>x", "<p hidden=until-found>x", {("p::attr(hidden)", "value")}),
    "nothing": ("<p>x", " ", {("p", "missing")}),
}


@pytest.mark.parametrize(("legacy", "candidate", "expected"), OTHER.values(), ids=OTHER)
def test_pages_that_look_different_do_not_match(legacy: str, candidate: str, expected: Found) -> None:
    assert places_of(pages(legacy, candidate)) == expected


TOKENS = {
    "Django": "<form><input type=hidden name=csrfmiddlewaretoken value={}></form>",
    "Rails": "<form><input type=hidden name=authenticity_token value={}></form>",
    "ASP.NET": "<form><input type=hidden name=__RequestVerificationToken value={}></form>",
    "Laravel": "<form><input type=hidden name=_token value={}></form>",
    "Symfony": "<form><input type=hidden name='user[_token]' value={}></form>",
    "Drupal": "<form><input type=hidden name=form_build_id value={}></form>",
    "WordPress": "<form><input type=hidden name=_wpnonce value={}></form>",
    "WooCommerce": "<form><input type=hidden name=woocommerce-login-nonce value={}></form>",
    "Magento": "<form><input type=hidden name=form_key value={}></form>",
    "Web Forms": "<form><input type=hidden name=__VIEWSTATE value={}></form>",
    "JSF": "<form><input type=hidden name=javax.faces.ViewState value={}></form>",
    "Spring": "<form><input type=hidden name=_csrf value={}></form>",
    "a meta token": "<meta name=csrf-token content={}>",
    "a meta nonce": "<meta property=csp-nonce content={}>",
    "a nonce": "<script nonce={}>x()</script>",
    "a nonce of a style": "<style nonce={}>a{{}}</style>",
    "a data attribute": "<body data-csrf-token={}>x",
    "a script": "<script>var csrfToken = \"{}\";</script>",
    "a script's object": "<script>window.app = {{'csrf-token': '{}', user: 1}}</script>",
    "JSON": "<script type=application/json>{{\"csrfToken\":\"{}\",\"user\":1}}</script>",
    "a query": "<a href='/logout?csrf_token={}&x=1'>x</a>",
    "a query of WordPress": "<a href='/wp-login.php?action=logout&amp;_wpnonce={}'>x</a>",
    "a field and a script": "<input type=hidden name=csrf value={0}><script>send('{0}')</script>",
    "a field and a data attribute": "<input type=hidden name=csrf value={0}><div data-x='a{0}b'>x</div>",
    "a field and a URL": "<input type=hidden name=csrf value={0}><a href='/x?t={0}'>x</a>",
}  # fmt: skip


@pytest.mark.parametrize("page", TOKENS.values(), ids=TOKENS)
def test_a_token_of_either_side_is_no_difference_but_a_lost_one_is(page: str) -> None:
    left, right = page.format("aZ3kQ9wXy7Lm2Pq8"), page.format("bT5nR1vUc4Jh6Sd0")
    assert pages(left, right).outcome is Outcome.MATCH
    assert pages(left, page.format("''")).outcome is Outcome.MISMATCH
    assert pages(left, re.sub(r"<(?!/)[^>]*\{.*?\}.*", "", page) or "x").outcome is Outcome.MISMATCH


def test_a_token_in_base64_is_known_again_in_a_url() -> None:
    page = "<input type=hidden name=csrf value='{}'><a href='/x?t={}'>x</a>"
    assert pages(
        page.format("ab+/c1==ef", "ab%2B%2Fc1%3D%3Def"), page.format("zz+/y2==xx", "zz%2B%2Fy2%3D%3Dxx")
    ).outcome is (Outcome.MATCH)


NO_TOKENS = {
    "a hidden field": ("<input type=hidden name=order value={}>", "input[name=\"order\"]::attr(value)"),
    "a field that is seen": ("<input name=token value={}>", "input[name=\"token\"]::attr(value)"),
    "the name of the header": ("<meta name=csrf_param content={}>", "head > meta[name=\"csrf_param\"]::attr(content)"),
    "an ordinary query": ("<a href='/x?page={}'>x</a>", "a::attr(href)"),
    "a text": ("<p>{}</p>", "p"),
    "an ordinary script": ("<script>price = '{}'</script>", "head > script"),
}  # fmt: skip


@pytest.mark.parametrize(("page", "place"), NO_TOKENS.values(), ids=NO_TOKENS)
def test_other_values_differ(page: str, place: str) -> None:
    assert places_of(pages(page.format("aZ3kQ9wXy7Lm2Pq8"), page.format("bT5nR1vUc4Jh6Sd0"))) == {(place, "value")}


def test_a_word_in_a_token_field_is_not_looked_for_elsewhere() -> None:
    page = "<input type=hidden name=form_token value={0}><h1>{0}</h1>"
    assert places_of(pages(page.format("checkout"), page.format("register"))) == {("h1", "value")}


def test_a_token_does_not_hide_what_else_changed_in_a_script() -> None:
    page = "<input type=hidden name=csrf value={0}><script>send('{0}', {1})</script>"
    found = pages(page.format("aZ3kQ9wXy7Lm2Pq8", 1), page.format("bT5nR1vUc4Jh6Sd0", 2))
    assert places_of(found) == {("head > script", "value")} or places_of(found) == {("script", "value")}


PRICE = ("19.90", "19.95")
ACCEPTED = {
    "the element": (accept(css="main > .price"), [PRICE]),
    "an element above": (accept(css="main"), [PRICE]),
    "anything": (accept(css="*"), [PRICE, ("/2", "/4")]),
    "all of the page": (accept("$"), [PRICE, ("/2", "/4"), ("lang=en", "lang=pt")]),
    "own text": (accept(css=".price::text"), [PRICE]),
    "own text of this kind": (accept(css=".price::text", kind="value"), [PRICE]),
    "an attribute": (accept(css="a::attr(href)"), [("/2", "/4")]),
    "a lost attribute": (accept(css=".item a::attr(href)"), [(" href=/2", "")]),
    "a lost element": (accept(css=".price", kind="missing"), [("<p class=price>19.90</p>", "")]),
    "rows lost": (accept(css=".item"), [(ROW, "")]),
    "order": (accept(css=".list", kind="order"), [(ROW, ""), ("</ul>", f"{ROW}</ul>")]),
    "a pair of values": (accept(css=".price", from_="19.90", to="19.95"), [PRICE]),
    "a place among siblings": (accept(css=".item:nth-child(2) .stock"), [(">5<", ">6<")]),
    "a selector that looks down": (accept(css="li:has(a[href='/2'])"), [(">5<", ">6<")]),
    "the doctype": (accept(css="html::text"), [("<!DOCTYPE html>", "")]),
    "an element that only one side has": (accept(css=".sale"), [("<h1>", "<b class=sale>!</b><h1>")]),
}


@pytest.mark.parametrize(("rule", "changes"), ACCEPTED.values(), ids=ACCEPTED)
def test_a_rule_accepts_what_its_selector_names(rule: AcceptRule, changes: list[tuple[str, str]]) -> None:
    page = SHOP
    for old, new in changes:
        page = page.replace(old, new)
    comparison = pages(SHOP, page, rule)
    assert (comparison.outcome, comparison.rules_used) == (Outcome.ACCEPTED, frozenset([0]))


NOT_ACCEPTED = {
    "another element": (accept(css="main > h1"), PRICE, "main > .price"),
    "own text is not that of a child": (accept(css="main::text"), PRICE, "main > .price"),
    "own text of it is not its rows": (accept(css=".list::text"), (">5<", ">6<"), "main > .list > .item > .stock"),
    "an attribute is not the text": (accept(css=".price::attr(class)"), PRICE, "main > .price"),
    "another attribute": (accept(css="a::attr(title)"), ("/2", "/4"), "main > .list > .item > a::attr(href)"),
    "own text is not the element": (accept(css=".price::text"), ("<p class=price>19.90</p>", ""), "main > .price"),
    "another kind": (accept(css=".price", kind="missing"), PRICE, "main > .price"),
    "another pair of values": (accept(css=".price", from_="19.90", to="20"), PRICE, "main > .price"),
    "a path into XML": (accept("//p"), PRICE, "main > .price"),
    "a path into JSON": (accept("$.price"), PRICE, "main > .price"),
    "another row": (accept(css=".item:nth-child(1)"), (">5<", ">6<"), "main > .list > .item > .stock"),
    "an expired rule": (accept(css=".price", until="2026-11-22"), PRICE, "main > .price"),
}  # fmt: skip


@pytest.mark.parametrize(("rule", "change", "place"), NOT_ACCEPTED.values(), ids=NOT_ACCEPTED)
def test_a_rule_accepts_nothing_else(rule: AcceptRule, change: tuple[str, str], place: str) -> None:
    comparison = pages(SHOP, SHOP.replace(*change), rule)
    assert [difference.path for difference in comparison.differences] == [place]


def test_a_rule_for_some_elements_of_a_list_leaves_the_others() -> None:
    page = "<ul><li class=row><b class=old>1</b><li class=row><b>2</b></ul>"
    other = page.replace(">1<", ">3<").replace(">2<", ">4<")
    comparison = pages(page, other, accept(css=".old"))
    assert comparison.outcome is Outcome.MISMATCH
    assert [(d.path, d.count) for d in comparison.differences] == [("ul > .row > b", 1)]
    assert comparison.accepted == 1


def test_what_a_rule_accepts_does_not_disturb_which_rows_belong_together() -> None:
    rows = [f"<li><a href=/{n}>Item {n}</a><span class=views>{n}</span></li>" for n in range(20)]
    other = [re.sub(r"views>(\d+)", r"views>9\1", row) for row in rows]
    comparison = pages(f"<ul>{''.join(rows)}</ul>", f"<ul><li>new</li>{''.join(other)}</ul>", accept(css=".views"))
    assert places_of(comparison) == {("ul > li", "extra")}
    assert comparison.accepted == 1


def test_values_are_texts_and_long_ones_are_shown_around_their_first_change() -> None:
    (difference,) = pages(SHOP, SHOP.replace("19.90", " 19.95 ")).differences
    assert (difference.legacy, difference.candidate) == ("19.90", "19.95")
    (difference,) = pages(f"<p>{'x' * 500}old", f"<p>{'x' * 500}new").differences
    assert isinstance(difference.legacy, Excerpt)
    assert difference.legacy.text[difference.legacy.position :] == "old"


def test_what_a_field_with_a_secret_name_holds_is_not_kept() -> None:
    page = "<form><input name=api_key value={}><div id=password-hint><b>{}</b></div><p id=token title={}></form>"
    differences = pages(page.format("S3C_1", "S3C_2", "S3C_3"), page.format("S3C_4", "S3C_5", "S3C_6")).differences
    kept = [redact_difference(difference, Redactor.of(b"key", [])).as_json() for difference in differences]
    places = {'form > input[name="api_key"]::attr(value)', "#password-hint > b", "#token::attr(title)"}
    assert {row["path"] for row in kept} == places
    assert "S3C_" not in str(kept)


def test_places_of_a_page_name_the_elements_they_came_from() -> None:
    other = re.sub(r"(?<=>)([^<>\n]+)(?=<)", r"\1!", SHOP).replace("value=1", "value=2").replace("/2", "/4")
    comparison = pages(SHOP, other)
    assert len(comparison.differences) > 8
    for difference in comparison.differences:
        rule = parse_css(difference.path or "")
        for text in (SHOP, other):
            page = parse_html(text, has_selectors=True)
            assert page is not None
            assert page.select(rule.selector), difference.path


HOSTILE = {
    "deep": "<div>" * 50_000,
    "deep lists": "<ul><li>" * 20_000,
    "deep spans and end tags": "<span>" * 20_000 + "</x>" * 50_000,
    "deep scopes": "<div><marquee></div></marquee>" * 8000,
    "many attributes": "<a " + " ".join(f"a{at}" for at in range(40_000)) + ">",
    "many quoted attributes": "<a " + " ".join(f"a{at}='>'" for at in range(30_000)) + ">",
    "many attributes behind a script": "<script>'<a b=\"'</script>" + " " * 16_000 + "<a " + "x y " * 8000 + "\">",
    "unclosed formatting": "<p>" + "".join(f"<b a{at}>" for at in range(1000)) + "</p>" + "<p>x</p>" * 1000,
    "unclosed formatting, ends in comments": "<p>" + "<b a><!-- </b> -->".join(map(str, range(3000))) + "<p>x" * 3000,
    "unclosed bold in tables": "<p>" + "".join(f"<b a{n}><table><td></b></table>" for n in range(900)) + "<p>" * 900,
    "deep svg": "<svg>" + "<td>" * 50_000,
    "unclosed comments": "<!--" * 60_000,
    "options": "<select>" + "<option>x" * 25_000,
    "comments": "<!--a-->" * 30_000,
    "instructions": "<?a>" * 30_000,
    "raw text": "<title>" * 40_000,
    "a large attribute": f"<a href='{'x' * 250_000}'>",
    "NUL and surrogates": "<p>\0\x00</p>" * 1000,
    "names of tokens": "<script>" + "csrf" * 60_000 + "</script>",
    "tokens everywhere": "".join(f"<input type=hidden name=csrf value=token{at:06}>" for at in range(4000)),
}  # fmt: skip


@pytest.mark.parametrize("page", HOSTILE.values(), ids=HOSTILE)
def test_hostile_pages_end_soon(page: str) -> None:
    for left, right in ((page, f"{page}<p>y"), (f"<q>{page}", f"<q> {page}<p>y")):
        comparison = pages(left, right)
        is_too_much = comparison.outcome is Outcome.NOT_COMPARABLE
        assert comparison.reason is (Reason.DECODE if is_too_much else None)
    assert pages(page, page).outcome is Outcome.MATCH


def test_nesting_that_the_parser_takes_is_compared() -> None:
    deep = "<i><div>" * 700
    assert [d.kind for d in pages(f"{deep}x", f"{deep}y").differences] == [Kind.VALUE]


def test_where_very_much_differs_the_search_is_cut() -> None:
    left, right = ("".join(f"<p>{word}{at}</p>" for at in range(20_000)) for word in ("a", "b"))
    comparison = pages(left, right)
    assert comparison.outcome is Outcome.MISMATCH
    assert comparison.is_cut


NAMES = st.sampled_from(
    ["div", "p", "span", "b", "ul", "li", "a", "main", "section", "td", "custom-x", "pre", "button"]
)
ATTRIBUTES = st.dictionaries(
    st.sampled_from(["class", "id", "href", "title", "hidden"]),
    st.sampled_from(["", "a", "b a", "x-1", "é"]),
    max_size=2,
)
TEXTS = st.sampled_from(["x", " x", "x ", " ", "a  b", "19.90", "&amp;", "\n"])


def written(element: tuple[str, dict[str, str], list[str]]) -> str:
    name, attributes, children = element
    fields = "".join(f' {key}="{value}"' for key, value in attributes.items())
    return f"<{name}{fields}>{''.join(children)}</{name}>"


TREES = st.recursive(
    TEXTS, lambda inner: st.tuples(NAMES, ATTRIBUTES, st.lists(inner, max_size=5)).map(written), max_leaves=30
)
MIRRORED = {"missing": "extra", "extra": "missing"}


@settings(deadline=None, max_examples=200)
@given(TREES)
def test_a_page_matches_itself_however_its_blocks_are_spaced(page: str) -> None:
    assert pages(page, page).outcome is Outcome.MATCH
    assert pages(f"<main>{page}</main>", f"\n<main>\n{page}\n</main>\n").outcome is Outcome.MATCH


@settings(deadline=None, max_examples=400)
@given(TREES, TREES)
def test_swapping_the_sides_mirrors_the_differences(left: str, right: str) -> None:
    forth, back = pages(left, right), pages(right, left)
    assert forth.outcome is back.outcome
    assert {(d.path, d.kind.value, d.count) for d in forth.differences} == {
        (d.path, MIRRORED.get(d.kind.value, d.kind.value), d.count) for d in back.differences
    }


@settings(deadline=None, max_examples=200)
@given(TREES, TREES)
def test_every_place_is_a_selector_and_its_rule_accepts_it(left: str, right: str) -> None:
    """An accepted attribute no longer pairs elements, so that there may be another difference then."""
    comparison, rules = pages(left, right), list[AcceptRule]()
    for _ in range(4):
        rules += [accept(css=difference.path) for difference in comparison.differences]
        comparison = pages(left, right, *rules)
    assert comparison.outcome is (Outcome.ACCEPTED if rules else Outcome.MATCH)
