"""Pages of a shop and of an admin site, feeds and messages: what a migration does to them."""

# ruff: noqa: E501 (pages as they are sent)

from strangler.core.settings import AcceptRule
from tests.core.compare.labelled import Pair, body_label
from tests.core.compare.responses import accept, response, settings

Changes = list[tuple[str, str]]
Cases = dict[str, tuple[Changes, str] | tuple[Changes, str, list[AcceptRule]]]
"""The candidate's text, the labels (`value main > .price`, parted by `|`), and the rules; all differences
accepted: `accepted`."""


def cases(name: str, document: str, media: str, of: Cases) -> list[Pair]:
    return [_pair(f"{name}: {case}", document, media, *parts) for case, parts in of.items()]


def _pair(
    name: str, document: str, media: str, changes: Changes, labels: str, rules: list[AcceptRule] | None = None
) -> Pair:
    candidate = document
    for old, new in changes:
        assert old in candidate, f"{name}: {old}"
        candidate = candidate.replace(old, new)
    is_accepted = labels == "accepted"
    found = set() if is_accepted else {body_label(label.strip()) for label in labels.split("|") if label}
    return Pair(
        name,
        response(document.encode(), media),
        response(candidate.encode(), media),
        found,
        "accepted" if is_accepted else "",
        rules=settings(*rules or ()),
    )


SHOP = """<!DOCTYPE html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <title>Linen shirt – Corner Shop</title>
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="csrf-token" content="Zk3mQ8vTn1LpX0aRw7Yc">
  <meta property="og:title" content="Linen shirt">
  <link rel="canonical" href="/items/linen-shirt">
  <link rel="stylesheet" href="/static/shop.css">
  <script nonce="r4nd0mN0nce1" src="/static/shop.js" defer></script>
  <script type="application/ld+json">{"@type": "Product", "name": "Linen shirt", "offers": {"price": 49.90}}</script>
</head>
<body class="shop">
<header class="top"><a class="logo" href="/">Corner Shop</a>
  <form class="search" action="/search"><input type="search" name="q" placeholder="Search"><button>Go</button></form>
</header>
<nav><ul><li><a href="/shirts">Shirts</a></li><li><a href="/shoes">Shoes</a></li></ul></nav>
<main>
  <h1>Linen shirt</h1>
  <p class="price">EUR <b>49.90</b></p>
  <p class="stock in-stock">3 left</p>
  <div class="description"><p>Made of <em>pure</em> linen.</p><p>Wash at 30 degrees.</p></div>
  <form id="add" action="/basket" method="post">
    <input type="hidden" name="csrfmiddlewaretoken" value="Zk3mQ8vTn1LpX0aRw7Yc">
    <input type="hidden" name="item" value="linen-shirt">
    <select name="size"><option value="s">Small</option><option value="m" selected>Medium</option></select>
    <input type="number" name="quantity" value="1" min="1">
    <button class="btn btn-primary" type="submit">Add to basket</button>
  </form>
  <ul class="reviews">
    <li class="review" id="review-101"><b class="author">Ana</b><p class="text">Nice.</p></li>
    <li class="review" id="review-102"><b class="author">Bo</b><p class="text">Too wide.</p></li>
    <li class="review" id="review-103"><b class="author">Cy</b><p class="text">Fits well.</p></li>
  </ul>
  <table class="sizes"><tr><th>Size</th><th>Chest</th></tr><tr><td>S</td><td>90</td></tr><tr><td>M</td><td>98</td></tr></table>
</main>
<aside class="recent"><a class="teaser" href="/items/hat">Hat</a></aside>
<footer>Visited 17 times. <a href="/terms">Terms</a></footer>
<script>window.shop = {csrfToken: "Zk3mQ8vTn1LpX0aRw7Yc", locale: "en"};</script>
</body>
</html>
"""
TOKEN = ("Zk3mQ8vTn1LpX0aRw7Yc", "m2Wd9KfB5sHj4UeG6tPi")
REVIEW = '<li class="review" id="review-101"><b class="author">Ana</b><p class="text">Nice.</p></li>'

