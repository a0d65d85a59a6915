"""The load of the soak, and its upstreams: each request is counted, none is sent twice.

Kinds of clients: GET on a kept connection, POST of 10 KB, an upload in chunks, server-sent events, a websocket, a
client that sends and reads slowly, and a client that leaves in the middle of its response.
"""

import asyncio
import json
import os
import random
import time
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field

from aiohttp import ClientSession, WSMsgType, web

from benchmarks.line import FAILURES, Line

REMEMBER_S = 2.0
"""How long it is remembered on which connection a request ended."""

_LINES = 20  # in an event stream or a websocket: about 3 s
_PAUSE_S = 0.15
_BIG = os.urandom(200_000)


# -- the upstreams -----------------------------------------------------------------------------------------------------


class Upstream:
    """A server on `port`. While away, it refuses connections, and closes open ones after their response."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._is_away = False
        self._runner: web.ServerRunner | None = None
        self._site: web.TCPSite | None = None

    async def start(self) -> None:
        self._runner = web.ServerRunner(web.Server(self._respond, access_log=None), shutdown_timeout=1)
        await self._runner.setup()
        await self.come()

    async def come(self) -> None:
        assert self._runner is not None
        self._is_away = False
        self._site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await self._site.start()

    async def go(self) -> None:
        assert self._site is not None
        self._is_away = True
        await self._site.stop()

    async def end(self) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _respond(self, request: web.BaseRequest) -> web.StreamResponse:
        response = await self._begin(request)
        if self._is_away:
            response.force_close()
        return response

    async def _begin(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/api/events":
            return await _stream(request)
        if request.path == "/api/live":
            return await _echo(request)
        if request.path == "/api/big":
            return web.Response(body=_BIG)
        if request.method == "GET":
            return web.json_response({"path": request.path})
        received = 0
        async for piece in request.content.iter_any():
            received += len(piece)
        return web.json_response({"received": received})


async def _stream(request: web.BaseRequest) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    with suppress(ConnectionError):  # some clients leave
        for number in range(_LINES):
            await response.write(b"data: %d\n\n" % number)
            await asyncio.sleep(_PAUSE_S)
    return response


async def _echo(request: web.BaseRequest) -> web.StreamResponse:
    tunnel = web.WebSocketResponse()
    await tunnel.prepare(request)
    with suppress(ConnectionError):
        async for message in tunnel:
            if message.type is WSMsgType.TEXT:
                await tunnel.send_str(message.data)
    return tunnel


# -- requests and their outcomes ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Loss:
    """A request whose response did not come, or not whole. `port` is the client's; 0: it got no connection."""

    kind: str
    port: int
    why: str


@dataclass(slots=True)
class LoadState:
    """Counts by kind, and by class of status ("2xx"). Every request that ended is in `responded`, `left` or `lost`."""

    sent: Counter[str] = field(default_factory=Counter)
    responded: Counter[str] = field(default_factory=Counter)
    left: int = 0
    lost: list[Loss] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """Responses that are not what the upstream sent."""
    ends: deque[tuple[float, int]] = field(default_factory=deque)
    """The times and client ports at which requests ended, for the last seconds."""
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def under_way(self) -> int:
        return self.sent.total() - self.responded.total() - self.left - len(self.lost)

    def end(self, port: int) -> None:
        now = time.monotonic()
        self.ends.append((now, port))
        while self.ends[0][0] < now - REMEMBER_S:
            self.ends.popleft()


_Story = Callable[["Load", Line], Coroutine[None, None, int]]
"""Sends one request and reads the response to its end; returns the status, or 0 if the client left on purpose."""


