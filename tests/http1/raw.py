"""Raw cases: exact bytes in, exact bytes out, at both ends of a proxy that is a real process.

A case is data: what the client sends, what the upstream does, what must arrive at either end, and the RFC section that
says so. `run` drives it and compares. Fields that the proxy adds itself are compared by pattern, wherever they stand;
all others exactly, in order. Peers (nginx, HAProxy, Envoy) are compared by meaning: names in lower case, order and the
fields of one hop left out. A case that a peer lawfully answers otherwise names it in `differs`, with the reason.
"""

import asyncio
import contextlib
import json
import re
import socket
import struct
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

import pytest
from _pytest.mark.structures import ParameterSet

from tests.http1.proxies import Proxy
from tests.http1.scripted import Connection, End, Script, ScriptedUpstream, Step, in_turn, read_request, send
from tests.http1.strict_reader import MalformedError, Message, read_requests, read_responses

CASE_TIMEOUT_S = 6.0
PROBE_TARGET = b"/wire-probe"
PROBE = b"GET /wire-probe HTTP/1.1\r\nHost: probe\r\n\r\n"
PROBE_BODY = b"the probe's answer"
_PROBE_RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n" + PROBE_BODY

ADDED_TO_REQUESTS: dict[bytes, bytes] = {
    b"x-forwarded-for": rb"127\.0\.0\.1",
    b"x-forwarded-proto": rb"http",
    b"x-forwarded-host": rb"[^,]*",
    b"via": rb"1\.1 strangler",
    b"x-request-id": rb"[0-9A-Za-z-]{16,64}",
    b"traceparent": rb"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}",
}
"""Lower-case name to the pattern of its value, unless a case says otherwise (DESIGN section 6)."""
ADDED_TO_RESPONSES: dict[bytes, bytes] = {b"x-strangler-arm": rb"legacy"}

_ONE_HOP = frozenset({b"connection", b"keep-alive", b"transfer-encoding", b"proxy-connection"})
_ENVOYS_OWN = frozenset({b"x-envoy-expected-rq-timeout-ms", b"x-envoy-upstream-service-time"})
_PEERS_OWN = _ONE_HOP | _ENVOYS_OWN | {b"date", b"server", b"content-length", *ADDED_TO_REQUESTS, *ADDED_TO_RESPONSES}
_PROBLEM_MEMBERS = {"type", "title", "status", "fault", "request_id"}
_NEVER_ECHOED = b"ECHO"

Delivery = Literal["whole", "byte by byte"]
Ending = Literal["open", "closed", "cut"]


class Client:
    """A raw client: sends what it is told, keeps all that comes back."""

    def __init__(self, sock: socket.socket) -> None:
        self.received = bytearray()
        self.end: End = "open"
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._reader = self._loop.create_task(self._read())

    @classmethod
    async def connect(cls, port: int) -> "Client":
        sock = socket.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        return cls(sock)

    async def _read(self) -> None:
        while self.end == "open":
            try:
                data = await self._loop.sock_recv(self._sock, 65536)
            except OSError:
                self.end = "reset"
            else:
                self.received += data
                self.end = self.end if data else "eof"
            self._changed.set()

    async def send(self, data: bytes, delivery: Delivery = "whole") -> None:
        step = 1 if delivery == "byte by byte" else len(data) or 1
        for at in range(0, len(data), step):
            if self.end != "open":
                return
            with contextlib.suppress(ConnectionError):  # the proxy may refuse before it has read all
                await self._loop.sock_sendall(self._sock, data[at : at + step])
            await asyncio.sleep(0)

    async def wait_for(self, holds: Callable[[], bool]) -> bool:
        """Wait till `holds()`, asked after each arrival; False if the connection ended and it does not."""
        while not holds():
            if self.end != "open":
                return False
            self._changed.clear()
            await self._changed.wait()
        return True

    def half_close(self) -> None:
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._close()

    def _close(self) -> None:
        self.end = "eof" if self.end == "open" else self.end
        self._reader.cancel()
        self._sock.close()

    async def close(self) -> None:
        self._close()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reader


ClientStep = bytes | Callable[[Client], Awaitable[None]]


def until(pattern: bytes) -> ClientStep:
    """Go on when `pattern` has come from the proxy."""

    async def step(client: Client) -> None:
        await client.wait_for(lambda: pattern in client.received)

    return step


def rest(seconds: float) -> ClientStep:
    async def step(_: Client) -> None:
        await asyncio.sleep(seconds)

    return step


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer of the proxy's own: problem+json (RFC 9457), and nothing of the request in it."""

    status: int
    fault: str | None = None
    """Checked if it is set."""


