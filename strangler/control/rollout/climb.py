"""A rollout in memory: its routes, where it stands, and what is not stored or counted yet."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from strangler.control.rollout.pairs import PairsState
from strangler.core.gate import Verdict
from strangler.core.rollout.caller_sketch import MAX_BUSIEST, BusyCaller, CallerCounts, CallerSketch
from strangler.core.rollout.caller_tally import REGISTERS
from strangler.core.rollout.evidence import ArmCounts, StepCounts
from strangler.core.rollout.machine import RolloutEvent
from strangler.core.rollout.position import Position
from strangler.core.rollout_settings import RolloutSettings
from strangler.core.settings import RouteSettings
from strangler.core.time_buckets import BOUNDS_S
from strangler.ipc.messages import RolloutArm, RolloutCounts
from strangler.store.events.event import Event
from strangler.store.evidence.stored_rollouts import StoredMove, StoredPosition

MAX_LISTED_MOVES: Final = 50
"""The last moves that are kept in memory, and shown."""


@dataclass(frozen=True, slots=True)
class Audit:
    """The record of what a person did."""

    at: float
    actor: str
    what: str
    route: str
    why: str
    detail: str


@dataclass(slots=True)
class Unsaved:
    """The events, moves and audits that the store does not have yet, in order."""

    events: list[Event] = field(default_factory=list)
    moves: list[StoredMove] = field(default_factory=list)
    audits: list[Audit] = field(default_factory=list)

    def add(self, other: "Unsaved") -> None:
        self.events += other.events
        self.moves += other.moves
        self.audits += other.audits

    @property
    def is_empty(self) -> bool:
        return not (self.events or self.moves or self.audits)


@dataclass(frozen=True, slots=True)
class GateFinding:
    """The worst verdict of all routes' gates at a time; `reasons` begin with the route."""

    at: float
    verdict: Verdict
    reasons: tuple[str, ...]


@dataclass(slots=True)
class ClimbState:
    """The rollout of a group. Its routes have one plan."""

    group: str
    routes: tuple[RouteSettings, ...]
    position: Position
    generation: int
    """The generation that has put its percent in force: counts of earlier ones are of another step."""
    moves: list[StoredMove] = field(default_factory=list)
    counts: StepCounts = field(default_factory=StepCounts)
    """The counts that no look has seen yet."""
    pairs: PairsState = field(default_factory=PairsState)
    gate: GateFinding | None = None
    unsaved: Unsaved = field(default_factory=Unsaved)
    is_changed: bool = False
    """Whether the store has another position; counts alone are saved less often."""
    has_new_counts: bool = False
    is_provisional: bool = False
    """Whether the store has not been read yet, and nothing has changed since."""
    queue: list[RolloutEvent] | None = None
    """While a change is being stored: what happens meanwhile, and follows it. None: nothing is being stored."""
    is_zeroed: bool = False
    """Whether the queue has an open breaker: nothing goes to the candidate, whatever the position says."""
    notes: tuple[str, ...] = ()
    """The things that a person should know of it at this node of a fleet."""
    cap: float | None = None
    """The most that this node of a fleet gives to the candidate, until the leader has followed a request of it."""
    held: str = ""
    """Why nothing climbs in a fleet now."""

    @property
    def plan(self) -> RolloutSettings:
        plan = self.routes[0].rollout
        assert plan is not None
        return plan

    @property
    def percent(self) -> float:
        """The percent that is to be in force."""
        percent = 0.0 if self.is_zeroed else self.position.percent
        return percent if self.cap is None else min(percent, self.cap)

    def set_position(self, position: Position) -> None:
        """Stand at another position. New evidence begins with legacy's times so far."""
        if position.since != self.position.since:
            self.counts = StepCounts()
            self.pairs.begin()
        self.position = position

    def stored(self, position: Position) -> StoredPosition:
        """Return what the store keeps, at a position."""
        return StoredPosition(position, self.pairs.legacy_times, self.pairs.p95_s)

    def take(self, counts: RolloutCounts) -> None:
        """Count the requests of a worker; those that began under settings before this step belong to another."""
        if counts.generation < self.generation:
            return
        candidate = counts.candidate
        self.counts = self.counts.plus(StepCounts(_arm(counts.legacy), _arm(candidate), _callers(counts)))

    def move(self, move: StoredMove) -> None:
        """Remember a move that is noted or stored."""
        self.moves = [*self.moves, move][-MAX_LISTED_MOVES:]


def _arm(arm: RolloutArm) -> ArmCounts:
    return ArmCounts(arm.requests, arm.failed, _buckets(arm.buckets))


def _buckets(buckets: Sequence[int]) -> tuple[int, ...]:
    """Return counts by the buckets of this version; none of those of another."""
    return tuple(buckets) if len(buckets) == len(BOUNDS_S) + 1 else ()


def _callers(counts: RolloutCounts) -> CallerSketch:
    if len(counts.registers) != REGISTERS:
        return CallerSketch()
    busiest = {
        caller.caller: BusyCaller(
            CallerCounts(caller.requests, caller.failed, _buckets(caller.buckets)), caller.counter
        )
        for caller in counts.busiest[:MAX_BUSIEST]
    }
    return CallerSketch(counts.registers, busiest)
