"""Upstreams over TLS and IPv6, upstreams that are not there, and the clocks that end a request which does not move."""

import asyncio
import json
import socket
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
import trustme

from tests.http1 import proxies
from tests.http1.proxies import Proxy
from tests.http1.raw import OK, Client, crlf, get, respond
from tests.http1.scripted import (
    Script,
    ScriptedUpstream,
    hang,
    in_turn,
    pause,
    read_head,
    read_request,
    read_slowly,
    refused_port,
    send,
)
from tests.http1.strict_reader import Message, read_responses

pytestmark = pytest.mark.asyncio(loop_scope="session")

_RESPONSE_S, _IDLE_S = 0.3, 0.4
_LATE_S = 5.0
"""How much later than its clock a request may end: clocks are looked at now and then, and the machine is shared."""

_CONFIG = """
version: 1
listen: 127.0.0.1:{{port}}
admin: {{{{listen: "127.0.0.1:{{admin}}"}}}}
state: "{{state}}"
log: {{{{level: warning, access: false}}}}
upstreams:
  legacy:
    url: http://127.0.0.1:{plain}
    bulkhead: false
    breaker: false
    timeouts: {{{{connect: 300ms, response: 300ms, idle: 400ms}}}}
{upstreams}
routes:
{routes}
"""
_UPSTREAM = """
  {name}:
    url: {url}
    bulkhead: false
    breaker: false
    retry: false
    {more}
"""
_ROUTE = """
  - name: {name}
    match: {{{{prefix: /{name}}}}}
    candidate: {name}
    split: {{{{percent: 100}}}}
    fallback: false
"""


