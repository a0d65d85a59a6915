# Compiled with mypyc: see docs/hot-path.md.
"""Copies for shadows and recordings: a request and the response that its client got, kept while they stream.

Nothing here is waited for. Control grants the number of captures of a route (`CaptureGrants`), and the bytes of a
recording (`RecordingWanted`). Without credit, and so without control, a request that would get a shadow costs a lookup
and a count. Captures that are too large, or too many at once, are dropped and counted. A request that gets a shadow and
is recorded has one capture, which is sent once. A request with neither has `NO_CAPTURE`, which keeps nothing.
"""

import time

from strangler.core.result import Result
from strangler.core.routing.plan import Plan
from strangler.http1.body import Body
from strangler.http1.request import Request
from strangler.http1.response import ResponseHead
from strangler.ipc.messages import Captured, CaptureGrant, RecordingCredit, RecordingWanted, recorded_bytes
from strangler.ipc.metrics import Metrics
from strangler.worker.control_link import NO_LINK, ControlLink
from strangler.worker.recorder import Recorder
from strangler.worker.shadow_credits import AWAY, CaptureCredit, ShadowCredits

MAX_BODY_BYTES = 16 * 1024 * 1024
"""The limit of one body, whatever `max_body` is: larger bodies are not compared, and a frame has its limit."""

MAX_HELD_BYTES = 32 * 1024 * 1024
"""The limit of all unfinished captures of a worker."""

_BATCH = 8
"""The captures sent together: a write to the link, and waking control, cost more than a capture."""

_BATCH_BYTES = 64 * 1024

_SHADOW = b"x-strangler-shadow"


