"""A data plane in the test's own event loop: real loopback sockets, no process.

    async with RunningPlane(settings(...)) as running:
        answer = await running.ask(get("/api/orders"))
        assert answer.status == 200
        line = await running.line()                # the access line of that request

It is put together as `strangler.worker.main` does it, with quicker ticks and without a link to control. `stop`
holds what must hold after every test: nothing crashed, and every slot, place, trial and connection was given back.
"""

import asyncio
import contextlib
import json
import socket
import traceback
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, Self

import structlog
from structlog.testing import capture_logs

from strangler.clock import now, unix_now
from strangler.core import settings as s
from strangler.core.http.trust import TrustedProxies
from strangler.core.routing.snapshot import Snapshot
from strangler.http1.server_state import ServerState
from strangler.ipc.metrics import Metrics
from strangler.logs import LogWriter
from strangler.sockets.accept import ConnectionCounts, empty_page
from strangler.tls.server_context import ServerContexts
from strangler.unnamed_files import unnamed_file
from strangler.worker.access_log import AccessLog
from strangler.worker.call import Call
from strangler.worker.captures import Captures
from strangler.worker.context import WorkerContext
from strangler.worker.control_link import NO_LINK, ControlLink
from strangler.worker.gauges import UpstreamGauges
from strangler.worker.handler import serve
from strangler.worker.ledger_names import names_for
from strangler.worker.listeners import Listeners
from strangler.worker.request_metrics import RequestMetrics
from tests.factories import route, settings, upstream
from tests.http1.raw import Client
from tests.http1.scripted import ScriptedUpstream
from tests.http1.strict_reader import Message, read_responses
from tests.open_connections import open_connections

TICK_S = 0.01
TIMEOUT_S = 15.0
"""Seconds that a wait may take on a busy machine: only a fault lets them pass."""


class CollectedLines(LogWriter):
    """Keeps lines in place of writing them."""

    def __init__(self) -> None:
        self.dropped = 0
        self.text = b""

    def write_lines(self, lines: list[bytes]) -> bool:
        self.text += b"".join(lines)
        return True

    def close(self) -> None:
        pass


class Visitor(Client):
    """A raw client that also reads whole answers."""

    _read_bytes = 0

    async def ask(self, request: bytes) -> Message:
        """Send a request and wait for its whole answer, 1xx left out; AssertionError if it is cut short."""
        await self.send(request)
        return await self.response(request.split(b" ", 1)[0])

    async def response(self, method: bytes = b"GET") -> Message:
        """The next whole answer."""
        message = await self.response_or_cut(method)
        assert message.is_complete, f"cut short ({self.end}): {bytes(self.received)!r}"
        return message

    async def response_or_cut(self, method: bytes = b"GET") -> Message:
        """The next answer, whole or as far as it came before the connection ended."""
        async with asyncio.timeout(TIMEOUT_S):
            await self.wait_for(lambda: self._next(method) is not None)
        message = self._next(method)
        if message is None:
            found = self._messages(method)
            return found[-1] if found else Message(b"", (), b"", (), "none", False)
        self._read_bytes = self._size
        return message

    async def ended(self) -> str:
        """Wait for the connection's end; returns how: `eof` or `reset`."""
        async with asyncio.timeout(TIMEOUT_S):
            await self.wait_for(lambda: False)
        return self.end

    def _messages(self, method: bytes) -> list[Message]:
        return read_responses(bytes(self.received[self._read_bytes :]), [method], self.end != "open")

    def _next(self, method: bytes) -> Message | None:
        self._size = len(self.received)
        data = bytes(self.received[self._read_bytes :])
        messages = read_responses(data, [method], self.end != "open")
        final = [m for m in messages if m.is_complete and m.status >= 200]
        if not final:
            return None
        if final[0] is not messages[-1]:  # pipelined answers: find where the first one ends
            self._size = self._read_bytes + _end_of_first(data, method)
        return final[0]


def _end_of_first(data: bytes, method: bytes) -> int:
    for end in range(1, len(data) + 1):
        messages = read_responses(data[:end], [method], False)
        if messages and messages[-1].is_complete and messages[-1].status >= 200:
            return end
    raise AssertionError("no whole answer")


