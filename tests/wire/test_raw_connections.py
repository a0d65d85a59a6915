"""What is not one request and one answer: clients that leave, bytes that nobody asked for, tunnels, events, limits."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.wire.messages import read_requests, read_responses
from tests.wire.proxies import Proxy
from tests.wire.raw import (
    OK,
    PROBE,
    PROBE_BODY,
    Case,
    Client,
    Playlist,
    answer,
    crlf,
    get,
    passed,
    refused,
    returned,
    run,
)
from tests.wire.scripted import (
    Connection,
    Script,
    ScriptedUpstream,
    half_close,
    in_turn,
    pause,
    read_head,
    read_request,
    reset,
    send,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")

_WAIT_S = 3.0


@asynccontextmanager
async def _client(proxy: Proxy, upstream: ScriptedUpstream, *scripts: Script) -> AsyncIterator[Client]:
    """A fresh client, and an upstream that plays these scripts, the last one again and again."""
    await upstream.renew()
    upstream.drips = False
    upstream.script = Playlist(scripts or (answer(OK),))
    client = await Client.connect(proxy.port)
    try:
        async with asyncio.timeout(_WAIT_S):
            yield client
    finally:
        await client.close()


async def _until(client: Client, data: bytes) -> None:
    await client.wait_for(lambda: data in client.received)
    assert data in client.received, f"the connection ended by {client.end} with {bytes(client.received)!r}"


async def _ended(client: Client) -> None:
    await client.wait_for(lambda: False)


def _heads(upstream: ScriptedUpstream) -> list[bytes]:
    return [m.start for c in upstream.connections for m in read_requests(bytes(c.received))]


# -- clients that leave ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("leave", ["FIN", "RST"])
@pytest.mark.parametrize("moment", ["before the answer", "in the answer", "in the upload"])
async def test_a_client_that_leaves_ends_the_upstream_request(
    leave: str, moment: str, ours: Proxy, raw_upstream: ScriptedUpstream
) -> None:
    """DESIGN section 8: a FIN or RST before the answer is complete cancels; the connection is not used again."""
    begun = crlf(b"HTTP/1.1 200 OK", b"Content-Length: 100", body=b"begun")
    uploading = crlf(b"POST / HTTP/1.1", b"Host: a", b"Content-Length: 100", body=b"part")
    script = {
        "before the answer": in_turn(read_request()),
        "in the answer": in_turn(read_request(), send(begun)),
        "in the upload": in_turn(read_head()),
    }[moment]
    async with _client(ours, raw_upstream, script, answer(OK)) as client:
        await client.send(uploading if moment == "in the upload" else get())
        connection = await raw_upstream.wait_for_connection()
        if moment == "in the answer":
            await _until(client, b"begun")
        else:
            await asyncio.sleep(0.05)
        client.half_close() if leave == "FIN" else client.reset()
        await asyncio.wait_for(connection.ended.wait(), 1.5)
    async with _second_client(ours) as other:
        await other.send(get(b"/second"))
        await _until(other, b"ok")
    assert len(raw_upstream.connections) == 2


@asynccontextmanager
async def _second_client(proxy: Proxy) -> AsyncIterator[Client]:
    client = await Client.connect(proxy.port)
    try:
        async with asyncio.timeout(_WAIT_S):
            yield client
    finally:
        await client.close()


async def test_a_half_close_behind_a_complete_answer_ends_the_connection(
    ours: Proxy, raw_upstream: ScriptedUpstream
) -> None:
    """RFC 9112 section 9.6."""
    async with _client(ours, raw_upstream) as client:
        await client.send(get())
        await _until(client, b"ok")
        client.half_close()
        await _ended(client)
    assert client.end == "eof"


async def test_a_client_that_sends_nothing_and_leaves_reaches_no_upstream(
    ours: Proxy, raw_upstream: ScriptedUpstream
) -> None:
    async with _client(ours, raw_upstream) as client:
        client.half_close()
        await _ended(client)
    assert not client.received
    assert not raw_upstream.connections


async def test_a_head_cut_short_reaches_no_upstream(ours: Proxy, raw_upstream: ScriptedUpstream) -> None:
    """RFC 9112 section 8."""
    async with _client(ours, raw_upstream) as client:
        await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n")
        client.half_close()
        await _ended(client)
    assert not _heads(raw_upstream)


# -- bytes that nobody asked for ---------------------------------------------------------------------------------------

_PUSHED = crlf(b"HTTP/1.1 200 OK", b"Content-Length: 6", body=b"pushed")
_SURPLUS: dict[str, bytes] = {
    "behind Content-Length": OK + _PUSHED,
    "behind the last chunk": crlf(b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked", body=b"2\r\nok\r\n0\r\n\r\n")
    + _PUSHED,
    "behind 204": crlf(b"HTTP/1.1 204 No Content") + _PUSHED,
    "behind 304": crlf(b"HTTP/1.1 304 Not Modified", b"Content-Length: 6") + b"pushed",
    "a body behind 204": crlf(b"HTTP/1.1 204 No Content") + b"pushed",
}


@pytest.mark.parametrize("surplus", _SURPLUS.values(), ids=_SURPLUS.keys())
async def test_bytes_behind_an_answer_reach_nobody(surplus: bytes, ours: Proxy, raw_upstream: ScriptedUpstream) -> None:
    """RFC 9112 section 6.3: they are dropped with their connection."""
    async with _client(ours, raw_upstream, answer(surplus), answer(OK)) as client:
        await client.send(get(b"/1"))
        await client.wait_for(lambda: b"\r\n\r\n" in client.received)
        connection = await raw_upstream.wait_for_connection()
        await asyncio.wait_for(connection.ended.wait(), 1.5)
        await client.send(PROBE)
        await _until(client, PROBE_BODY)
        assert b"pushed" not in client.received
    assert len(raw_upstream.connections) == 2


async def test_a_body_behind_head_reaches_nobody(ours: Proxy, raw_upstream: ScriptedUpstream) -> None:
    """RFC 9110 section 9.3.2."""
    async with _client(ours, raw_upstream, answer(_PUSHED), answer(OK)) as client:
        await client.send(get(method=b"HEAD"))
        await client.wait_for(lambda: b"\r\n\r\n" in client.received)
        await client.send(PROBE)
        await _until(client, PROBE_BODY)
        assert b"pushed" not in client.received


async def test_bytes_on_an_idle_connection_never_answer_the_next_request(
    ours: Proxy, raw_upstream: ScriptedUpstream
) -> None:
    """An upstream that pushes a whole answer on a pooled connection: the next client must not get it."""
    async with _client(ours, raw_upstream, answer(OK, pause(0.02), send(_PUSHED)), answer(OK)) as client:
        await client.send(get(b"/1"))
        await _until(client, b"ok")
        await asyncio.wait_for(raw_upstream.connections[0].ended.wait(), 1.5)
        async with _second_client(ours) as other:
            await other.send(get(b"/2"))
            await other.wait_for(lambda: other.received.endswith((b"ok", b"pushed")))
            assert other.received.endswith(b"ok")
        assert b"pushed" not in client.received


async def test_an_upstream_connection_is_used_again(ours: Proxy, raw_upstream: ScriptedUpstream) -> None:
    """RFC 9112 section 9.3."""
    async with _client(ours, raw_upstream) as client:
        for number in range(5):
            await client.send(get(b"/%d" % number))
            await client.wait_for(lambda n=number: client.received.count(b"\r\n\r\nok") == n + 1)  # type: ignore[misc]
    async with _second_client(ours) as other:
        await other.send(get(b"/other"))
        await _until(other, b"ok")
    assert len(raw_upstream.requests) == 6
    assert len(raw_upstream.connections) == 1


# -- one resend, where it is allowed -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "is_sent_again"),
    [
        (b"GET", True),
        (b"HEAD", True),
        (b"PUT", True),
        (b"DELETE", True),
        (b"OPTIONS", True),
        (b"POST", False),
        (b"PATCH", False),
    ],
)
async def test_a_connection_closed_as_we_wrote_is_retried_for_idempotent_methods(
    method: bytes, is_sent_again: bool, ours: Proxy, raw_upstream: ScriptedUpstream
) -> None:
    """RFC 9110 section 9.2.2, RFC 9112 section 9.3.1: the race with an upstream that closes an idle connection."""
    closes_on_second = in_turn(read_request(), reset())
    async with _client(ours, raw_upstream, answer(OK), closes_on_second, answer(OK)) as client:
        await client.send(get(b"/first"))
        await _until(client, b"ok")
        await client.send(crlf(method + b" /second HTTP/1.1", b"Host: a", b"Content-Length: 2", body=b"hi"))
        await client.wait_for(lambda: client.received.count(b"HTTP/1.1") == 2)
    second = [r for r in raw_upstream.requests if r.target == b"/second"]
    assert len(second) == (2 if is_sent_again else 1)
    assert (b"502" in client.received) != is_sent_again


async def test_an_answer_that_began_is_never_asked_for_again(ours: Proxy, raw_upstream: ScriptedUpstream) -> None:
    begun = in_turn(read_request(), send(b"HTTP/1.1 200 OK\r\nContent-"), reset())
    async with _client(ours, raw_upstream, answer(OK), begun) as client:
        await client.send(get(b"/first"))
        await _until(client, b"ok")
        await client.send(crlf(b"POST /second HTTP/1.1", b"Host: a", b"Content-Length: 2", body=b"hi"))
        await _until(client, b"502")
    assert len([r for r in raw_upstream.requests if r.target == b"/second"]) == 1


# -- tunnels -----------------------------------------------------------------------------------------------------------

_UPGRADE = crlf(
    b"GET /chat HTTP/1.1",
    b"Host: a",
    b"Upgrade: websocket",
    b"Connection: keep-alive, Upgrade",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    b"Sec-WebSocket-Protocol: a, b",
    b"Sec-WebSocket-Extensions: permessage-deflate",
)
_SWITCHED = crlf(
    b"HTTP/1.1 101 Switching Protocols",
    b"Upgrade: websocket",
    b"Connection: Upgrade",
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
    b"Sec-WebSocket-Protocol: b",
)


async def _echo(connection: Connection) -> None:
    """Send back what comes, in upper case, till the peer ends its side; then end too."""
    while data := await connection.read_some():
        await connection.send(data.upper())
    connection.half_close()


def _switching(glued: bytes = b"") -> Script:
    async def script(connection: Connection) -> None:
        head = await connection.read_head()
        connection.taken += len(head)
        await connection.send(_SWITCHED + glued)
        behind = bytes(connection.received[connection.taken :])
        await connection.send(behind.upper())
        await _echo(connection)

    return script


async def test_an_upgrade_becomes_a_tunnel(ours: Proxy, raw_upstream: ScriptedUpstream) -> None:
    """RFC 9110 section 7.8, RFC 6455: any bytes, both ways."""
    async with _client(ours, raw_upstream, _switching()) as client:
        await client.send(_UPGRADE)
        await _until(client, b"\r\n\r\n")
        for piece in (b"hello", b"\x00\xff GET / HTTP/1.1\r\n\r\n", b"x" * 200_000):
            before = len(client.received)
            await client.send(piece)
            await client.wait_for(lambda b=before, p=piece: len(client.received) == b + len(p))  # type: ignore[misc]
            assert bytes(client.received[before:]) == piece.upper()
    seen = read_requests(bytes(raw_upstream.connections[0].received))[0]
    assert seen.values(b"upgrade") == [b"websocket"]
    assert [v.lower() for v in seen.values(b"connection")] == [b"upgrade"]
    assert seen.values(b"sec-websocket-extensions") == [b"permessage-deflate"]
    answered = read_responses(bytes(client.received), [b"GET"], False)[0]
    assert answered.status == 101
    assert answered.values(b"sec-websocket-protocol") == [b"b"]
    assert answered.values(b"upgrade") == [b"websocket"]
    assert [v.lower() for v in answered.values(b"connection")] == [b"upgrade"]


@pytest.mark.parametrize("delivery", ["whole", "byte by byte"])
async def test_bytes_glued_to_either_handshake_are_not_lost(
    delivery: str, ours: Proxy, raw_upstream: ScriptedUpstream
) -> None:
    """RFC 9110 section 7.8: whatever follows the heads belongs to the new protocol."""
    async with _client(ours, raw_upstream, _switching(b"welcome ")) as client:
        await client.send(_UPGRADE + b"glued", "whole" if delivery == "whole" else "byte by byte")
        await _until(client, b"welcome GLUED")


async def test_another_protocol_is_tunnelled_too(ours: Proxy, raw_upstream: ScriptedUpstream) -> None:
    request = crlf(
        b"POST /rpc HTTP/1.1", b"Host: a", b"Connection: Upgrade", b"Upgrade: Custom/2", b"Content-Length: 0"
    )
    switched = crlf(b"HTTP/1.1 101 Go On", b"Connection: upgrade", b"Upgrade: Custom/2")
    async with _client(ours, raw_upstream, in_turn(read_request(), send(switched), _echo)) as client:
        await client.send(request)
        await _until(client, b"\r\n\r\n")
        await client.send(b"abc")
        await _until(client, b"ABC")
    assert client.received.startswith(b"HTTP/1.1 101 Go On\r\n")


@pytest.mark.parametrize("side", ["client", "upstream"])
async def test_either_side_of_a_tunnel_can_end_first_and_still_listen(
    side: str, ours: Proxy, raw_upstream: ScriptedUpstream
) -> None:
    """A half-close passes through a tunnel; the other direction goes on (RFC 9293 section 3.6)."""

    async def upstream_first(connection: Connection) -> None:
        await connection.read_request()
        await connection.send(_SWITCHED + b"bye")
        connection.half_close()
        await connection.read_end()

    async with _client(ours, raw_upstream, _switching() if side == "client" else upstream_first) as client:
        await client.send(_UPGRADE)
        await _until(client, b"\r\n\r\n")
        if side == "client":
            await client.send(b"last words")
            client.half_close()
            await _ended(client)
            assert client.received.endswith(b"LAST WORDS")
        else:
            await _ended(client)
            assert client.received.endswith(b"bye")
            await client.send(b"still here")
            await asyncio.sleep(0.05)
            client.half_close()
        connection = raw_upstream.connections[0]
        await asyncio.wait_for(connection.ended.wait(), 1.5)
    assert client.end == "eof"


async def test_a_reset_tunnel_ends_the_other_side(ours: Proxy, raw_upstream: ScriptedUpstream) -> None:
    async with _client(ours, raw_upstream, _switching()) as client:
        await client.send(_UPGRADE)
        await _until(client, b"\r\n\r\n")
        raw_upstream.connections[0].reset()
        await _ended(client)


async def test_a_refused_upgrade_is_an_ordinary_answer(ours: Proxy, raw_upstream: ScriptedUpstream) -> None:
    """RFC 9110 section 7.8: the server may ignore Upgrade; the connection stays HTTP."""
    async with _client(ours, raw_upstream, answer(OK)) as client:
        await client.send(_UPGRADE)
        await _until(client, b"ok")
        await client.send(PROBE)
        await _until(client, PROBE_BODY)


async def test_http_is_not_tunnelled_past_the_routing(ours: Proxy, raw_upstream: ScriptedUpstream) -> None:
    """An upgrade to h2c would carry further requests that nobody routes: it is not offered to the upstream."""
    request = get(
        b"/", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"
    )
    async with _client(ours, raw_upstream, answer(OK)) as client:
        await client.send(request)
        await _until(client, b"ok")
    seen = read_requests(bytes(raw_upstream.connections[0].received))[0]
    assert not seen.values(b"upgrade")
    assert not seen.values(b"http2-settings")


# -- streaming ---------------------------------------------------------------------------------------------------------

_EVENT_STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"


@pytest.mark.parametrize("framing", ["chunked", "until close"])
async def test_events_arrive_one_by_one(framing: str, ours: Proxy, raw_upstream: ScriptedUpstream) -> None:
    """Each event is passed on before the next one is sent: the upstream waits for the client to have it."""
    gate = asyncio.Event()

    async def script(connection: Connection) -> None:
        await connection.read_request()
        chunked = framing == "chunked"
        await connection.send(_EVENT_STREAM + (b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"\r\n"))
        for number in range(4):
            event = b"data: %d\n\n" % number
            await connection.send(b"%x\r\n%s\r\n" % (len(event), event) if chunked else event)
            await gate.wait()
            gate.clear()
        if chunked:
            await connection.send(b"0\r\n\r\n")
        connection.half_close()

    async with _client(ours, raw_upstream, script) as client:
        await client.send(get(b"/events"))
        for number in range(4):
            await _until(client, b"data: %d\n\n" % number)
            gate.set()
        await client.wait_for(lambda: client.received.endswith(b"\r\n0\r\n\r\n"))
    answered = read_responses(bytes(client.received), [b"GET"], client.end != "open")[0]
    assert answered.body == b"data: 0\n\ndata: 1\n\ndata: 2\n\ndata: 3\n\n"
    assert answered.is_complete


async def test_an_upload_arrives_while_it_runs(ours: Proxy, raw_upstream: ScriptedUpstream) -> None:
    async with _client(ours, raw_upstream, answer(OK)) as client:
        await client.send(crlf(b"POST / HTTP/1.1", b"Host: a", b"Transfer-Encoding: chunked", body=b"5\r\nfirst\r\n"))
        connection = await raw_upstream.wait_for_connection()
        assert await connection.has_received(b"first")
        await client.send(b"4\r\nlast\r\n0\r\n\r\n")
        await _until(client, b"ok")


@pytest.mark.parametrize("direction", ["download", "upload"])
async def test_a_megabyte_passes_unchanged(direction: str, ours: Proxy, raw_upstream: ScriptedUpstream) -> None:
    body = bytes(range(256)) * 4096
    sent = crlf(b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(body), body=body)
    upload = crlf(b"POST / HTTP/1.1", b"Host: a", b"Content-Length: %d" % len(body), body=body)
    case = returned("1 MiB", "", sent) if direction == "download" else passed("1 MiB", "", upload)
    await run(case, ours, raw_upstream)


# -- limits ------------------------------------------------------------------------------------------------------------


def _unechoed(id: str, request: bytes, status: int, **changes: object) -> Case:
    return refused(id, "DESIGN 8", request, status, **changes)  # type: ignore[arg-type]


_POST_1K = crlf(b"POST / HTTP/1.1", b"Host: a", b"Content-Length: 1024", body=b"x" * 1024)
LIMITS = [
    _unechoed("long target", get(b"/ECHO" + b"a" * 5000), 414),
    _unechoed("long query", get(b"/?ECHO" + b"a" * 5000), 414),
    _unechoed("long field", get(b"/", b"X: ECHO" + b"a" * 5000), 431),
    _unechoed("many fields", get(b"/", *(b"X-%d: ECHO" % i for i in range(400))), 431),
    _unechoed("target that never ends", b"GET /ECHO" + b"a" * 9000, 414),
    _unechoed("field that never ends", b"GET / HTTP/1.1\r\nHost: a\r\nX: ECHO" + b"a" * 9000, 431),
    _unechoed("body over the limit, by its length", crlf(b"POST / HTTP/1.1", b"Host: a", b"Content-Length: 1025"), 413),
    _unechoed(
        "body over the limit, in chunks",
        crlf(
            b"POST / HTTP/1.1",
            b"Host: a",
            b"Transfer-Encoding: chunked",
            body=b"400\r\n" + b"x" * 1024 + b"\r\n1\r\nx\r\n0\r\n\r\n",
        ),
        413,
        may_start=True,
    ),
    _unechoed("slow head", b"GET /ECHO HTTP/1.1\r\nHost: a\r\n", 408),
    passed("body at the limit", "DESIGN 8", _POST_1K),
    passed("head just under the limit", "DESIGN 8", get(b"/", b"X: " + b"a" * 3900)),
    passed("target just under the limit", "DESIGN 8", get(b"/" + b"a" * 3900)),
]


@pytest.mark.parametrize("case", LIMITS, ids=lambda case: case.id)
async def test_limits_are_answered_and_reach_no_upstream(
    case: Case, ours_limited: Proxy, raw_upstream: ScriptedUpstream
) -> None:
    await run(case, ours_limited, raw_upstream)


async def test_a_head_that_drips_is_ended_by_the_clock_of_the_whole_head(
    ours_limited: Proxy, raw_upstream: ScriptedUpstream
) -> None:
    """A byte now and then does not keep a head alive (slowloris)."""
    async with _client(ours_limited, raw_upstream) as client:
        head = get(b"/" + b"a" * 200)
        for at in range(len(head)):
            await client.send(head[at : at + 1])
            await asyncio.sleep(0.01)
            if client.end != "open":
                break
        await _ended(client)
    assert client.received.startswith(b"HTTP/1.1 408 ")
    assert not _heads(raw_upstream)


async def test_an_idle_client_connection_is_closed_without_an_answer(
    ours_limited: Proxy, raw_upstream: ScriptedUpstream
) -> None:
    """RFC 9112 section 9.5: a clean close, and no 408 that a client could take for the answer to its next request."""
    async with _client(ours_limited, raw_upstream) as client:
        await client.send(get())
        await _until(client, b"ok")
        await _ended(client)
    assert client.end == "eof"
    assert client.received.endswith(b"ok")


async def test_a_head_over_the_limit_from_an_upstream_is_502(
    ours_limited: Proxy, raw_upstream: ScriptedUpstream
) -> None:
    big = crlf(b"HTTP/1.1 200 OK", b"X: " + b"a" * 9000, b"Content-Length: 0")
    async with _client(ours_limited, raw_upstream, answer(big)) as client:
        await client.send(get())
        await _until(client, b"502")
        await asyncio.wait_for(raw_upstream.connections[0].ended.wait(), 1.5)


# -- our own answers ---------------------------------------------------------------------------------------------------

_UPSTREAM_FAULTS: dict[str, tuple[Script, int, str]] = {
    "closed before the answer": (in_turn(read_request(), half_close()), 502, "reset"),
    "reset before the answer": (in_turn(read_request(), reset()), 502, "reset"),
    "closed in the head": (in_turn(read_request(), send(b"HTTP/1.1 200 OK\r\nX: 1"), half_close()), 502, "reset"),
    "not HTTP": (in_turn(read_request(), send(b"hello there\r\n\r\n")), 502, "bad_response"),
}


@pytest.mark.parametrize(("script", "status", "fault"), _UPSTREAM_FAULTS.values(), ids=_UPSTREAM_FAULTS.keys())
async def test_faults_of_the_upstream_are_problem_answers(
    script: Script, status: int, fault: str, ours: Proxy, raw_upstream: ScriptedUpstream
) -> None:
    """RFC 9457, DESIGN section 6; a POST, so that it is not sent again. The connection goes on."""
    async with _client(ours, raw_upstream, script) as client:
        await client.send(
            crlf(b"POST /ECHO HTTP/1.1", b"Host: echo-host", b"X-Request-Id: my-id-1", b"Content-Length: 0")
        )
        await client.wait_for(lambda: client.received.endswith(b"}"))
        answered = read_responses(bytes(client.received), [b"POST"], False)[0]
        problem = json.loads(answered.body)
        assert answered.status == problem["status"] == status
        assert problem["fault"] == fault
        assert problem["request_id"] == "my-id-1"
        assert answered.values(b"content-type") == [b"application/problem+json"]
        assert b"ECHO" not in answered.body
        assert b"echo-host" not in answered.body
        await client.send(PROBE)
        await _until(client, PROBE_BODY)


async def test_an_answer_to_head_of_our_own_has_no_body(ours: Proxy, raw_upstream: ScriptedUpstream) -> None:
    """RFC 9110 section 9.3.2."""
    async with _client(ours, raw_upstream, in_turn(read_request(), reset())) as client:
        await client.send(get(method=b"HEAD"))
        await _until(client, b"\r\n\r\n")
        await client.send(PROBE)
        await _until(client, PROBE_BODY)
    assert [a.status for a in read_responses(bytes(client.received), [b"HEAD", b"GET"], False)] == [502, 200]


# -- any split, any header ---------------------------------------------------------------------------------------------

_SPLIT_REQUEST = crlf(
    b"POST /split?x=%2F HTTP/1.1", b"Host: a", b"X-A: caf\xe9", b"Transfer-Encoding: chunked",
    body=b"5;x=y\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\n\r\n",
)  # fmt: skip
_SPLIT_ANSWER = crlf(b"HTTP/1.1 103 Early Hints", b"Link: </a>") + crlf(
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
    asked=st.lists(st.integers(0, 10_000), max_size=8),
    answered=st.lists(st.integers(0, 10_000), max_size=8),
    pipelined=st.booleans(),
)
async def test_any_segmentation_gives_the_same_messages(
    asked: list[int], answered: list[int], pipelined: bool, ours: Proxy, raw_upstream: ScriptedUpstream
) -> None:
    async with _client(ours, raw_upstream, _in_pieces(_pieces(_SPLIT_ANSWER, answered))) as client:
        data = _SPLIT_REQUEST * (2 if pipelined else 1)
        for piece in _pieces(data, asked):
            await client.send(piece)
            await asyncio.sleep(0.0005)
        await client.wait_for(lambda: client.received.count(b"\r\n0\r\n\r\n") == (2 if pipelined else 1))
    want = read_responses(_SPLIT_ANSWER, [b"POST"], False)
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
    async with _client(ours, raw_upstream) as client:
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


async def _answer_anything(connection: Connection) -> None:
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
    raw_upstream.drips, raw_upstream.script = False, _answer_anything
    async with _second_client(ours) as client:
        await client.send(_edited(request, edits))
        with suppress(TimeoutError):  # a request that is left incomplete gets no answer
            await asyncio.wait_for(client.wait_for(lambda: b"\r\n\r\n" in client.received), 0.03)
        client.half_close()
        await _ended(client)
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
