"""A real application behind the proxy answers the same with and without it, field by field: httpbin under gunicorn,
asked by curl; a websocket server, asked by a websocket client with and without compression."""

import asyncio
import gzip
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import Literal

import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from strangler.demo.children import free_ports
from tests.http1 import proxies
from tests.http1.proxies import strangler
from tests.needs import require

_CONFIG = """
version: 1
listen: 127.0.0.1:{{port}}
admin: {{{{listen: "127.0.0.1:{{admin}}"}}}}
state: "{{state}}"
log: {{{{level: warning, access: false}}}}
upstreams:
  legacy: {{{{url: "http://127.0.0.1:{upstream}"}}}}
"""
Head = tuple[str, list[tuple[str, str]]]
"""Status and reason; names and values, in order."""
_HOST = "shop.example"
_ADDED = {"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "via", "x-request-id", "traceparent"}
_OF_ONE_HOP = {"connection", "keep-alive", "transfer-encoding"}
_NOT_COMPARED = _OF_ONE_HOP | {"date", "x-strangler-arm", "content-length"}
"""Date moves on, the arm is ours, and an answer that echoes the request is longer by what the proxy added to it."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the same application is asked directly, and where through the proxy."""

    direct: int
    proxied: int


@pytest.fixture(scope="module", autouse=True)
def _needs_curl() -> None:
    require("" if which("curl") else "curl")


@pytest.fixture(scope="module")
def httpbin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Addresses]:
    (port,) = free_ports(1)
    folder = tmp_path_factory.mktemp("httpbin")
    command = [sys.executable, "-m", "gunicorn", "-b", f"127.0.0.1:{port}", "-k", "gthread", "--threads", "4"]
    command += ["--keep-alive", "5", "--no-control-socket", "httpbin:app"]
    with (
        proxies.running("httpbin", command, port, folder),
        strangler(_CONFIG.format(upstream=port), tmp_path_factory.mktemp("strangler")) as proxy,
    ):
        yield Addresses(port, proxy.port)


@dataclass(frozen=True, slots=True)
class Ask:
    """One question for curl. A body that is not `bytes` echoes the request: what the proxy adds is left out of it."""

    id: str
    path: str
    options: tuple[str, ...] = ()
    body: Literal["bytes", "json", "lines", "gzip"] = "bytes"


_BIG = "@big"  # replaced by a file of 3 MB
_SMALL = "@small"
REQUESTS = [
    Ask("page", "/html"),
    Ask("json", "/json"),
    Ask("xml", "/xml"),
    Ask("utf-8", "/encoding/utf8"),
    Ask("picture", "/image/png"),
    Ask("robots", "/robots.txt"),
    Ask("form page", "/forms/post"),
    Ask("what arrived", "/anything/a/b?x=1&x=2&empty=&plus=a+b%20c", body="json"),
    Ask("encoded path", "/anything/a%2Fb/%C3%A9/;p=1/~x?q=%2F%3D", body="json"),
    Ask("own fields", "/anything", ("-H", "X-A: 1", "-H", "x-b: caf\xe9", "-H", "Accept: a, b;q=0.5"), body="json"),
    Ask("HEAD", "/get", ("-I",)),
    Ask("OPTIONS", "/get", ("-X", "OPTIONS")),
    Ask("DELETE", "/delete", ("-X", "DELETE"), body="json"),
    Ask("PATCH", "/patch", ("-X", "PATCH", "-d", "a=1"), body="json"),
    Ask("form", "/post", ("-d", "a=1&b=%20x", "-d", "c=3"), body="json"),
    Ask("json body", "/post", ("--json", '{"a": [1, 2.50, null]}'), body="json"),
    Ask(
        "multipart",
        "/post",
        ("-F", "note=hi", "-F", f"file={_SMALL};type=text/x-odd;filename=odd name.bin"),
        body="json",
    ),
    Ask("upload by length", "/put", ("-T", "small"), body="json"),
    Ask(
        "upload in chunks",
        "/put",
        ("-X", "PUT", "-H", "Transfer-Encoding: chunked", "--data-binary", _SMALL),
        body="json",
    ),
    Ask("upload with Expect", "/post", ("-H", "Expect: 100-continue", "--data-binary", _BIG), body="json"),
    Ask("upload without Expect", "/post", ("-H", "Expect:", "--data-binary", _BIG), body="json"),
    Ask("HTTP/1.0", "/get", ("-0",), body="json"),
    Ask("HTTP/1.0 with a body", "/post", ("-0", "-d", "a=1"), body="json"),
    Ask("HTTP/1.0 of a stream", "/stream-bytes/5000?seed=1&chunk_size=100", ("-0",)),
    Ask("range", "/range/1024", ("-r", "10-99")),
    Ask("suffix range", "/range/1024", ("-r", "-10")),
    Ask("range beyond the end", "/range/100", ("-r", "200-300")),
    Ask("gzip", "/gzip", ("--compressed",), body="json"),
    Ask("gzip left alone", "/gzip", ("-H", "Accept-Encoding: gzip"), body="gzip"),
    Ask("deflate", "/deflate", ("--compressed",), body="json"),
    Ask("brotli", "/brotli", ("--compressed",), body="json"),
    Ask("redirect", "/redirect/2"),
    Ask("absolute redirect", "/absolute-redirect/1"),
    Ask("redirect to elsewhere", "/redirect-to?url=http%3A%2F%2Felsewhere.example%2Fx%3Fy&status_code=307"),
    Ask("cookies set", "/cookies/set?a=1&b=2"),
    Ask("cookies sent", "/cookies", ("-b", "a=1; b=2"), body="json"),
    Ask("basic authentication", "/basic-auth/u/p", ("-u", "u:p"), body="json"),
    Ask("refused authentication", "/basic-auth/u/p", ("-u", "u:wrong")),
    Ask("bearer", "/bearer", ("-H", "Authorization: Bearer t"), body="json"),
    Ask("etag matches", "/etag/abc", ("-H", "If-None-Match: abc")),
    Ask("etag fails", "/etag/abc", ("-H", "If-Match: other")),
    Ask("not modified", "/cache", ("-H", "If-Modified-Since: Mon, 01 Jan 2024 00:00:00 GMT")),
    Ask("repeated response fields", "/response-headers?X-A=1&X-A=2&X-B=%C3%A9", body="json"),
    *(Ask(f"status {code}", f"/status/{code}") for code in (200, 204, 205, 304, 400, 404, 418, 429, 500, 503)),
    Ask("bytes", "/bytes/100000?seed=1"),
    Ask("stream of bytes", "/stream-bytes/100000?seed=1&chunk_size=1000"),
    Ask("stream of lines", "/stream/20", body="lines"),
    Ask("drip", "/drip?duration=0.3&numbytes=10&delay=0"),
    Ask("not found", "/no/such/page"),
    Ask("wrong method", "/get", ("-X", "POST")),
]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    (folder / "small").write_bytes(bytes(range(256)) * 40)
    (folder / "big").write_bytes(b"0123456789abcdef" * 200_000)
    return folder