class RunningPlane:
    """Owns the plane, its listener, its ticks and what it told."""

    def __init__(self, settings: s.Settings, *, send_buffer: int | None = None, link: ControlLink = NO_LINK) -> None:
        is_usual = settings.log.format == "auto"
        self.settings = replace(settings, log=replace(settings.log, format="json")) if is_usual else settings
        self.crashes: list[Exception] = []
        self.may_crash = False
        """True for a test that makes the plane crash on purpose."""
        self.numbers = Metrics()
        self._send_buffer = send_buffer
        self._link = link
        self._lines = CollectedLines()
        self._clients: list[Visitor] = []
        self._deaf: list[socket.socket] = []
        self._exits = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        self.loop = asyncio.get_running_loop()
        self.events = self._exits.enter_context(capture_logs())
        structlog.get_logger()
        metrics = RequestMetrics(self.numbers)
        self.access_log = AccessLog(self._lines, "worker-0", 1)
        captures = Captures(self.numbers, self._link)
        snapshot = Snapshot(self.settings, 1)
        self.context = WorkerContext(self.loop, snapshot, metrics, self.access_log, captures, self._link)
        self.policies, self.peers, self.upstreams = self.context.policies, self.context.peers, self.context.upstreams
        self.gauges = UpstreamGauges(self.numbers, self.upstreams)
        self.port = ServerState(
            self.loop,
            self.settings.limits,
            Call,
            lambda client: serve(client, self.context),
            TrustedProxies(self.settings.trusted_proxies),
            self.crashes.append,
            metrics.count_refused,
        )
        self.listeners = Listeners(self.port, self.context, 0, ConnectionCounts(unnamed_file(empty_page())))
        self.listeners.adopt(self.settings, self._contexts(self.settings))
        listener = socket.socket()
        if self._send_buffer is not None:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._send_buffer)  # accepted sockets inherit it
        listener.bind(("127.0.0.1", 0))
        self.number: int = listener.getsockname()[1]
        listener.listen(1024)
        self.listeners.acceptor.start([(listener, str(self.settings.listeners[0].address))])
        self._ticks = self.loop.create_task(self._tick())
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            await self.stop()
        finally:
            await self._exits.aclose()

    def _contexts(self, settings: s.Settings) -> ServerContexts:
        return self.listeners.contexts.renewed(settings.listeners, settings.files)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            at = now()
            self.port.sweep_active(at)
            self.port.sweep_all(at)
            self.upstreams.sweep(at)
            self.access_log.flush()
            self.context.ledger.tick(at, unix_now())
            self.context.rollouts.tick(at)

    def adopt(self, settings: s.Settings, generation: int = 2) -> None:
        """Adopt a push as `strangler.worker.main` does."""
        settings = replace(settings, log=self.settings.log)
        self.context.adopt(Snapshot(settings, generation), names_for(settings))
        self.listeners.adopt(settings, self._contexts(settings))
        self.port.limits = settings.limits
        self.port.trusted = TrustedProxies(settings.trusted_proxies)

    async def stop(self) -> None:
        """End all connections, then hold that nothing is left of any request."""
        for client in self._clients:
            await client.close()
        for sock in self._deaf:
            sock.close()
        self.listeners.acceptor.stop()
        await self.listeners.acceptor.settle()
        await self.quiet()
        self._ticks.cancel()
        self.port.abort()
        await self.until(lambda: not self.port.connections)
        self.upstreams.close()
        assert self.may_crash or not self.crashes, "".join(traceback.format_exception(self.crashes[0]))
        assert self.held() == {}

    def held(self) -> dict[str, int]:
        """Return what is in use and has to be given back; empty when no request is under way."""
        found = {"requests": len(self.port.active)}
        for each_upstream in self.upstreams:
            name, admission = each_upstream.settings.name, each_upstream.admission
            found[f"{name}: slots"] = admission.bulkhead.in_flight
            found[f"{name}: streams"] = admission.bulkhead.streams
            found[f"{name}: waiting"] = admission.bulkhead.waiting
            found[f"{name}: trials"] = admission.breaker.in_trial
            found[f"{name}: places"] = sum(state.in_flight for state in each_upstream.endpoints.states)
        return {what: count for what, count in found.items() if count}

    async def quiet(self) -> None:
        """Wait till no request is under way; what is still held then is told by `held`."""
        await self.until(lambda: not self.held(), must=False)

    async def until(self, holds: Any, timeout_s: float = TIMEOUT_S, *, must: bool = True) -> None:
        """Wait till `holds()`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not holds():  # noqa: ASYNC110 - what is waited for has no event
                    await asyncio.sleep(0.002)
        assert not must or holds(), "did not come about in time"

    # What a client does

    async def client(self, receive_buffer: int | None = None) -> Visitor:
        sock = socket.socket()
        sock.setblocking(False)
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await self.loop.sock_connect(sock, ("127.0.0.1", self.number))
        client = Visitor(sock)
        self._clients.append(client)
        return client

    def keep(self, client: Visitor) -> None:
        """Close `client` at the test's end."""
        self._clients.append(client)

    async def deaf_client(self, receive_buffer: int = 4096) -> socket.socket:
        """A connection that nobody reads from; to be used with `loop.sock_…`, and closed by the test's end."""
        sock = self._exits.enter_context(socket.socket())
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        await self.loop.sock_connect(sock, ("127.0.0.1", self.number))
        self._deaf.append(sock)
        return sock

    def unwritten(self) -> int:
        """Bytes that wait in the process for a client or an upstream to read."""
        total = 0
        for connection in open_connections(self.port):
            total += connection.transport.get_write_buffer_size()
            exchange = connection.request.exchange if connection.request is not None else None
            if exchange is not None and exchange.connection is not None:
                total += exchange.connection.transport.get_write_buffer_size()
        return total

    async def ask(self, request: bytes) -> Message:
        """One request on a connection of its own; its whole answer."""
        client = await self.client()
        reply = await client.ask(request)
        await client.close()
        return reply

    # What was told

    async def lines(self, count: int) -> list[dict[str, Any]]:
        """The access lines, once there are `count`."""
        await self.until(lambda: self._lines.text.count(b"\n") >= count)
        return [json.loads(line) for line in self._lines.text.splitlines()]

    async def raw_lines(self, count: int) -> list[bytes]:
        """The lines as they were written, once there are `count`."""
        await self.until(lambda: self._lines.text.count(b"\n") >= count)
        return self._lines.text.splitlines(keepends=True)

    async def line(self) -> dict[str, Any]:
        """The only access line."""
        (line,) = await self.lines(1)
        return line

    def counted(self, name: str) -> dict[tuple[str, ...], float]:
        """All cells of a counter that are not zero."""
        report = next(self.numbers.report_all())
        return {tuple(cell.labels): cell.value for cell in report.counters if cell.name == name}

    def logged(self, event: str) -> list[Any]:
        """The log events with that name."""
        return [entry for entry in self.events if entry["event"] == event]

    def connections(self, name: str) -> int:
        """Idle connections to an upstream."""
        return sum(pool.idle_count for pool in self.upstreams[name]._pools.values())


