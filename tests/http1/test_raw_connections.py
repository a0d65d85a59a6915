"""Cases beyond one request and one response: clients that leave, stray bytes, limits, the proxy's own responses."""

import asyncio
import json

import pytest

from tests.http1.proxies import Proxy
from tests.http1.raw import OK, PROBE, PROBE_BODY, Case, crlf, get, passed, refused, respond, run
from tests.http1.raw_steps import another_client, client_of, ended, heads, until
from tests.http1.scripted import (
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
from tests.http1.strict_reader import read_responses

pytestmark = pytest.mark.asyncio(loop_scope="session")

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
    async with client_of(ours, raw_upstream, script, respond(OK)) as client:
        await client.send(uploading if moment == "in the upload" else get())
        connection = await raw_upstream.wait_for_connection()
        if moment == "in the answer":
            await until(client, b"begun")
        else:
            await asyncio.sleep(0.05)
        client.half_close() if leave == "FIN" else client.reset()
        await asyncio.wait_for(connection.ended.wait(), 1.5)
    async with another_client(ours) as other:
        await other.send(get(b"/second"))
        await until(other, b"ok")
    assert len(raw_upstream.connections) == 2


async def test_a_half_close_behind_a_complete_answer_ends_the_connection(
    ours: Proxy, raw_upstream: ScriptedUpstream
) -> None:
    """RFC 9112 section 9.6."""
    async with client_of(ours, raw_upstream) as client:
        await client.send(get())
        await until(client, b"ok")
        client.half_close()
        await ended(client)
    assert client.end == "eof"


async def test_a_client_that_sends_nothing_and_leaves_reaches_no_upstream(
    ours: Proxy, raw_upstream: ScriptedUpstream
) -> None:
    async with client_of(ours, raw_upstream) as client:
        client.half_close()
        await ended(client)
    assert not client.received
    assert not raw_upstream.connections


async def test_a_head_cut_short_reaches_no_upstream(ours: Proxy, raw_upstream: ScriptedUpstream) -> None:
    """RFC 9112 section 8."""
    async with client_of(ours, raw_upstream) as client:
        await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n")
        client.half_close()
        await ended(client)
    assert not heads(raw_upstream)


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
    async with client_of(ours, raw_upstream, respond(surplus), respond(OK)) as client:
        await client.send(get(b"/1"))
        await client.wait_for(lambda: b"\r\n\r\n" in client.received)
        connection = await raw_upstream.wait_for_connection()
        await asyncio.wait_for(connection.ended.wait(), 1.5)
        await client.send(PROBE)
        await until(client, PROBE_BODY)
        assert b"pushed" not in client.received
    assert len(raw_upstream.connections) == 2


async def test_a_body_behind_head_reaches_nobody(ours: Proxy, raw_upstream: ScriptedUpstream) -> None:
    """RFC 9110 section 9.3.2."""
    async with client_of(ours, raw_upstream, respond(_PUSHED), respond(OK)) as client:
        await client.send(get(method=b"HEAD"))
        await client.wait_for(lambda: b"\r\n\r\n" in client.received)
        await client.send(PROBE)
        await until(client, PROBE_BODY)
        assert b"pushed" not in client.received


async def test_bytes_on_an_idle_connection_never_answer_the_next_request(
    ours: Proxy, raw_upstream: ScriptedUpstream
) -> None:
    """An upstream that pushes a whole answer on a pooled connection: the next client must not get it."""
    async with client_of(ours, raw_upstream, respond(OK, pause(0.02), send(_PUSHED)), respond(OK)) as client:
        await client.send(get(b"/1"))
        await until(client, b"ok")
        await asyncio.wait_for(raw_upstream.connections[0].ended.wait(), 1.5)
        async with another_client(ours) as other:
            await other.send(get(b"/2"))
            await other.wait_for(lambda: other.received.endswith((b"ok", b"pushed")))
            assert other.received.endswith(b"ok")
        assert b"pushed" not in client.received


async def test_an_upstream_connection_is_used_again(ours: Proxy, raw_upstream: ScriptedUpstream) -> None:
    """RFC 9112 section 9.3."""
    async with client_of(ours, raw_upstream) as client:
        for number in range(5):
            await client.send(get(b"/%d" % number))
            await client.wait_for(lambda n=number: client.received.count(b"\r\n\r\nok") == n + 1)  # type: ignore[misc]
    async with another_client(ours) as other:
        await other.send(get(b"/other"))
        await until(other, b"ok")
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
    async with client_of(ours, raw_upstream, respond(OK), closes_on_second, respond(OK)) as client:
        await client.send(get(b"/first"))
        await until(client, b"ok")
        await client.send(crlf(method + b" /second HTTP/1.1", b"Host: a", b"Content-Length: 2", body=b"hi"))
        await client.wait_for(lambda: client.received.count(b"HTTP/1.1") == 2)
    second = [r for r in raw_upstream.requests if r.target == b"/second"]
    assert len(second) == (2 if is_sent_again else 1)
    assert (b"502" in client.received) != is_sent_again


async def test_an_answer_that_began_is_never_asked_for_again(ours: Proxy, raw_upstream: ScriptedUpstream) -> None:
    begun = in_turn(read_request(), send(b"HTTP/1.1 200 OK\r\nContent-"), reset())
    async with client_of(ours, raw_upstream, respond(OK), begun) as client:
        await client.send(get(b"/first"))
        await until(client, b"ok")
        await client.send(crlf(b"POST /second HTTP/1.1", b"Host: a", b"Content-Length: 2", body=b"hi"))
        await until(client, b"502")
    assert len([r for r in raw_upstream.requests if r.target == b"/second"]) == 1


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
    async with client_of(ours_limited, raw_upstream) as client:
        head = get(b"/" + b"a" * 200)
        for at in range(len(head)):
            await client.send(head[at : at + 1])
            await asyncio.sleep(0.01)
            if client.end != "open":
                break
        await ended(client)
    assert client.received.startswith(b"HTTP/1.1 408 ")
    assert not heads(raw_upstream)


async def test_an_idle_client_connection_is_closed_without_an_answer(
    ours_limited: Proxy, raw_upstream: ScriptedUpstream
) -> None:
    """RFC 9112 section 9.5: a clean close, and no 408 that a client could take for the answer to its next request."""
    async with client_of(ours_limited, raw_upstream) as client:
        await client.send(get())
        await until(client, b"ok")
        await ended(client)
    assert client.end == "eof"
    assert client.received.endswith(b"ok")


async def test_a_head_over_the_limit_from_an_upstream_is_502(
    ours_limited: Proxy, raw_upstream: ScriptedUpstream
) -> None:
    big = crlf(b"HTTP/1.1 200 OK", b"X: " + b"a" * 9000, b"Content-Length: 0")
    async with client_of(ours_limited, raw_upstream, respond(big)) as client:
        await client.send(get())
        await until(client, b"502")
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
    async with client_of(ours, raw_upstream, script) as client:
        await client.send(
            crlf(b"POST /ECHO HTTP/1.1", b"Host: echo-host", b"X-Request-Id: my-id-1", b"Content-Length: 0")
        )
        await client.wait_for(lambda: client.received.endswith(b"}"))
        responded = read_responses(bytes(client.received), [b"POST"], False)[0]
        problem = json.loads(responded.body)
        assert responded.status == problem["status"] == status
        assert problem["fault"] == fault
        assert problem["request_id"] == "my-id-1"
        assert responded.values(b"content-type") == [b"application/problem+json"]
        assert b"ECHO" not in responded.body
        assert b"echo-host" not in responded.body
        await client.send(PROBE)
        await until(client, PROBE_BODY)


async def test_an_answer_to_head_of_our_own_has_no_body(ours: Proxy, raw_upstream: ScriptedUpstream) -> None:
    """RFC 9110 section 9.3.2."""
    async with client_of(ours, raw_upstream, in_turn(read_request(), reset())) as client:
        await client.send(get(method=b"HEAD"))
        await until(client, b"\r\n\r\n")
        await client.send(PROBE)
        await until(client, PROBE_BODY)
    assert [a.status for a in read_responses(bytes(client.received), [b"HEAD", b"GET"], False)] == [502, 200]
