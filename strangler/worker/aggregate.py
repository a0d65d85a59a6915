"""A request that several services answer together: one story for each part, and the client's story that waits for them.

    client's story ──┬─▶ part's story: admit, connect, send, retry, read whole ──┐
                     ├─▶ part's story ───────────────────────────────────────────┼─▶ join
                     └─▶ part's story ───────────────────────────────────────────┘

A part is asked by the code that asks for a client (`worker/retries.py`), so that its upstream's breaker, bulkhead,
retries and timeouts hold. Once the client has left, or a required part has failed, the other parts are given up.
"""

import asyncio
import math

from strangler.core.aggregate import (
    FIELDS_FOR_PARTS,
    MAX_PART_BYTES,
    NOT_FOR_PARTS,
    Joined,
    Part,
    PartAnswer,
    PartFailure,
    join,
    part_failed,
    part_unusable,
    read_part,
    told,
    unusable,
)
from strangler.core.fault import Fault
from strangler.core.plan import Arm
from strangler.wire.asker import Asker
from strangler.wire.clock import now
from strangler.wire.parse import Section
from strangler.wire.response import Answer
from strangler.wire.sink import Sink
from strangler.wire.story import Story
from strangler.worker.attempt import Attempt
from strangler.worker.call import Call
from strangler.worker.plane import Plane
from strangler.worker.retries import retry_after, try_upstream


async def ask_parts(call: Call, plane: Plane) -> Joined | PartFailure | None:
    """Ask all parts at once. The answer, or the required part that failed; None if the client's fault ended it."""
    route = call.plan.route
    assert route is not None
    section = call.section.bodyless(NOT_FOR_PARTS, FIELDS_FOR_PARTS)
    asked = [PartAsker(call, plane, part, section) for part in route.parts]
    call.upstream = call.plan.upstream
    try:
        for asker in asked:
            asker.begin()
        while call.fault is None and not _is_decided(asked):
            await call.client.story
    finally:
        for asker in asked:
            asker.give_up()
    call.attempts = sum(asker.call.attempts for asker in asked)
    if call.fault is not None:
        return None
    _count_failures(plane, route.name, asked)
    return _joined(call, asked)


def _is_decided(asked: "list[PartAsker]") -> bool:
    """All have answered, or one has failed that cannot be done without."""
    return all(asker.outcome is not None for asker in asked) or any(map(_is_fatal, asked))


def _is_fatal(asker: "PartAsker") -> bool:
    return asker.part.is_required and asker.failure is not None


def _count_failures(plane: Plane, route: str, asked: "list[PartAsker]") -> None:
    for asker in asked:
        if asker.failure is not None:
            reason = asker.failure.reason
            plane.numbers.counter("strangler_failed_parts_total", route, asker.part.name, reason).inc()


def _joined(call: Call, asked: "list[PartAsker]") -> Joined | PartFailure:
    for asker in filter(_is_fatal, asked):
        assert asker.failure is not None
        call.failed_parts = told(asker.part, asker.failure).decode()
        return asker.failure
    whole = join([asker.part for asker in asked], [asker.outcome for asker in asked if asker.outcome is not None])
    assert isinstance(whole, Joined)
    call.failed_parts = whole.missing.decode() or None
    return whole


