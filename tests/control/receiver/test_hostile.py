"""The port of the receiver under clients that are wrong, slow or many: nothing of them reaches an arm."""

import asyncio
import contextlib

import pytest

from tests.control.receiver.running_receiver import RunningReceiver, received_settings
from tests.http1.raw import Case, Client
from tests.http1.test_raw_framing import FRAMING

GET = b"GET /api/orders/7 HTTP/1.1\r\nHost: shop\r\n\r\n"

MALFORMED = [
    (b"?\r\n\r\n", 400),
    (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET /api/orders HTTP/1.1\r\n\r\n", 400),
    (b"GET /api/orders HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    (b"GET /api/orders HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n", 400),
    (b"GET /api/orders HTTP/1.1\nHost: a\n\n", 400),
    (b"GET /api/orders HTTP/2.0\r\nHost: a\r\n\r\n", 400),  # 505 to clients
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 400),  # 501 to clients
    (b"GET / HTTP/1.1\r\nHost: a\r\nExpect: the best\r\n\r\n", 417),
    (b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 40_000 + b"\r\n\r\n", 431),
    (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: 1\r\n" * 300 + b"\r\n", 431),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
]


@pytest.mark.parametrize(("sent", "status"), MALFORMED)
async def test_what_is_malformed_gets_a_4xx_and_the_connection_ends(sent: bytes, status: int) -> None:
    async with RunningReceiver() as on:
        visitor = await on.connect()
        message = await visitor.ask(sent)
        assert message.status == status
        assert await visitor.ended() in ("eof", "reset")
        assert on.comparisons.taken == []
        await on.counted(malformed=1)


@pytest.mark.parametrize("case", FRAMING, ids=lambda case: case.id)
async def test_no_request_is_smuggled(case: Case) -> None:
    """The cases of the proxy itself; what follows a request of doubtful length is never read as another."""
    async with RunningReceiver() as on:
        visitor = await on.connect()
        for step in (case.client,) if isinstance(case.client, bytes) else case.client:
            if isinstance(step, bytes):
                await visitor.send(step)
        visitor.half_close()
        await visitor.ended()
        statuses = [int(part[:3]) for part in bytes(visitor.received).split(b"HTTP/1.1 ")[1:]]
        assert len(statuses) <= 1
        assert all(status < 500 for status in statuses)
        assert on.comparisons.taken == []


DROPPED = [
    (b"CONNECT shop:443 HTTP/1.1\r\nHost: shop\r\n\r\n", "unsafe"),
    (b"TRACE /api/orders HTTP/1.1\r\nHost: shop\r\n\r\n", "unsafe"),
    (b"BREW /api/orders HTTP/1.1\r\nHost: shop\r\n\r\n", "unsafe"),
    (b"GET /api/orders HTTP/1.1\r\nHost: shop\r\n" + b"Via: 1.1 strangler\r\n" * 10 + b"\r\n", "shadow"),
]


@pytest.mark.parametrize(("sent", "result"), DROPPED)
async def test_what_cannot_be_forwarded_gets_204_and_the_connection_ends(sent: bytes, result: str) -> None:
    async with RunningReceiver() as on:
        visitor = await on.connect()
        assert (await visitor.ask(sent)).status == 204
        assert await visitor.ended() in ("eof", "reset")
        assert on.counts() == {result: 1}


async def test_a_broken_chunk_ends_the_connection() -> None:
    async with RunningReceiver() as on:
        visitor = await on.connect()
        await visitor.send(b"GET /api/orders HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        await visitor.send(b"zz\r\n" + GET)
        await visitor.ended()
        await on.counted(malformed=1)
        assert on.comparisons.taken == []


async def test_a_slow_head_is_ended() -> None:
    async with RunningReceiver(received_settings(header_timeout_s=0.1)) as on:
        visitor = await on.connect()
        await visitor.send(b"GET /api/orders/7 HT")
        assert (await visitor.response()).status == 408
        assert await visitor.ended() in ("eof", "reset")


async def test_a_body_that_stops_coming_is_ended() -> None:
    async with RunningReceiver(received_settings(idle_timeout_s=0.1)) as on:
        for start in (b"", b"abc"):
            visitor = await on.connect()
            await visitor.send(b"GET /api/orders HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n" + start)
            assert (await visitor.response()).status == 204
            assert await visitor.ended() in ("eof", "reset")
        await on.counted(dropped=2)


async def test_an_idle_connection_is_closed() -> None:
    async with RunningReceiver(received_settings(idle_timeout_s=0.1)) as on:
        visitor = await on.connect()
        assert (await visitor.ask(GET)).status == 204
        assert await visitor.ended() == "eof"


@pytest.mark.parametrize("size", [1, 20, len(GET) - 1])
async def test_half_a_request_is_never_compared(size: int) -> None:
    async with RunningReceiver() as on:
        visitor = await on.connect()
        await visitor.send(GET[:size])
        visitor.half_close()
        await visitor.ended()
        visitor = await on.connect()
        await visitor.send(GET[:size])
        visitor.reset()
        assert await on.status(GET) == 204
        assert len(on.comparisons.taken) == 1


async def test_a_body_that_is_cut_is_never_compared() -> None:
    async with RunningReceiver() as on:
        visitor = await on.connect()
        await visitor.send(b"GET /api/orders HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell")
        await visitor.response()
        visitor.half_close()
        await on.counted(dropped=1)
        assert on.comparisons.taken == []


async def test_http_1_0_is_kept_only_on_request() -> None:
    async with RunningReceiver() as on:
        visitor = await on.connect()
        kept = await visitor.ask(b"GET /api/orders HTTP/1.0\r\nHost: shop\r\nConnection: keep-alive\r\n\r\n")
        assert (kept.status, kept.values(b"connection")) == (204, [b"keep-alive"])
        last = await visitor.ask(b"GET /api/orders HTTP/1.0\r\n\r\n")
        assert (last.status, last.values(b"connection")) == (204, [b"close"])
        assert await visitor.ended() == "eof"
        assert on.counts() == {"compared": 2}


async def test_a_connection_too_many_gets_no_5xx() -> None:
    async with RunningReceiver(received_settings(connections=2)) as on:
        busy = [await on.connect() for _ in range(2)]
        for visitor in busy:
            await visitor.send(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
            assert (await visitor.response()).status == 204
        third = await on.connect()
        message = await third.response()
        assert (message.status, message.values(b"connection")) == (204, [b"close"])
        await third.ended()
        for visitor in busy:
            await visitor.send(b"123456789")
            assert (await visitor.ask(GET)).status == 204
        assert len(on.comparisons.taken) == 2


async def test_thousands_of_connections_are_served() -> None:
    async with RunningReceiver() as on:

        async def visit() -> Client:
            client = await Client.connect(on.port)
            await client.send(GET)
            assert await client.wait_for(lambda: client.received.endswith(b"\r\n\r\n"))
            assert client.received.startswith(b"HTTP/1.1 204 ")
            return client

        clients: list[Client] = []
        for _ in range(20):
            clients += await asyncio.gather(*(visit() for _ in range(150)))
        assert on.counts() == {"compared": 3000}
        await asyncio.gather(*(client.send(GET) for client in clients))
        await on.counted(compared=6000)
        for client in clients:
            with contextlib.suppress(OSError):
                await client.close()


async def test_bodies_that_come_together_share_bounded_memory() -> None:
    async with RunningReceiver() as on:
        on.receiving.budget.try_take(32 * 1024 * 1024 - 100_000)
        visitors = [await on.connect() for _ in range(3)]
        for visitor in visitors:
            await visitor.send(b"GET /api/orders HTTP/1.1\r\nHost: a\r\nContent-Length: 60001\r\n\r\n" + b"x" * 60_000)
            assert (await visitor.response()).status == 204
        for visitor in visitors:
            await visitor.send(b"x")
        await on.counted(compared=1, dropped=2)
        assert on.comparisons.dropped == [("orders", "memory")] * 2
        on.receiving.budget.give_back(32 * 1024 * 1024 - 100_000)
