"""A route that ends, through real sockets: announced in all responses, off in a brownout, gone after the sunset."""

import asyncio
import json
import time
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from strangler.core.retire_settings import BrownoutSettings, RetireSettings
from strangler.core.settings import AggregatePart, Settings
from tests.factories import route, settings, shadow, upstream
from tests.http1.scripted import Connection, ScriptedUpstream, refused_port, responding, send
from tests.http1.strict_reader import Message
from tests.worker.conftest import Serve
from tests.worker.plane import at, fallback, request, response, two_arms

HOUR = 3600
LINK = "https://example.com/ends"
SINCE = 1_700_000_000
FIELDS = (b"deprecation", b"sunset", b"link", b"retry-after")


def ends_in(seconds: int, *brownouts: tuple[int, int], **changes: Any) -> RetireSettings:
    """A route's end, from now; so are its brownouts."""
    now = int(time.time())
    windows = tuple(BrownoutSettings(now + begins, now + ends) for begins, ends in brownouts)
    return replace(RetireSettings(now + seconds, SINCE, LINK, 410, windows), **changes)


def ending(made: Settings, retire: RetireSettings | None, **changes: Any) -> Settings:
    return replace(made, routes=tuple(replace(each, retire=retire, **changes) for each in made.routes))


def announced(reply: Message) -> dict[str, list[bytes]]:
    return {name.decode(): values for name in FIELDS if (values := reply.values(name))}


def expected(retire: RetireSettings) -> dict[str, list[bytes]]:
    sunset = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(retire.sunset)).encode()
    return {
        "deprecation": [b"@%d" % SINCE],
        "sunset": [sunset],
        "link": [b'<https://example.com/ends>; rel="sunset"'],
    }


# ── before the sunset ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST"])
@pytest.mark.parametrize("percent", [0, 100], ids=["legacy", "candidate"])
async def test_responses_of_both_arms_announce_it(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream, percent: float, method: str
) -> None:
    retire = ends_in(HOUR)
    bare = responding(send(response(200, b"", "X-Own: 1")))
    legacy.script = candidate.script = bare
    made = ending(two_arms(legacy, candidate), retire)
    made = replace(
        made, routes=tuple(replace(each, split=replace(each.split, percent=percent)) for each in made.routes)
    )
    running = await serve(made)
    client = await running.client()
    for _ in range(2):  # the second head comes from the memo
        reply = await client.ask(request("/api", method=method, body=b"" if method == "POST" else None))
        assert announced(reply) == expected(retire)
        assert reply.values(b"x-own") == [b"1"]