class PartAsker(Asker):
    """Plays the client's role for one part: its attempts wake its story, and its deadline is theirs."""

    __slots__ = ("_plane", "_timer", "_whole", "call", "outcome", "part")

    def __init__(self, whole: Call, plane: Plane, part: Part, section: Section) -> None:
        client = whole.client
        self.port = client.port
        self.forwarded = client.forwarded
        self.deadline = math.inf
        self.story = Story(self._crash)
        self.part = part
        self.call = _call_of(whole, part, section)
        self.call.asker = self
        self.outcome: PartAnswer | PartFailure | None = None
        """Set once, at the end."""
        self._plane = plane
        self._whole = whole
        self._timer: asyncio.TimerHandle | None = None

    @property
    def failure(self) -> PartFailure | None:
        """Why it has no answer, unless it was given up before that was known."""
        outcome = self.outcome
        is_given_up = self.call.fault is Fault.CLIENT_GONE
        return outcome if isinstance(outcome, PartFailure) and not is_given_up else None

    def begin(self) -> None:
        """Ask, up to the first wait."""
        self.port.active.add(self)
        if self.part.timeout_s is not None:
            self._timer = self.port.loop.call_later(self.part.timeout_s, self._end_by, Fault.TIMEOUT)
        self.story.begin(self._run())

    def give_up(self) -> None:
        """Nobody waits for it any more. It ends at once."""
        if self.outcome is None:
            self._end_by(Fault.CLIENT_GONE)

    def expire(self, now: float) -> None:
        self.deadline = math.inf
        if self.call.exchange is not None:  # else the next attempt is not sent yet: it has clocks of its own
            self.call.exchange.fault = Fault.TIMEOUT
            self.story.wake()

    def pass_interim(self, answer: Answer) -> None:
        """A 1xx of one part says nothing about the whole."""

    def _end_by(self, fault: Fault) -> None:
        if self.outcome is None and self.call.fault is None:
            self.call.fault = fault
            self.story.wake()

    async def _run(self) -> None:
        self._end(await self._ask())

    async def _ask(self) -> PartAnswer | PartFailure:
        call, plane = self.call, self._plane
        attempt = await try_upstream(call, plane, self.part.upstream, Arm.CANDIDATE)
        try:
            fault = call.fault or attempt.result.fault
            if fault is not None:
                return part_failed(fault, attempt.result.duration_s, attempt.retry_after_s)
            return await self._read(attempt)
        finally:
            attempt.settle()

    async def _read(self, attempt: Attempt) -> PartAnswer | PartFailure:
        """Read the answer whole, if its head says that it can be joined."""
        call, answer, duration_s = self.call, attempt.answer, attempt.result.duration_s
        assert answer is not None
        headers = answer.headers()
        failure = unusable(answer.status, headers, duration_s)
        if failure is not None:
            return failure._replace(retry_after_s=retry_after(attempt, self._plane))
        if len(attempt.payload) > MAX_PART_BYTES or answer.framing.length > MAX_PART_BYTES:
            return part_unusable("too_large", duration_s)
        if attempt.body is None:
            return read_part(answer.status, headers, attempt.payload, duration_s)
        # not at once: the body that overflows is just being read
        sink = Sink(MAX_PART_BYTES, lambda: self.port.loop.call_soon(self.story.wake))
        attempt.body.attach(sink, b"", chunked=False)
        while not attempt.is_done and attempt.fault is None and call.fault is None and not sink.is_over:
            await self.story
        if sink.is_over:
            return part_unusable("too_large", duration_s)
        if not attempt.is_done:
            attempt.fault = fault = call.fault or attempt.fault or Fault.RESET
            return part_failed(fault, duration_s)
        return read_part(answer.status, headers, sink.content(), duration_s)

    def _end(self, outcome: PartAnswer | PartFailure) -> None:
        self.port.active.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        self.outcome = outcome
        self._whole.client.story.wake()

    def _crash(self, crash: Exception) -> None:
        self.port.on_crash(crash)
        self._end(part_unusable("crash", 0.0))


def _call_of(whole: Call, part: Part, section: Section) -> Call:
    """The request for one part: the client's, with another target and without a body."""
    target = part.target(whole.path, whole.query)
    path, mark, query = target.partition(b"?")
    call = Call(b"GET", target, path, query if mark else None, whole.host, whole.fields, whole.client_ip)
    call.section = section
    call.host_value = whole.host_value
    call.is_absolute = whole.is_absolute
    call.refusal = None
    call.body = None
    call.exchange = None
    call.fault = None
    call.is_answered = False
    call.begin(whole.client, whole.snapshot, whole.plan, now())
    call.trace = whole.trace
    return call
