# Compiled with mypyc: see docs/hot-path.md.
"""Copies for shadows: a request and the response that its client got, kept while they stream.

Nothing here is waited for. Control grants the number of captures of a route (`CaptureGrants`). Without credit, and so
without control, a request that would get a shadow costs a lookup and a count. Captures that are too large, or too many
at once, are dropped and counted. A request without a shadow has `NO_CAPTURE`, which keeps nothing.
"""

import time

from strangler.core.result import Result
from strangler.core.routing.route import Route
from strangler.http1.body import Body
from strangler.http1.request import Request
from strangler.http1.response import ResponseHead
from strangler.ipc.messages import Captured, CaptureGrant
from strangler.ipc.metrics import Counter, Metrics
from strangler.worker.control_link import NO_LINK, ControlLink

MAX_BODY_BYTES = 16 * 1024 * 1024
"""The limit of one body, whatever `max_body` is: larger bodies are not compared, and a frame has its limit."""

MAX_HELD_BYTES = 32 * 1024 * 1024
"""The limit of all unfinished captures of a worker."""

_BATCH = 8
"""The captures sent together: a write to the link, and waking control, cost more than a capture."""

_BATCH_BYTES = 64 * 1024

_AWAY = "link"
_SHADOW = b"x-strangler-shadow"


class CaptureCredit:
    """The number of further captures of a route that control takes, and the counter of those beyond."""

    __slots__ = ("dropped", "left", "route")

    def __init__(self, route: str, dropped: Counter) -> None:
        self.route = route
        self.left = 0
        self.dropped = dropped


