"""Any segmentation, any header, any damage: what reaches the upstream is what was meant, or nothing."""

import asyncio
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.http1.proxies import Proxy
from tests.http1.raw import OK, crlf, get
from tests.http1.raw_steps import another_client, client_of, ended
from tests.http1.scripted import Connection, Script, ScriptedUpstream
from tests.http1.strict_reader import read_requests, read_responses

pytestmark = pytest.mark.asyncio(loop_scope="session")

_SPLIT_REQUEST = crlf(
    b"POST /split?x=%2F HTTP/1.1", b"Host: a", b"X-A: caf\xe9", b"Transfer-Encoding: chunked",
    body=b"5;x=y\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\n\r\n",
)  # fmt: skip
_SPLIT_RESPONSE = crlf(b"HTTP/1.1 103 Early Hints", b"Link: </a>") + crlf(
    b"HTTP/1.1 200 Fine", b"Set-Cookie: a=1", b"Set-Cookie: b=2", b"Transfer-Encoding: chunked",
    body=b"3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n",
)  # fmt: skip
_HYPOTHESIS = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)


def _pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    at = [0, *sorted({c % len(data) for c in cuts}), len(data)]
    return [data[a:b] for a, b in pairwise(at)]


def _in_pieces(pieces: list[bytes]) -> Script:
    async def script(connection: Connection) -> None:
        await connection.read_request()
        for piece in pieces:
            await connection.send(piece)
            await asyncio.sleep(0.0005)

    return script


@_HYPOTHESIS
@given(
    requests=st.lists(st.integers(0, 10_000), max_size=8),
    responded=st.lists(st.integers(0, 10_000), max_size=8),
    pipelined=st.booleans(),
)
async def test_any_segmentation_gives_the_same_messages(
    requests: list[int], responded: list[int], pipelined: bool, ours: Proxy, raw_upstream: ScriptedUpstream
) -> None:
    async with client_of(ours, raw_upstream, _in_pieces(_pieces(_SPLIT_RESPONSE, responded))) as client:
        data = _SPLIT_REQUEST * (2 if pipelined else 1)
        for piece in _pieces(data, requests):
            await client.send(piece)
            await asyncio.sleep(0.0005)
        await client.wait_for(lambda: client.received.count(b"\r\n0\r\n\r\n") == (2 if pipelined else 1))
    want = read_responses(_SPLIT_RESPONSE, [b"POST"], False)
    got = read_responses(bytes(client.received), [b"POST", b"POST"], False)
    assert [(a.start, a.body) for a in got] == [(a.start, a.body) for a in want] * (2 if pipelined else 1)
    reached = [m for c in raw_upstream.connections for m in read_requests(bytes(c.received))]
    assert [(m.start, m.body) for m in reached] == [(b"POST /split?x=%2F HTTP/1.1", b"hello world")] * (
        2 if pipelined else 1
    )
    assert all(m.values(b"x-a") == [b"caf\xe9"] for m in reached)


_TOKEN = st.text("!#$%&'*+-.^_`|~0123456789abcdefABCDEF", min_size=1, max_size=12).map(lambda t: b"x-" + t.encode())
_VALUE = st.binary(max_size=24)


def _is_field_value(value: bytes) -> bool:
    """RFC 9110 section 5.5: visible characters, spaces, tabs and obs-text."""
    return all(byte == 9 or 32 <= byte != 127 for byte in value)


@_HYPOTHESIS
@given(fields=st.lists(st.tuples(_TOKEN, _VALUE), max_size=6))
async def test_a_field_passes_unchanged_or_the_request_is_refused(
    fields: list[tuple[bytes, bytes]], ours: Proxy, raw_upstream: ScriptedUpstream
) -> None:
    """Whatever bytes a header has: it arrives as it is, or nothing arrives."""
    async with client_of(ours, raw_upstream) as client:
        await client.send(get(b"/", *(name + b": " + value for name, value in fields)))
        await client.wait_for(lambda: client.received.endswith((b"ok", b"}")))
    if not all(_is_field_value(value) for _, value in fields):
        # CR LF in a value makes further lines: what they are is judged by the tables, here only that nothing odd passes
        arrived = [v for m in _arrived(raw_upstream) for _, v in m]
        assert all(_is_field_value(v) for v in arrived)
        return
    assert _arrived(raw_upstream) == [[(name, value.strip(b" \t")) for name, value in fields]]


_SOUND = (
    get(b"/a?b=c", b"X-A: 1", b"Connection: x-a", b"Cookie: a=1"),
    crlf(b"POST /p HTTP/1.1", b"Host: a", b"Content-Length: 5", body=b"hello"),
    crlf(b"PUT /c HTTP/1.1", b"Host: a", b"Transfer-Encoding: chunked", body=b"5;x\r\nhello\r\n0\r\nX-T: 1\r\n\r\n"),
)
_ODD = st.one_of(
    st.binary(min_size=1, max_size=3),
    st.sampled_from([b"\r", b"\n", b"\r\n", b"\r\n\r\n", b" ", b"\t", b"\0", b":", b",", b";", b"chunked", b"0"]),
    st.sampled_from([b"\r\nContent-Length: 3", b"\r\nTransfer-Encoding: chunked", b"\r\nConnection: close"]),
    st.sampled_from([b"\r\nHost: b", b"\r\nUpgrade: x", b"\r\n folded", b"\r\nExpect: 100-continue"]),
)
_EDIT = st.tuples(st.sampled_from(["insert", "replace", "delete"]), st.integers(0, 400), _ODD)


def _edited(request: bytes, edits: list[tuple[str, int, bytes]]) -> bytes:
    for kind, place, odd in edits:
        at = place % (len(request) + 1)
        request = request[:at] + (b"" if kind == "delete" else odd) + request[at + (kind != "insert") :]
    return request


async def _respond_to_anything(connection: Connection) -> None:
    """Answer each head, whatever it is, and leave the judgement of what came to the test."""
    while True:
        head = await connection.read_head()
        connection.taken += len(head)
        await connection.send(OK)


@settings(_HYPOTHESIS, max_examples=150)
@given(request=st.sampled_from(_SOUND), edits=st.lists(_EDIT, min_size=1, max_size=3))
async def test_whatever_reaches_the_upstream_is_well_formed(
    request: bytes, edits: list[tuple[str, int, bytes]], ours: Proxy, raw_upstream: ScriptedUpstream
) -> None:
    """A sound request with a few odd bytes in it: refused, or passed on as what a strict reader takes for a request."""
    await raw_upstream.renew()
    raw_upstream.drips, raw_upstream.script = False, _respond_to_anything
    async with another_client(ours) as client:
        await client.send(_edited(request, edits))
        with suppress(TimeoutError):  # a request that is left incomplete gets no answer
            await asyncio.wait_for(client.wait_for(lambda: b"\r\n\r\n" in client.received), 0.03)
        client.half_close()
        await ended(client)
    for connection in raw_upstream.connections:
        for message in read_requests(bytes(connection.received)):
            assert len(message.start.split(b" ")) == 3 or not message.is_complete
            assert len(message.values(b"host")) == 1 or not message.is_complete
    read_responses(bytes(client.received), [b"GET"], True)


def _arrived(upstream: ScriptedUpstream) -> list[list[tuple[bytes, bytes]]]:
    """The x- fields of each request that arrived, without ours."""
    ours = {b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-request-id"}
    messages = [m for c in upstream.connections for m in read_requests(bytes(c.received))]
    return [
        [(k, v) for k, v in m.fields if k.startswith(b"x-") or (k.startswith(b"X-") and k.lower() not in ours)]
        for m in messages
    ]
