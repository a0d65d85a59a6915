"""Several listeners of a real proxy: unix sockets, load balancers that speak PROXY protocol, redirects."""

import asyncio
import signal
import socket
import stat
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from shutil import which

import pytest
from aiohttp import ClientSession, UnixConnector

from tests.e2e.commands import run
from tests.e2e.serving import Proxy, legacy
from tests.http1.proxies import NGINX_TOP
from tests.needs import require

LISTEN = """\
listen:
  - 127.0.0.1:0
  - {address: "127.0.0.2:0", proxy_protocol: {from: [127.0.0.1]}}
  - {address: "127.0.0.3:0", proxy_protocol: {from: [127.0.0.1], required: false}}
  - {address: "127.0.0.4:0", proxy_protocol: {from: [10.0.0.0/8]}}
  - {address: "127.0.0.5:0", redirect: "https:8443"}
  - {address: "unix:public/web.sock", mode: "0666"}
"""
GET = b"GET /who HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n"
V1 = b"PROXY TCP4 203.0.113.7 192.0.2.1 51000 443\r\n"
V2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + struct.pack("!H", 12) + bytes((203, 0, 113, 9, 192, 0, 2, 1)) + b"\0\1\0\2"


class Listening(Proxy):
    """A proxy with a listener of each kind."""

    def routes(self, percent: object = 0, workers: int | None = None) -> str:
        head, tail = super().routes(percent, workers).split("listen: 127.0.0.1:0\n", 1)
        return f"{head}{LISTEN}limits: {{drain: 5s, header_timeout: 1s}}\n{tail}".replace("limits: {drain: 5s}\n", "")

    @property
    def places(self) -> dict[str, int]:
        """The port of each host."""
        listed = self.events("supervisor.started")[-1]["listen"].split(", ")
        return {host: int(port) for host, _, port in (place.rpartition(":") for place in listed) if port.isdecimal()}

    @property
    def path(self) -> Path:
        return self.folder / "public" / "web.sock"

    async def send(self, host: str, *pieces: bytes) -> bytes:
        """Return all that comes back for bytes that are sent in pieces."""
        reader, writer = await asyncio.open_connection(host, self.places[host])
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.02 if len(pieces) > 1 else 0)
            async with asyncio.timeout(8):
                return await reader.read()
        except ConnectionResetError:
            return b""
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def client(self, host: str, *pieces: bytes) -> str:
        """Return the client's address in the log line of a request; empty if none was served."""
        before = len(self.events("request"))
        if b" 200 OK" not in await self.send(host, *pieces):
            return ""
        lines = await self.until(lambda: self.events("request")[before:])
        return str(lines[0]["client"])


@pytest.fixture
async def proxy(tmp_path: Path) -> AsyncIterator[Listening]:
    (tmp_path / "public").mkdir()
    async with legacy() as upstream:
        proxy = Listening(tmp_path, upstream.port)
        await proxy.start()
        await proxy.until(lambda: proxy.events("supervisor.started"))
        yield proxy
        await proxy.stop()


async def test_the_client_is_who_the_load_balancer_says(proxy: Listening) -> None:
    assert await proxy.client("127.0.0.1", GET) == "127.0.0.1"
    assert await proxy.client("127.0.0.2", V1 + GET) == "203.0.113.7"
    assert await proxy.client("127.0.0.2", V2 + GET) == "203.0.113.9"
    assert await proxy.client("127.0.0.2", b"PROXY UNKNOWN\r\n" + GET) == "127.0.0.1"
    assert await proxy.client("127.0.0.3", V1 + GET) == "203.0.113.7"
    assert await proxy.client("127.0.0.3", GET) == "127.0.0.1"


@pytest.mark.parametrize("header", [V1, V2], ids=["version 1", "version 2"])
@pytest.mark.parametrize("host", ["127.0.0.2", "127.0.0.3"], ids=["required", "not required"])
async def test_a_header_that_comes_byte_by_byte_is_waited_for(proxy: Listening, host: str, header: bytes) -> None:
    pieces = [bytes((byte,)) for byte in header]
    assert (await proxy.client(host, *pieces, GET)).startswith("203.0.113.")


