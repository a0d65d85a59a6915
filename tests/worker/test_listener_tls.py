"""TLS at a listener: the handshake, what a connection is afterwards, and how it ends."""

import re
import ssl
import sys
from base64 import b64encode
from dataclasses import replace
from typing import Any

import pytest

from strangler.core.listener_settings import Address, ListenerSettings
from strangler.core.settings import Settings
from strangler.ipc.messages import Captured, CaptureGrant
from strangler.tls.server_context import ignore_undecodable_names
from tests.certificates import Pair, client_context, hello, make_ca, make_pair, tls_of
from tests.factories import shadow
from tests.http1.scripted import ScriptedUpstream
from tests.worker.conftest import Serve
from tests.worker.plane import RunningPlane, request, two_arms
from tests.worker.test_trace_context import CollectingLink
from tests.worker.tls_client import connected, tls_client

CA = make_ca()
SHOP = make_pair(["shop.example"], ca=CA)


def over_tls(settings: Settings, *pairs: Pair, **tls: Any) -> Settings:
    """The settings with TLS at their listener."""
    made, files = tls_of(*(pairs or (SHOP,)), **tls)
    listener = ListenerSettings(Address("127.0.0.1", 0), tls=made)
    return replace(settings, listeners=(listener,), files=files)


@pytest.fixture(scope="module")
def trusting() -> ssl.SSLContext:
    return client_context(CA)


async def test_requests_are_served_one_after_another(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream, trusting: ssl.SSLContext
) -> None:
    plane = await serve(over_tls(two_arms(legacy, candidate)))
    async with connected(plane, trusting) as client:
        assert client.tls.version() == "TLSv1.3"
        for _ in range(3):
            assert (await client.ask(request("/"))).body == b"legacy"
    assert b"X-Forwarded-Proto: https\r\n" in legacy.requests[0].raw


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
async def test_both_versions_are_served_byte_by_byte(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream, version: ssl.TLSVersion
) -> None:
    context = client_context(CA)
    context.minimum_version = context.maximum_version = version
    plane = await serve(over_tls(two_arms(legacy, candidate)))
    async with connected(plane, context) as client:
        await client.send(request("/"), "byte by byte")
        assert (await client.response()).body == b"legacy"


# Before the handshake


