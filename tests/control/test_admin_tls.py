"""TLS at the admin listener: what new connections get, and what clients that do it wrong leave behind: nothing."""

import asyncio
import json
import resource
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp import web

from strangler.config.load import load
from strangler.config.pem_files import PemSource
from strangler.control import admin_listener
from strangler.control.admin_listener import MAX_BEGINNING, AdminListener, AdminTls
from strangler.control.connection_cap import MAX_CONNECTIONS, bounded
from strangler.core.settings import Settings
from tests.certificates import Pair, make_pair
from tests.control.control import in_force

ROUTES = """\
version: 1
admin: {listen: 127.0.0.1:0%s}
upstreams: {legacy: {url: "http://127.0.0.1:1"}}
"""
TLS = ", tls: {certificates: [{cert: a.pem, key: a.key}]}"
ONLY_1_3 = TLS.replace("{certificates", "{min_version: '1.3', certificates")
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Admin:
    """An admin listener that responds with `ok`, and how it got there."""

    def __init__(self, folder: Path, tls: AdminTls, port: int, server: web.Server) -> None:
        self.folder = folder
        self.tls = tls
        self.port = port
        self.server = server
        self.published: list[tuple[str, ...]] = []
        self.unhandled: list[dict[str, Any]] = []
        self.writers: list[asyncio.StreamWriter] = []

    def settings(self, tls: str = TLS) -> Settings:
        return settings_of(self.folder, tls)

    async def follow(self, settings: Settings) -> None:
        self.tls.adopt(in_force(settings, 2))
        await self.tls.follow()

    async def connect(self, tls: bool = True) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=_unverified() if tls else None)
        self.writers.append(writer)
        return reader, writer

    async def hang_up(self) -> None:
        """End all clients."""
        for writer in self.writers:
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()

    async def certificate(self) -> bytes:
        """The certificate that a new client gets."""
        _, writer = await self.connect()
        found: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return found

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():  # noqa: ASYNC110 - there is no event for what is counted here
                await asyncio.sleep(0.01)


def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def settings_of(folder: Path, tls: str = TLS) -> Settings:
    (folder / "routes.yaml").write_text(ROUTES % tls)
    loaded = load(folder / "routes.yaml", {}, PemSource(datetime.now(UTC)))
    assert loaded.settings is not None, loaded.problems
    return loaded.settings


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    writer.write(GET)
    async with asyncio.timeout(10):
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(2)
    return head.split(b"\r\n")[0]


@asynccontextmanager
async def serving(folder: Path, tls: str = TLS) -> AsyncIterator[Admin]:
    async def respond(_: web.BaseRequest) -> web.Response:
        return web.Response(text="ok")

    runner = web.ServerRunner(web.Server(respond), shutdown_timeout=0)
    await runner.setup()
    assert runner.server is not None
    published: list[tuple[str, ...]] = []
    followed = AdminTls(settings_of(folder, tls), published.append)
    await followed.follow()
    listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
    made = Admin(folder, followed, listening.getsockname()[1], runner.server)
    made.published = published
    asyncio.get_running_loop().set_exception_handler(lambda _, context: made.unhandled.append(context))
    listener = AdminListener([listening], followed, bounded(runner.server))
    listener.start()
    try:
        yield made
    finally:
        await made.hang_up()
        await listener.close(0.1)
        await runner.cleanup()


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    made = make_pair(["ops.example"])
    made.write(tmp_path, "a")
    return made


@pytest.fixture
async def admin(tmp_path: Path, pair: Pair) -> AsyncIterator[Admin]:
    async with serving(tmp_path) as made:
        yield made
        assert made.unhandled == []


async def test_it_serves_with_the_certificate(admin: Admin, pair: Pair) -> None:
    assert await ask(*await admin.connect()) == b"HTTP/1.1 200 OK"
    assert await admin.certificate() == pair.der
    assert admin.published == [(ssl.DER_cert_to_PEM_cert(pair.der),)]


async def test_new_certificates_are_for_new_connections_and_close_none(admin: Admin, tmp_path: Path) -> None:
    before = await admin.connect()
    other = make_pair(["ops.example"], "rsa")
    other.write(tmp_path, "a")
    await admin.follow(admin.settings())
    assert await admin.certificate() == other.der
    assert admin.published[-1] == (ssl.DER_cert_to_PEM_cert(other.der),)
    assert await ask(*before) == b"HTTP/1.1 200 OK"


async def test_tls_goes_and_comes_without_closing_a_connection(admin: Admin) -> None:
    with_tls = await admin.connect()
    await admin.follow(admin.settings(""))
    assert admin.published[-1] == ()
    in_clear = await admin.connect(tls=False)
    assert await ask(*in_clear) == b"HTTP/1.1 200 OK"
    await admin.follow(admin.settings())
    for connection in (with_tls, in_clear, await admin.connect()):
        assert await ask(*connection) == b"HTTP/1.1 200 OK"