def request(target: str = "/api", *fields: str, method: str = "GET", body: bytes | None = None) -> bytes:
    """A request to host `shop`. With a body it says its length."""
    lines = [f"{method} {target} HTTP/1.1", "Host: shop", *fields]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


def response(status: int = 200, body: bytes = b"ok", *fields: str) -> bytes:
    """An answer of an upstream, of known length."""
    lines = [f"HTTP/1.1 {status} Told", *fields, f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def at(upstream: ScriptedUpstream | int, scheme: str = "http", host: str = "127.0.0.1", path: str = "") -> str:
    """The URL of a scripted upstream or a port."""
    port = upstream if isinstance(upstream, int) else upstream.port
    return f"{scheme}://{host}:{port}{path}"


def two_arms(
    legacy: ScriptedUpstream | int | s.UpstreamSettings,
    candidate: ScriptedUpstream | int | s.UpstreamSettings,
    *,
    retry: s.RetrySettings | None = None,
    timeouts: s.TimeoutSettings | None = None,
    breaker: s.BreakerSettings | None = None,
    bulkhead: s.BulkheadSettings | None = None,
    limits: dict[str, Any] | None = None,
    general: dict[str, Any] | None = None,
    **changes: Any,
) -> s.Settings:
    """All of /api goes to the candidate `orders`, the rest to legacy.

    `retry`, `timeouts`, `breaker`, `bulkhead` are the candidate's and, where legacy is alone, legacy's;
    `general` are fields of the settings, and `changes` the route's.
    """
    extra: dict[str, Any] = {"retry": retry, "breaker": breaker, "bulkhead": bulkhead}
    if timeouts is not None:
        extra["timeouts"] = timeouts
    made = settings(
        routes=[route("orders", prefix="/api", **changes)],
        upstreams=[
            legacy if isinstance(legacy, s.UpstreamSettings) else upstream("legacy", at(legacy)),
            candidate if isinstance(candidate, s.UpstreamSettings) else upstream("orders", at(candidate), **extra),
        ],
        **(general or {}),
    )
    return replace(made, limits=replace(made.limits, **(limits or {})))


@contextlib.asynccontextmanager
async def full_backlog() -> AsyncIterator[int]:
    """A port whose queue of connections is full: connecting to it neither succeeds nor fails (listen(2))."""
    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as exits:
        listener = exits.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port: int = listener.getsockname()[1]
        for _ in range(2):
            filler = exits.enter_context(socket.socket())
            filler.setblocking(False)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    await loop.sock_connect(filler, ("127.0.0.1", port))
        yield port


ALL_CAUSES: tuple[str | int, ...] = ("connect", "reset", "timeout", "bad_response", "open", "full", 502, 503, 504)


def retry(attempts: int = 2, when: tuple[str | int, ...] = ALL_CAUSES, **changes: Any) -> s.RetrySettings:
    """Retries at once, unless a backoff is given."""
    return replace(s.RetrySettings(attempts, when, 0.0, 0.0, 1.0), **changes)


def timeouts(
    connect_s: float | None = 1.0, response_s: float | None = 2.0, idle_s: float | None = 2.0
) -> s.TimeoutSettings:
    return s.TimeoutSettings(connect_s, response_s, idle_s)


def fallback(when: tuple[str | int, ...] = ALL_CAUSES, fence_s: float = 60.0) -> s.FallbackSettings:
    return s.FallbackSettings(when, fence_s)