@pytest.mark.parametrize("first", [b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n", b"PO"], ids=["whole", "cut"])
async def test_a_request_in_clear_is_told_so_in_clear(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream, first: bytes
) -> None:
    plane = await serve(over_tls(two_arms(legacy, candidate, limits={"header_timeout_s": 0.3})))
    client = await plane.client()
    await client.send(first)
    response = await client.response()
    assert response.status == (400 if first.endswith(b"\n") else 408)
    assert await client.ended() == "eof"
    if response.status == 400:
        assert b"This port speaks HTTPS" in response.body
        assert plane.counted("strangler_refused_total") == {("tls_handshake",): 1}
        assert (await plane.line())["status"] == 400
    assert legacy.requests == []


@pytest.mark.parametrize("first", [b"\0", b"\x80\x2e\x01", b"\x15\x03\x01\0\x02\x02\x28", b"\r\n", b"get /"])
async def test_what_is_neither_tls_nor_http_ends(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream, first: bytes
) -> None:
    plane = await serve(over_tls(two_arms(legacy, candidate)))
    client = await plane.client()
    await client.send(first)
    await client.ended()
    assert client.received == b""
    assert plane.counted("strangler_refused_total") == {("tls_handshake",): 1}
    (warning,) = plane.logged("client.tls_failed")
    assert warning["client"] == "127.0.0.1"
    assert warning["reason"] == "neither TLS nor HTTP"


@pytest.mark.parametrize("first", [b"", b"\x16", b"\x16\x03\x01\x02\0\x01"], ids=["silent", "one byte", "a few bytes"])
async def test_a_handshake_that_is_not_over_in_time_ends(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream, first: bytes
) -> None:
    plane = await serve(over_tls(two_arms(legacy, candidate, limits={"header_timeout_s": 0.2})))
    client = await plane.client()
    await client.send(first)
    await client.ended()
    assert plane.counted("strangler_refused_total") == {("tls_handshake",): 1}
    assert not plane.port.connections


async def test_the_head_has_its_whole_time_after_the_handshake(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream, trusting: ssl.SSLContext
) -> None:
    plane = await serve(over_tls(two_arms(legacy, candidate, limits={"header_timeout_s": 0.4})))
    started = plane.loop.time()
    async with connected(plane, trusting) as client:
        await client.send(b"GET / HT")
        await client.response()
        assert plane.loop.time() - started >= 0.4


async def test_who_connects_and_leaves_is_no_failure(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    plane = await serve(over_tls(two_arms(legacy, candidate)))
    client = await plane.client()
    await plane.until(lambda: plane.port.connections)
    await client.close()
    await plane.until(lambda: not plane.port.connections)
    assert plane.counted("strangler_refused_total") == {}


async def test_who_leaves_in_the_handshake_is_counted(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    plane = await serve(over_tls(two_arms(legacy, candidate)))
    client = await plane.client()
    await client.send(b"\x16\x03\x01")
    client.half_close()
    await client.ended()
    await plane.until(lambda: not plane.port.connections)
    assert plane.counted("strangler_refused_total") == {("tls_handshake",): 1}
    assert plane.logged("client.tls_failed")[0]["reason"] == "ended by the client"


async def test_failures_are_warned_of_once_a_minute(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    plane = await serve(over_tls(two_arms(legacy, candidate)))
    for _ in range(5):
        client = await plane.client()
        await client.send(b"\0")
        await client.ended()
    assert plane.counted("strangler_refused_total") == {("tls_handshake",): 5}
    assert len(plane.logged("client.tls_failed")) == 1


# Alerts


async def refused(plane: RunningPlane, context: ssl.SSLContext) -> str:
    """Return what TLS tells a client whose handshake fails."""
    client = await tls_client(plane, context)
    await client.ended()
    return client.error


async def test_a_version_that_is_too_low_gets_its_alert(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    plane = await serve(over_tls(two_arms(legacy, candidate), min_version="1.3"))
    context = client_context(CA)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert await refused(plane, context) == "TLSV1_ALERT_PROTOCOL_VERSION"
    await plane.until(lambda: not plane.port.connections)
    assert plane.counted("strangler_refused_total") == {("tls_handshake",): 1}
    assert plane.logged("client.tls_failed")[0]["reason"] == "unsupported protocol"


@pytest.mark.parametrize(
    ("version", "alert"),
    [
        (ssl.TLSVersion.TLSv1_2, "SSLV3_ALERT_HANDSHAKE_FAILURE"),
        (ssl.TLSVersion.TLSv1_3, "TLSV13_ALERT_CERTIFICATE_REQUIRED"),
    ],
    ids=["1.2", "1.3"],
)
async def test_a_client_without_the_certificate_that_is_required_gets_its_alert(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream, version: ssl.TLSVersion, alert: str
) -> None:
    plane = await serve(over_tls(two_arms(legacy, candidate), client_ca=CA, client_cert="required"))
    context = client_context(CA)
    context.minimum_version = context.maximum_version = version
    assert await refused(plane, context) == alert


@pytest.mark.parametrize("policy", ["optional", "required"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
async def test_a_certificate_that_nobody_vouches_for_gets_its_alert(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream, version: ssl.TLSVersion, policy: str
) -> None:
    plane = await serve(over_tls(two_arms(legacy, candidate), client_ca=CA, client_cert=policy))
    context = client_context(CA, make_pair(["ana"], ca=make_ca("Other CA")))
    context.minimum_version = context.maximum_version = version
    assert await refused(plane, context) == "TLSV1_ALERT_UNKNOWN_CA"
    assert plane.logged("client.tls_failed")[0]["reason"].startswith("the client's certificate: ")


async def test_a_request_on_its_way_does_not_destroy_the_alert(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    """A client may send before its certificate is refused, in TLS 1.3."""
    plane = await serve(over_tls(two_arms(legacy, candidate), client_ca=CA, client_cert="required"))
    for _ in range(20):
        client = await tls_client(plane, client_context(CA))
        await client.send(request("/", method="POST", body=b"x" * 100_000))
        await client.ended()
        assert client.error == "TLSV13_ALERT_CERTIFICATE_REQUIRED"
    assert legacy.requests == []
    await plane.until(lambda: not plane.port.connections)


async def test_a_name_that_is_not_ascii_ends_quietly(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream, capfd: pytest.CaptureFixture[str]
) -> None:
    former = sys.unraisablehook
    try:
        ignore_undecodable_names()
        plane = await serve(over_tls(two_arms(legacy, candidate), SHOP, make_pair(["other.example"], ca=CA)))
        client = await plane.client()
        await client.send(hello(b"sh\xffp.example"))
        await client.ended()
    finally:
        sys.unraisablehook = former
    assert client.received.startswith(b"\x15\x03")  # an alert
    assert plane.counted("strangler_refused_total") == {("tls_handshake",): 1}
    assert capfd.readouterr().err == ""


# Client certificates


ANA = make_pair(["ana"], ca=CA)
LINE = b"Client-Cert: :" + b64encode(ANA.der) + b":\r\n"
FORGED = (
    "Client-Cert: :QUJD:",
    "Client_Cert: 1",
    "client-cert-chain: 2",
    "CLIENT_CERT_CHAIN: 3",
    "Client-Cert_Chain: 4",
)


@pytest.mark.parametrize("policy", ["optional", "required"])
@pytest.mark.parametrize("trusted", [(), ("127.0.0.1",)], ids=["a client", "a trusted proxy"])
async def test_upstreams_get_the_certificate_of_the_connection_and_no_other(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream, policy: str, trusted: tuple[str, ...]
) -> None:
    settings = over_tls(two_arms(legacy, candidate), client_ca=CA, client_cert=policy)
    plane = await serve(replace(settings, trusted_proxies=trusted))
    async with connected(plane, client_context(CA, ANA)) as client:
        await client.ask(request("/", *FORGED, "Connection: Client-Cert, X-Own", "X-Own: 1"))
        await client.ask(request("/"))
    for each in legacy.requests:
        assert LINE in each.raw
        assert re.findall(rb"client.cert", each.raw, re.IGNORECASE) == [b"Client-Cert"]
        assert b"X-Own" not in each.raw


@pytest.mark.parametrize("has_tls", [True, False], ids=["TLS", "plain"])
async def test_nobody_but_a_trusted_proxy_may_name_a_certificate(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream, has_tls: bool
) -> None:
    settings = two_arms(legacy, candidate)
    plane = await serve(over_tls(settings, client_ca=CA) if has_tls else settings)
    client = await tls_client(plane, client_context(CA)) if has_tls else await plane.client()
    chunked = "\r\n".join(["POST / HTTP/1.1", "Host: shop", "Transfer-Encoding: chunked", *FORGED, "", "1", "x", "0"])
    await client.ask(request("/", *FORGED))
    await client.ask(f"{chunked}\r\nClient-Cert: :QUJD:\r\nclient_cert_chain: 1\r\nX-Sum: 7\r\n\r\n".encode())
    await client.send(request("/", *FORGED, "Connection: Upgrade, Client-Cert", "Upgrade: websocket"))
    await client.response()
    assert len(legacy.requests) == 3
    assert b"X-Sum: 7" in legacy.requests[1].raw
    assert all(re.search(rb"client.cert", each.raw, re.IGNORECASE) is None for each in legacy.requests)


async def test_a_trusted_proxy_names_the_certificate_that_it_has_seen(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    plane = await serve(replace(two_arms(legacy, candidate), trusted_proxies=("127.0.0.1",)))
    await plane.ask(request("/", "Client-Cert: :QUJD:", "Client-Cert-Chain: :REVG:", "Connection: Client-Cert"))
    assert b"Client-Cert: :QUJD:\r\n" in legacy.requests[0].raw
    assert b"Client-Cert-Chain: :REVG:\r\n" in legacy.requests[0].raw


async def test_a_certificate_survives_a_change_of_trust_and_a_resumption(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    settings = over_tls(two_arms(legacy, candidate), client_ca=CA)
    plane = await serve(settings)
    context = client_context(CA, ANA)
    async with connected(plane, context) as client:
        await client.ask(request("/"))
        plane.adopt(replace(settings, trusted_proxies=("127.0.0.0/8",)))
        await client.ask(request("/"))
        session = client.tls.session
    again = await (await tls_client(plane, context, session=session)).secure()
    assert again.tls.session_reused
    await again.ask(request("/"))
    assert all(LINE in each.raw for each in legacy.requests)


async def test_a_shadow_carries_the_certificate_that_the_live_request_carried(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    link = CollectingLink()
    settings = over_tls(two_arms(legacy, candidate, shadow=shadow(100, of="any")), client_ca=CA)
    plane = await serve(replace(settings, trusted_proxies=("127.0.0.1",)), link=link)
    plane.context.captures.set_credits([CaptureGrant("orders", 10, "full")])
    async with connected(plane, client_context(CA, ANA)) as client:
        await client.ask(request("/api", *FORGED, "Connection: Client-Cert"))
    plane.context.captures.flush()
    (captured,) = [message for message in link.messages if isinstance(message, Captured)]
    assert LINE in captured.lines
    assert re.findall(rb"client.cert", captured.lines, re.IGNORECASE) == [b"Client-Cert"]
