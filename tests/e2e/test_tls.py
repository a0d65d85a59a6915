"""TLS at the listeners of a real proxy, as curl, openssl and Python see it; and certificates that are replaced."""

import asyncio
import signal
import socket
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from shutil import which

import pytest
import websockets
from aiohttp import web

from tests.certificates import Pair, client_context, hello, make_ca, make_pair
from tests.e2e.serving import Proxy, legacy
from tests.needs import require
from tests.served import served

CA = make_ca()
CLIENTS = make_ca("Clients")
LISTEN = """\
listen:
  - address: 127.0.0.1:0
    tls: {certificates: [{cert: certs/shop.pem, key: certs/shop.key}, {cert: rsa.pem, key: rsa.key}, {cert: wild.pem}]}
  - address: 127.0.0.2:0
    tls:
      certificates: [{cert: rsa.pem, key: rsa.key}]
      client_ca: clients.pem
      client_cert: required
      min_version: "1.3"
  - address: 127.0.0.3:0
    proxy_protocol: {from: [127.0.0.1]}
    tls: {certificates: [{cert: certs/shop.pem, key: certs/shop.key}]}
"""
SHOP = make_pair(["shop.example", "127.0.0.1"], ca=CA)
RSA = make_pair(["shop.example"], "rsa", ca=CA)
WILD = make_pair(["*.shop.example"], ca=CA)
GET = b"GET /who HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n"


class Secure(Proxy):
    """A proxy whose listeners have TLS. `certs` is a link to a folder, as Kubernetes mounts a secret."""

    limits = "drain: 5s, header_timeout: 2s, connections: 200"

    def routes(self, percent: object = 0, workers: int | None = None) -> str:
        head, tail = super().routes(percent, workers).split("listen: 127.0.0.1:0\n", 1)
        return f"{head}{LISTEN}limits: {{{self.limits}}}\n{tail}".replace("limits: {drain: 5s}\n", "")

    def install(self, pair: Pair, number: int) -> None:
        """Replace the files of the first pair at once, by renaming a link to the folder with both."""
        folder = self.folder / "mount" / f"..{number}"
        folder.mkdir(parents=True)
        pair.write(folder, "shop")
        link = self.folder / "mount" / "..tmp"
        link.symlink_to(folder.name)
        link.rename(self.folder / "mount" / "..data")

    @property
    def ports(self) -> dict[str, int]:
        """The port of each host."""
        listed = self.events("supervisor.started")[-1]["listen"].split(", ")
        return {host: int(port) for host, _, port in (place.rpartition(":") for place in listed)}

    async def has_refused(self, reason: str, count: int) -> None:
        """Wait until `count` have been refused for that reason: metrics come a moment later."""

        async def holds() -> bool:
            return await self.metric("strangler_refused_total", reason=reason) >= count

        await self.until(holds)

    async def serving(self) -> bytes:
        """The certificate that a new connection gets, as DER."""
        context = client_context(CA)
        _, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=context, server_hostname="shop.example")
        found: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        return found


@pytest.fixture
async def proxy(tmp_path: Path) -> AsyncIterator[Secure]:
    async with legacy() as upstream, started(tmp_path, upstream.port) as proxy:
        yield proxy


@asynccontextmanager
async def started(folder: Path, upstream: int, workers: int = 1) -> AsyncIterator[Secure]:
    proxy = Secure(folder, upstream, workers)
    proxy.install(SHOP, 0)
    (folder / "mount" / "shop.pem").symlink_to("..data/shop.pem")
    (folder / "mount" / "shop.key").symlink_to("..data/shop.key")
    (folder / "certs").symlink_to("mount")
    RSA.write(folder, "rsa")
    (folder / "wild.pem").write_bytes(WILD.both)
    (folder / "clients.pem").write_bytes(CLIENTS.cert)
    (folder / "ca.pem").write_bytes(CA.cert)
    await proxy.start()
    await proxy.until(lambda: proxy.events("supervisor.started"))
    try:
        yield proxy
    finally:
        await proxy.stop()


