# Compiled with mypyc: see docs/hot-path.md.
"""Copies for shadows and recordings: a request and the response that its client got, kept while they stream.

Nothing here is waited for. Without credit, and so without control, a request that would get a shadow costs a lookup
and a count. A request that gets a shadow and is recorded has one capture, which is sent once. A request with neither
has `NO_CAPTURE`, which keeps nothing.
"""

import time

from strangler.core.result import Result
from strangler.http1.body import Body
from strangler.http1.response import ResponseHead
from strangler.ipc.messages import Captured, recorded_bytes
from strangler.worker.captures import Captures
from strangler.worker.recorder import Recorder
from strangler.worker.shadow_credits import CaptureCredit


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
