# Compiled with mypyc: see docs/hot-path.md.
"""The captures of a worker: the credit that control grants, the bytes that they hold, and the way of finished ones.

Control grants the number of captures of a route (`CaptureGrants`), and the bytes of a recording (`RecordingWanted`).
Captures that are too large, or too many at once, are dropped and counted.
"""

from strangler.ipc.messages import Captured, CaptureGrant, RecordingCredit, RecordingWanted, recorded_bytes
from strangler.ipc.metrics import Metrics
from strangler.worker.control_link import NO_LINK, ControlLink
from strangler.worker.recorder import Recorder
from strangler.worker.shadow_credits import AWAY, CaptureCredit, ShadowCredits

MAX_HELD_BYTES = 32 * 1024 * 1024
"""The limit of all unfinished captures of a worker."""

_BATCH = 8
"""The captures sent together: a write to the link, and waking control, cost more than a capture."""

_BATCH_BYTES = 64 * 1024


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
        """Record no further request, nor those under way; what is finished is still sent."""
        self.recorder = None

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