async def run(*command: str, stdin: bytes = b"") -> str:
    """Everything that a command writes."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(30):
        output, _ = await process.communicate(stdin)
    return output.decode("utf-8", "replace")


async def s_client(proxy: Secure, *options: str, host: str = "127.0.0.1", stdin: bytes = b"") -> str:
    require("" if which("openssl") else "openssl: apt install openssl")
    address = f"{host}:{proxy.ports[host]}"
    ca = str(proxy.folder / "ca.pem")
    return await run("openssl", "s_client", "-connect", address, "-CAfile", ca, *options, stdin=stdin)


async def test_curl(proxy: Secure) -> None:
    require("" if which("curl") else "curl: apt install curl")
    place = f"shop.example:{proxy.port}:127.0.0.1"
    common = ("curl", "-sS", "--max-time", "20", "--cacert", str(proxy.folder / "ca.pem"), "--resolve", place, "-i")
    for version in ("--tlsv1.2", "--tlsv1.3"):
        found = await run(*common, version, "--tls-max", version[-3:], f"https://shop.example:{proxy.port}/a")
        assert found.startswith("HTTP/1.1 200 OK\r\n")
        assert found.endswith("legacy")
    upload = proxy.folder / "upload"
    upload.write_bytes(b"x" * 3_000_000)
    found = await run(*common, "-T", str(upload), f"https://shop.example:{proxy.port}/a")
    assert " 200 OK" in found
    found = await run("curl", "-sS", "-i", f"http://127.0.0.1:{proxy.port}/")
    assert found.startswith("HTTP/1.1 400 ")
    assert "This port speaks HTTPS" in found
    await proxy.has_refused("tls_handshake", 1)


async def test_the_name_chooses_the_certificate(proxy: Secure) -> None:
    def subject(output: str) -> str:
        return next(line for line in output.splitlines() if line.startswith("subject="))

    for name, common_name in (("shop.example", "shop.example"), ("WWW.shop.example", "*.shop.example")):
        assert common_name in subject(await s_client(proxy, "-servername", name))
    for options in (("-noservername",), ("-servername", "unknown.example")):
        assert "CN = shop.example" in subject(await s_client(proxy, *options))


@pytest.mark.parametrize(("kind", "key"), [("ECDSA", "id-ecPublicKey"), ("RSA", "rsaEncryption")])
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
async def test_both_kinds_of_key_are_offered(proxy: Secure, kind: str, key: str, version: str) -> None:
    signatures = "ECDSA+SHA256" if kind == "ECDSA" else "RSA-PSS+SHA256:RSA+SHA256"
    found = await s_client(
        proxy, version, "-sigalgs", signatures, "-servername", "shop.example", "-alpn", "h2,http/1.1"
    )
    assert f"a:PKEY: {key}" in found
    assert "ALPN protocol: http/1.1" in found
    assert "Verify return code: 0 (ok)" in found
    assert "No ALPN negotiated" in await s_client(proxy, version, "-servername", "shop.example", "-alpn", "h2")


async def test_alerts(proxy: Secure) -> None:
    too_old = await s_client(proxy, "-tls1_1", "-cipher", "DEFAULT:@SECLEVEL=0")
    assert "alert protocol version" in too_old
    assert "alert protocol version" in await s_client(proxy, "-tls1_2", host="127.0.0.2")
    nameless = await s_client(proxy, "-ign_eof", host="127.0.0.2", stdin=GET)
    assert "alert certificate required" in nameless
    make_pair(["eve"], ca=make_ca("Other")).write(proxy.folder, "eve")
    own = ("-cert", str(proxy.folder / "eve.pem"), "-key", str(proxy.folder / "eve.key"))
    assert "alert unknown ca" in await s_client(proxy, "-ign_eof", *own, host="127.0.0.2", stdin=GET)
    await proxy.has_refused("tls_handshake", 4)
    assert len(proxy.events("client.tls_failed")) == 1


async def test_sessions_are_resumed_within_a_worker(proxy: Secure) -> None:
    for version in ("-tls1_2", "-tls1_3"):
        kept = str(proxy.folder / f"session{version}")
        common = (version, "-servername", "shop.example", "-ign_eof")
        assert "New, TLS" in await s_client(proxy, *common, "-sess_out", kept, stdin=GET)
        assert "Reused, TLS" in await s_client(proxy, *common, "-sess_in", kept, stdin=GET)


async def test_a_client_s_certificate_goes_to_upstreams(tmp_path: Path) -> None:
    async def headers(request: web.Request) -> web.Response:
        return web.json_response([list(pair) for pair in request.headers.items()])

    async with served(headers) as upstream, started(tmp_path, upstream) as proxy:
        ana = make_pair(["ana"], ca=CLIENTS)
        context = client_context(CA, ana)
        context.check_hostname = False
        reader, writer = await asyncio.open_connection("127.0.0.2", proxy.ports["127.0.0.2"], ssl=context)
        forged = b"Client-Cert: :QUJD:\r\nclient_cert: x\r\nConnection: close, Client-Cert\r\n\r\n"
        writer.write(GET.replace(b"Connection: close\r\n\r\n", forged))
        received = await reader.read()
        writer.close()
    assert b'["Client-Cert", ":' + b64encode(ana.der) + b':"]' in received
    assert received.lower().count(b"client") == 1
    assert b'["X-Forwarded-Proto", "https"]' in received


async def test_a_load_balancer_says_who_the_client_is_before_tls(proxy: Secure) -> None:
    with socket.create_connection(("127.0.0.3", proxy.ports["127.0.0.3"])) as sock:
        sock.sendall(b"PROXY TCP4 203.0.113.7 192.0.2.1 51000 443\r\n")

        def talk() -> bytes:
            with client_context(CA).wrap_socket(sock, server_hostname="shop.example") as tls:
                tls.sendall(GET)
                return tls.recv(4096)

        assert b" 200 OK" in await asyncio.to_thread(talk)
    (line,) = await proxy.wait_for_log("request")
    assert line["client"] == "203.0.113.7"


async def test_a_websocket_by_tls(proxy: Secure) -> None:
    url = f"wss://shop.example:{proxy.port}/ws"
    async with websockets.connect(url, ssl=client_context(CA), host="127.0.0.1", proxy=None) as talk:
        for message in ("a", "b" * 100_000):
            await talk.send(message)
            assert await talk.recv() == message
        proxy.signal(signal.SIGTERM)
        await talk.wait_closed()
        assert talk.close_code == 1001
    assert await proxy.ended() == 0


async def test_silent_connections_keep_nobody_out_and_cost_no_memory(proxy: Secure) -> None:
    silent = []
    try:
        for _ in range(1000):
            sock = socket.socket()
            silent.append(sock)
            sock.bind(("127.0.0.9", 0))
            sock.connect(("127.0.0.1", proxy.port))
        for _ in range(5):
            assert await proxy.serving() == SHOP.der
    finally:
        for sock in silent:
            sock.close()
    await proxy.has_refused("connections", 700)


async def test_a_name_that_is_not_ascii_makes_no_noise(proxy: Secure) -> None:
    for name in (b"sh\xffp.example", b"\0hop.example", b"shop.example\n"):
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(hello(name))
        await reader.read(100)
        writer.close()
    assert await proxy.serving() == SHOP.der
    assert {line["event"] for line in proxy.log} <= {
        *("supervisor.started", "control.ready", "worker.ready", "client.tls_failed", "request", "config.loaded"),
        *(line["event"] for line in proxy.log if line.get("level") == "info"),
    }


async def test_a_drain_serves_what_has_begun(proxy: Secure) -> None:
    context = client_context(CA)
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port, ssl=context, server_hostname="shop.example")
    writer.write(GET.replace(b"/who", b"/slow"))
    await asyncio.sleep(0.1)
    proxy.signal(signal.SIGTERM)
    assert b" 200 OK" in await reader.read()
    writer.close()
    assert await proxy.ended() == 0


async def test_certificates_are_replaced_under_load_without_a_lost_request(tmp_path: Path) -> None:
    async with legacy() as upstream, started(tmp_path, upstream.port, workers=2) as proxy:
        context, lost, served_count = client_context(CA), list[str](), 0
        stop = asyncio.Event()

        async def new_connections() -> None:
            """A request on each connection, at a pace that leaves the system ports for the next."""
            nonlocal served_count
            while not stop.is_set() and not lost:
                try:
                    reader, writer = await asyncio.open_connection(
                        "127.0.0.1", proxy.port, ssl=context, server_hostname="shop.example"
                    )
                    writer.write(GET)
                    response = await reader.read()
                    writer.close()
                except OSError as error:
                    lost.append(repr(error))
                    return
                served_count += 1
                if b" 200 OK" not in response:
                    lost.append(repr(response))
                await asyncio.sleep(0.01)

        async def one_connection() -> None:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", proxy.port, ssl=context, server_hostname="shop.example"
            )
            while not stop.is_set():
                writer.write(GET.replace(b"Connection: close\r\n", b""))
                head = await reader.readuntil(b"\r\n\r\n")
                assert b" 200 OK" in head
                await reader.readexactly(len(b"legacy"))
                await asyncio.sleep(0.01)
            writer.close()

        async with asyncio.TaskGroup() as group:
            for load in (*[new_connections] * 3, one_connection):
                group.create_task(load())
            try:
                for number in range(1, 9):
                    pair = make_pair(["shop.example", "127.0.0.1"], ca=CA)
                    proxy.install(pair, number)

                    async def is_new(pair: Pair = pair) -> bool:
                        return await proxy.serving() == pair.der

                    await proxy.until(is_new)
            finally:
                stop.set()
        assert lost == []
        assert served_count > 100


async def test_a_worker_that_is_started_anew_has_the_last_good_pair(proxy: Secure) -> None:
    later = make_pair(["shop.example", "127.0.0.1"], ca=CA)
    proxy.install(later, 1)

    async def is_new() -> bool:
        return await proxy.serving() == later.der

    await proxy.until(is_new)
    folder = proxy.folder / "mount" / "..data"
    (folder / "shop.key").write_bytes(b"broken")
    (worker,) = [child for child in proxy.children() if "strangler.worker" in child.cmdline()]
    worker.kill()
    await proxy.until(lambda: len(proxy.events("worker.ready")) == 2)
    assert await proxy.serving() == later.der