@dataclass(frozen=True, slots=True)
class Case:
    """`upstream`: one script for each request that gets there; the last one repeats."""

    id: str
    rfc: str
    client: bytes | tuple[ClientStep, ...]
    upstream: tuple[Script, ...] = ()
    reaches: tuple[bytes, ...] = ()
    """The requests that the upstream must get; empty: none."""
    responses: tuple[bytes | Refusal, ...] = ()
    """The messages that the client must get, 1xx included."""
    end: Ending = "open"
    """open: the connection serves a further request; closed: ended behind the last answer; cut: ended within it."""
    upstream_ends: bool = False
    """The proxy must have ended the upstream connection: it is not to be used again."""
    added: dict[bytes, bytes] = field(default_factory=dict)
    """Patterns that replace those of ADDED_TO_REQUESTS."""
    arm: bytes = b"legacy"
    differs: dict[str, str] = field(default_factory=dict)
    """Peer -> why it may lawfully do otherwise, or what it cannot do."""
    may_start: bool = False
    """A request refused for its body may have reached the upstream in part, never whole."""
    is_any_split: bool = True
    """False: the pieces that the client's bytes come in are part of the case; not sent byte by byte."""

    @property
    def sent(self) -> bytes:
        steps = (self.client,) if isinstance(self.client, bytes) else self.client
        return b"".join(step for step in steps if isinstance(step, bytes))


def crlf(*lines: bytes, body: bytes = b"") -> bytes:
    """A head of these lines, its empty line, and a body."""
    return b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


def get(target: bytes = b"/", *fields: bytes, method: bytes = b"GET", version: bytes = b"HTTP/1.1") -> bytes:
    """A request without a body, to host `a`."""
    return crlf(method + b" " + target + b" " + version, b"Host: a", *fields)


OK = crlf(b"HTTP/1.1 200 OK", b"Content-Length: 2", body=b"ok")


def respond(data: bytes, *then: Step) -> Script:
    """Read the request whole, send `data`, then take the further steps."""
    return in_turn(read_request(), send(data), *then)


def passed(id: str, rfc: str, request: bytes, differs: dict[str, str] | None = None, **changes: object) -> Case:
    """A request that must reach the upstream as it was sent, and be answered."""
    values: dict[str, object] = {
        "client": request,
        "upstream": (respond(OK),),
        "reaches": (request,),
        "responses": (OK,),
        "differs": differs or {},
    }
    return Case(id, rfc, **(values | changes))  # type: ignore[arg-type]


def returned(id: str, rfc: str, response: bytes, differs: dict[str, str] | None = None, **changes: object) -> Case:
    """A response that must reach the client as the upstream sent it."""
    request = changes.pop("client", get())
    values: dict[str, object] = {
        "client": request,
        "upstream": (respond(response),),
        "reaches": (request,),
        "responses": (response,),
        "differs": differs or {},
    }
    return Case(id, rfc, **(values | changes))  # type: ignore[arg-type]


def refused(
    id: str,
    rfc: str,
    request: bytes,
    status: int = 400,
    differs: dict[str, str] | None = None,
    **changes: object,
) -> Case:
    """A request that must be refused, reach no upstream, and end the connection."""
    values: dict[str, object] = {
        "client": request,
        "upstream": (respond(OK),),
        "responses": (Refusal(status),),
        "end": "closed",
        "differs": differs or {},
    }
    return Case(id, rfc, **(values | changes))  # type: ignore[arg-type]


def distrusted(id: str, rfc: str, response: bytes, differs: dict[str, str] | None = None, **changes: object) -> Case:
    """A response that must not be passed on: 502, and the upstream connection is dropped."""
    request = changes.pop("client", get())
    values: dict[str, object] = {
        "client": request,
        "upstream": (respond(response),),
        "reaches": (request,),
        "responses": (Refusal(502, "bad_response"),),
        "upstream_ends": True,
        "differs": differs or {},
    }
    return Case(id, rfc, **(values | changes))  # type: ignore[arg-type]


def deliveries(cases: Iterable[Case]) -> list[ParameterSet]:
    """Each case with each way that its bytes may come, at both ends, as pytest parameters."""
    ways: dict[str, Delivery] = {"whole": "whole", "bytes": "byte by byte"}
    return [
        pytest.param(case, way, id=f"{case.id}-{name}")
        for case in cases
        for name, way in ways.items()
        if case.is_any_split or way == "whole"
    ]


def _is_probe(target: bytes) -> bool:
    return target.endswith(PROBE_TARGET)