class Captures:
    """All captures of a worker: how many are wanted, how many bytes they hold, and which are finished."""

    def __init__(self, metrics: Metrics, link: ControlLink = NO_LINK, max_held_bytes: int = MAX_HELD_BYTES) -> None:
        self.held_bytes = 0
        self._link = link
        self.max_held_bytes = max_held_bytes
        self._numbers = metrics
        self._credits = ShadowCredits(metrics)
        self.recorder: Recorder | None = None
        """The recording under way."""
        self._finished: list[tuple[CaptureCredit | None, Recorder | None, Captured]] = []
        """The captures to send to control next."""
        self._finished_bytes = 0

    def set_credits(self, grants: list[CaptureGrant]) -> None:
        """Adopt the credits that control grants now."""
        self._credits.adopt(grants)

    def close_credits(self) -> None:
        """Drop all credits, and the recording, since control is gone."""
        self._credits.close()
        self.recorder = None

    def record(self, wanted: RecordingWanted) -> None:
        """Begin a recording, in place of any other."""
        self.recorder = Recorder(wanted, self._numbers)

    def allow(self, credit: RecordingCredit) -> None:
        """Adopt the credit of the recording, unless that is another one by now."""
        if self.recorder is not None and self.recorder.number == credit.number:
            self.recorder.allow(credit.credit_bytes)

    def end_recording(self) -> None:
        """Record nothing any more, finished captures included."""
        self.recorder = None

    def begin(self, plan: Plan, request: Request, *, is_from_trusted: bool) -> "Capture":
        """Return a new capture for a request that is planned to get a shadow, or that is recorded, with the credit.

        `is_from_trusted`: it comes from a trusted proxy, which may mark it as a shadow of its own.
        """
        credit = self._shadow_credit(plan, request, is_from_trusted) if plan.shadow else None
        recorder = self.recorder
        caller: bytes | None = None
        if recorder is not None and not (is_from_trusted and _SHADOW in request.fields):
            caller = recorder.caller(plan, request)
            if caller is not None and recorder.left_bytes <= 0:
                recorder.count_dropped("credit")
                caller = None
        if caller is None:
            recorder = None
        if credit is None and recorder is None:
            return NO_CAPTURE
        route = "" if plan.route is None else plan.route.name
        capture = Capture(self, route, credit, recorder, _max_bytes(plan, credit, recorder), caller or b"")
        if request.body is not None:
            request.body.observe(capture.copy_request())
        return capture

    def _shadow_credit(self, plan: Plan, request: Request, is_from_trusted: bool) -> CaptureCredit | None:
        """Take the credit for a shadow; None if there is none, or no shadow is made of this request."""
        route = plan.route
        if route is None:
            return None
        credit = self._credits.of(route.name)
        if credit.left <= 0:  # the usual end under load: 0.3 µs
            credit.dropped.inc()
            return None
        if route.settings.shadow is None or (is_from_trusted and _SHADOW in request.fields):
            return None  # another proxy's shadow: its response is compared there
        credit.left -= 1
        return credit

    def offer(self, credit: CaptureCredit | None, recorder: Recorder | None, message: Captured) -> None:
        """Send a finished capture to control soon; at once if control may be waiting for just this one."""
        self._finished.append((credit, recorder, message))
        self._finished_bytes += len(message.body) + len(message.response.body)
        is_last = credit is not None and credit.left <= 0
        if is_last or len(self._finished) >= _BATCH or self._finished_bytes >= _BATCH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Send the finished captures, as far as the link has room; called many times a second."""
        finished, self._finished, self._finished_bytes = self._finished, [], 0
        for credit, recorder, message in finished:
            if not self._link.offer(message):
                if recorder is not None:
                    recorder.spend(-recorded_bytes(message))
                self.give_up(credit, recorder, AWAY)

    def give_up(self, credit: CaptureCredit | None, recorder: Recorder | None, reason: str) -> None:
        """Count a capture that is not sent to control, and free its credit."""
        if recorder is not None:
            recorder.count_dropped(reason)
        if credit is not None:
            self._credits.give_back(credit, reason)

    def credit(self, route: str) -> CaptureCredit:
        """Return the credit of a route."""
        return self._credits.of(route)


def _max_bytes(plan: Plan, credit: CaptureCredit | None, recorder: Recorder | None) -> int:
    """Return the bytes of a body that are kept: the larger limit of the shadow and the recording."""
    found = 0 if recorder is None else recorder.max_body_bytes
    if credit is not None and plan.route is not None and plan.route.settings.shadow is not None:
        found = max(found, plan.route.settings.shadow.max_body_bytes)
    return min(found, MAX_BODY_BYTES)


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
            capture.let_go(self)
        if not self.is_too_large and capture.reserve_bytes(len(data)):
            self.parts.append(data)

    def content(self) -> bytes:
        return self.parts[0] if len(self.parts) == 1 else b"".join(self.parts)


_NO_BODY = Copy(None)
"""The body of all requests and responses without one. Nothing is ever fed to it."""


class Capture:
    """The copy of one request and of its response, for a shadow, a recording, or both. Owned by its `Call`."""

    __slots__ = (
        "_captures",
        "_credit",
        "_held_bytes",
        "_recorder",
        "at",
        "caller",
        "failed",
        "is_forgotten",
        "is_over",
        "is_streaming",
        "max_bytes",
        "request",
        "response",
        "route",
    )  # fmt: skip

    def __init__(
        self,
        captures: Captures,
        route: str,
        credit: CaptureCredit | None,
        recorder: Recorder | None,
        max_bytes: int,
        caller: bytes = b"",
    ) -> None:
        self._captures = captures
        self._credit = credit
        self._recorder = recorder
        self.route = route
        self.caller = caller
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
        """Keep what follows the head of the client's response, unless it is a stream. An upgrade is not recorded."""
        if response.status == 101:
            self._recorder = None
            self.is_streaming = True
            self.forget()
        elif response.has_stream_type:
            self.is_streaming = True
            self._measure(payload, body)
        elif body is not None:
            body.observe(self.copy_response())
        elif payload:
            self.copy_response().feed(payload)

    def _measure(self, payload: bytes, body: Body | None) -> None:
        """Keep nothing of a stream; a recording has its length."""
        if self._recorder is None:
            self.forget()
            return
        copy = self.copy_response()
        copy.is_too_large = True
        if body is not None:
            body.observe(copy)
        else:
            copy.feed(payload)

    def note_failure(self, result: Result) -> None:
        """Note the candidate's result, before legacy is tried."""
        self.failed = result

    @property
    def is_for_shadow(self) -> bool:
        return self._credit is not None

    def claim_recording(self) -> int:
        """Return the number of the recording that it is for; 0 if there is none, or no credit is left of it."""
        recorder = self._current_recorder()
        if recorder is None:
            return 0
        if recorder.left_bytes <= 0:
            recorder.count_dropped("credit")
            self._recorder = None
            return 0
        return recorder.number

    def _current_recorder(self) -> Recorder | None:
        """Return its recorder, unless that recording is over."""
        return self._recorder if self._recorder is self._captures.recorder else None

    def finish(self, message: Captured) -> None:
        """End the capture and send control `message`, which was made of it, if it is still wanted."""
        self._end()
        recorder = self._recorder if message.recording else None
        if recorder is not None:
            recorder.spend(recorded_bytes(message))
        if recorder is not None or self._credit is not None:
            self._captures.offer(self._credit, recorder, message)

    def leave_recording(self) -> None:
        """Make no recording of it: it shows what the proxy refused."""
        self._recorder = None

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

    def let_go(self, copy: Copy) -> None:
        """Drop a body that is too large; without a recording, which has each body by itself, the other one, too."""
        if self._recorder is None:
            self.forget()
            return
        size = sum(map(len, copy.parts))
        copy.parts.clear()
        self._held_bytes -= size
        self._captures.held_bytes -= size

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
        self._captures.give_up(self._credit, self._current_recorder(), reason)


class _NoCapture(Capture):
    """The null object for a request without a capture."""

    __slots__ = ()

    def __init__(self) -> None:
        self.is_over = True

    def watch(self, response: ResponseHead, payload: bytes, body: Body | None) -> None:
        pass

    def note_failure(self, result: Result) -> None:
        pass

    def leave_recording(self) -> None:
        pass

    def abandon(self) -> None:
        pass


NO_CAPTURE: Capture = _NoCapture()