SHOP_PAGES = cases(
    "shop",
    SHOP,
    "text/html; charset=utf-8",
    {
        "another session's token": ([TOKEN], ""),
        "another nonce": ([("r4nd0mN0nce1", "0therN0nce22")], ""),
        "minified": ([("\n  ", ""), ("\n", "")], ""),
        "another template engine": (
            [
                ("<ul><li>", "<ul>\n\t<li>"),
                (" defer>", ' defer="defer">'),
                ("–", "&ndash;"),
                ("selected", 'selected="selected"'),
            ],
            "",
        ),
        "order of attributes": ([('name="quantity" value="1"', 'value="1" name="quantity"')], ""),
        "order of classes": ([("btn btn-primary", "btn-primary btn")], ""),
        "a comment of a template": ([("<main>", "<main><!-- item.html -->")], ""),
        "JSON-LD written otherwise": ([('"offers": {"price": 49.90}', '"offers":{"price":49.9}')], ""),
        "upper-case tags": ([("<h1>Linen shirt</h1>", "<H1>Linen shirt</H1>")], ""),
        "space around an inline tag": ([("of <em>pure</em> linen", "of<em> pure</em> linen")], ""),
        "price": ([("<b>49.90", "<b>49.95")], "value main > .price > b"),
        "currency": ([("EUR <b>", "USD <b>")], "value main > .price"),
        "price and token": ([TOKEN, ("<b>49.90", "<b>49.95")], "value main > .price > b"),
        "price in JSON-LD": ([('"price": 49.90', '"price": 49.95')], "value head > script"),
        "token lost": (
            [('<input type="hidden" name="csrfmiddlewaretoken" value="Zk3mQ8vTn1LpX0aRw7Yc">', "")],
            'missing #add > input[name="csrfmiddlewaretoken"]',
        ),
        "token empty": (
            [('csrfmiddlewaretoken" value="Zk3mQ8vTn1LpX0aRw7Yc"', 'csrfmiddlewaretoken" value=""')],
            'value #add > input[name="csrfmiddlewaretoken"]::attr(value)',
        ),
        "hidden field": ([('value="linen-shirt"', 'value="7"')], 'value #add > input[name="item"]::attr(value)'),
        "chosen option": (
            [(" selected>", ">"), ('value="s"', 'value="s" selected')],
            'missing #add > select[name="size"] > option::attr(selected) | extra #add > select[name="size"] > option::attr(selected)',
        ),
        "action of a form": ([('action="/basket"', 'action="/cart"')], "value #add::attr(action)"),
        "link": ([('href="/terms"', 'href="/agb"')], "value footer > a::attr(href)"),
        "visitor counter": ([("17 times", "18 times")], "value footer"),
        "class lost": ([("stock in-stock", "stock")], "value main > .stock::attr(class)"),
        "review lost": ([(REVIEW, "")], "missing main > .reviews > .review"),
        "review new": (
            [(REVIEW, REVIEW + REVIEW.replace("101", "104").replace("Ana", "Di"))],
            "extra main > .reviews > .review",
        ),
        "reviews in another order": (
            [(REVIEW, ""), ("  </ul>\n  <table", f"{REVIEW}</ul>\n  <table")],
            "order main > .reviews",
        ),
        "review changed": ([("Too wide", "Too large")], "value main > .reviews > .review > .text"),
        "cell": ([("<td>98", "<td>99")], "value main > .sizes > tbody > tr > td:nth-child(2)"),
        "title": ([("<title>Linen", "<title>Cotton")], "value head > title"),
        "meta": (
            [('content="Linen shirt"', 'content="Shirt"')],
            'value head > meta[property="og:title"]::attr(content)',
        ),
        "canonical": ([('/items/linen-shirt"', '/item/7"')], 'value head > link[rel="canonical"]::attr(href)'),
        "aside lost": (
            [('<aside class="recent"><a class="teaser" href="/items/hat">Hat</a></aside>', "")],
            "missing .recent",
        ),
        "banner new": ([("<main>", '<div class="banner">Sale</div><main>')], "extra .banner"),
        "script": ([('locale: "en"', 'locale: "pt"')], "value script"),
        "emphasis": (
            [("<em>pure</em>", "<i>pure</i>")],
            "missing main > .description > p > em | extra main > .description > p > i",
        ),
        "language": ([('lang="en"', 'lang="en-GB"')], "value html::attr(lang)"),
        "counter accepted": ([("17 times", "18 times")], "accepted", [accept(css="footer::text")]),
        "counter accepted, price not": (
            [("17 times", "18 times"), ("<b>49.90", "<b>49.95")],
            "value main > .price > b",
            [accept(css="footer::text")],
        ),
        "text of the price accepted, not its number": (
            [("EUR <b>49.90", "USD <b>49.95")],
            "value main > .price > b",
            [accept(css=".price::text")],
        ),
        "aside accepted": ([("/items/hat", "/items/cap"), (">Hat<", ">Cap<")], "accepted", [accept(css="aside")]),
        "attribute accepted": ([('href="/terms"', 'href="/agb"')], "accepted", [accept(css="footer a::attr(href)")]),
        "reviews accepted, size not": (
            [("Nice.", "Good."), ("<td>98", "<td>99")],
            "value main > .sizes > tbody > tr > td:nth-child(2)",
            [accept(css=".reviews")],
        ),
        "agreed text": ([(">Go<", ">Search<")], "accepted", [accept(css="header button", from_="Go", to="Search")]),
        "another text than agreed": (
            [(">Go<", ">Find<")],
            "value .search > button",
            [accept(css="header button", from_="Go", to="Search")],
        ),
    },
)

