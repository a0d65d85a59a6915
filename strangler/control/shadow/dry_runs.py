"""Writes wait here until the candidate has confirmed that it knows dry runs: one question for all that come at once."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from strangler.core.compare import Answer
from strangler.core.dry_runs import Basis, DryRunState, Place, Step, Verdict
from strangler.core.fault import Fault

HANDLED = b"x-strangler-shadow-handled"
NOTHING_SENT = Answer(0, fault=Fault.OPEN)
_MAX_ROUNDS = 5
"""Questions that one write waits for: where permissions end as fast as they are given, it is not sent."""


def confirms(response: Answer) -> bool:
    """True if a response says that the candidate held back (DESIGN section 7)."""
    return response.field_values(HANDLED) == [b"1"]


@dataclass(slots=True)
class _Question:
    """One OPTIONS request under way, and who waits for it."""

    is_over: asyncio.Event = field(default_factory=asyncio.Event)
    fault: Fault | None = None


class DryRuns:
    """The dry runs of one route. `ask` sends the question; `named` reads the release that a response names."""

    def __init__(self) -> None:
        self.state = DryRunState()
        self._questions: dict[Place, _Question] = {}

    async def admit(
        self,
        place: Place,
        basis: Callable[[], Basis],
        ask: Callable[[], Awaitable[Answer]],
        named: Callable[[Answer], str | None],
    ) -> Answer | None:
        """Return None once a write may be sent, which is to be done at once; else what stands for its response."""
        for _ in range(_MAX_ROUNDS):
            now, rests_on = time.monotonic(), basis()
            match self.state.next_step(place, rests_on, now):
                case Step.SEND:
                    return None
                case Step.REFUSE:
                    return Answer(0)  # no header says that it was handled
                case Step.ASK:
                    self.state.begin(place, rests_on, now)
                    fault = await self._ask(place, ask, named)
                case Step.WAIT:
                    fault = await self._wait(place)
            if fault is not None:
                return Answer(0, fault=fault)
        return NOTHING_SENT

    def is_open(self, place: Place, basis: Basis) -> bool:
        """True while a write for `place` may be sent."""
        return self.state.next_step(place, basis, time.monotonic()) is Step.SEND

    async def _ask(
        self, place: Place, ask: Callable[[], Awaitable[Answer]], named: Callable[[Answer], str | None]
    ) -> Fault | None:
        question = self._questions[place] = _Question()
        verdict, release = Verdict.FAILED, None
        try:
            response = await ask()
            question.fault, release = response.fault, named(response)
            if response.fault is None:
                verdict = Verdict.CONFIRMED if confirms(response) else Verdict.REFUSED
        finally:  # whoever waits goes on, also if this write is given up: then one of them asks
            self.state.end(place, verdict, release)
            del self._questions[place]
            question.is_over.set()
        return question.fault

    async def _wait(self, place: Place) -> Fault | None:
        question = self._questions[place]
        await question.is_over.wait()
        return question.fault
