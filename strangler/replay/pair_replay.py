"""One pair of a recording, sent again:

request ──▶ values put in ──▶ read as a worker reads it ──▶ route of today ──▶ sent ──▶ learned from ──▶ compared
    └───────── each of these may leave it out, with a reason that is counted ──────────┘
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Final, TypeVar

from strangler.comparing.comparer import ArmResponse
from strangler.core.http.methods import is_safe
from strangler.core.replaying.given import replaced_marks
from strangler.core.replaying.learned import LearnedValues
from strangler.core.replaying.request_message import RequestMessage
from strangler.core.replaying.substitute import substitute
from strangler.core.routing.arm import LEGACY
from strangler.http1.request import Request
from strangler.ipc.messages import Captured, CapturedResponse
from strangler.recordings.recorded import RecordedPair
from strangler.replay.destination import Destination, Destinations
from strangler.replay.learning import values_of_both
from strangler.replay.pair_judging import LARGE_BYTES, Judging, Opposed
from strangler.replay.progress import ReplayProgress, Unsent
from strangler.replay.recorded_messages import (
    client_lines,
    forwarded_lines,
    read_as_client,
    recorded_response,
    request_message,
    unsent_message,
)
from strangler.replay.replay_arms import ReplayArms
from strangler.replay.replay_settings import PROXY, ReplaySettings
from strangler.replay.replayed_finding import ReplayedFinding, What

T = TypeVar("T")

_ARM: Final = b"x-strangler-arm"
_UNNAMED_ARM: Final = "not named"
_NO_RESPONSE: Final = CapturedResponse(0, b"", b"", None, 0.0, 0, False, False)
_STUCK: Final = {"path": "a secret in its path", "body": "a secret in its body"}
_STUCK_FIELD: Final = "a secret in a header field that it needs"


@dataclass(slots=True)
class PairReplay:
    """Sends pairs, and keeps what their comparisons found."""

    how: ReplaySettings
    destinations: Destinations
    arms: ReplayArms
    judging: Judging
    progress: ReplayProgress
    keep: Callable[[ReplayedFinding], None]
    threads: Executor
    """One thread, for large bodies."""
    _learned: LearnedValues = field(default_factory=LearnedValues)
    """The values of the arm that is compared."""
    _learned_of_legacy: LearnedValues = field(default_factory=LearnedValues)
    """The values of legacy, where it is asked beside."""

    async def run(self, caller: str, pair: RecordedPair) -> None:
        """Send one pair's request, compare, and learn. Pairs of one caller come one after the other."""
        message = request_message(pair.request)
        ready = message if isinstance(message, str) else self._ready(caller, pair, message)
        if isinstance(ready, str):
            self._leave_out(pair, ready)
            return
        self.progress.sent += 1
        self.progress.add_fields_left_out(ready.left_out)
        if self.how.is_self:
            await self._run_self(ready)
        elif ready.for_legacy is not None:
            await self._run_beside(ready, ready.for_legacy)
        else:
            await self._run_recorded(ready)

    def _leave_out(self, pair: RecordedPair, reason: str) -> None:
        """Count a request that is not sent, and at which endpoint if a route matches it."""
        self.progress.left_out[reason] += 1
        message = unsent_message(pair.request)
        head = message if isinstance(message, str) else read_as_client(message)
        if isinstance(message, str) or isinstance(head, str):
            return
        route = self.destinations.route_of(head)
        if not isinstance(route, str):
            captured = _captured(_Sendable(message, head, ()), pair, route.name, "")
            endpoint = self.judging.named(captured, route).endpoint
            self.progress.add_unsent(Unsent(route.name, endpoint, reason))

    # 1. The request

    def _ready(self, caller: str, pair: RecordedPair, message: RequestMessage) -> "_Ready | str":
        """Return a request that can be sent; or why it is not."""
        request = self._sendable(caller, message, self._learned)
        if isinstance(request, str):
            return request
        destination = self.destinations.of(request.head)
        if isinstance(destination, str):
            return destination
        for_legacy: Captured | None = None
        if self.how.against == "legacy" and not self.how.is_self and is_safe(request.head):
            beside = self._sendable(caller, message, self._learned_of_legacy)
            if isinstance(beside, str):
                return beside
            for_legacy = _captured(beside, pair, destination.route.name, LEGACY)
        captured = _captured(request, pair, destination.route.name, destination.upstream)
        recorded = ArmResponse(recorded_response(pair.response), None)
        return _Ready(caller, pair, captured, destination, recorded, request.left_out, for_legacy)

    def _sendable(self, caller: str, message: RequestMessage, learned: LearnedValues) -> "_Sendable | str":
        """Return a request with the values of one arm; or why it cannot be sent."""
        given = self.how.given.of(caller)
        if given:
            for mark, value in replaced_marks(message.headers, given):
                learned.put(caller, mark, value)
        filled = substitute(message, learned.of(caller), given)
        if filled.unsendable:
            return _STUCK.get(filled.unsendable[0], _STUCK_FIELD)
        head = read_as_client(filled.request)
        return head if isinstance(head, str) else _Sendable(filled.request, head, filled.left_out)

    # 2. The three ways

    async def _run_recorded(self, ready: "_Ready") -> None:
        reply = await self._ask(ready)
        await self._learn(ready, reply, self._learned)
        is_legacys = ready.destination.upstream == LEGACY or (
            ready.destination.upstream == PROXY and reply.response.field_values(_ARM) != [b"candidate"]
        )
        is_candidates = ready.pair.arm == "candidate"
        self.progress.by_candidate += is_candidates
        sides = Opposed(ready.recorded, reply, is_recorded=True)
        what: What = "recording" if is_legacys else "candidate"
        await self._keep(ready, sides, what, is_for_inbox=not is_legacys and not is_candidates)

    async def _run_beside(self, ready: "_Ready", for_legacy: Captured) -> None:
        """Ask legacy and the candidate at the same time, each with what was learned of it."""
        asking_legacy = self.arms.ask_legacy(ready.destination.route, for_legacy, ready.caller)
        legacy, reply = await asyncio.gather(asking_legacy, self._ask(ready))
        await self._learn(ready, legacy, self._learned_of_legacy)
        await self._learn(ready, reply, self._learned)
        is_candidates = ready.destination.upstream != LEGACY
        sides = Opposed(legacy, reply, is_recorded=False)
        await self._keep(ready, sides, "candidate" if is_candidates else "noise", is_for_inbox=is_candidates)

    async def _run_self(self, ready: "_Ready") -> None:
        """Ask legacy twice: what differs between both is noise."""
        first = await self._ask(ready)
        again = await self.arms.ask(ready.destination, ready.captured, ready.caller)
        await self._learn(ready, first, self._learned)
        await self._keep(ready, Opposed(ready.recorded, first, is_recorded=True), "recording", is_for_inbox=False)
        await self._keep(ready, Opposed(first, again, is_recorded=False), "noise", is_for_inbox=False)

    # 3. The response

    async def _ask(self, ready: "_Ready") -> ArmResponse:
        """Send the request where it goes, and count its response."""
        reply = await self.arms.ask(ready.destination, ready.captured, ready.caller)
        response, progress = reply.response, self.progress
        if response.fault is not None:
            progress.faults[response.fault.value] += 1
        else:
            progress.statuses[response.status] += 1
        if ready.destination.upstream == PROXY and response.fault is None:
            named = response.field_values(_ARM)
            progress.arms[named[0].decode("latin-1") if named else _UNNAMED_ARM] += 1
        return reply

    async def _learn(self, ready: "_Ready", reply: ArmResponse, learned: LearnedValues) -> None:
        """Learn from what was recorded, with the marks of secrets, and from the response with the secrets."""
        values = learned.of(ready.caller)
        recorded, replayed = ready.recorded.response, reply.response
        target = ready.captured.target.decode("utf-8", "surrogateescape")
        known = len(values)
        found = await self._worked(
            lambda: values_of_both(recorded, replayed, target, values), len(recorded.body) + len(replayed.body)
        )
        if found is not None:
            learned.learn(ready.caller, *found)
            self.progress.learned += max(0, len(learned.of(ready.caller)) - known)

    async def _keep(self, ready: "_Ready", sides: Opposed, what: What, *, is_for_inbox: bool) -> None:
        judging, destination, captured = self.judging, ready.destination, ready.captured
        named = judging.named(captured, destination.route)
        finding = await self._worked(lambda: judging.finding(captured, destination, sides, named), sides.size)
        judging.count_sample(finding)
        if what != "noise":
            self.progress.outcomes[finding.outcome] += 1
        self.keep(ReplayedFinding(finding, is_for_inbox, what))

    async def _worked(self, work: Callable[[], T], size: int) -> T:
        """Return the result of work on bodies: in the thread if they are large, so that sending goes on."""
        if size <= LARGE_BYTES:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self.threads, work)


@dataclass(frozen=True, slots=True)
class _Sendable:
    """A request with the values of one arm. `left_out`: the places with a secret that it is sent without."""

    message: RequestMessage
    head: Request
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Ready:
    """A pair whose request can be sent."""

    caller: str
    pair: RecordedPair
    captured: Captured
    destination: Destination
    recorded: ArmResponse
    left_out: tuple[str, ...]
    for_legacy: Captured | None
    """The request with the values of legacy, if legacy is asked beside."""


def _captured(request: _Sendable, pair: RecordedPair, route: str, upstream: str) -> Captured:
    """Return a request in the form in which all requests for comparisons are sent."""
    message, head = request.message, request.head
    return Captured(
        route=route,
        at=time.time(),
        method=message.method,
        target=message.target,
        host=head.host_value,
        lines=client_lines(message) if upstream == PROXY else forwarded_lines(head),
        body=message.body,
        is_body_complete=True,
        request_id=head.fields.get(b"x-request-id", b""),
        traceparent=b"",
        arm=pair.arm or LEGACY,
        upstream="",
        url="",
        response=_NO_RESPONSE,
        failed=None,
    )
