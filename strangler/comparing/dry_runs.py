"""Dry runs: writes wait until the candidate has confirmed that it supports them, by one OPTIONS request for all that
wait, and by one write that goes first."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum, auto

from strangler.core.compare import Response
from strangler.core.fault import Fault
from strangler.core.shadowing.dry_runs import Basis, DryRunState, Place, Step, Verdict

HANDLED = b"x-strangler-shadow-handled"
NOTHING_SENT = Response(0, fault=Fault.OPEN)
_MAX_ROUNDS = 5
"""The most OPTIONS requests that one write waits for: if each permission ends at once, the write is not sent."""


def confirms(response: Response) -> bool:
    """Return whether a response says that the candidate did not run the write (DESIGN section 7)."""
    return response.field_values(HANDLED) == [b"1"]


class Refusal(Enum):
    """The ways in which a candidate does not confirm dry runs, after which none is sent."""

    UNCONFIRMED = auto()
    UNHANDLED = auto()

    def text(self, endpoint: str) -> str:
        """Return what happened, for the endpoint of a write: `POST /api/orders/{}`."""
        if self is Refusal.UNCONFIRMED:
            return (
                f"the candidate responded to OPTIONS {endpoint.partition(' ')[2]} with X-Strangler-Shadow: dry-run, but"
                " without X-Strangler-Shadow-Handled: 1, so no write was sent"
            )
        return (
            f"the candidate responded to {endpoint} without X-Strangler-Shadow-Handled: 1, though it had confirmed dry"
            " runs by OPTIONS: it may have run that write"
        )


@dataclass(frozen=True, slots=True)
class Permit:
    """A write may be sent at once. `is_first`: others wait for its response, which `DryRuns.judge` must get."""

    is_first: bool = False


@dataclass(slots=True)
class _UnderWay:
    """One OPTIONS request, or the first write, that others wait for."""

    is_over: asyncio.Event = field(default_factory=asyncio.Event)
    fault: Fault | None = None


class DryRuns:
    """The dry runs of one route."""

    def __init__(self) -> None:
        self.state = DryRunState()
        self._under_way: dict[Place, _UnderWay] = {}

    async def run(
        self,
        place: Place,
        basis: Callable[[], Basis],
        ask: Callable[[], Awaitable[Response]],
        send: Callable[[Callable[[], bool]], Awaitable[Response]],
        named: Callable[[Response], str | None],
    ) -> tuple[Response, Refusal | None]:
        """Send a write as a dry run once the candidate has confirmed that it supports them, and return its response.

        `ask` and `named` as for `admit`. `send` sends the write, if what it is given returns True at that moment.
        """
        permit = await self.admit(place, basis, ask, named)
        if not isinstance(permit, Permit):
            return permit, Refusal.UNCONFIRMED if self.state.is_refused else None
        reply, is_sound = None, True
        try:
            reply = await send(lambda: self.is_open(place, basis()))
        finally:
            is_sound = self.judge(place, permit, reply)
        return reply, None if is_sound else Refusal.UNHANDLED

    async def admit(
        self,
        place: Place,
        basis: Callable[[], Basis],
        ask: Callable[[], Awaitable[Response]],
        named: Callable[[Response], str | None],
    ) -> Response | Permit:
        """Return a permit once a write may be sent, which must be done at once; else the response in its place. `ask`
        sends the OPTIONS request; `named` reads the release that a response names."""
        for _ in range(_MAX_ROUNDS):
            now, rests_on = time.monotonic(), basis()
            match self.state.next_step(place, rests_on, now):
                case Step.SEND:
                    return Permit()
                case Step.TRY:
                    self.state.begin_trial(place)
                    self._under_way[place] = _UnderWay()
                    return Permit(is_first=True)
                case Step.REFUSE:
                    return Response(0)  # without the header that confirms a dry run
                case Step.ASK:
                    self.state.begin(place, rests_on, now)
                    fault = await self._ask(place, ask, named)
                case Step.WAIT:
                    fault = await self._wait(place)
            if fault is not None:
                return Response(0, fault=fault)
        return NOTHING_SENT

    def is_open(self, place: Place, basis: Basis) -> bool:
        """Return whether a write for `place` may be sent now."""
        return self.state.is_open(place, basis, time.monotonic())

    def judge(self, place: Place, permit: Permit, response: Response | None) -> bool:
        """Take note of the response to a permitted write, None if it was given up. Return False if the candidate
        responded without confirming the dry run."""
        has_response = response is not None and response.fault is None
        is_handled = response is not None and has_response and confirms(response)
        if permit.is_first:
            verdict = Verdict.FAILED if not has_response else Verdict.CONFIRMED if is_handled else Verdict.REFUSED
            self.state.end_trial(place, verdict)
            self._end(place, None if response is None or response.fault is Fault.OPEN else response.fault)
        elif has_response and not is_handled:
            self.state.refuse()
        return is_handled or not has_response

    def _end(self, place: Place, fault: Fault | None) -> None:
        """Let waiting writes go on; with a fault they are not sent either."""
        ended = self._under_way.pop(place)
        ended.fault = fault
        ended.is_over.set()

    async def _ask(
        self, place: Place, ask: Callable[[], Awaitable[Response]], named: Callable[[Response], str | None]
    ) -> Fault | None:
        self._under_way[place] = _UnderWay()
        verdict, release, fault = Verdict.FAILED, None, None
        try:
            response = await ask()
            fault, release = response.fault, named(response)
            if response.fault is None:
                verdict = Verdict.CONFIRMED if confirms(response) else Verdict.REFUSED
        finally:  # waiting writes go on even if this write is given up: then one of them asks
            self.state.end(place, verdict, release)
            self._end(place, fault)
        return fault

    async def _wait(self, place: Place) -> Fault | None:
        waited_for = self._under_way[place]
        await waited_for.is_over.wait()
        return waited_for.fault