class Captures:
    """All captures of a worker: how many are wanted, how many bytes they hold, and which are finished."""

    def __init__(self, metrics: Metrics, link: ControlLink = NO_LINK, max_held_bytes: int = MAX_HELD_BYTES) -> None:
        self.held_bytes = 0
        self._link = link
        self.max_held_bytes = max_held_bytes
        self._numbers = metrics
        self._credits: dict[str, CaptureCredit] = {}
        self._finished: list[tuple[CaptureCredit, Captured]] = []
        """The captures to send to control next."""
        self._finished_bytes = 0

    def set_credits(self, grants: list[CaptureGrant]) -> None:
        """Adopt the credits that control grants now."""
        for grant in grants:
            credit = self.credit(grant.route)
            credit.left = grant.captures
            credit.dropped = self._dropped(grant.route, grant.reason)

    def close_credits(self) -> None:
        """Drop all credits, since control is gone. Captures under way give theirs back to dropped objects."""
        self._credits = {}

    def begin(self, route: Route | None, request: Request, *, is_from_trusted: bool) -> "Capture":
        """Return a new capture for a request that is planned to get a shadow, if there is credit for it.

        `is_from_trusted`: it comes from a trusted proxy, which may mark it as a shadow of its own.
        """
        if route is None:
            return NO_CAPTURE
        credit = self._credits.get(route.name) or self.credit(route.name)
        if credit.left <= 0:  # the usual end under load: 0.3 µs
            credit.dropped.inc()
            return NO_CAPTURE
        if route.settings.shadow is None or (is_from_trusted and _SHADOW in request.fields):
            return NO_CAPTURE  # another proxy's shadow: its response is compared there
        credit.left -= 1
        capture = Capture(self, credit, min(route.settings.shadow.max_body_bytes, MAX_BODY_BYTES))
        if request.body is not None:
            request.body.observe(capture.copy_request())
        return capture

    def offer(self, credit: CaptureCredit, message: Captured) -> None:
        """Send a finished capture to control soon; at once if control may be waiting for just this one."""
        self._finished.append((credit, message))
        self._finished_bytes += len(message.body) + len(message.response.body)
        if credit.left <= 0 or len(self._finished) >= _BATCH or self._finished_bytes >= _BATCH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Send the finished captures, as far as the link has room; called many times a second."""
        finished, self._finished, self._finished_bytes = self._finished, [], 0
        for credit, message in finished:
            if not self._link.offer(message):
                self.give_up(credit, _AWAY)

    def give_up(self, credit: CaptureCredit, reason: str) -> None:
        """Count a capture that is not sent to control, and free its credit."""
        credit.left += 1
        self._dropped(credit.route, reason).inc()

    def credit(self, route: str) -> CaptureCredit:
        """Return the credit of a route; it is 0 until control grants some."""
        credit = self._credits.get(route)
        if credit is None:
            credit = self._credits[route] = CaptureCredit(route, self._dropped(route, _AWAY))
        return credit

    def _dropped(self, route: str, reason: str) -> Counter:
        return self._numbers.counter("strangler_shadow_dropped_total", route, reason)


class Copy:
    """One body as far as it is kept; a `Tee` of a `Body`. It refers to its capture only until that is over: otherwise
    the two would be a cycle, which a worker hardly ever collects."""

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
        if capture.reserve_bytes(len(data)):
            self.parts.append(data)

    def content(self) -> bytes:
        return self.parts[0] if len(self.parts) == 1 else b"".join(self.parts)


_NO_BODY = Copy(None)
"""The body of all requests and responses without one. Nothing is ever fed to it."""


class Capture:
    """The copy of one request and of its response. Owned by its `Call`."""

    __slots__ = (
        "_captures",
        "_credit",
        "_held_bytes",
        "at",
        "failed",
        "is_forgotten",
        "is_over",
        "is_streaming",
        "max_bytes",
        "request",
        "response",
    )  # fmt: skip

    def __init__(self, captures: Captures, credit: CaptureCredit, max_bytes: int) -> None:
        self._captures = captures
        self._credit = credit
        self.at = time.time()
        self._held_bytes = 0
        self.max_bytes = max_bytes
        self.request = _NO_BODY
        self.response = _NO_BODY
        self.is_streaming = False
        self.failed: Result | None = None
        """The candidate's failure, if legacy responded instead."""
        self.is_forgotten = False
        """True once its bytes are dropped; none are kept any more."""
        self.is_over = False
        """True once it is sent to control, or given up."""

    def copy_request(self) -> Copy:
        """Return a copy to be fed with the request's body."""
        self.request = copy = Copy(self)
        return copy

    def copy_response(self) -> Copy:
        """Return a copy to be fed with the response's body."""
        self.response = copy = Copy(self)
        return copy

    def watch(self, response: ResponseHead, payload: bytes, body: Body | None) -> None:
        """Keep what follows the head of the client's response, unless it is a stream."""
        if response.status == 101 or response.has_stream_type:
            self.is_streaming = True
            self.forget()
        elif body is not None:
            body.observe(self.copy_response())
        elif payload:
            self.copy_response().feed(payload)

    def note_failure(self, result: Result) -> None:
        """Note the candidate's result, before legacy is tried."""
        self.failed = result

    def finish(self, message: Captured) -> None:
        """End the capture and send control `message`, which was made of it."""
        self._end()
        self._captures.offer(self._credit, message)

    def abandon(self) -> None:
        """End a capture that was not finished: its client did not get a whole response."""
        if not self.is_over:
            self._give_up("unfinished")

    def reserve_bytes(self, size: int) -> bool:
        """Reserve `size` more bytes; False if they are not to be kept. The worker's limit ends the capture."""
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
        """Drop all bytes, and keep none from now on."""
        self.is_forgotten = True
        self.request.parts.clear()
        self.response.parts.clear()
        self._captures.held_bytes -= self._held_bytes
        self._held_bytes = 0

    def _end(self) -> None:
        self.is_over = True
        self.forget()
        self.request.capture = self.response.capture = None

    def _give_up(self, reason: str) -> None:
        self._end()
        self._captures.give_up(self._credit, reason)

    @property
    def route(self) -> str:
        """The name of the request's route."""
        return self._credit.route


class _NoCapture(Capture):
    """The null object for a request without a capture."""

    __slots__ = ()

    def __init__(self) -> None:
        self.is_over = True

    def watch(self, response: ResponseHead, payload: bytes, body: Body | None) -> None:
        pass

    def note_failure(self, result: Result) -> None:
        pass

    def abandon(self) -> None:
        pass


NO_CAPTURE: Capture = _NoCapture()