class Playlist:
    """The upstream's script for a case: each request takes the next of `scripts`; probes are answered aside."""

    def __init__(self, scripts: tuple[Script, ...]) -> None:
        self._scripts = list(scripts)

    async def __call__(self, connection: Connection) -> None:
        while not connection.is_closed:
            taken = connection.taken
            if _is_probe((await connection.read_head()).split(b" ", 2)[1]):
                await connection.read_request()
                connection.requests.pop()
                await connection.send(_PROBE_RESPONSE)
                continue
            await (self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0])(connection)
            if connection.taken == taken:
                return  # the request was not read whole: what follows on this connection is no request


async def run(
    case: Case, proxy: Proxy, upstream: ScriptedUpstream, delivery: Delivery = "whole", probe: bytes = PROBE_TARGET
) -> None:
    """Play `case` and compare; raises AssertionError with both sides shown. `probe`: a target that `upstream` gets."""
    await upstream.renew()
    upstream.script = Playlist(case.upstream or (respond(OK),))
    upstream.drips = delivery == "byte by byte"
    client = await Client.connect(proxy.port)
    try:
        async with asyncio.timeout(CASE_TIMEOUT_S):
            await _play(case, client, delivery)
            responses = await _collect(case, client)
            await _check_end(case, client, probe)
            if case.upstream_ends:
                await _check_upstream_ended(upstream)
        _check_responses(case, proxy, responses)
        _check_reached(case, proxy, upstream)
    except TimeoutError:
        raise AssertionError(_report("no end in time", client, upstream)) from None
    except (AssertionError, MalformedError) as problem:
        raise AssertionError(_report(str(problem), client, upstream)) from None
    finally:
        await client.close()


async def _play(case: Case, client: Client, delivery: Delivery) -> None:
    for step in (case.client,) if isinstance(case.client, bytes) else case.client:
        if isinstance(step, bytes):
            await client.send(step, delivery)
        else:
            await step(client)


def _methods(case: Case) -> list[bytes]:
    return [request.split(b" ", 1)[0] for request in case.reaches] or [case.sent.split(b" ", 1)[0]]


async def _collect(case: Case, client: Client) -> list[Message]:
    """The client's answers, once there are as many whole ones as expected or the connection has ended."""

    def responses() -> list[Message]:
        return read_responses(bytes(client.received), _methods(case), client.end != "open")

    def is_enough() -> bool:
        return case.end == "open" and len([a for a in responses() if a.is_complete]) >= len(case.responses)

    await client.wait_for(is_enough)
    return responses()


async def _check_end(case: Case, client: Client, probe: bytes) -> None:
    if case.end != "open":
        return
    before = len(client.received)
    await client.send(PROBE.replace(PROBE_TARGET, probe))
    await client.wait_for(lambda: client.received.endswith(PROBE_BODY))
    probed = read_responses(bytes(client.received[before:]), [b"GET"], client.end != "open")
    assert [a.body for a in probed] == [PROBE_BODY], f"the connection is out of step: {bytes(client.received)!r}"


async def _check_upstream_ended(upstream: ScriptedUpstream) -> None:
    connection = await upstream.wait_for_connection()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(connection.ended.wait(), 1.5)
    assert connection.ended.is_set(), "the upstream connection was kept"


def _check_responses(case: Case, proxy: Proxy, actual: list[Message]) -> None:
    expected_bytes = [a for a in case.responses if isinstance(a, bytes)]
    parsed = read_responses(b"".join(expected_bytes), _methods(case), True)
    assert len(actual) == len(case.responses), f"{len(actual)} answers instead of {len(case.responses)}"
    for got, wanted in zip(actual, case.responses, strict=True):
        is_last = got is actual[-1]
        if isinstance(wanted, Refusal):
            _check_refusal(got, wanted, proxy)
            continue
        should_end = not (is_last and case.end == "cut")
        _check_response(got, parsed.pop(0), proxy, case)
        assert got.is_complete == should_end, "cut short" if should_end else "a body cut short came as a complete one"
    if proxy.is_ours and actual:
        _check_connection(case, actual[-1])


def _check_connection(case: Case, last: Message) -> None:
    """Check that the connection ends, or stays, as the client was told (RFC 9112 sections 9.3 and 9.6)."""
    tokens = {token.strip().lower() for value in last.values(b"connection") for token in value.split(b",")}
    if case.end == "closed":
        assert b"close" in tokens, "closed without Connection: close"
    if case.end == "open":
        assert b"close" not in tokens, "Connection: close, and then it stays open"
        is_old = b" HTTP/1.0\r\n" in case.sent
        assert (b"keep-alive" in tokens) >= is_old, "kept for an HTTP/1.0 client that is not told"