async def test_no_connection_is_refused_while_certificates_are_renewed(admin: Admin, tmp_path: Path) -> None:
    has_ended, served = asyncio.Event(), 0

    async def connect() -> None:
        nonlocal served
        while not has_ended.is_set():
            reader, writer = await admin.connect()
            assert await ask(reader, writer) == b"HTTP/1.1 200 OK"
            writer.close()
            served += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(connect())
        for number in range(10):
            make_pair([f"{number}.example"]).write(tmp_path, "a")
            await admin.follow(admin.settings(TLS if number % 3 else ONLY_1_3))
            seen = served
            await admin.until(lambda seen=seen: served > seen)  # type: ignore[misc]
        has_ended.set()


async def test_settings_that_change_nothing_here_keep_the_context(admin: Admin) -> None:
    before = admin.tls.context
    await admin.follow(replace(admin.settings(), workers=3))
    assert admin.tls.context is before
    assert len(admin.published) == 1


async def test_a_certificate_that_openssl_refuses_leaves_the_former_one(admin: Admin, pair: Pair) -> None:
    settings = admin.settings()
    broken = dict.fromkeys(settings.files, b"-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
    with structlog.testing.capture_logs() as logs:
        await admin.follow(replace(settings, files=broken))
    assert [line["event"] for line in logs] == ["admin.tls_failed"]
    assert await admin.certificate() == pair.der


async def test_without_a_usable_certificate_nobody_is_served_in_clear(tmp_path: Path, pair: Pair) -> None:
    async with serving(tmp_path) as admin:
        tls = AdminTls(replace(admin.settings(), files={}), lambda _: None)
        with structlog.testing.capture_logs():
            await tls.follow()
        admin.tls.context, admin.tls.is_on = tls.context, tls.is_on
        reader, writer = await admin.connect(tls=False)
        writer.write(GET)
        assert b" 400 " in await reader.readline()
        with pytest.raises(OSError):  # noqa: PT011 - an end or a reset
            await admin.connect()


async def test_a_request_in_clear_is_told_to_use_https(admin: Admin) -> None:
    reader, writer = await admin.connect(tls=False)
    writer.write(GET)
    head, body = (await reader.read()).split(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body)["detail"] == "this listener takes TLS only: use https://"


async def _handshake_cut(admin: Admin) -> None:
    """Begin a handshake, and leave in its middle."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = _unverified().wrap_bio(incoming, outgoing, server_hostname="ops.example")
    with suppress(ssl.SSLWantReadError):
        client.do_handshake()
    _, writer = await admin.connect(tls=False)
    writer.write(outgoing.read()[:100])
    await writer.drain()
    writer.transport.abort()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 300,
        b"\x16\x03\x01\x00\x05nonsense",
        b"\x16\x03\x01\xff\xff" + b"x" * 300,
        b"\x15\x03\x01\0\2\2\x28",
    ],
    ids=["nothing", "zeros", "a broken handshake", "too long a record", "an alert"],
)
async def test_what_is_no_handshake_ends_in_silence(
    admin: Admin, data: bytes, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = await admin.connect(tls=False)
    writer.write(data)
    writer.write_eof()
    async with asyncio.timeout(10):
        with suppress(ConnectionResetError):
            await reader.read()
    await _handshake_cut(admin)
    assert await ask(*await admin.connect()) == b"HTTP/1.1 200 OK"
    assert caplog.records == []
    assert "".join(capfd.readouterr()) == ""


async def test_a_thousand_silent_connections_keep_nobody_out(admin: Admin) -> None:
    served = await admin.connect()
    assert await ask(*served) == b"HTTP/1.1 200 OK"
    for _ in range(1000):
        await admin.connect(tls=False)
    assert await ask(*await admin.connect()) == b"HTTP/1.1 200 OK"
    assert await ask(*served) == b"HTTP/1.1 200 OK"
    await admin.until(lambda: len(asyncio.all_tasks()) <= MAX_BEGINNING + 10)


async def test_connections_with_tls_that_stay_idle_are_bounded(admin: Admin) -> None:
    for _ in range(MAX_CONNECTIONS + 20):
        await admin.connect()
    assert await ask(*await admin.connect()) == b"HTTP/1.1 200 OK"
    await admin.until(lambda: len(admin.server.connections) <= MAX_CONNECTIONS)


async def test_a_handshake_that_does_not_go_on_ends(admin: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin_listener, "HANDSHAKE_S", 0.2)
    for begun in (b"", b"\x16\x03\x01"):
        reader, writer = await admin.connect(tls=False)
        writer.write(begun)
        before = time.monotonic()
        async with asyncio.timeout(10):
            assert await reader.read() == b""
        assert time.monotonic() - before >= 0.15


async def test_without_descriptors_it_accepts_later(admin: Admin) -> None:
    clients = [socket.socket() for _ in range(3)]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with structlog.testing.capture_logs() as logs:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(client.fileno() for client in clients) + 1, hard))
        try:
            for client in clients:
                client.connect(("127.0.0.1", admin.port))
            await admin.until(lambda: bool(logs))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert [line["event"] for line in logs] == ["admin.accept_failed"]
    assert await ask(*await admin.connect()) == b"HTTP/1.1 200 OK"
    for client in clients:
        client.close()