async def test_other_routes_announce_nothing(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    running = await serve(ending(two_arms(legacy, candidate), ends_in(HOUR)))
    assert announced(await running.ask(request("/other"))) == {}


async def test_a_route_without_a_link_has_no_link(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    retire = ends_in(HOUR, link=None)
    running = await serve(ending(two_arms(legacy, candidate), retire))
    assert (await running.ask(request("/api"))).values(b"link") == []


async def test_what_the_upstream_says_of_its_end_is_replaced_and_its_links_stay(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    retire = ends_in(HOUR)
    own = ("deprecation: @1", "SUNSET: Sat, 31 Dec 2050 23:59:59 GMT", "Link: </next>; rel=next", "X-Own: 1")
    candidate.script = responding(send(response(200, b"ok", *own)))
    running = await serve(ending(two_arms(legacy, candidate), retire))
    reply = await running.ask(request("/api"))
    ours = expected(retire)
    assert announced(reply) == ours | {"link": [b"</next>; rel=next", *ours["link"]]}
    assert (reply.values(b"x-own"), reply.body) == ([b"1"], b"ok")
    running.adopt(two_arms(legacy, candidate))
    assert (await running.ask(request("/api"))).values(b"deprecation") == [b"@1"]


async def test_redirects_and_moved_paths_announce_it(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    retire = ends_in(HOUR)
    candidate.script = responding(send(response(302, b"", "Location: /v2/next")))
    running = await serve(ending(two_arms(legacy, candidate), retire, rewrite_prefix="/v2"))
    reply = await running.ask(request("/api/x"))
    assert announced(reply) == expected(retire)
    assert reply.values(b"location") == [b"/api/next"]


async def test_a_chunked_response_announces_it(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    retire = ends_in(HOUR)
    candidate.script = responding(send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"))
    running = await serve(ending(two_arms(legacy, candidate), retire))
    reply = await running.ask(request("/api"))
    assert (announced(reply), reply.body) == (expected(retire), b"ok")


async def test_a_fallback_and_errors_of_the_proxy_announce_it(serve: Serve, legacy: ScriptedUpstream) -> None:
    retire = ends_in(HOUR)
    async with refused_port() as port:
        running = await serve(ending(two_arms(legacy, port), retire, fallback=fallback(("connect",))))
        reply = await running.ask(request("/api"))
        assert (announced(reply), reply.body) == (expected(retire), b"legacy")
        running.adopt(ending(two_arms(legacy, port), retire, fallback=None))
        reply = await running.ask(request("/api"))
        assert (reply.status, announced(reply)) == (502, expected(retire))


async def test_an_aggregate_announces_it(serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream) -> None:
    retire = ends_in(HOUR)
    candidate.script = responding(send(response(200, b'{"id":7}', "Content-Type: application/json", "Sunset: never")))
    parts = (AggregatePart("order", "orders", "/orders/{id}", True, None),)
    made = settings(
        [route("page", path="/pages/{id}", candidate=None, aggregate=parts, methods=("GET", "HEAD"), retire=retire)],
        [upstream("legacy", at(legacy)), upstream("orders", at(candidate))],
    )
    reply = await (await serve(made)).ask(request("/pages/7"))
    assert announced(reply) == expected(retire)
    assert json.loads(reply.body) == {"order": {"id": 7}}


async def test_a_tunnel_announces_it_and_goes_on_when_the_route_is_gone(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    async def echo(connection: Connection) -> None:
        await connection.read_request()
        await connection.send(b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: raw\r\nSunset: x\r\n\r\n")
        while data := await connection.read_some():
            await connection.send(data)
        connection.close()

    candidate.script = echo
    made = two_arms(legacy, candidate)
    running = await serve(ending(made, ends_in(HOUR)))
    client = await running.client()
    await client.send(request("/api", "Connection: Upgrade", "Upgrade: raw"))
    async with asyncio.timeout(10):
        await client.wait_for(lambda: b"\r\n\r\n" in client.received)
    head = bytes(client.received)
    assert head.count(b"Sunset: ") == 1
    assert b"Sunset: x" not in head
    assert head.endswith(b'Link: <https://example.com/ends>; rel="sunset"\r\nConnection: Upgrade\r\nUpgrade: raw\r\n'
                         b"X-Strangler-Arm: candidate\r\n\r\n")  # fmt: skip
    running.adopt(ending(made, ends_in(-1)))
    assert (await running.ask(request("/api"))).status == 410
    await client.send(b"still here")
    await client.wait_for(lambda: client.received.endswith(b"still here"))
    client.half_close()
    assert await client.ended() == "eof"


# ── in a brownout, and after the sunset ──────────────────────────────────────────────────────────────────────────────


async def test_a_brownout_asks_neither_arm(serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream) -> None:
    retire = ends_in(HOUR, (-60, 600))
    running = await serve(ending(two_arms(legacy, candidate), retire, shadow=shadow(of="any")))
    reply = await running.ask(request("/api"))
    retry_after = announced(reply).pop("retry-after")
    assert reply.status == 503
    assert parsedate_to_datetime(retry_after[0].decode()).timestamp() == retire.brownouts[0].ends
    assert announced(reply) == expected(retire) | {"retry-after": retry_after}
    assert reply.values(b"cache-control") == [b"no-store"]
    assert json.loads(reply.body)["fault"] == "brownout"
    line = await running.line()
    assert {key: line[key] for key in ("route", "arm", "reason", "upstream", "status", "fault", "attempts")} == {
        "route": "orders",
        "arm": None,
        "reason": "brownout",
        "upstream": None,
        "status": 503,
        "fault": "brownout",
        "attempts": 0,
    }
    assert (legacy.requests, candidate.requests) == ([], [])
    assert running.counted("strangler_requests_total") == {("orders", "", "", "5xx"): 1}
    assert running.counted("strangler_refused_total") == {("brownout",): 1}


async def test_after_the_sunset_the_route_is_gone(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    running = await serve(ending(two_arms(legacy, candidate), ends_in(-1)))
    client = await running.client()
    reply = await client.ask(request("/api"))
    assert (reply.status, announced(reply)) == (410, {"link": [b'<https://example.com/ends>; rel="sunset"']})
    assert reply.values(b"content-type") == [b"application/problem+json"]
    body = json.loads(reply.body)
    assert (body["type"], body["status"], body["link"]) == ("urn:strangler:fault:retired", 410, LINK)
    assert body["sunset"].endswith("Z")
    for method in ("POST", "HEAD", "OPTIONS"):  # on the same connection
        assert (await client.ask(request("/api", method=method, body=b"x" if method == "POST" else None))).status == 410
    lines = await running.lines(4)
    assert {(line["arm"], line["reason"], line["fault"]) for line in lines} == {(None, "retired", "retired")}
    assert (legacy.requests, candidate.requests) == ([], [])
    assert running.counted("strangler_requests_total") == {("orders", "", "", "4xx"): 4}


async def test_a_browser_gets_a_page_with_the_link(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    made = two_arms(legacy, candidate)
    own = replace(made, errors=replace(made.errors, html="own page"))
    running = await serve(ending(own, ends_in(-1)))
    reply = await running.ask(request("/api", "Accept: text/html"))
    assert reply.values(b"content-type") == [b"text/html; charset=utf-8"]
    assert b'<a href="https://example.com/ends">' in reply.body
    running.adopt(ending(own, ends_in(HOUR, (-60, 60))))
    assert (await running.ask(request("/api", "Accept: text/html"))).body == b"own page"
    running.adopt(ending(made, ends_in(HOUR, (-60, 60))))
    assert b'<a href="https://example.com/ends">' in (await running.ask(request("/api", "Accept: text/html"))).body


async def test_an_upload_to_a_route_that_is_gone_is_refused_at_once(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    running = await serve(ending(two_arms(legacy, candidate), ends_in(-1)))
    client = await running.client()
    await client.send(request("/api", "Content-Length: 10000000", "Expect: 100-continue", method="PUT"))
    reply = await client.response(b"PUT")
    assert (reply.status, reply.values(b"connection")) == (410, [b"close"])


async def test_the_time_is_that_of_each_request(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    """No reload is needed for the sunset to come."""
    running = await serve(ending(two_arms(legacy, candidate), ends_in(2)))
    client = await running.client()
    statuses: list[int] = []
    async with asyncio.timeout(30):
        while not statuses or statuses[-1] == 200:
            statuses.append((await client.ask(request("/api"))).status)
    assert set(statuses) == {200, 410}


async def test_a_reload_applies_at_once(serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream) -> None:
    made = two_arms(legacy, candidate)
    running = await serve(made)
    client = await running.client()
    for retire, status in ((None, 200), (ends_in(-1), 410), (ends_in(HOUR), 200), (ends_in(-1, status=404), 404)):
        running.adopt(ending(made, retire))
        assert (await client.ask(request("/api"))).status == status


@pytest.mark.parametrize("is_for_all", [True, False], ids=["for all routes", "its own"])
async def test_the_kill_switch_and_a_disabled_route_bring_it_back(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream, is_for_all: bool
) -> None:
    retire = ends_in(-1)
    made = two_arms(legacy, candidate)
    running = await serve(ending(made, retire))
    running.policies.is_killed = is_for_all
    running.policies.killed_routes = frozenset(() if is_for_all else {"orders"})
    reply = await running.ask(request("/api"))
    assert (reply.body, announced(reply)) == (b"legacy", expected(retire))
    running.policies.is_killed, running.policies.killed_routes = False, frozenset()
    assert (await running.ask(request("/api"))).status == 410
    running.adopt(ending(made, retire, enabled=False))
    assert (await running.ask(request("/api"))).body == b"legacy"


async def test_pipelined_requests_are_refused_in_turn(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    running = await serve(ending(two_arms(legacy, candidate), ends_in(-1)))
    client = await running.client()
    await client.send(request("/api", method="POST", body=b"x" * 1000) + request("/other") + request("/api"))
    found = [await client.response(method) for method in (b"POST", b"GET", b"GET")]
    assert [reply.status for reply in found] == [410, 200, 410]
