"""Mirrored requests over real sockets: what is compared, what is dropped, and what the mirroring proxy gets."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from strangler.control.reload import InForce
from strangler.core.retire_settings import RetireSettings
from strangler.core.settings import RouteSettings
from strangler.ipc.messages import encode_settings
from strangler.state.kill_switch import KilledRoute, KillSwitchState
from tests.control.receiver.running_receiver import RunningReceiver, received_settings
from tests.factories import route, shadow

HOST = b"Host: shop\r\n"


ORDERS = b"GET /api/orders/7 HTTP/1.1"


def request(line: bytes = ORDERS, *fields: bytes, body: bytes = b"", host: bytes = HOST) -> bytes:
    return line + b"\r\n" + host + b"".join(field + b"\r\n" for field in fields) + b"\r\n" + body


CHUNKED = b"Transfer-Encoding: chunked"


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
async def test_a_read_gets_204_and_is_compared(method: bytes) -> None:
    async with RunningReceiver() as on:
        message = await (await on.connect()).ask(request(method + b" /api/orders/7?a=b HTTP/1.1", b"X-A: 1"))
        assert (message.status, message.body, message.is_complete) == (204, b"", True)
        (captured,) = on.comparisons.taken
        assert (captured.method, captured.target, captured.route) == (method, b"/api/orders/7?a=b", "orders")
        assert (captured.host, captured.arm, captured.failed, captured.body) == (b"shop", "", None, b"")
        assert on.counts() == {"compared": 1}


async def test_the_arms_get_the_fields_that_a_worker_forwards() -> None:
    async with RunningReceiver() as on:
        sent = request(ORDERS, b"X-A: 1", b"Connection: keep-alive, X-Hop", b"X-Hop: 1", b"X-Forwarded-For: 9.9.9.9")
        await on.status(sent)
        (captured,) = on.comparisons.taken
        lines = captured.lines.split(b"\r\n")
        assert lines[:2] == [b"Host: shop", b"X-A: 1"]
        assert [line for line in lines if line.startswith(b"X-Forwarded-For")] == [b"X-Forwarded-For: 127.0.0.1"]
        assert b"Via: 1.1 strangler" in lines
        assert not captured.is_from_trusted
        assert any(line.startswith(b"X-Request-Id: ") for line in lines)


async def test_forwarded_fields_of_a_trusted_proxy_are_extended() -> None:
    wanted = replace(received_settings(), trusted_proxies=("127.0.0.1",))
    async with RunningReceiver(wanted) as on:
        await on.status(request(ORDERS, b"X-Forwarded-For: 9.9.9.9", b"X-Forwarded-Proto: https"))
        (captured,) = on.comparisons.taken
        assert captured.is_from_trusted
        assert b"X-Forwarded-For: 9.9.9.9, 127.0.0.1\r\n" in captured.lines
        assert b"X-Forwarded-Proto: https\r\n" in captured.lines


RETIRED = RetireSettings(sunset=1_000_000_000, since=900_000_000, link=None, status=410, brownouts=())
DROPPED = [
    ("no route", request(b"GET /other HTTP/1.1"), "unmatched", ()),
    ("an ambiguous path", request(b"GET /api/orders/../x HTTP/1.1"), "unmatched", ()),
    ("a malformed target", request(b"GET /api/orders/%zz HTTP/1.1"), "unmatched", ()),
    ("a disabled route", request(), "unmatched", (route("orders", prefix="/api/orders", enabled=False),)),
    ("a retired route", request(), "unmatched", (route("orders", prefix="/api/orders", retire=RETIRED),)),
    ("a passthrough route", request(), "unmatched", (route("orders", prefix="/api/orders", is_passthrough=True),)),
    ("legacy on both sides", request(), "unmatched", (route("orders", prefix="/api/orders", candidate="legacy"),)),
    ("shadow.percent 0", request(), "unsampled", (route("orders", prefix="/api/orders", shadow=shadow(0)),)),
    ("a method that shadow.methods lacks", request(b"HEAD /api/orders HTTP/1.1"), "unsafe",
     (route("orders", prefix="/api/orders", shadow=shadow(100, methods=("GET",))),)),
    ("POST", request(b"POST /api/orders HTTP/1.1", b"Content-Length: 3", body=b"abc"), "unsafe", ()),
    ("DELETE", request(b"DELETE /api/orders/7 HTTP/1.1"), "unsafe", ()),
    ("POST, though shadow.writes lets it", request(b"POST /api/orders HTTP/1.1", b"Content-Length: 0"), "unsafe",
     (route("orders", prefix="/api/orders", shadow=shadow(100, methods=("POST",), writes="dry_run")),)),
    ("an upgrade", request(ORDERS, b"Connection: Upgrade", b"Upgrade: websocket"), "unsafe", ()),
    ("a shadow", request(ORDERS, b"X-Strangler-Shadow: 1"), "shadow", ()),
    ("a shadow without a value", request(ORDERS, b"x-strangler-shadow:"), "shadow", ()),
]  # fmt: skip


@pytest.mark.parametrize(
    ("sent", "result", "routes"), [case[1:] for case in DROPPED], ids=[case[0] for case in DROPPED]
)
async def test_what_is_not_compared_gets_204_too(sent: bytes, result: str, routes: tuple[RouteSettings, ...]) -> None:
    async with RunningReceiver(received_settings(*routes)) as on:
        visitor = await on.connect()
        assert (await visitor.ask(sent)).status == 204
        await on.counted(**{result: 1})
        assert on.comparisons.taken == []
        assert (await visitor.ask(request(b"GET /other HTTP/1.1"))).status == 204, "the connection goes on"


async def test_the_split_and_shadow_of_do_not_matter() -> None:
    for of in ("legacy", "candidate", "any"):
        for percent in (0, 100):
            made = route("orders", prefix="/api/orders", percent=percent, shadow=shadow(100, of=of))
            async with RunningReceiver(received_settings(made)) as on:
                await on.status(request())
                assert on.counts() == {"compared": 1}


async def test_the_kill_switch_ends_comparisons_at_once() -> None:
    async with RunningReceiver() as on:
        on.kill_switch = KillSwitchState(True, "", None)
        await on.status(request())
        on.kill_switch = KillSwitchState(False, "", None, {"orders": KilledRoute("", "")})
        await on.status(request())
        on.kill_switch = KillSwitchState(False, "", None)
        await on.status(request())
        assert on.counts() == {"unmatched": 2, "compared": 1}


async def test_a_share_of_shadow_percent_is_compared() -> None:
    made = route("orders", prefix="/api/orders", shadow=shadow(25))
    async with RunningReceiver(received_settings(made)) as on:
        visitor = await on.connect()
        for _ in range(600):
            await visitor.ask(request())
        compared = on.counts()["compared"]
        assert 60 < compared < 260  # a chance of 1e-15 beyond
        assert on.counts() == {"compared": compared, "unsampled": 600 - compared}


async def test_without_room_it_is_dropped_and_counted() -> None:
    async with RunningReceiver() as on:
        on.comparisons.has_room = False
        assert await on.status(request()) == 204
        assert on.counts() == {"dropped": 1}


HOSTS = [
    (b"shop.example-shadow", b"shop.example", True),
    (b"shop.example-shadow:8443", b"shop.example:8443", True),
    (b"SHOP.example-shadow", b"SHOP.example", True),
    (b"shop.example", b"shop.example", True),
    (b"shop.example-shadow.evil", b"shop.example-shadow.evil", False),
    (b"other.example-shadow", b"other.example", False),
]


@pytest.mark.parametrize(("sent", "host", "is_matched"), HOSTS)
async def test_the_ending_that_envoy_adds_to_the_host_is_taken_off(sent: bytes, host: bytes, is_matched: bool) -> None:
    by_host = route("orders", prefix="/api/orders", host="shop.example")
    any_host = route("any", prefix="/api/orders")
    async with RunningReceiver(received_settings(by_host, any_host)) as on:
        await on.status(request(host=b"host: %b\r\n" % sent))
        (captured,) = on.comparisons.taken
        assert (captured.route, captured.host) == ("orders" if is_matched else "any", host)
        found = [line for line in captured.lines.split(b"\r\n") if line.lower().startswith(b"host:")]
        assert [line.partition(b": ")[2] for line in found] == [host]
        assert b"X-Forwarded-Host: %b\r\n" % host in captured.lines


async def test_new_settings_are_followed_without_closing_connections() -> None:
    async with RunningReceiver() as on:
        visitor = await on.connect()
        assert (await visitor.ask(request(b"GET /new HTTP/1.1"))).status == 204
        other = received_settings(route("new", prefix="/new"))
        on.server.adopt(InForce(other, encode_settings(other), 2, "2026-11-23T08:00:00.000Z"))
        async with asyncio.timeout(15):
            while not on.comparisons.taken:
                assert (await visitor.ask(request(b"GET /new HTTP/1.1"))).status == 204
        assert on.comparisons.taken[0].route == "new"


BODIES: list[tuple[str, bytes, Any]] = [
    ("length", request(ORDERS, b"Content-Length: 5", body=b"hello"), b"hello"),
    ("chunked", request(ORDERS, CHUNKED, body=b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"), b"hello"),
    ("empty", request(ORDERS, b"Content-Length: 0"), b""),
    ("empty chunked", request(ORDERS, CHUNKED, body=b"0\r\n\r\n"), b""),
    ("at the limit", request(ORDERS, b"Content-Length: 262144", body=b"x" * 262144), b"x" * 262144),
    ("beyond the limit", request(ORDERS, b"Content-Length: 262145", body=b"x" * 262145), None),
]


@pytest.mark.parametrize("piece", [1 << 30, 1000], ids=["whole", "in pieces"])
@pytest.mark.parametrize(("sent", "body"), [case[1:] for case in BODIES], ids=[case[0] for case in BODIES])
async def test_a_body_is_read_to_its_end(sent: bytes, body: bytes | None, piece: int) -> None:
    async with RunningReceiver() as on:
        visitor = await on.connect()
        for at in range(0, len(sent), piece):
            await visitor.send(sent[at : at + piece])
        assert (await visitor.response()).status == 204
        if body is None:
            await on.counted(dropped=1)
            assert on.comparisons.dropped == [("orders", "too_large")]
        else:
            await on.counted(compared=1)
            assert on.comparisons.taken[0].body == body
        assert (await visitor.ask(request(b"GET /other HTTP/1.1"))).status == 204, "the next request is found"


async def test_the_response_does_not_wait_for_the_body() -> None:
    async with RunningReceiver() as on:
        visitor = await on.connect()
        await visitor.send(request(b"POST /x HTTP/1.1", b"Content-Length: 50000000"))
        assert (await visitor.response()).status == 204
        for _ in range(50):
            await visitor.send(b"x" * 1_000_000)
        assert (await visitor.ask(request())).status == 204
        assert on.counts() == {"unsafe": 1, "compared": 1}


async def test_an_expected_100_never_comes_and_the_connection_ends() -> None:
    async with RunningReceiver() as on:
        visitor = await on.connect()
        message = await visitor.ask(request(b"POST /x HTTP/1.1", b"Content-Length: 5", b"Expect: 100-continue"))
        assert (message.status, message.values(b"connection")) == (204, [b"close"])
        await on.counted(unsafe=1)


async def test_pipelined_requests_are_all_received() -> None:
    async with RunningReceiver() as on:
        visitor = await on.connect()
        post = request(b"POST /x HTTP/1.1", b"Content-Length: 3", body=b"abc")
        await visitor.send((request() + post) * 1000 + request(ORDERS, b"Connection: close"))
        assert await visitor.ended() == "eof"
        assert visitor.received.count(b"HTTP/1.1 204 No Content\r\n") == 2001
        assert on.counts() == {"compared": 1001, "unsafe": 1000}
