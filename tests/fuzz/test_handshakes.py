"""Whatever comes before or in place of a TLS handshake ends the connection: no crash, no noise, and nothing goes on."""

import asyncio
import ssl
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.core.listener_settings import Address, ListenerSettings, ProxyProtocolSettings
from strangler.core.settings import Settings
from strangler.tls.server_context import ignore_undecodable_names
from tests.certificates import client_context, hello, make_ca, make_pair, tls_of
from tests.fuzz.effort import examples
from tests.fuzz.plane import Plane, plane
from tests.http1.raw import Client
from tests.http1.scripted import responding, send
from tests.worker.tls_client import tls_client

CA = make_ca()
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
HELLO = hello()
V2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes((203, 0, 113, 9, 192, 0, 2, 1)) + b"\0\1\0\2"


def over_tls(settings: Settings) -> Settings:
    tls, files = tls_of(make_pair(["shop.example"], ca=CA), make_pair(["*.example"], "rsa", ca=CA), client_ca=CA)
    limits = replace(settings.limits, header_timeout_s=0.2)
    listener = ListenerSettings(Address("127.0.0.1", 0), tls=tls)
    return replace(settings, listeners=(listener,), files=files, limits=limits)


def behind_balancer(settings: Settings) -> Settings:
    made = over_tls(settings)
    protocol = ProxyProtocolSettings(("127.0.0.0/8",), True)
    return replace(made, listeners=(replace(made.listeners[0], proxy_protocol=protocol),))


@pytest.fixture(scope="module", autouse=True)
def _quiet() -> Iterator[None]:
    former = sys.unraisablehook
    ignore_undecodable_names()
    yield
    sys.unraisablehook = former


@pytest.fixture(scope="module")
def serving() -> Iterator[Plane]:
    with plane(responding(send(RESPONSE)), over_tls) as made:
        yield made


@pytest.fixture(scope="module")
def balanced() -> Iterator[Plane]:
    with plane(responding(send(RESPONSE)), behind_balancer) as made:
        yield made


@pytest.fixture(scope="module")
def plain() -> Iterator[Plane]:
    with plane(responding(send(RESPONSE))) as made:
        yield made


async def _hello_and_end(serving: Plane, data: bytes) -> Client:
    client = await Client.connect(serving.running.number)
    try:
        await client.send(data)
        client.half_close()
        async with asyncio.timeout(10):
            await client.wait_for(lambda: False)
        await serving.running.until(lambda: not serving.running.port.connections)
    finally:
        await client.close()
    return client


def test_a_hello_that_is_cut_anywhere_ends(serving: Plane) -> None:
    for end in range(len(HELLO)):
        client = serving.runner.run(_hello_and_end(serving, HELLO[:end]))
        assert client.received == b""
    serving.hold()


@examples(150)
@given(st.lists(st.tuples(st.integers(0, len(HELLO) - 1), st.integers(0, 255)), min_size=1, max_size=8))
def test_a_hello_that_is_damaged_gets_an_alert_or_a_flight(serving: Plane, changes: list[tuple[int, int]]) -> None:
    data = bytearray(HELLO)
    for at, byte in changes:
        data[at] = byte
    client = serving.runner.run(_hello_and_end(serving, bytes(data)))
    if data[0] == 0x16:
        assert bytes(client.received[:1]) in (b"", b"\x15", b"\x16")
    serving.hold()
    assert serving.upstream.requests == []


@examples(150)
@given(st.binary(max_size=300), st.sampled_from([b"", b"\x16", b"\x16\x03\x01", HELLO[:60], HELLO]))
def test_bytes_without_sense_end(serving: Plane, data: bytes, start: bytes) -> None:
    serving.runner.run(_hello_and_end(serving, start + data))
    serving.hold()
    assert serving.upstream.requests == []


@examples(60)
@given(
    st.sampled_from(
        [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"PUT ", b"M-SEARCH * HTTP/1.1\r\n", b"PRI * HTTP/2.0\r\n\r\nSM"]
    ),
    st.binary(max_size=60),
)
def test_a_request_in_clear_is_never_forwarded(serving: Plane, start: bytes, data: bytes) -> None:
    client = serving.runner.run(_hello_and_end(serving, start + data))
    assert bytes(client.received[:13]) in (b"", b"HTTP/1.1 400 ", b"HTTP/1.1 408 ", b"HTTP/1.1 501 ", b"HTTP/1.1 505 ")
    serving.hold()
    assert serving.upstream.requests == []


@pytest.mark.parametrize("size", [1, 5, 43, len(HELLO) - 1, len(HELLO)])
def test_a_hello_at_a_plain_port_is_garbage(plain: Plane, size: int) -> None:
    client = plain.runner.run(_hello_and_end(plain, HELLO[:size]))
    assert bytes(client.received[:13]) in (b"", b"HTTP/1.1 400 ")
    plain.hold()


def test_a_proxy_header_that_is_cut_before_tls_ends(balanced: Plane) -> None:
    for end in range(1, len(V2) + 60):
        client = balanced.runner.run(_hello_and_end(balanced, (V2 + HELLO)[:end]))
        assert client.received == b""
    balanced.hold()


@examples(80)
@given(st.binary(max_size=400), st.integers(0, 5000))
def test_what_follows_in_a_proxy_header_changes_nothing_but_its_length(
    balanced: Plane, data: bytes, length: int
) -> None:
    """Vectors of any content (TLVs) are skipped; a header whose length is wrong, or beyond the limit, ends all."""
    vector = b"\xea" + len(data).to_bytes(2, "big") + data
    fits = V2[:14] + (12 + len(vector)).to_bytes(2, "big") + V2[16:] + vector
    wrong = V2[:14] + (12 + length).to_bytes(2, "big") + V2[16:] + vector
    balanced.runner.run(_request(balanced, fits, must=True))
    balanced.runner.run(_request(balanced, wrong, must=length == len(vector)))
    balanced.hold()


async def _request(balanced: Plane, first: bytes, *, must: bool) -> None:
    client = await tls_client(balanced.running, client_context(CA), first=first)
    try:
        await client.secure()
        assert client.is_secure or not must
        if must:
            assert (await client.ask(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")).status == 200
    finally:
        with suppress(ssl.SSLError):
            await client.close()
