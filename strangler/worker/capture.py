"""Copies for shadows: a request and the answer that its client got, kept while they stream, told once it is over.

Nothing here is waited for. Control says how many captures of a route it can use (`ShadowRooms`); without room a request
that would get a shadow costs a lookup and a count, and without control there is no room. What is too large, or too much
at once, is dropped and counted.
"""

import time
from typing import TYPE_CHECKING, Protocol

from strangler.core.aggregate import Joined
from strangler.core.result import Result
from strangler.wire.body import Body
from strangler.wire.messages import CandidateFailed, Captured, CapturedAnswer, ShadowRoom
from strangler.wire.numbers import Counter, Numbers
from strangler.wire.response import Answer

if TYPE_CHECKING:
    from strangler.worker.attempt import Attempt
    from strangler.worker.call import Call

MAX_BODY_BYTES = 16 * 1024 * 1024
"""Of one body, whatever `max_body` says: beyond it nothing is compared anyway, and a frame has its limit."""

MAX_HELD_BYTES = 32 * 1024 * 1024
"""Of all captures of a worker that are under way."""

_BATCH = 8
"""Captures that are told at once: a write to the link, and waking control, cost more than making one."""

_BATCH_BYTES = 64 * 1024

_AWAY = "link"
_SHADOW = b"x-strangler-shadow"


class Link(Protocol):
    """Takes a message if that needs no waiting; else it is lost, and that is told."""

    def offer(self, message: Captured) -> bool: ...


class Room:
    """How many more captures of a route control takes, and where those beyond are counted."""

    __slots__ = ("dropped", "left", "route")

    def __init__(self, route: str, dropped: Counter) -> None:
        self.route = route
        self.left = 0
        self.dropped = dropped