@pytest.mark.parametrize("ask", REQUESTS, ids=lambda ask: ask.id)
def test_httpbin_answers_the_same_with_and_without_the_proxy(ask: Ask, httpbin: Addresses, files: Path) -> None:
    direct = _curl(ask, httpbin.direct, files)
    proxied = _curl(ask, httpbin.proxied, files)
    assert proxied == direct


def _curl(ask: Ask, port: int, files: Path) -> tuple[list[Head], object]:
    """Each head that came (1xx too) as status and fields, and the last body."""
    options = [option.replace("@", f"@{files}/") if "@" in option else option for option in ask.options]
    options = [str(files / "small") if option == "small" else option for option in options]
    command = ["curl", "-sS", "-m", "20", "--path-as-is", "-D", "-", "-o", "-", "-H", f"Host: {_HOST}", *options]
    done = subprocess.run([*command, f"http://127.0.0.1:{port}{ask.path}"], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return _read(done.stdout, ask)


def _read(output: bytes, ask: Ask) -> tuple[list[Head], object]:
    heads = []
    while match := re.match(rb"HTTP/1\.[01] .*?\r\n\r\n", output, re.DOTALL):
        heads.append(_head(match[0]))
        output = output[match.end() :]
    return heads, _body(output, ask)


def _head(head: bytes) -> Head:
    line, *fields = head.decode("latin-1").strip().split("\r\n")
    pairs = [field.partition(":")[::2] for field in fields]
    kept = [(name, value.strip()) for name, value in pairs if name.lower() not in _NOT_COMPARED]
    return line.split(" ", 1)[1], kept


def _body(body: bytes, ask: Ask) -> object:
    if ask.body == "bytes":
        return body
    if ask.body == "lines":
        return [_echo(line) for line in body.splitlines()]
    return _echo(gzip.decompress(body) if ask.body == "gzip" else body)


def _echo(body: bytes) -> object:
    """The echoed request without what the proxy added, and without what curl draws by lot."""
    echoed = json.loads(body)
    headers = echoed.get("headers")
    if not isinstance(headers, dict):
        return echoed
    echoed["headers"] = {k: v for k, v in headers.items() if k.lower() not in _ADDED | _OF_ONE_HOP}
    if boundary := re.search(r"boundary=(\S+)", str(headers.get("Content-Type", ""))):
        return json.loads(json.dumps(echoed).replace(boundary[1], "BOUNDARY"))
    return echoed


# -- websockets --------------------------------------------------------------------------------------------------------


async def _talk(connection: ServerConnection) -> None:
    """Echo; on "close CODE" close with that code; on "headers" say what the request's fields were."""
    async for message in connection:
        if isinstance(message, str) and message.startswith("close "):
            await connection.close(int(message.split()[1]), "as you wish")
        elif message == "headers":
            assert connection.request is not None
            await connection.send(json.dumps([[k.lower(), v] for k, v in connection.request.headers.raw_items()]))
        else:
            await connection.send(message)


@dataclass(frozen=True, slots=True)
class Sockets:
    server: Server
    direct: int
    proxied: int


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sockets(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sockets]:
    async with serve(_talk, "127.0.0.1", 0, subprotocols=[Subprotocol("b")], max_size=2**24) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        folder = tmp_path_factory.mktemp("strangler")
        with strangler(_CONFIG.format(upstream=port), folder) as proxy:
            yield Sockets(server, port, proxy.port)


def _connect(port: int, compression: str | None) -> connect:
    return connect(
        f"ws://127.0.0.1:{port}/chat?x=%2F",
        compression=compression,
        subprotocols=[Subprotocol("a"), Subprotocol("b")],
        additional_headers={"X-A": "1", "Cookie": "sid=1"},
        max_size=2**24,
        proxy=None,
    )


_COMPRESSIONS = pytest.mark.parametrize("compression", ["deflate", None], ids=["compressed", "plain"])


@_COMPRESSIONS
@pytest.mark.asyncio(loop_scope="module")
async def test_a_websocket_negotiates_the_same_with_and_without_the_proxy(
    compression: str | None, sockets: Sockets
) -> None:
    """RFC 6455 section 4: subprotocol and extensions are between client and server."""

    async def negotiate(port: int) -> tuple[object, ...]:
        async with _connect(port, compression) as socket:
            await socket.send("headers")
            seen = [
                (k, v) for k, v in json.loads(await socket.recv()) if k not in _ADDED | {"host", "sec-websocket-key"}
            ]
            assert socket.response is not None
            names = [
                (k.lower(), v)
                for k, v in socket.response.headers.raw_items()
                if k.lower() not in ("date", "sec-websocket-accept", "x-strangler-arm")
            ]
            return socket.subprotocol, [type(e).__name__ for e in socket.protocol.extensions], seen, names

    direct, proxied = await negotiate(sockets.direct), await negotiate(sockets.proxied)
    assert _sorted(proxied) == _sorted(direct)


def _sorted(negotiated: tuple[object, ...]) -> tuple[object, ...]:
    """Connection and Upgrade are made anew by a proxy (RFC 9110 section 7.8): their place may change."""
    return tuple(sorted(part) if isinstance(part, list) else part for part in negotiated)


@_COMPRESSIONS
@pytest.mark.asyncio(loop_scope="module")
async def test_messages_pass_a_websocket_unchanged(compression: str | None, sockets: Sockets) -> None:
    async with _connect(sockets.proxied, compression) as socket:
        for message in ("", "caf\xe9 \u2713", b"\x00\xff" * 5, "x" * 100_000, bytes(range(256)) * 8192):
            await socket.send(message)
            assert await socket.recv() == message
        await socket.send(["in ", "three ", "parts"])
        assert await socket.recv() == "in three parts"
        latency = await socket.ping()
        assert await latency >= 0


@pytest.mark.parametrize("code", [1000, 1001, 3000, 4999])
@pytest.mark.asyncio(loop_scope="module")
async def test_the_server_closes_a_websocket_with_its_code(code: int, sockets: Sockets) -> None:
    async with _connect(sockets.proxied, None) as socket:
        await socket.send(f"close {code}")
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (code, "as you wish")


@pytest.mark.asyncio(loop_scope="module")
async def test_the_client_closes_a_websocket_with_its_code(sockets: Sockets) -> None:
    async with _connect(sockets.proxied, None) as socket:
        await socket.send("hello")
        await socket.recv()
        [other] = sockets.server.connections
        await socket.close(4001, "enough")
        await other.wait_closed()
    assert (other.close_code, other.close_reason) == (4001, "enough")


@pytest.mark.asyncio(loop_scope="module")
async def test_a_client_that_vanishes_ends_the_websocket_upstream(sockets: Sockets) -> None:
    socket: ClientConnection = await _connect(sockets.proxied, None)
    await socket.send("hello")
    await socket.recv()
    [other] = sockets.server.connections
    socket.transport.abort()
    await asyncio.wait_for(other.wait_closed(), 3)
    assert other.close_code == 1006


def test_the_proxy_under_test_is_ours(httpbin: Addresses) -> None:
    """The comparison would pass if both sides were asked directly: the arm tells that they were not."""
    done = subprocess.run(["curl", "-sI", f"http://127.0.0.1:{httpbin.proxied}/get"], capture_output=True, check=True)
    assert b"X-Strangler-Arm: legacy" in done.stdout
