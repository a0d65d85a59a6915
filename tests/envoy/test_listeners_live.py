"""Listeners at a real Envoy: TLS, PROXY protocol, unix sockets, redirects, limits, and the fields that requests get."""

import asyncio
import base64
import ssl
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from strangler.core import settings as s
from strangler.core.listener_settings import Address, ListenerSettings, ProxyProtocolSettings, ServerTlsSettings
from tests import factories
from tests.certificates import Pair, client_context, make_ca, make_pair, tls_of
from tests.envoy.clients import Got, converse, fetch
from tests.envoy.running_clusters import RunningEnvoy, running
from tests.envoy.scripted import Scripted

LOCAL = Address("127.0.0.1", 0)
NAME = "127.0.0.1:0"
PASSED = {
    "host",
    "x-camelcase",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "via",
    "x-request-id",
    "traceparent",
}


async def until_closed(port: int, raw: bytes) -> bytes:
    """Send bytes on a new connection; return all that comes until Envoy ends it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(raw)
    async with asyncio.timeout(5):
        got = await reader.read()
    writer.close()
    return got


def settings_for(legacy: Scripted, *listeners: ListenerSettings, **changes: Any) -> s.Settings:
    upstreams = [factories.upstream("legacy", f"http://127.0.0.1:{legacy.port}")]
    return factories.settings([], upstreams, listeners=listeners or (ListenerSettings(LOCAL),), **changes)


def on_disk(folder: Path, *pairs: Pair, **kinds: Any) -> ServerTlsSettings:
    """The TLS of a listener whose files are there."""
    tls, files = tls_of(*pairs, **kinds)
    for path, content in files.items():
        (folder / Path(path).name).write_bytes(content)

    def moved(path: str) -> str:
        return str(folder / Path(path).name)

    certificates = tuple(replace(each, cert=moved(each.cert), key=moved(each.key)) for each in tls.certificates)
    return replace(tls, certificates=certificates, client_ca=tls.client_ca and moved(tls.client_ca))


async def by_tls(envoy: RunningEnvoy, context: ssl.SSLContext, name: str = "shop.example", **changes: Any) -> Got:
    return await fetch(envoy, "/", ssl=context, server_hostname=name, **changes)


async def test_clients_say_nothing_of_others(legacy: Scripted) -> None:
    lies = [
        ("X-Forwarded-For", "9.9.9.9"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "lie.example"),
        ("Forwarded", "for=9.9.9.9"),
        ("Client-Cert", ":YQ==:"),
        ("client_cert_chain", ":YQ==:"),
        ("X-Strangler-Shadow", "1"),
        ("x-envoy-retry-on", "5xx"),
        ("X-Envoy-Upstream-RQ-Timeout-Ms", "1"),
        ("Connection", "keep-alive, X-Named"),
        ("X-Named", "1"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Connection", "keep-alive"),
        ("X-CamelCase", "1"),
    ]
    async with running(settings_for(legacy)) as envoy:
        await fetch(envoy, "/a", headers=lies)
        seen = legacy.seen[0]
        names = [name for name, _ in seen.fields]
        assert sorted(name.lower() for name in names) == sorted(
            [
                "host",
                "x-forwarded-for",
                "x-forwarded-proto",
                "x-forwarded-host",
                "x-camelcase",
                "via",
                "x-request-id",
                "traceparent",
            ]
        )
        assert "X-CamelCase" in names
        assert (seen["X-Forwarded-For"], seen["X-Forwarded-Proto"]) == ("127.0.0.1", "http")
        assert (seen["X-Forwarded-Host"], seen["Via"]) == ("shop.example", "1.1 strangler")
        version, trace, span, flags = (seen["traceparent"] or "").split("-")
        assert (version, len(bytes.fromhex(trace)), len(bytes.fromhex(span)), flags) == ("00", 16, 8, "00")
        assert (await envoy.records.request())[0]["id"] == seen["X-Request-Id"]


async def test_ids_that_come_are_kept(legacy: Scripted) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with running(settings_for(legacy)) as envoy:
        await fetch(envoy, "/a", headers=[("X-Request-Id", "mine"), ("traceparent", trace), ("tracestate", "a=b")])
        seen = legacy.seen[0]
        assert (seen["X-Request-Id"], seen["traceparent"], seen["tracestate"]) == ("mine", trace, "a=b")


async def test_trusted_proxies_report_their_clients(legacy: Scripted) -> None:
    reported = [
        ("X-Forwarded-For", "203.0.113.9, 198.51.100.7"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "public.example"),
        ("Forwarded", "for=203.0.113.9"),
        ("Client-Cert", ":YQ==:"),
    ]
    async with running(settings_for(legacy, trusted_proxies=("127.0.0.0/8", "198.51.100.7"))) as envoy:
        await fetch(envoy, "/a", headers=reported)
        await fetch(envoy, "/b")
        first, second = legacy.seen
        assert first["X-Forwarded-For"] == "203.0.113.9, 198.51.100.7, 127.0.0.1"
        assert (first["X-Forwarded-Proto"], first["X-Forwarded-Host"]) == ("https", "public.example")
        assert first["Forwarded"] == 'for=203.0.113.9, for="127.0.0.1";proto=http;host="shop.example"'
        assert first["Client-Cert"] == ":YQ==:"
        assert (second["X-Forwarded-For"], second["X-Forwarded-Proto"]) == ("127.0.0.1", "http")
        assert second["Forwarded"] is None
        assert [each["ip"] for each in await envoy.records.request(2)] == ["203.0.113.9", "127.0.0.1"]


async def test_tls_chooses_the_certificate_by_name(legacy: Scripted, tmp_path: Path) -> None:
    ca = make_ca()
    tls = on_disk(
        tmp_path,
        make_pair(["first.example"], ca=ca),
        make_pair(["shop.example"], ca=ca),
        make_pair(["shop.example"], kind="rsa", ca=ca),
        make_pair(["*.example.net"], ca=ca),
        min_version="1.2",
    )
    async with running(settings_for(legacy, ListenerSettings(LOCAL, tls=tls))) as envoy:
        for name, expected in [
            ("shop.example", "shop.example"),
            ("a.example.net", "*.example.net"),
            ("unknown.example", "first.example"),
        ]:
            context = client_context(ca)
            context.check_hostname = False
            _, writer = await asyncio.open_connection("127.0.0.1", envoy.ports[NAME], ssl=context, server_hostname=name)
            certificate = writer.get_extra_info("peercert")
            assert ("DNS", expected) in certificate["subjectAltName"], name
            writer.close()
        assert (await by_tls(envoy, client_context(ca))).status == 200
        assert legacy.seen[-1]["X-Forwarded-Proto"] == "https"


async def test_a_new_certificate_serves_new_connections(legacy: Scripted, tmp_path: Path) -> None:
    ca, other = make_ca(), make_ca("Other")
    tls = on_disk(tmp_path, make_pair(ca=ca))
    async with running(settings_for(legacy, ListenerSettings(LOCAL, tls=tls))) as envoy:
        assert (await by_tls(envoy, client_context(ca))).status == 200
        pair = make_pair(ca=other)
        for name, content in (("0.key", pair.key), ("0.pem", pair.chain)):
            part = tmp_path / f"{name}.part"
            part.write_bytes(content)
            part.rename(tmp_path / name)
        async with asyncio.timeout(5):
            while True:
                try:
                    await by_tls(envoy, client_context(other))
                    break
                except ssl.SSLError:
                    await asyncio.sleep(0.02)


@pytest.mark.parametrize("client_cert", ["optional", "required"])
async def test_client_certificates_are_verified_and_named(legacy: Scripted, tmp_path: Path, client_cert: str) -> None:
    ca, clients, strangers = make_ca(), make_ca("Clients"), make_ca("Strangers")
    tls = on_disk(tmp_path, make_pair(ca=ca), client_ca=clients, client_cert=client_cert)
    own, foreign = make_pair(["staff"], ca=clients), make_pair(["staff"], ca=strangers)
    async with running(settings_for(legacy, ListenerSettings(LOCAL, tls=tls))) as envoy:
        await by_tls(envoy, client_context(ca, own), headers=[("Client-Cert", ":lie:")])
        assert legacy.seen[-1]["Client-Cert"] == f":{base64.b64encode(own.der).decode()}:"
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await by_tls(envoy, client_context(ca, foreign))
        if client_cert == "required":
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await by_tls(envoy, client_context(ca))
        else:
            await by_tls(envoy, client_context(ca), headers=[("Client-Cert", ":lie:")])
            assert legacy.seen[-1]["Client-Cert"] is None


def version_2(source: str) -> bytes:
    addresses = bytes(map(int, source.split("."))) + bytes([127, 0, 0, 1]) + struct.pack(">HH", 1234, 80)
    return b"\r\n\r\n\0\r\nQUIT\n" + bytes([0x21, 0x11]) + struct.pack(">H", len(addresses)) + addresses


V1 = b"PROXY TCP4 203.0.113.9 127.0.0.1 1234 80\r\n"


@pytest.mark.parametrize("header", [V1, version_2("203.0.113.9")], ids=["v1", "v2"])
async def test_a_balancer_names_the_client(legacy: Scripted, header: bytes) -> None:
    proxy = ProxyProtocolSettings(("127.0.0.0/8",), is_required=True)
    async with running(settings_for(legacy, ListenerSettings(LOCAL, proxy))) as envoy:
        assert (await fetch(envoy, "/", before=header)).status == 200
        assert legacy.seen[0]["X-Forwarded-For"] == "203.0.113.9"
        assert (await envoy.records.request())[0]["ip"] == "203.0.113.9"
        with pytest.raises(ConnectionError):
            await fetch(envoy, "/")
        with pytest.raises(ConnectionError):
            await fetch(envoy, "/", before=b"PROXY nonsense\r\n")


async def test_the_client_of_a_balancer_may_be_a_trusted_proxy(legacy: Scripted) -> None:
    proxy = ProxyProtocolSettings(("127.0.0.0/8",), is_required=True)
    settings = settings_for(legacy, ListenerSettings(LOCAL, proxy), trusted_proxies=("203.0.113.9",))
    async with running(settings) as envoy:
        await fetch(envoy, "/", before=V1, headers=[("X-Forwarded-For", "192.0.2.4")])
        assert legacy.seen[0]["X-Forwarded-For"] == "192.0.2.4, 203.0.113.9"
        assert (await envoy.records.request())[0]["ip"] == "192.0.2.4"


@pytest.mark.parametrize("required", [True, False])
async def test_a_header_of_others_is_not_believed(legacy: Scripted, required: bool) -> None:
    proxy = ProxyProtocolSettings(("10.0.0.0/8",), is_required=required)
    async with running(settings_for(legacy, ListenerSettings(LOCAL, proxy))) as envoy:
        if required:
            with pytest.raises(ConnectionError):
                await fetch(envoy, "/", before=V1)
            assert not legacy.seen
            return
        for before in (V1, b""):
            await fetch(envoy, "/", before=before)
            assert legacy.seen[-1]["X-Forwarded-For"] == "127.0.0.1"
        assert {each["ip"] for each in await envoy.records.request(2)} == {"127.0.0.1"}


@pytest.mark.parametrize("trusted", [(), ("127.0.0.1",)])
async def test_a_unix_socket(legacy: Scripted, tmp_path: Path, trusted: tuple[str, ...]) -> None:
    path = tmp_path / "web.sock"
    listener = ListenerSettings(Address(f"unix:{path}", 0), mode=0o606)
    async with running(settings_for(legacy, listener, trusted_proxies=trusted)) as envoy:
        assert path.stat().st_mode & 0o777 == 0o606
        reader, writer = await asyncio.open_unix_connection(str(path))
        got = await converse(reader, writer, "/", headers=[("X-Forwarded-For", "192.0.2.4")])
        assert got.status == 200
        writer.close()
        expected = "192.0.2.4, 127.0.0.1" if trusted else "127.0.0.1"
        assert legacy.seen[0]["X-Forwarded-For"] == expected
        assert (await envoy.records.request())[0]["ip"] == ("192.0.2.4" if trusted else "127.0.0.1")


@pytest.mark.parametrize(
    ("port", "host", "location"),
    [
        (443, "shop.example", "https://shop.example/a%2Fb?c=%20"),
        (443, "shop.example:8080", "https://shop.example/a%2Fb?c=%20"),
        (8443, "shop.example:80", "https://shop.example:8443/a%2Fb?c=%20"),
        (8443, "[::1]:80", "https://[::1]:8443/a%2Fb?c=%20"),
    ],
)
async def test_a_redirect(legacy: Scripted, port: int, host: str, location: str) -> None:
    async with running(settings_for(legacy, ListenerSettings(LOCAL, redirect_port=port))) as envoy:
        got = await fetch(envoy, "/a%2Fb?c=%20", headers=[("Host", host)])
        assert (got.status, got["Location"], got.body) == (308, location, b"")
        assert not legacy.seen


async def test_limits(legacy: Scripted) -> None:
    limits = replace(settings_for(legacy).limits, header_bytes=4096, request_body_bytes=1000, header_timeout_s=0.3)
    async with running(settings_for(legacy, limits=limits)) as envoy:
        got = await fetch(envoy, "/", headers=[("X-Long", "x" * 5000)])
        assert (got.status, got.problem["fault"]) == (431, "header_too_large")
        got = await fetch(envoy, "/", "POST", body=b"x" * 1001)
        assert (got.status, got.problem["fault"]) == (413, "too_large")
        assert (await fetch(envoy, "/", "POST", body=b"x" * 1000)).status == 200
        slow = await until_closed(envoy.ports[NAME], b"GET / HTTP/1.1\r\nHost:")
        assert slow.startswith(b"HTTP/1.1 408 ")
        assert b'"fault":"header_timeout"' in slow


async def test_malformed_requests_get_a_problem(legacy: Scripted) -> None:
    async with running(settings_for(legacy)) as envoy:
        for raw in (b"GET / HTTP/1.1\r\nHost: a\r\nBad Name: x\r\n\r\n", b"nonsense\r\n\r\n"):
            got = await until_closed(envoy.ports[NAME], raw)
            assert got.startswith(b"HTTP/1.1 400 ")
            assert b'"fault":"malformed"' in got


async def test_old_and_odd_requests_pass(legacy: Scripted) -> None:
    async with running(settings_for(legacy)) as envoy:
        assert (await fetch(envoy, "/a", "PROPFIND")).status == 200
        got = await until_closed(envoy.ports[NAME], b"GET /old HTTP/1.0\r\n\r\n")
        assert got.split(b" ")[1] == b"200"
        assert [each.method for each in legacy.seen] == ["PROPFIND", "GET"]


async def test_an_idle_connection_is_closed(legacy: Scripted) -> None:
    limits = replace(settings_for(legacy).limits, idle_timeout_s=0.2)
    async with running(settings_for(legacy, limits=limits)) as envoy:
        reader, writer = await asyncio.open_connection("127.0.0.1", envoy.ports[NAME])
        await converse(reader, writer, "/")
        async with asyncio.timeout(4):
            assert await reader.read() == b""
        writer.close()


async def test_the_page_of_failures_is_for_browsers(legacy: Scripted) -> None:
    errors = s.ErrorSettings("sorry.html", "<p>100% {{title}} {{ status }} {{request_id}}</p>")
    async with running(settings_for(legacy, errors=errors)) as envoy:
        await legacy.stop()
        browser = ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
        got = await fetch(envoy, "/", headers=[browser, ("X-Request-Id", "mine")])
        assert (got.status, got["Content-Type"]) == (502, "text/html; charset=utf-8")
        assert got.body == b"<p>100% The upstream could not be reached. 502 mine</p>"
        got = await fetch(envoy, "/", headers=[browser, ("X-Request-Id", "<script>")])
        assert got.problem["request_id"] == "<script>"
        got = await fetch(envoy, "/", headers=[("Accept", "application/json, text/html;q=0.5")])
        assert (got.problem["fault"], got.problem["status"], got["Cache-Control"]) == ("connect", 502, "no-store")