class TlsUpstream:
    """Answers every request over TLS with the name that the client asked for by SNI (RFC 6066 section 3)."""

    def __init__(self, authority: trustme.CA) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(self._context)
        self._context.sni_callback = self._note
        self._sni = "none"

    def _note(self, _socket: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
        self._sni = name or "none"

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        """Its port."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
        async with server:
            yield server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                body = self._sni.encode()
                writer.write(crlf(b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(body), body=body))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


def _named(name: str, url: str, more: str = "") -> tuple[str, str]:
    return _UPSTREAM.format(name=name, url=url, more=more), _ROUTE.format(name=name)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def tls_port(authority: trustme.CA) -> AsyncIterator[int]:
    async with TlsUpstream(authority).listening() as port:
        yield port


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def closed_port() -> AsyncIterator[int]:
    async with refused_port() as port:
        yield port


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def port_on_ipv6() -> AsyncIterator[int]:
    """An upstream on ::1; 0 where the machine has no IPv6."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        writer.close()

    try:
        server = await asyncio.start_server(serve, "::1", 0, family=socket.AF_INET6)
    except OSError:
        yield 0
        return
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.fixture(scope="module")
def proxy(
    raw_upstream: ScriptedUpstream,
    authority: trustme.CA,
    tls_port: int,
    closed_port: int,
    port_on_ipv6: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Proxy]:
    folder: Path = tmp_path_factory.mktemp("strangler")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    ca = f"tls: {{{{ca: {folder}/ca.pem}}}}"
    parts = [
        _named("own-ca", f"https://localhost:{tls_port}", ca),
        _named("unknown-ca", f"https://localhost:{tls_port}"),
        _named("other-name", f"https://127.0.0.1:{tls_port}", ca),
        _named("unverified", f"https://127.0.0.1:{tls_port}", "tls: {{verify: false}}"),
        _named("not-tls", f"https://localhost:{raw_upstream.port}", ca),
        _named("six", f"http://[::1]:{port_on_ipv6 or 1}"),
        _named("refused", f"http://127.0.0.1:{closed_port}"),
        _named("no-such-name", "http://no-such-name.invalid:80"),
    ]
    upstreams, routes = ("".join(column) for column in zip(*parts, strict=True))
    config = _CONFIG.format(plain=raw_upstream.port, upstreams=upstreams, routes=routes)
    with proxies.strangler(config, folder) as running:
        yield running


async def _ask(proxy: Proxy, request: bytes, method: bytes = b"GET") -> Message:
    client = await Client.connect(proxy.port)
    try:
        async with asyncio.timeout(5):
            await client.send(request)
            await client.wait_for(lambda: _whole(client, method))
    finally:
        await client.close()
    return read_responses(bytes(client.received), [method], client.end != "open")[0]


def _whole(client: Client, method: bytes) -> bool:
    responses = read_responses(bytes(client.received), [method], False)
    return bool(responses) and responses[0].is_complete


def _fault(message: Message) -> tuple[int, str]:
    return message.status, json.loads(message.body)["fault"]


async def test_an_https_upstream_is_verified_against_its_own_ca_and_told_its_name(proxy: Proxy) -> None:
    responded = await _ask(proxy, get(b"/own-ca"))
    assert (responded.status, responded.body) == (200, b"localhost")


async def test_verification_can_be_switched_off(proxy: Proxy) -> None:
    assert (await _ask(proxy, get(b"/unverified"))).status == 200


@pytest.mark.parametrize("path", [b"/unknown-ca", b"/other-name"])
async def test_an_https_upstream_that_cannot_be_verified_gets_no_request(path: bytes, proxy: Proxy) -> None:
    """RFC 9110 section 4.3.4."""
    assert _fault(await _ask(proxy, get(path))) == (502, "connect")


async def test_an_upstream_that_does_not_speak_tls_is_a_connect_fault(
    proxy: Proxy, raw_upstream: ScriptedUpstream
) -> None:
    await raw_upstream.renew()
    raw_upstream.drips, raw_upstream.script = False, in_turn(send(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    assert _fault(await _ask(proxy, get(b"/not-tls"))) == (502, "connect")


async def test_an_upstream_on_ipv6_is_reached(proxy: Proxy, port_on_ipv6: int) -> None:
    if not port_on_ipv6:
        pytest.skip("this machine has no IPv6")
    assert (await _ask(proxy, get(b"/six"))).status == 200


@pytest.mark.parametrize("path", [b"/refused", b"/no-such-name"])
async def test_an_upstream_that_is_not_there_is_a_connect_fault(path: bytes, proxy: Proxy) -> None:
    assert _fault(await _ask(proxy, get(path))) == (502, "connect")


# -- clocks (DESIGN section 8) -----------------------------------------------------------------------------------------

_UPLOADING = crlf(b"POST / HTTP/1.1", b"Host: a", b"Content-Length: 100", body=b"part")
_BEGUN = crlf(b"HTTP/1.1 200 OK", b"Content-Length: 100", body=b"begun")


@asynccontextmanager
async def _asking(proxy: Proxy, upstream: ScriptedUpstream, script: Script, request: bytes) -> AsyncIterator[Client]:
    await upstream.renew()
    upstream.drips, upstream.script = False, script
    client = await Client.connect(proxy.port)
    try:
        async with asyncio.timeout(15):
            await client.send(request)
            yield client
    finally:
        await client.close()


@pytest.mark.parametrize("method", [b"GET", b"POST"])
async def test_no_answer_in_time_is_504(method: bytes, proxy: Proxy, raw_upstream: ScriptedUpstream) -> None:
    begin = time.monotonic()
    request = crlf(method + b" / HTTP/1.1", b"Host: a", b"Content-Length: 0")
    async with _asking(proxy, raw_upstream, in_turn(read_request()), request) as client:
        await client.wait_for(lambda: _whole(client, method))
        took = time.monotonic() - begin
        await asyncio.wait_for(raw_upstream.connections[0].ended.wait(), 5)
    assert _fault(read_responses(bytes(client.received), [method], False)[0]) == (504, "timeout")
    assert _RESPONSE_S <= took < _RESPONSE_S + _LATE_S


async def test_the_response_clock_starts_when_the_request_is_sent(proxy: Proxy, raw_upstream: ScriptedUpstream) -> None:
    """An upload that takes longer than `response`, but keeps moving, is not ended."""
    async with _asking(
        proxy, raw_upstream, respond(OK), crlf(b"POST / HTTP/1.1", b"Host: a", b"Content-Length: 6")
    ) as client:
        for _ in range(6):
            await asyncio.sleep(_RESPONSE_S / 3)
            await client.send(b"x")
        await client.wait_for(lambda: _whole(client, b"POST"))
    assert read_responses(bytes(client.received), [b"POST"], False)[0].status == 200


async def test_an_interim_answer_does_not_stop_the_response_clock(proxy: Proxy, raw_upstream: ScriptedUpstream) -> None:
    """RFC 9110 section 15.2: 1xx is not the answer; an upstream that says no more is still given up."""
    script = in_turn(read_request(), send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"))
    async with _asking(proxy, raw_upstream, script, get()) as client:
        await client.wait_for(lambda: b"504" in client.received)
    assert [a.status for a in read_responses(bytes(client.received), [b"GET"], True)] == [103, 504]


async def test_an_answer_that_stalls_is_cut_short(proxy: Proxy, raw_upstream: ScriptedUpstream) -> None:
    begin = time.monotonic()
    async with _asking(proxy, raw_upstream, in_turn(read_request(), send(_BEGUN)), get()) as client:
        await client.wait_for(lambda: False)
        took = time.monotonic() - begin
    [responded] = read_responses(bytes(client.received), [b"GET"], True)
    assert not responded.is_complete
    assert responded.body == b"begun"
    assert _IDLE_S <= took < _IDLE_S + _LATE_S


async def test_an_answer_that_moves_slowly_is_not_ended(proxy: Proxy, raw_upstream: ScriptedUpstream) -> None:
    """`idle` is the time between two bytes, not of the whole."""
    pieces = [step for _ in range(6) for step in (pause(_IDLE_S / 3), send(b"x"))]
    script = in_turn(read_request(), send(crlf(b"HTTP/1.1 200 OK", b"Content-Length: 6")), *pieces)
    async with _asking(proxy, raw_upstream, script, get()) as client:
        await client.wait_for(lambda: _whole(client, b"GET"))
    assert client.received.endswith(b"xxxxxx")


async def test_an_upload_that_stalls_is_408_and_ends_the_upstream_request(
    proxy: Proxy, raw_upstream: ScriptedUpstream
) -> None:
    async with _asking(proxy, raw_upstream, in_turn(read_head()), _UPLOADING) as client:
        await client.wait_for(lambda: False)
        await asyncio.wait_for(raw_upstream.connections[0].ended.wait(), 5)
    assert _fault(read_responses(bytes(client.received), [b"POST"], True)[0]) == (408, "client_timeout")


async def test_an_upstream_that_does_not_read_is_504(proxy: Proxy, raw_upstream: ScriptedUpstream) -> None:
    size = 30_000_000
    head = crlf(b"POST / HTTP/1.1", b"Host: a", b"Content-Length: %d" % size)
    async with _asking(proxy, raw_upstream, in_turn(read_head(), hang()), head) as client:
        sending = asyncio.ensure_future(client.send(b"x" * size))
        await client.wait_for(lambda: False)
        await sending
    assert _fault(read_responses(bytes(client.received), [b"POST"], True)[0]) == (504, "timeout")


async def test_a_client_that_does_not_read_is_left(proxy: Proxy, raw_upstream: ScriptedUpstream) -> None:
    size = 30_000_000
    big = crlf(b"HTTP/1.1 200 OK", b"Content-Length: %d" % size, body=b"x" * size)
    await raw_upstream.renew()
    raw_upstream.drips, raw_upstream.script = False, respond(big)
    _, writer = await asyncio.open_connection("127.0.0.1", proxy.port, limit=1024)
    writer.write(get())
    connection = await raw_upstream.wait_for_connection()
    await asyncio.wait_for(connection.ended.wait(), _IDLE_S + _LATE_S + 1)
    writer.transport.abort()


async def test_an_upstream_that_reads_slowly_is_waited_for(proxy: Proxy, raw_upstream: ScriptedUpstream) -> None:
    """For three times `idle`, but never without a byte; then it catches up, so that `response` is kept."""
    size = 30_000_000
    slowly = in_turn(read_slowly(10_000_000, 200_000, 3 * _IDLE_S / 50), read_request(), send(OK))
    request = crlf(b"POST / HTTP/1.1", b"Host: a", b"Content-Length: %d" % size)
    async with _asking(proxy, raw_upstream, slowly, request) as client:
        await client.send(b"x" * size)
        await client.wait_for(lambda: _whole(client, b"POST"))
    assert read_responses(bytes(client.received), [b"POST"], False)[0].status == 200
