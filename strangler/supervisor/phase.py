"""The phases of a supervisor's life, and the table of their order.

How it begins if it has a predecessor, and how it ends:

    STANDBY --workers accept, the predecessor yields, control serves--> RUNNING
    STANDBY --it cannot serve--> EMPTYING
    RUNNING --SIGTERM--> ANNOUNCING --control has seen it--> EMPTYING --workers gone--> CLOSING --control gone--> ENDED
    RUNNING --a successor serves--> YIELDING --connections that waited are accepted--> EMPTYING
    ANNOUNCING, YIELDING, EMPTYING, CLOSING --a second SIGTERM--> ENDED
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Phase(Enum):
    """The phase of a supervisor between its start and its end."""

    STANDBY = "standby"
    RUNNING = "running"
    ANNOUNCING = "announcing"
    YIELDING = "yielding"
    EMPTYING = "emptying"
    CLOSING = "closing"
    ENDED = "ended"


TRANSITIONS: Final = {
    Phase.STANDBY: {Phase.RUNNING, Phase.EMPTYING},
    Phase.RUNNING: {Phase.ANNOUNCING, Phase.YIELDING},
    Phase.ANNOUNCING: {Phase.EMPTYING, Phase.ENDED},
    Phase.YIELDING: {Phase.EMPTYING, Phase.ENDED},
    Phase.EMPTYING: {Phase.CLOSING, Phase.ENDED},
    Phase.CLOSING: {Phase.ENDED},
    Phase.ENDED: {Phase.ENDED},  # signals that came together are handled one after the other
}


class TransitionError(Exception):
    """A phase cannot follow the present one."""


@dataclass(slots=True)
class LifecycleState:
    """The present phase, its deadline, and the exit status so far."""

    phase: Phase
    deadline: float = float("inf")  # on the monotonic clock
    exit_status: int = 0

    def enter(self, phase: Phase, deadline: float = float("inf")) -> None:
        """Begin a phase. Raises TransitionError if it cannot follow the present one."""
        if phase not in TRANSITIONS[self.phase]:
            raise TransitionError(f"{phase.name} cannot follow {self.phase.name}")
        self.phase = phase
        self.deadline = deadline

    def is_late(self, now: float) -> bool:
        """Return True if the phase has passed its deadline."""
        return now >= self.deadline
