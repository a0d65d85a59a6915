"""The API about recordings: the response is the recording, while it goes on."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import Final, Protocol

from aiohttp import web

from strangler.control.recording.live_recording import LiveRecording
from strangler.control.recording.recording_keeper import RecordingKeeper, RecordingRefusedError
from strangler.control.responses import named, problem, read_body
from strangler.core.documents import RecordingRequest

STALL_S: Final = 30.0
"""How long a client may take nothing before its connection is cut."""
_FIELDS: Final = {"Content-Type": "application/x-ndjson", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class Control(Protocol):
    """The parts of control that are needed here."""

    @property
    def recordings(self) -> RecordingKeeper: ...
    async def audit(self, actor: str, what: str, route: str, why: str, detail: str) -> None: ...


class RecordingsApi:
    """The handler of `/api/recordings`. `of` returns the state of control behind a request."""

    def __init__(self, of: Callable[[web.Request], Control], stall_s: float = STALL_S) -> None:
        self._of = of
        self._stall_s = stall_s

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/api/recordings", self.record)]

    async def record(self, request: web.Request) -> web.StreamResponse:
        """Record until the time or the size is reached, or the client goes away."""
        wanted = await read_body(request, RecordingRequest)
        if isinstance(wanted, web.Response):
            return wanted
        control, actor = self._of(request), named(request, wanted.who)
        try:
            recording = control.recordings.begin(wanted, actor)
        except RecordingRefusedError as error:
            return problem(error.status, str(error))
        response = web.StreamResponse(headers=_FIELDS)
        why = "the client left"
        try:
            await control.audit(actor, "record", "", "", _begin_text(wanted))
            await response.prepare(request)
            await self._send(response, control.recordings, recording)
            why = recording.ended or why
        except TimeoutError:
            why = "the client took nothing"
            _cut(request)
        except ConnectionError:
            pass
        finally:
            control.recordings.end(recording)
            await control.audit(actor, "record ended", "", "", _end_text(recording, why))
        return response

    async def _send(self, response: web.StreamResponse, keeper: RecordingKeeper, recording: LiveRecording) -> None:
        """Send the text. Raises ConnectionError, and TimeoutError if the client takes nothing."""
        async with aclosing(keeper.text(recording)) as text:
            async for chunk in text:
                async with asyncio.timeout(self._stall_s):
                    await response.write(chunk)


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


def _begin_text(wanted: RecordingRequest) -> str:
    routes = "all" if wanted.all else ", ".join(wanted.routes)
    redacted = "redacted" if wanted.redact else "not redacted"
    return f"{routes}; {wanted.share:g} % of the callers; {redacted}"


def _end_text(recording: LiveRecording, why: str) -> str:
    dropped = ", ".join(f"{reason} {count}" for reason, count in recording.dropped().items()) or "none"
    return f"{recording.pairs} pairs, {recording.bytes} bytes, dropped: {dropped}; ended: {why}"
