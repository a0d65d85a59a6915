"""The keeper of the recording that is under way: whether there may be one, what workers know of it, who reads it."""

import secrets
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from typing import Final, Protocol

from strangler import __version__
from strangler.config.edit import unknown_route
from strangler.control.own_metrics import OwnMetrics
from strangler.control.recording.captured_pairs import redactor_of
from strangler.control.recording.live_recording import LiveRecording
from strangler.control.reload import InForce
from strangler.control.totals import TotalsState
from strangler.core.documents import RecordingRequest, RecordingStatus
from strangler.core.settings import Settings
from strangler.ipc.messages import Captured, RecordingCredit, RecordingEnded, RecordingWanted, ToWorker
from strangler.recordings.recorded import Header
from strangler.recordings.redact_in_place import RecordingRedactor, key_id
from strangler.times import utc_now

_DROPPED: Final = "strangler_recording_dropped_total"
_HASHED: Final = (
    "`evidence: {values: hashed}` lets no value be kept, and a recording is made of values; to keep them all the same:"
    " `--no-redact` (`redact: false`)"
)
_MAX_NAME: Final = 100


class RecordingRefusedError(Exception):
    """There can be no such recording now; the message says why. `status` is that of the response."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Workers(Protocol):
    """The way to the workers that are connected."""

    @property
    def instances(self) -> list[str]: ...
    def send_to(self, instance: str, message: ToWorker) -> None: ...


class RecordingKeeper:
    """Owns the recording that is under way, if one is."""

    def __init__(
        self,
        workers: Workers,
        totals: TotalsState,
        own: OwnMetrics,
        settings: Settings,
        key: Callable[[], bytes | None],
    ) -> None:
        """`key`: the key of redaction, None until it can be read."""
        self._workers = workers
        self._totals = totals
        self._own = own
        self._settings = settings
        self._key = key
        self._current: LiveRecording | None = None

    # 1. Begin and end

    def begin(self, wanted: RecordingRequest, actor: str) -> LiveRecording:
        """Begin a recording, which goes on until `end`. Raises RecordingRefusedError."""
        key = self._checked(wanted)
        redactor = self._redactor(wanted, key)
        header = Header(
            made=utc_now(),
            by=f"strangler {__version__}",
            source="proxy",
            redacted=wanted.redact,
            key=key_id(key) if wanted.redact else None,
        )
        number = secrets.randbits(62) + 1
        self._current = recording = LiveRecording(number, wanted, actor, header, redactor, self._drops)
        for instance in self._workers.instances:
            self.joined(instance)
        return recording

    def end(self, recording: LiveRecording) -> None:
        """End a recording, of which nothing is wanted any more."""
        if self._current is recording:
            self._current = None
            self._end_capturing()

    def stop(self) -> None:
        """End the recording in good order, since this process ends."""
        if self._current is not None:
            self._current.stop("shutdown")

    def adopt(self, in_force: InForce) -> None:
        """Follow new settings: secrets by new rules are hashed from now on."""
        self._settings = in_force.settings
        current, key = self._current, self._key()
        if current is None or not current.wanted.redact or key is None:
            return
        if self._is_hashed:
            current.stop("settings")
        else:
            current.redactor = self._redactor(current.wanted, key)

    def status(self) -> RecordingStatus | None:
        return None if self._current is None else self._current.status()

    # 2. Workers

    def joined(self, instance: str) -> None:
        """Have a worker record, too."""
        current, key = self._current, self._key()
        if current is None or key is None:
            return
        wanted = current.wanted
        self._workers.send_to(
            instance,
            RecordingWanted(
                number=current.number,
                routes=None if wanted.all else wanted.routes,
                share=wanted.share / 100,
                key=_choosing_key(key, wanted.goes_on or current.header.made),
                max_body_bytes=wanted.max_body,
                credit_bytes=current.queue.join(instance),
            ),
        )

    def left(self, instance: str) -> None:
        """Forget a worker."""
        if self._current is not None:
            self._current.queue.leave(instance)

    def take(self, instance: str, captured: Captured) -> None:
        """Take a capture, if it is of the recording under way."""
        current = self._current
        if current is not None and captured.recording == current.number:
            current.queue.put(instance, captured)
            current.wake()

    # 3. The client

    async def text(self, recording: LiveRecording) -> AsyncGenerator[bytes, None]:
        """Yield the text of a recording until it has ended."""
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="record") as threads:
            async for chunk in recording.text(threads, self._end_capturing, self._grant, self._count):
                yield chunk

    def _end_capturing(self) -> None:
        for instance in self._workers.instances:
            self._workers.send_to(instance, RecordingEnded())

    def _grant(self, credits_: dict[str, int]) -> None:
        current = self._current
        if current is not None and current.ended is None:
            for instance, credit_bytes in credits_.items():
                self._workers.send_to(instance, RecordingCredit(current.number, credit_bytes))

    def _count(self, pairs: int, dropped: Counter[str]) -> None:
        if pairs:
            self._own.counter("strangler_recorded_total").inc(pairs)
        for reason, number in dropped.items():
            self._own.counter(_DROPPED, reason).inc(number)
        if dropped:
            self._own.report()

    def _drops(self) -> Counter[str]:
        values = self._totals.values().items()
        return Counter({labels[0]: int(vector[0]) for (name, labels), vector in values if name == _DROPPED})

    # 4. Whether there may be one

    def _checked(self, wanted: RecordingRequest) -> bytes:
        """Return the key of redaction. Raises RecordingRefusedError."""
        if self._current is not None:
            other = self._current
            raise RecordingRefusedError(
                409, f"{other.actor} records since {other.header.made}, and there is one recording at a time"
            )
        if wanted.all is bool(wanted.routes):
            raise RecordingRefusedError(400, "name routes, or all of them by `--all` (`all: true`), and not both")
        known = [route.name for route in self._settings.routes]
        for name in wanted.routes:
            if name not in known:
                raise RecordingRefusedError(404, unknown_route(name[:_MAX_NAME], known))
        if wanted.redact and self._is_hashed:
            raise RecordingRefusedError(403, _HASHED)
        key = self._key()
        if key is None:
            raise RecordingRefusedError(
                503, "the redaction key in the state folder cannot be read; `strangler status` says why"
            )
        return key

    @property
    def _is_hashed(self) -> bool:
        return self._settings.evidence.values == "hashed"

    def _redactor(self, wanted: RecordingRequest, key: bytes) -> RecordingRedactor | None:
        rules = (rule for route in self._settings.routes for rule in route.compare.redact)
        return redactor_of(key, rules) if wanted.redact else None


def _choosing_key(key: bytes, seed: str) -> bytes:
    """Return the key that callers are chosen by. Nobody can tell who is recorded; a recording that goes on after it was
    broken off has the same callers."""
    return blake2b(b"callers of the recording " + seed.encode(), key=key, digest_size=32).digest()
