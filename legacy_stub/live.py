"""The live channels of the shop: server-sent events and a websocket."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from aiohttp import WSMsgType, web

_BACKLOG = 100
_TICK_S = 1.0

Notices = asyncio.Queue[str | None]


class NoticeBoard:
    """Passes each notice to all present listeners. A listener that falls behind loses notices."""

    def __init__(self) -> None:
        self._listeners: set[Notices] = set()

    @contextmanager
    def listening(self) -> Iterator[Notices]:
        """Yield a queue of notices; None means that the shop is closing."""
        notices: Notices = asyncio.Queue(_BACKLOG)
        self._listeners.add(notices)
        try:
            yield notices
        finally:
            self._listeners.discard(notices)

    def post(self, notice: str | None) -> None:
        for notices in self._listeners:
            with suppress(asyncio.QueueFull):
                notices.put_nowait(notice)


class Live:
    def __init__(self, board: NoticeBoard) -> None:
        self._board = board

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/events", self.events), web.get("/ws", self.websocket)]

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Stream notices as they come, and a tick for each second without a notice. `?limit=3` ends after 3 events."""
        try:
            limit = int(request.query["limit"]) if "limit" in request.query else None
        except ValueError:
            raise web.HTTPBadRequest(reason="limit is a number") from None
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        with self._board.listening() as notices:
            await response.prepare(request)
            sent = 0
            while sent != limit:
                event, text = await _next_event(notices)
                if text is None:
                    break
                sent += 1
                await response.write(f"id: {sent}\nevent: {event}\ndata: {text}\n\n".encode())
        return response

    async def websocket(self, request: web.Request) -> web.WebSocketResponse:
        """Echo what comes, and send notices in between."""
        socket = web.WebSocketResponse(heartbeat=30)
        await socket.prepare(request)
        with self._board.listening() as notices:
            telling = asyncio.create_task(_publish(socket, notices))
            try:
                await _echo(socket)
            finally:
                telling.cancel()
                await asyncio.wait([telling])
        return socket


async def _next_event(notices: Notices) -> tuple[str, str | None]:
    try:
        return "notice", await asyncio.wait_for(notices.get(), _TICK_S)
    except TimeoutError:
        return "tick", "the shop is open"


async def _publish(socket: web.WebSocketResponse, notices: Notices) -> None:
    with suppress(ConnectionError):
        while (notice := await notices.get()) is not None:
            await socket.send_str(f"notice: {notice}")
        await socket.close(code=1001, message=b"the shop is closing")


async def _echo(socket: web.WebSocketResponse) -> None:
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            await socket.send_str(f"echo: {message.data}")
        elif message.type is WSMsgType.BINARY:
            await socket.send_bytes(message.data)