async def test_a_request_without_a_header_may_begin_like_one(proxy: Listening) -> None:
    put = GET.replace(b"GET", b"PUT").replace(b"Host", b"Content-Length: 0\r\nHost")
    assert await proxy.client("127.0.0.3", put[:1], put[1:2], put[2:]) == "127.0.0.1"


@pytest.mark.parametrize(
    ("host", "data"),
    [
        ("127.0.0.2", GET),
        ("127.0.0.2", b"PROXY TCP4 nonsense\r\n" + GET),
        ("127.0.0.2", V2[:13] + b"\x99" + V2[14:] + GET),
        ("127.0.0.2", V1[:-3]),
        ("127.0.0.3", b"PROXY TCP4 nonsense\r\n" + GET),
        ("127.0.0.4", V1 + GET),
        ("127.0.0.4", GET),
    ],
    ids=["none", "broken", "broken version 2", "cut", "broken where none is required", "a stranger's", "a stranger"],
)
async def test_a_connection_that_may_not_be_served_ends(proxy: Listening, host: str, data: bytes) -> None:
    assert await proxy.send(host, data) == b""
    assert await proxy.client("127.0.0.1", GET) == "127.0.0.1"


async def test_networks_of_load_balancers_follow_a_reload(proxy: Listening) -> None:
    assert await proxy.send("127.0.0.4", V1 + GET) == b""
    proxy.file.write_text(proxy.routes().replace("10.0.0.0/8", "127.0.0.1"))
    await proxy.until(lambda: proxy.events("routes.reloaded"))
    async with asyncio.timeout(8):
        while await proxy.client("127.0.0.4", V1 + GET) != "203.0.113.7":
            pass
    assert (await proxy.status())["config"]["needs_restart"] == []


async def test_another_address_needs_a_restart(proxy: Listening) -> None:
    proxy.file.write_text(proxy.routes().replace("127.0.0.4:0", "127.0.0.6:0"))
    await proxy.until(lambda: proxy.events("routes.needs_restart"))
    assert (await proxy.status())["config"]["needs_restart"] == ["listen"]
    assert await proxy.client("127.0.0.1", GET) == "127.0.0.1"


@pytest.mark.parametrize(
    ("request_line", "host", "location"),
    [
        (b"GET /a%20b?x=1&y HTTP/1.1", b"Shop.example:80", b"https://shop.example:8443/a%20b?x=1&y"),
        (b"POST / HTTP/1.1", b"[::1]:8080", b"https://[::1]:8443/"),
        (b"OPTIONS * HTTP/1.1", b"shop.example", b"https://shop.example:8443/"),
        (b"GET http://other.example/p HTTP/1.1", b"shop.example", b"https://other.example:8443/p"),
    ],
)
async def test_a_redirect_leads_to_the_same_place(
    proxy: Listening, request_line: bytes, host: bytes, location: bytes
) -> None:
    more = b"Content-Length: 0\r\n" if request_line.startswith(b"POST") else b""
    found = await proxy.send("127.0.0.5", b"%b\r\nHost: %b\r\n%bConnection: close\r\n\r\n" % (request_line, host, more))
    assert found.startswith(b"HTTP/1.1 308 Permanent Redirect\r\n")
    assert b"\r\nLocation: %b\r\n" % location in found


