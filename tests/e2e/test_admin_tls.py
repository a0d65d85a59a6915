"""The admin listener with TLS, in a real proxy: commands, reloads, a browser."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.certificates import Pair, make_ca, make_pair
from tests.e2e.browsing import Window, chromium, shop, until
from tests.e2e.commands import run
from tests.e2e.serving import Proxy, legacy

TLS = "tls: {certificates: [{cert: admin.pem, key: admin.key}]}"
AGO = datetime.now(UTC) - timedelta(days=1)


class Secured(Proxy):
    """A proxy whose admin listener has TLS."""

    def routes(self, percent: object = 0, workers: int | None = None, *, tls: bool = True) -> str:
        text = super().routes(percent, workers)
        return text.replace("admin: {listen: 127.0.0.1:0", f"admin: {{listen: 127.0.0.1:0, {TLS}") if tls else text

    async def certificate(self) -> bytes:
        """The certificate that a new client gets, DER."""
        _, writer = await self.connect()
        found: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        return found

    async def connect(self, *, tls: bool = True) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, _, port = self.admin.partition("://")[2].rpartition(":")
        return await asyncio.open_connection(host, int(port), ssl=_any_certificate() if tls else None)

    async def shows(self, pair: Pair) -> bool:
        return await self.certificate() == pair.der


def _any_certificate() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    made = make_pair(["ops.example"], ca=make_ca())
    made.write(tmp_path, "admin")
    return made


@pytest.fixture
async def proxy(tmp_path: Path, pair: Pair) -> AsyncIterator[Secured]:
    async with legacy() as upstream:
        proxy = Secured(tmp_path, upstream.port)
        await proxy.start()
        yield proxy
        await proxy.stop()


async def strangler(proxy: Proxy, *arguments: str) -> str:
    """Output of a command that must succeed."""
    code, output = await run(proxy.folder, *arguments, COLUMNS="120")
    assert code == 0, output
    return output


async def test_commands_find_it_and_trust_its_certificate(proxy: Secured, pair: Pair) -> None:
    started = await proxy.wait_for_log("supervisor.started")
    assert started[0]["admin"] == proxy.admin
    assert proxy.admin.startswith("https://")
    await strangler(proxy, "kill-switch", "on", "--reason", "a test")
    assert "a test" in await strangler(proxy, "status")
    assert "kill_switch" in await strangler(proxy, "events")
    assert "shifted" in await strangler(proxy, "shift", "orders", "5")
    running = json.loads((proxy.folder / "state" / "running.json").read_text())
    assert ssl.PEM_cert_to_DER_cert(running["admin_certificates"][0]) == pair.der


async def test_it_is_recorded_over_tls(proxy: Secured) -> None:
    recording = asyncio.create_task(strangler(proxy, "record", "--all", "--for", "2s", "-o", "a.rec"))

    async def is_on() -> bool:
        return (await proxy.status())["recording"] is not None

    await proxy.until(is_on)
    await proxy.get("/api/orders/7")
    assert "a.rec: 1 pair (a running proxy)" in await recording


@pytest.mark.parametrize("damage", ["nonsense", "another pair's key", "expired", "gone"])
async def test_commands_work_while_the_files_on_disk_cannot_be_used(proxy: Secured, damage: str, pair: Pair) -> None:
    """The proxy goes on with the certificate that it has, and commands know it from the state folder."""
    await proxy.until(lambda: proxy.events("control.ready"))
    if damage == "nonsense":
        (proxy.folder / "admin.pem").write_text("nonsense")
    elif damage == "another pair's key":
        (proxy.folder / "admin.pem").write_bytes(make_pair().cert)
    elif damage == "expired":
        make_pair(not_after=AGO).write(proxy.folder, "admin")
    else:
        (proxy.folder / "admin.pem").unlink()
        (proxy.folder / "admin.key").unlink()
    await proxy.until(lambda: _is_stale(proxy))
    await strangler(proxy, "kill-switch", "on", "--reason", "a test")
    assert "a test" in await strangler(proxy, "status")
    assert "shifted" in await strangler(proxy, "shift", "orders", "5")
    assert await proxy.shows(pair)


async def _is_stale(proxy: Proxy) -> bool:
    config = (await proxy.status())["config"]
    return any("admin." in text for text in (*config["warnings"], *config["problems"]))


async def test_an_expired_certificate_that_is_still_served_does_not_stop_the_kill_switch(
    proxy: Secured, tmp_path: Path
) -> None:
    """It cannot be put in force once it has expired, but a proxy may outlive it."""
    soon = make_pair(["ops.example"], not_after=datetime.now(UTC) + timedelta(seconds=8))
    soon.write(tmp_path, "admin")
    await proxy.until(lambda: proxy.shows(soon))
    await proxy.until(lambda: datetime.now(UTC).timestamp() > soon.not_after)
    await strangler(proxy, "kill-switch", "on", "--reason", "a test")


async def test_an_authority_and_a_name_lead_to_it_from_elsewhere(proxy: Secured, tmp_path: Path) -> None:
    ca = make_ca()
    (tmp_path / "ca.pem").write_bytes(ca.cert)
    named = make_pair(["127.0.0.1"], ca=ca)
    named.write(tmp_path, "admin")
    await proxy.until(lambda: proxy.shows(named))
    (tmp_path / "elsewhere").mkdir()
    where = ("--admin", proxy.admin, "--cacert", str(tmp_path / "ca.pem"), "-c", str(proxy.file))
    code, output = await run(tmp_path / "elsewhere", "status", *where)
    assert code == 0, output
    code, output = await run(tmp_path, "status", "--admin", proxy.admin)
    assert (code, "no authority of this system" in output) == (1, True)
    code, output = await run(tmp_path, "status", "--admin", proxy.admin.replace("https", "http"))
    assert (code, "this listener takes TLS only: use https://" in output) == (1, True)


async def test_a_renewed_certificate_is_for_new_connections_and_closes_none(proxy: Secured, tmp_path: Path) -> None:
    reader, writer = await proxy.connect()
    has_ended, statuses = asyncio.Event(), list[int]()

    async def probe() -> None:
        while not has_ended.is_set():
            statuses.append((await proxy.ask("/healthz"))[0])

    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(probe())
        for kind in ("rsa", "ecdsa"):
            renewed = make_pair(["ops.example"], kind)
            renewed.write(tmp_path, "admin")
            await proxy.until(lambda renewed=renewed: proxy.shows(renewed))  # type: ignore[misc]
            await strangler(proxy, "status")
        has_ended.set()
    assert set(statuses) == {200}
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b" 200 OK" in await reader.readline()
    writer.close()


async def test_tls_goes_and_comes_with_a_reload(proxy: Secured) -> None:
    reader, writer = await proxy.connect()
    for tls, scheme in ((False, "http:"), (True, "https:")):
        proxy.edit(proxy.routes(tls=tls))
        await proxy.until(lambda scheme=scheme: proxy.admin.startswith(scheme))  # type: ignore[misc]
        assert (await proxy.ask("/healthz"))[0] == 200
        await strangler(proxy, "status")
    assert proxy.events("routes.needs_restart") == []
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b" 200 OK" in await reader.readline()
    writer.close()


async def test_a_restart_keeps_it(proxy: Secured, pair: Pair) -> None:
    has_ended, statuses = asyncio.Event(), list[int]()

    async def probe() -> None:
        while not has_ended.is_set():
            statuses.append((await proxy.ask("/healthz"))[0])

    async with asyncio.TaskGroup() as group:
        group.create_task(probe())
        await strangler(proxy, "restart")
        has_ended.set()
    assert set(statuses) == {200}
    assert await proxy.shows(pair)
    await strangler(proxy, "status")
    assert proxy.events("supervisor.started")[-1]["admin"] == proxy.admin


async def test_clients_that_do_it_wrong_leave_nothing_in_the_log(proxy: Secured) -> None:
    await proxy.until(lambda: proxy.events("control.ready"))
    await proxy.until(lambda: proxy.events("supervisor.started"))
    before = (proxy.folder / "log").stat().st_size
    for data in (
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\x16\x03\x01\0\5hello",
        b"\0" * 400,
        b"",
        _hello(b"\xff\xfe\xfd\xfc.example"),
    ):
        reader, writer = await proxy.connect(tls=False)
        writer.write(data)
        writer.write_eof()
        async with asyncio.timeout(10):
            with suppress(ConnectionResetError):
                await reader.read()
        writer.close()
    assert (await proxy.ask("/healthz"))[0] == 200
    await asyncio.sleep(0.3)  # a line is written a moment after its event
    assert (proxy.folder / "log").read_bytes()[before:] == b""


def _hello(name: bytes) -> bytes:
    """The beginning of a handshake with a host name that no client of `ssl` sends."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = _any_certificate().wrap_bio(incoming, outgoing, server_hostname="x" * (len(name) - 8) + ".example")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read().replace(b"x" * (len(name) - 8) + b".example", name)


@pytest.fixture
def window(tmp_path: Path, pair: Pair) -> Iterator[Window]:
    with shop(tmp_path, f", {TLS}") as made, chromium("--ignore-certificate-errors") as browser:
        yield Window(browser, made)


def test_a_browser_signs_in_and_its_cookie_is_secure(window: Window) -> None:
    window.log_in()
    assert window.browser.current_url.startswith("https://")
    cookie = window.browser.get_cookie("strangler_session")
    assert cookie is not None
    assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (True, True, "Strict")
    window.type("#reason", "over https")
    window.click("form.kill button")
    assert until(lambda: window.text("#kill-switch") == "ON")