class Load:
    """All clients of one run, at a proxy that listens on `port`."""

    def __init__(self, port: int) -> None:
        self.state = LoadState()
        self._port = port

    async def run(self, scale: float) -> None:
        """Send until `state.stop` is set, and requests under way have ended. `scale` divides the pauses."""
        plan: list[tuple[str, _Story, int, float]] = [
            ("get", _get, 6, 0.1),
            ("post", _post, 4, 0.2),
            ("upload", _upload, 1, 1.0),
            ("events", _events, 4, 0.5),
            ("slow", _slow, 4, 0.5),
            ("leaving", _leaving, 1, 0.3),
        ]
        async with asyncio.TaskGroup() as group:
            for kind, story, clients, pause_s in plan:
                for _ in range(clients):
                    group.create_task(self._client(kind, story, pause_s / scale))
            for _ in range(3):
                group.create_task(self._websockets(0.5 / scale))

    async def _client(self, kind: str, story: _Story, pause_s: float) -> None:
        line: Line | None = None
        while not self.state.stop.is_set():
            await asyncio.sleep(random.uniform(0.5, 1.5) * pause_s)
            if line is None or line.is_over or random.random() < 0.1:
                if line is not None:
                    line.close()
                line = await self._connect(kind)
            if line is not None:
                line = await self._ask(kind, story, line)
        if line is not None:
            line.close()

    async def _connect(self, kind: str) -> Line | None:
        try:
            return await Line.to(self._port)
        except OSError as error:
            self.state.sent[kind] += 1
            self.state.lost.append(Loss(kind, 0, repr(error)))
            return None

    async def _ask(self, kind: str, story: _Story, line: Line) -> Line | None:
        """Send one request; return the connection, if it can be used again."""
        self.state.sent[kind] += 1
        try:
            async with asyncio.timeout(60):
                status = await story(self, line)
        except FAILURES as error:
            self.state.lost.append(Loss(kind, line.port, repr(error)))
            line.close()
            return None
        self.state.end(line.port)
        if not status:
            self.state.left += 1
            line.close(reset=random.random() < 0.5)
            return None
        self.state.responded[f"{status // 100}xx"] += 1
        return line

    async def _websockets(self, pause_s: float) -> None:
        async with ClientSession() as session:
            while not self.state.stop.is_set():
                await asyncio.sleep(pause_s)
                await self._websocket(session)

    async def _websocket(self, session: ClientSession) -> None:
        port, heard = 0, list[str]()
        self.state.sent["websocket"] += 1
        try:
            async with session.ws_connect(f"http://127.0.0.1:{self._port}/api/live") as tunnel:
                port = (tunnel.get_extra_info("sockname") or (0, 0))[1]
                for number in range(_LINES):
                    await tunnel.send_str(str(number))
                    heard.append(await tunnel.receive_str(timeout=20))
                    self.expect(heard[-1] == str(number), f"websocket: {heard}")
                    await asyncio.sleep(_PAUSE_S)
        except Exception as error:  # aiohttp's, TypeError for a close frame, TimeoutError: each is a loss
            self.state.lost.append(Loss("websocket", port, f"{error!r} after {len(heard)} echoes"))
            return
        self.state.end(port)
        self.state.responded["1xx"] += 1

    def expect(self, is_right: bool, what: str) -> None:
        if not is_right:
            self.state.wrong.append(what)


def _user() -> str:
    """Return a random caller, as a header line."""
    return f"X-User-Id: user-{random.randrange(200)}\r\n"


async def _get(load: Load, line: Line) -> int:
    path = f"/api/orders/{random.randrange(1000)}"
    await line.ask("GET", path, _user())
    status, fields = await line.head()
    body = await line.body(fields)
    load.expect(status != 200 or json.loads(body) == {"path": path}, f"GET {path}: {body!r}")
    return status


async def _post(load: Load, line: Line) -> int:
    await line.ask("POST", "/api/orders", _user(), b"x" * 10_000)
    return await _received(load, line, 10_000)


async def _upload(load: Load, line: Line) -> int:
    """Send 1 MB in chunks, as fast as the connection takes them."""
    await line.ask("PUT", "/api/files/1", _user() + "Transfer-Encoding: chunked\r\n")
    for _ in range(16):
        line.writer.write(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
        await line.writer.drain()
    line.writer.write(b"0\r\n\r\n")
    return await _received(load, line, 16 * 65_536)


async def _received(load: Load, line: Line, sent: int) -> int:
    status, fields = await line.head()
    body = await line.body(fields)
    load.expect(status != 200 or json.loads(body) == {"received": sent}, f"sent {sent}: {body!r}")
    return status


async def _events(load: Load, line: Line) -> int:
    await line.ask("GET", "/api/events", _user())
    status, fields = await line.head()
    body = await line.body(fields)
    load.expect(status != 200 or body.count(b"data: ") == _LINES, f"events: {len(body)} bytes")
    return status


async def _slow(load: Load, line: Line) -> int:
    """Send the head in pieces over half a second, and read the response over one second."""
    for piece in (b"GET /api/b", b"ig HTTP/1.1\r\nHo", b"st: soak\r\nX-User-Id: user-7\r\n", b"\r\n"):
        line.writer.write(piece)
        await asyncio.sleep(0.12)
    status, fields = await line.head()
    body = await line.body(fields, 0.1)
    load.expect(status != 200 or body == _BIG, f"big: {len(body)} bytes")
    return status


async def _leaving(load: Load, line: Line) -> int:
    await line.ask("GET", "/api/events", _user())
    await line.head()
    return 0