async def test_a_redirect_without_a_usable_host_is_refused(proxy: Listening) -> None:
    assert (await proxy.send("127.0.0.5", b"GET / HTTP/1.0\r\n\r\n")).startswith(b"HTTP/1.1 400 ")
    assert (await proxy.send("127.0.0.5", b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n")).startswith(b"HTTP/1.1 400 ")


async def test_a_connection_is_redirected_request_by_request(proxy: Listening) -> None:
    first = GET.replace(b"Connection: close\r\n", b"")
    assert (await proxy.send("127.0.0.5", first + first + GET)).count(b"308 Permanent Redirect") == 3


async def test_a_unix_socket_serves_and_is_removed_at_the_end(proxy: Listening) -> None:
    assert stat.S_IMODE(proxy.path.stat().st_mode) == 0o666
    reader, writer = await asyncio.open_unix_connection(str(proxy.path))
    writer.write(GET)
    assert b" 200 OK" in await reader.read()
    writer.close()
    lines = await proxy.until(lambda: proxy.events("request"))
    assert lines[-1]["client"] == "127.0.0.1"
    await proxy.stop()
    assert not proxy.path.exists()


async def test_a_websocket_passes_through_a_unix_socket(proxy: Listening) -> None:
    connector = UnixConnector(str(proxy.path))
    async with ClientSession(connector=connector) as client, client.ws_connect("http://shop.example/ws") as websocket:
        await websocket.send_str("hello")
        assert await websocket.receive_str(timeout=10) == "hello"


async def test_the_file_of_a_killed_proxy_is_taken_over(proxy: Listening) -> None:
    proxy.signal(signal.SIGKILL)
    await proxy.ended()
    assert proxy.path.exists()
    await proxy.start()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(proxy.path))


async def test_a_unix_socket_survives_a_restart(proxy: Listening) -> None:
    code, output = await run(proxy.folder, "restart")
    assert code == 0, output
    async with asyncio.timeout(8):
        reader, writer = await asyncio.open_unix_connection(str(proxy.path))
        writer.write(GET)
        assert b" 200 OK" in await reader.read()
        writer.close()


async def test_a_listener_that_cannot_be_bound_is_named_and_nothing_is_served(tmp_path: Path) -> None:
    proxy = Listening(tmp_path, 1)  # its folder `public` is missing
    await proxy.start(ready=False)
    assert await proxy.ended() == 1
    assert "listen: cannot listen at unix:" in (tmp_path / "log").read_text()
    assert "make the folder, or choose another path" in (tmp_path / "log").read_text()


def _block(language: str, begins: str) -> str:
    """Return a block of docs/listeners.md, as it is written there."""
    page = (Path(__file__).parents[2] / "docs" / "listeners.md").read_text()
    return next(block for block in page.split(f"```{language}\n")[1:] if block.startswith(begins)).split("```")[0]


@pytest.mark.parametrize("option", ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id"])
async def test_haproxy_in_tcp_mode_as_the_docs_have_it(proxy: Listening, tmp_path: Path, option: str) -> None:
    require("" if which("haproxy") else "haproxy")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    place = f"127.0.0.2:{proxy.places['127.0.0.2']}"
    config = _block("", "# haproxy.cfg").replace("10.0.0.7:8080 send-proxy-v2", f"{place} {option}")
    config = config.replace("bind :80", f"bind 127.0.0.1:{port}\n  tcp-request connection set-src ipv4(203.0.113.50)")
    (tmp_path / "haproxy.cfg").write_text(
        f"defaults\n  timeout connect 5s\n  timeout client 5s\n  timeout server 5s\n{config}"
    )
    async with _running(lambda: _accepts(port), "haproxy", "-db", "-f", str(tmp_path / "haproxy.cfg")):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET)
        assert b" 200 OK" in await reader.read()
        writer.close()
    lines = await proxy.until(lambda: [line for line in proxy.events("request") if line["path"] == "/who"])
    assert lines[-1]["client"] == "203.0.113.50"


def _accepts(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


async def test_nginx_in_front_of_a_unix_socket_as_the_docs_have_it(proxy: Listening, tmp_path: Path) -> None:
    require("" if which("nginx") else "nginx")
    client = tmp_path / "nginx.sock"
    config = _block("nginx", "upstream").replace("/run/strangler/web.sock", str(proxy.path))
    config = config.replace("listen 80;", f"listen unix:{client};")
    file, errors = tmp_path / "nginx.conf", tmp_path / "error.log"
    file.write_text(f"{NGINX_TOP.format(folder=tmp_path)}{config}}}\n")
    async with _running(client.exists, which("nginx") or "", "-c", str(file), "-e", str(errors), "-p", str(tmp_path)):
        reader, writer = await asyncio.open_unix_connection(str(client))
        writer.write(GET)
        assert b" 200 OK" in await reader.read()
        writer.close()
    assert await proxy.until(lambda: proxy.events("request"))


@asynccontextmanager
async def _running(is_ready: Callable[[], bool], *command: str) -> AsyncIterator[None]:
    """Run a program, and end it afterwards."""
    process = await asyncio.create_subprocess_exec(*command)
    try:
        async with asyncio.timeout(20):
            while not is_ready():  # noqa: ASYNC110 - another program's socket has no event
                await asyncio.sleep(0.02)
        yield
    finally:
        process.terminate()
        await process.wait()