def _check_refusal(got: Message, wanted: Refusal, proxy: Proxy) -> None:
    if not proxy.is_ours:
        assert got.status >= 400, f"answered {got.status}; a refusal was expected"
        return
    assert got.status == wanted.status, f"answered {got.status} instead of {wanted.status}"
    assert got.values(b"content-type") == [b"application/problem+json"]
    assert got.is_complete
    problem = json.loads(got.body)
    assert set(problem) == _PROBLEM_MEMBERS, f"members {sorted(problem)}"
    assert problem["status"] == wanted.status
    assert wanted.fault in (None, problem["fault"]), f"fault {problem['fault']}"
    everything = repr((got.start, got.fields, got.body)).encode()
    assert _NEVER_ECHOED not in everything, "something of the request is echoed"


def _check_response(got: Message, wanted: Message, proxy: Proxy, case: Case) -> None:
    if not proxy.is_ours:
        assert got.start.split(b" ")[1] == wanted.start.split(b" ")[1]
        _check_fields(got, wanted, proxy)
    else:
        assert got.start == wanted.start, f"{got.start!r} instead of {wanted.start!r}"
        own = {} if wanted.status < 200 else {b"x-strangler-arm": case.arm}
        _check_added(got, wanted, own)
        left_out = _ONE_HOP | set(ADDED_TO_RESPONSES)
        assert _without(got, left_out) == _without(wanted, left_out)
    assert got.trailers == wanted.trailers
    if case.end == "cut":
        assert wanted.body.startswith(got.body)
    else:
        assert got.body == wanted.body


def _check_reached(case: Case, proxy: Proxy, upstream: ScriptedUpstream) -> None:
    wanted = [message for request in case.reaches for message in read_requests(request)]
    raw = [bytes(c.received) for c in upstream.connections]
    got = [m for data in raw for m in read_requests(data) if not _is_probe([*m.start.split(b" "), b""][1])]
    if case.may_start:
        got = [m for m in got if m.is_complete]
    assert len(got) == len(wanted), f"{len(got)} requests reached the upstream instead of {len(wanted)}"
    for actual, expected in zip(got, wanted, strict=True):
        _check_request(actual, expected, proxy, case)


def _check_request(got: Message, wanted: Message, proxy: Proxy, case: Case) -> None:
    assert got.start == wanted.start, f"{got.start!r} instead of {wanted.start!r}"
    if proxy.is_ours:
        _check_added(got, wanted, ADDED_TO_REQUESTS | case.added)
        left_out = _ONE_HOP | set(ADDED_TO_REQUESTS) | set(case.added)
        assert _without(got, left_out) == _without(wanted, left_out)
        assert got.framing == wanted.framing
    else:
        _check_fields(got, wanted, proxy)
    assert got.body == wanted.body
    assert got.trailers == wanted.trailers
    assert got.is_complete == wanted.is_complete


def _check_fields(got: Message, wanted: Message, proxy: Proxy) -> None:
    """The fields of a peer, but for its own: in any order and case, if it is no engine of ours."""
    if proxy.keeps_fields:
        found, expected = _without(got, _PEERS_OWN), _without(wanted, _PEERS_OWN)
        assert found == expected, f"{found} instead of {expected}"
    assert _meaning(got) == _meaning(wanted), f"{_meaning(got)} instead of {_meaning(wanted)}"


def _check_added(got: Message, wanted: Message, patterns: dict[bytes, bytes]) -> None:
    """The proxy's own fields: as `wanted` has them, else by pattern."""
    for name, pattern in patterns.items():
        values = wanted.values(name)
        shape = re.escape(b", ".join(values)) if values else pattern
        value = b", ".join(got.values(name))
        assert re.fullmatch(shape, value), f"{name.decode()}: {value!r} is not {shape!r}"


def _without(message: Message, names: set[bytes] | frozenset[bytes]) -> list[tuple[bytes, bytes]]:
    return [(key, value) for key, value in message.fields if key.lower() not in names]


def _meaning(message: Message) -> list[tuple[bytes, bytes]]:
    return sorted((key.lower(), value) for key, value in _without(message, _PEERS_OWN))


def _report(problem: str, client: Client, upstream: ScriptedUpstream) -> str:
    reached = [bytes(connection.received) for connection in upstream.connections]
    return f"{problem}\n  client got ({client.end}): {bytes(client.received)!r}\n  upstream got: {reached!r}"