ADMIN = """<!DOCTYPE html>
<html lang="en-us" dir="ltr">
<head><title>Select order to change | Django site admin</title>
<link rel="stylesheet" href="/static/admin/css/base.css"><meta name="robots" content="NONE,NOARCHIVE"></head>
<body class="app-shop model-order change-list" data-admin-utc-offset="0">
<div id="container">
<header id="header"><div id="branding"><div id="site-name"><a href="/admin/">Django administration</a></div></div>
<div id="user-tools">Welcome, <strong>ana</strong>.
<form id="logout-form" method="post" action="/admin/logout/"><input type="hidden" name="csrfmiddlewaretoken" value="Kd81hGqM3xZb"><button type="submit">Log out</button></form></div></header>
<main id="content-start" class="content"><div id="content"><h1>Select order to change</h1>
<form id="changelist-form" method="post" novalidate><input type="hidden" name="csrfmiddlewaretoken" value="Kd81hGqM3xZb">
<table id="result_list"><thead><tr><th scope="col" class="sortable column-id">ID</th><th scope="col" class="sortable column-total">Total</th></tr></thead>
<tbody>
<tr class="row1"><th class="field-id"><a href="/admin/shop/order/1/change/">1</a></th><td class="field-total nowrap">19.90</td></tr>
<tr class="row2"><th class="field-id"><a href="/admin/shop/order/2/change/">2</a></th><td class="field-total nowrap">5.00</td></tr>
<tr class="row1"><th class="field-id"><a href="/admin/shop/order/3/change/">3</a></th><td class="field-total nowrap">7.50</td></tr>
</tbody></table>
<p class="paginator">3 orders</p></form></div></main>
</div></body></html>
"""
ROW = '<tr class="row2"><th class="field-id"><a href="/admin/shop/order/2/change/">2</a></th><td class="field-total nowrap">5.00</td></tr>\n'

ADMIN_PAGES = cases(
    "admin",
    ADMIN,
    "text/html",
    {
        "another session's token": ([("Kd81hGqM3xZb", "p0Qw7RtY2uIo")], ""),
        "total": ([(">5.00<", ">5.01<")], "value #result_list > tbody > tr > .field-total"),
        "link of a row": ([("order/2/", "orders/2/")], "value #result_list > tbody > tr > .field-id > a::attr(href)"),
        "row lost": (
            [(ROW, ""), ("3 orders", "2 orders")],
            "missing #result_list > tbody > tr | value #changelist-form > .paginator",
        ),
        "name of the user": ([(">ana<", ">bo<")], "value #user-tools > strong"),
        "column": ([(">Total<", ">Sum<")], "value #result_list > thead > tr > .sortable"),
        "offset": ([('utc-offset="0"', 'utc-offset="3600"')], "value body::attr(data-admin-utc-offset)"),
        "totals accepted": ([(">5.00<", ">5<"), (">7.50<", ">7.5<")], "accepted", [accept(css="td.field-total::text")]),
        "totals accepted, ids not": (
            [(">5.00<", ">5<"), (">2<", ">II<")],
            "value #result_list > tbody > tr > .field-id > a",
            [accept(css="td.field-total::text")],
        ),
    },
)

SOAP = """<?xml version="1.0" encoding="UTF-8"?>
<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/" xmlns:m="urn:shop">
  <soap:Body>
    <m:GetOrderResponse>
      <m:order id="7" status="paid"><m:total currency="EUR">49.90</m:total><m:note><![CDATA[Leave at door]]></m:note></m:order>
    </m:GetOrderResponse>
  </soap:Body>
</soap:Envelope>
"""
ORDER = "/Envelope/Body/GetOrderResponse/order"

MESSAGES = cases(
    "soap",
    SOAP,
    "text/xml; charset=utf-8",
    {
        "other prefixes": ([("soap:", "s:"), ("xmlns:soap", "xmlns:s"), ("m:", "x:"), ("xmlns:m", "xmlns:x")], ""),
        "a default namespace": (
            [("xmlns:m=", "xmlns="), ("<m:", "<"), ("</m:", "</")],
            "",
        ),
        "indentation": ([("\n      ", " ")], ""),
        "text for CDATA": ([("<![CDATA[Leave at door]]>", "Leave at door")], ""),
        "total": ([("49.90", "49.9")], f"value {ORDER}/total"),
        "total accepted": ([("49.90", "49.9")], "accepted", [accept("//total", abs="0")]),
        "status": ([('"paid"', '"PAID"')], f"value {ORDER}/@status"),
        "note lost": ([("<m:note><![CDATA[Leave at door]]></m:note>", "")], f"missing {ORDER}/note"),
        "another version": (
            [("http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope")],
            "missing /Envelope | extra /Envelope",
        ),
        "another namespace of the content": (
            [("urn:shop", "urn:shop:2")],
            "missing /Envelope/Body/GetOrderResponse | extra /Envelope/Body/GetOrderResponse",
        ),
        "cut": ([("</soap:Envelope>", "")], "type $"),
        "an entity declared": ([("<soap:Envelope ", '<!DOCTYPE x [<!ENTITY a "b">]><soap:Envelope ')], "type $"),
        "all of the order accepted": (
            [("49.90", "50"), ('"paid"', '"open"')],
            "accepted",
            [accept("//order")],
        ),
        "an attribute accepted, the total not": (
            [("49.90", "50"), ('"paid"', '"open"')],
            f"value {ORDER}/total",
            [accept("//order/@status")],
        ),
    },
)

PAIRS = [*SHOP_PAGES, *ADMIN_PAGES, *MESSAGES]
