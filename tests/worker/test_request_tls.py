"""https upstreams, IPv6, and upstreams that cannot be what they say."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
import trustme

from strangler.core.fault import Fault
from strangler.core.settings import TlsSettings, UpstreamSettings, Url
from strangler.http1.pool import Pool
from strangler.http1.upstream_connection import UpstreamConnection
from strangler.tls.client_context import ClientTlsState
from tests.factories import breaker, upstream
from tests.http1.scripted import ScriptedUpstream, hang, in_turn, send
from tests.worker.conftest import Serve
from tests.worker.plane import at, request, response, timeouts, two_arms

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


CA = "/tls/ca.pem"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def known(authority: trustme.CA) -> dict[str, Any]:
    """The settings' files, with that of the authority."""
    return {"files": {CA: authority.cert_pem.bytes()}}


class TlsUpstream:
    """Answers on one port over TLS; keeps what it read and what clients asked for by SNI."""

    def __init__(self, talk: Talk | None = None) -> None:
        self.received = b""
        self.requested: list[str | None] = []
        self.accepted = 0
        self._talk = talk or self._respond
        self._writers: list[asyncio.StreamWriter] = []

    async def start(self, certificate: trustme.LeafCert, host: str = "127.0.0.1") -> asyncio.Server:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.set_alpn_protocols(["h2", "http/1.1"])
        certificate.configure_cert(context)
        context.sni_callback = lambda _sock, name, _context: self.requested.append(name)
        server = await asyncio.start_server(self._accept, host, 0, ssl=context)
        self.port: int = server.sockets[0].getsockname()[1]
        return server

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self._writers.append(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            await self._talk(reader, writer)

    async def _respond(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            self.received += head
            length = head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]
            size = int(length or 0)
            self.received += await reader.readexactly(size)
            writer.write(response(200, b"over tls " + b"x" * size))

    def close(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


@contextlib.asynccontextmanager
async def tls_upstream(
    certificate: trustme.LeafCert, talk: Talk | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[TlsUpstream]:
    made = TlsUpstream(talk)
    server = await made.start(certificate, host)
    try:
        yield made
    finally:
        made.close()
        server.close()
        await asyncio.sleep(0.01)


def secured(upstream_port: int, tls: TlsSettings, host: str = "127.0.0.1", **changes: Any) -> UpstreamSettings:
    return upstream("orders", at(upstream_port, "https", host), tls=tls, **changes)


@pytest.mark.parametrize(
    ("names", "host", "trusts", "verify", "status"),
    [
        pytest.param(("127.0.0.1",), "127.0.0.1", True, True, 200, id="own CA, right address"),
        pytest.param(("localhost",), "localhost", True, True, 200, id="own CA, right name"),
        pytest.param(("other.example",), "127.0.0.1", True, True, 502, id="own CA, wrong name"),
        pytest.param(("127.0.0.1",), "127.0.0.1", False, True, 502, id="the system's CAs do not know it"),
        pytest.param(("other.example",), "127.0.0.1", False, False, 200, id="not verified"),
    ],
)
async def test_an_https_upstream_must_be_who_it_says(
    names: tuple[str, ...],
    host: str,
    trusts: bool,
    verify: bool,
    status: int,
    serve: Serve,
    legacy: ScriptedUpstream,
    authority: trustme.CA,
) -> None:
    async with tls_upstream(authority.issue_cert(*names)) as there:
        tls = TlsSettings(ca=CA if trusts else None, verify=verify)
        running = await serve(
            two_arms(legacy, secured(there.port, tls, host, breaker=breaker()), fallback=None, general=known(authority))
        )
        reply = await running.ask(request())
        assert reply.status == status
        if status == 200:
            assert reply.body.startswith(b"over tls")
            assert there.requested == [host if host == "localhost" else None]  # RFC 6066 section 3: no addresses
            assert b"\r\nX-Forwarded-Proto: http\r\n" in there.received
        else:
            assert (await running.line())["fault"] == "connect"
            assert there.received == b""
            assert running.upstreams["orders"].admission.breaker.state == "open"


async def test_tls_connections_are_kept_and_bodies_pass(
    serve: Serve, legacy: ScriptedUpstream, authority: trustme.CA
) -> None:
    async with tls_upstream(authority.issue_cert("127.0.0.1")) as there:
        running = await serve(
            two_arms(legacy, secured(there.port, TlsSettings(CA, True)), fallback=None, general=known(authority))
        )
        client = await running.client()
        for size in (0, 10, 500_000):
            reply = await client.ask(request(method="POST", body=b"y" * size))
            assert reply.body == b"over tls " + b"x" * size
        assert there.accepted == 1


@pytest.mark.parametrize("content", [None, b"no certificate", b""], ids=["missing", "not PEM", "empty"])
async def test_a_ca_file_that_cannot_be_used_is_a_connect_fault(
    content: bytes | None, serve: Serve, legacy: ScriptedUpstream
) -> None:
    """`check` looks at it; but nothing of it must end connections without a word."""
    files = {} if content is None else {CA: content}
    made = two_arms(legacy, secured(9, TlsSettings(CA, True)), fallback=None, general={"files": files})
    running = await serve(made)
    for _ in range(2):
        assert (await running.ask(request())).status == 502
    assert {line["fault"] for line in await running.lines(2)} == {"connect"}


async def test_a_plain_upstream_behind_an_https_url_is_a_connect_fault(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    candidate.script = in_turn(send(b"SSH-2.0-OpenSSH_9.6\r\n"))
    running = await serve(two_arms(legacy, secured(candidate.port, TlsSettings(None, False)), fallback=None))
    assert (await running.ask(request())).status == 502
    line = await running.line()
    assert (line["fault"], line["duration_ms"] < 1000) == ("connect", True)


async def test_a_tls_handshake_that_hangs_is_ended_by_connect(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    candidate.script = in_turn(hang())
    there = secured(candidate.port, TlsSettings(None, False), timeouts=timeouts(connect_s=0.15))
    running = await serve(two_arms(legacy, there, fallback=None))
    assert (await running.ask(request())).status == 502
    assert (await running.line())["fault"] == "connect"


@pytest.mark.parametrize("ends_first", ["client", "upstream"])
async def test_a_tunnel_over_tls_ends_in_good_order(
    ends_first: str,
    serve: Serve,
    legacy: ScriptedUpstream,
    authority: trustme.CA,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """TLS has no half-close that asyncio knows: when one side ends, the other one is ended too, without an error."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n")
        while data := await reader.read(1000):
            writer.write(data)
            if data == b"bye":
                break
        writer.close()

    errors: list[Any] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: errors.append(context))
    async with tls_upstream(authority.issue_cert("127.0.0.1"), echo) as there:
        running = await serve(
            two_arms(legacy, secured(there.port, TlsSettings(CA, True)), fallback=None, general=known(authority))
        )
        client = await running.client()
        await client.send(request("/api", "Connection: Upgrade", "Upgrade: raw"))
        await client.wait_for(lambda: b"\r\n\r\n" in client.received)
        await client.send(b"hello")
        await client.wait_for(lambda: client.received.endswith(b"hello"))
        if ends_first == "client":
            client.half_close()
        else:
            await client.send(b"bye")
            await client.wait_for(lambda: client.received.endswith(b"bye"))
        assert await client.ended() == "eof"
        await running.quiet()
        assert running.held() == {}
    assert (errors, caplog.records) == ([], [])


async def test_an_answer_that_is_cut_short_over_tls_is_cut_short_for_the_client(
    serve: Serve, legacy: ScriptedUpstream, authority: trustme.CA
) -> None:
    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
        await writer.drain()
        writer.close()

    async with tls_upstream(authority.issue_cert("127.0.0.1"), cut) as there:
        running = await serve(
            two_arms(legacy, secured(there.port, TlsSettings(CA, True)), fallback=None, general=known(authority))
        )
        client = await running.client()
        await client.send(request())
        reply = await client.response_or_cut()
        assert (reply.body, reply.is_complete, client.end) == (b"abc", False, "eof")


async def test_an_upstream_at_an_ipv6_address(serve: Serve, legacy: ScriptedUpstream) -> None:
    heads: list[bytes] = []

    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(response(200, b"six"))
        await writer.drain()
        writer.close()

    try:
        server = await asyncio.start_server(reply, "::1", 0, family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    port = server.sockets[0].getsockname()[1]
    there = upstream("orders", f"http://[::1]:{port}", host="upstream")
    running = await serve(two_arms(legacy, there, fallback=None))
    assert (await running.ask(request())).body == b"six"
    assert b"\r\nHost: [::1]:%d\r\n" % port in heads[0]
    server.close()


async def test_a_name_that_does_not_exist_is_a_connect_fault(serve: Serve, legacy: ScriptedUpstream) -> None:
    running = await serve(two_arms(legacy, upstream("orders", "http://no-such-host.invalid:80"), fallback=None))
    assert (await running.ask(request())).status == 502
    assert (await running.line())["fault"] == "connect"


async def test_an_absolute_name_is_the_same_name(authority: trustme.CA) -> None:
    """`https://name.:443`: the certificate and the handshake know no dot at the end."""
    async with tls_upstream(authority.issue_cert("name.example")) as there:
        url = Url("https", "name.example.", there.port, "")
        loop = asyncio.get_running_loop()
        tls = ClientTlsState(TlsSettings(CA, True), {CA: authority.cert_pem.bytes()})
        pool = Pool(loop, url, "127.0.0.1", tls, 1000)
        outcome: asyncio.Future[UpstreamConnection | Fault] = loop.create_future()
        pool.connect(5.0, outcome.set_result)
        connection = await asyncio.wait_for(outcome, 10)
        assert isinstance(connection, UpstreamConnection)
        assert there.requested == ["name.example"]
        connection.close()
        pool.close()