class Captures:
    """All captures of a worker: how many are wanted, how many bytes they hold, and what becomes of them."""

    def __init__(self, numbers: Numbers, max_held_bytes: int = MAX_HELD_BYTES) -> None:
        self.held_bytes = 0
        self.link: Link | None = None
        self.max_held_bytes = max_held_bytes
        self._numbers = numbers
        self._rooms: dict[str, Room] = {}
        self._finished: list[tuple[Room, Captured]] = []
        """What control is to be told next."""
        self._finished_bytes = 0

    def set_rooms(self, rooms: list[ShadowRoom]) -> None:
        """What control says now."""
        for told in rooms:
            room = self.room(told.route)
            room.left = told.room
            room.dropped = self._dropped(told.route, told.reason)

    def close_rooms(self) -> None:
        """Control is gone. What was begun gives its place back to a room that nobody asks any more."""
        self._rooms = {}

    def begin(self, call: "Call") -> "Capture | None":
        """The plan says that the request gets a shadow: keep a copy of what comes. None: there is no room for it."""
        route = call.plan.route
        if route is None:
            return None
        room = self._rooms.get(route.name) or self.room(route.name)
        if room.left <= 0:  # under load this is how most end: 0.3 µs
            room.dropped.inc()
            return None
        if route.settings.shadow is None or (_SHADOW in call.fields and call.client.forwarded.is_trusted):
            return None  # a shadow of another proxy's: its answer is compared there
        room.left -= 1
        capture = Capture(self, room, min(route.settings.shadow.max_body_bytes, MAX_BODY_BYTES))
        if call.body is not None:
            call.body.observe(capture.copy_request())
        return capture

    def offer(self, room: Room, message: Captured) -> None:
        """A capture is finished: tell control soon, at once if it may wait for just this one."""
        self._finished.append((room, message))
        self._finished_bytes += len(message.body) + len(message.answer.body)
        if room.left <= 0 or len(self._finished) >= _BATCH or self._finished_bytes >= _BATCH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Hand what is finished to the link, as far as that has room; called many times a second."""
        finished, self._finished, self._finished_bytes = self._finished, [], 0
        for room, message in finished:
            if self.link is None or not self.link.offer(message):
                self.give_up(room, _AWAY)

    def give_up(self, room: Room, reason: str) -> None:
        """Control will not hear of one: its place is free again."""
        room.left += 1
        self._dropped(room.route, reason).inc()

    def room(self, route: str) -> Room:
        """What is known of a route; nothing is wanted before control says so."""
        room = self._rooms.get(route)
        if room is None:
            room = self._rooms[route] = Room(route, self._dropped(route, _AWAY))
        return room

    def _dropped(self, route: str, reason: str) -> Counter:
        return self._numbers.counter("strangler_shadow_dropped_total", route, reason)


class Copy:
    """One body as far as it is kept; a `Tee` of a `Body`. It knows its capture until that is over, and not longer: the
    two would be a cycle, which a worker collects seldom."""

    __slots__ = ("capture", "is_too_large", "parts", "size")

    def __init__(self, capture: "Capture | None") -> None:
        self.capture = capture
        self.parts: list[bytes] = []
        self.size = 0
        self.is_too_large = False

    def feed(self, data: bytes) -> None:
        capture = self.capture
        if capture is None:
            return
        self.size += len(data)
        if self.size > capture.max_bytes:
            self.is_too_large = True
            capture.forget()
        if capture.holds(len(data)):
            self.parts.append(data)

    def content(self) -> bytes:
        return self.parts[0] if len(self.parts) == 1 else b"".join(self.parts)


_NO_BODY = Copy(None)
"""Of all requests and answers without a body. Nothing is ever fed to it."""


class Capture:
    """The copy of one request and of its answer. Owned by its `Call`."""

    __slots__ = (
        "_at", "_captures", "_held_bytes", "_room", "answer", "failed", "is_forgotten", "is_over", "is_streaming",
        "max_bytes", "request",
    )  # fmt: skip

    def __init__(self, captures: Captures, room: Room, max_bytes: int) -> None:
        self._captures = captures
        self._room = room
        self._at = time.time()
        self._held_bytes = 0
        self.max_bytes = max_bytes
        self.request = _NO_BODY
        self.answer = _NO_BODY
        self.is_streaming = False
        self.failed: Result | None = None
        """What the candidate did, if legacy answered in its place."""
        self.is_forgotten = False
        """Its bytes are gone, and none is kept any more."""
        self.is_over = False
        """Told, or given up."""

    def copy_request(self) -> Copy:
        """For the body of the request."""
        self.request = copy = Copy(self)
        return copy

    def copy_answer(self) -> Copy:
        """For the body of the answer."""
        self.answer = copy = Copy(self)
        return copy

    def watch(self, answer: Answer, payload: bytes, body: Body | None) -> None:
        """The head of the answer that the client gets has come: keep what follows, unless it is a stream."""
        if answer.status == 101 or answer.has_stream_type:
            self.is_streaming = True
            self.forget()
        elif body is not None:
            body.observe(self.copy_answer())
        elif payload:
            self.copy_answer().feed(payload)

    def tell(self, call: "Call", attempt: "Attempt") -> None:
        """The client has its last byte."""
        if self.is_over:
            return
        answer = attempt.answer
        copy = self.answer
        self._offer(
            call,
            str(attempt.endpoint.key.url),
            CapturedAnswer(  # by position: by name it takes twice as long
                0 if answer is None else answer.status,
                b"" if answer is None else answer.raw,
                copy.content(),
                None,
                attempt.result.duration_s,
                copy.size,
                copy.is_too_large,
                self.is_streaming,
            ),
        )

    def tell_joined(self, call: "Call", whole: Joined, duration_s: float) -> None:
        """The client has the answer that several gave together."""
        if self.is_over:
            return
        copy = self.copy_answer()
        if call.method != b"HEAD":
            copy.feed(whole.body)
        head = b"".join([b"%b: %b\r\n" % field for field in whole.fields])
        answer = CapturedAnswer(
            status=200,
            head=b"HTTP/1.1 200 OK\r\n%b\r\n" % head,
            body=copy.content(),
            fault=None,
            duration_s=duration_s,
            size=copy.size,
            is_too_large=copy.is_too_large,
            is_streaming=False,
        )
        if not self.is_over:  # else it was too much for this worker
            self._offer(call, "", answer)

    def tell_failed(self, call: "Call", result: Result) -> None:
        """No answer came; the client got a problem of our own."""
        if not self.is_over and result.fault is not None:
            answer = CapturedAnswer(0, b"", b"", result.fault.value, result.duration_s, 0, False, False)
            self._offer(call, "", answer)

    def abandon(self) -> None:
        """The request has ended. If nobody was told of it, its client did not get a whole answer."""
        if not self.is_over:
            self._give_up("unfinished")

    def holds(self, size: int) -> bool:
        """Whether so many bytes more are to be kept; what is too much for the worker ends this capture."""
        if self.is_forgotten:
            return False
        captures = self._captures
        if captures.held_bytes + size > captures.max_held_bytes:
            self._give_up("memory")
            return False
        self._held_bytes += size
        captures.held_bytes += size
        return True

    def forget(self) -> None:
        """Let go of all bytes, and keep none from now on."""
        self.is_forgotten = True
        self.request.parts.clear()
        self.answer.parts.clear()
        self._captures.held_bytes -= self._held_bytes
        self._held_bytes = 0

    def _end(self) -> None:
        self.is_over = True
        self.forget()
        self.request.capture = self.answer.capture = None

    def _give_up(self, reason: str) -> None:
        self._end()
        self._captures.give_up(self._room, reason)

    def _offer(self, call: "Call", url: str, answer: CapturedAnswer) -> None:
        request, failed = self.request, self.failed
        message = Captured(
            route=self._room.route,
            at=self._at,
            method=call.method,
            target=call.target,
            host=call.host_value,
            lines=_lines(call),
            body=request.content(),
            is_body_complete=call.body is None or (not self.is_forgotten and call.body.is_finished),
            request_id=call.trace.request_id,
            traceparent=call.trace.traceparent,
            arm=call.arm,
            upstream=call.upstream,
            url=url,
            answer=answer,
            failed=None if failed is None else _failed(failed),
            is_from_trusted=call.asker.forwarded.is_trusted,
        )
        self._end()
        self._captures.offer(self._room, message)


def _failed(result: Result) -> CandidateFailed:
    fault = result.fault
    return CandidateFailed(None if fault is None else fault.value, result.status, result.duration_s)


def _lines(call: "Call") -> bytes:
    """The header section as any upstream gets it, but for that upstream's own edits."""
    forwarded, section = call.client.forwarded, call.section
    dropped = forwarded.dropped | call.trace.dropped if call.trace.dropped else forwarded.dropped
    return b"%b%bVia: 1.%d strangler\r\n%b" % (
        section.lines(dropped),
        forwarded.lines(section.fields, call.host_value),
        0 if section.is_http10 else 1,
        call.trace.lines,
    )
