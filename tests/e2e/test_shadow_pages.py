"""Pages and feeds in the shadow, from end to end: what differs has a place, and tokens are no difference."""

from itertools import count
from pathlib import Path
from secrets import token_urlsafe

from aiohttp import web

from tests.e2e.shadowing import Respond, stage

PAGE = """<!DOCTYPE html><html><head><meta name="csrf-token" content="{token}"><title>Shirt</title></head><body>
<main><h1>Shirt</h1><p class="price">{price}</p>
<form id="basket">
<input type="hidden" name="csrfmiddlewaretoken" value="{token}"><button>Add</button></form>
</main><footer>Visitor {visitor}</footer><script nonce="{nonce}">send("{token}")</script></body></html>"""


def sells(price: str, start: int = 1) -> Respond:
    """An arm whose page has its own tokens each time, and counts its visitors."""
    visitors = count(start)

    async def response(_: web.Request) -> web.StreamResponse:
        page = PAGE.format(token=token_urlsafe(24), nonce=token_urlsafe(12), price=price, visitor=next(visitors))
        return web.Response(text=page, content_type="text/html")

    return response


def feeds(text: str) -> Respond:
    async def response(_: web.Request) -> web.StreamResponse:
        return web.Response(text=text, content_type="application/atom+xml")

    return response


async def test_tokens_of_each_arm_are_a_match(tmp_path: Path) -> None:
    async with stage(tmp_path, sells("19.90"), sells("19.90")) as on:
        for _ in range(5):
            assert await on.proxy.get("/api/orders/7") == 200
        await on.compared(5, "match")
        assert on.lines == []


async def test_a_difference_has_the_place_of_its_element(tmp_path: Path) -> None:
    async with stage(tmp_path, sells("19.90"), sells("19.95", start=8)) as on:
        await on.proxy.get("/api/orders/7")
        line = await on.line()
    assert [(row["path"], row["kind"], row["legacy"], row["candidate"]) for row in line["differences"]] == [
        ("footer", "value", "Visitor 1", "Visitor 8"),
        ("main > .price", "value", "19.90", "19.95"),
    ]


async def test_a_rule_for_the_counter_does_not_hide_the_price(tmp_path: Path) -> None:
    route = '    compare: {accept: [{css: "footer::text", kind: value}]}\n'
    async with stage(tmp_path, sells("19.90"), sells("19.90", start=8), route=route) as on:
        await on.proxy.get("/api/orders/7")
        await on.compared(1, "accepted")
        on.candidate.response = sells("19.95", start=9)
        await on.proxy.get("/api/orders/7")
        await on.compared(1, "mismatch")
        line = await on.line(1)
    assert [row["path"] for row in line["differences"]] == ["main > .price"]
    assert line["accepted"] == 1


async def test_a_feed_is_compared_by_namespace_and_accepted_by_path(tmp_path: Path) -> None:
    legacy = '<feed xmlns="urn:a"><title>News</title><updated>1</updated></feed>'
    candidate = '<a:feed xmlns:a="urn:a"><a:title>News</a:title><a:updated>2</a:updated></a:feed>'
    route = '    compare: {accept: [{path: "/feed/updated"}]}\n'
    async with stage(tmp_path, feeds(legacy), feeds(candidate), route=route) as on:
        await on.proxy.get("/api/orders/7")
        await on.compared(1, "accepted")
        on.candidate.response = feeds(candidate.replace("</a:feed>", ""))
        await on.proxy.get("/api/orders/7")
        await on.compared(1, "mismatch")
        line = await on.line(1)
    (difference,) = line["differences"]
    assert (difference["path"], difference["kind"], difference["severity"]) == ("$", "type", "breaking")
    assert set(difference["candidate"]) == {"hash", "length"}
