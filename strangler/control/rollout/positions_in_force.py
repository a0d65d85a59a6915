"""The stored positions as each node of a fleet follows them, the one that leads included.

Positions that are read one after the other only go forward, so a percent that rises moves no caller back at any node.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from strangler.control.rollout.climb import ClimbState, GateFinding
from strangler.control.rollout.climbs import ClimbsState
from strangler.control.rollout.groups import unreadable
from strangler.control.rollout.percents_in_force import PercentsInForce
from strangler.control.rollout.requested import BREAKER, COMMAND
from strangler.core.gate import Verdict
from strangler.core.rollout.position import WaitsFor
from strangler.store.connection import Connection
from strangler.store.evidence import stored_rollouts
from strangler.store.evidence.stored_rollouts import FleetNotes, StoredRollout
from strangler.store.requests import waiting_names
from strangler.store.topics import Topic, topic_numbers


@dataclass(frozen=True, slots=True)
class FleetView:
    """The stored rollouts. `number`: that of the topic, which rises with each move. `waiting`: the names of this node's
    requests that are not followed yet: the positions have the effect of all others."""

    number: int
    rows: Mapping[str, StoredRollout]
    waiting: frozenset[str]


def read_view(connection: Connection, node: str, seen: int | None) -> FleetView | None:
    """Return the stored rollouts; None if they are those of the number that was seen.

    The number and the requests are read first: what is stored meanwhile is only found again.
    """
    number = topic_numbers(connection).get(Topic.ROLLOUTS.value, 0)
    if number == seen:
        return None
    waiting = waiting_names(connection, node, BREAKER) | waiting_names(connection, node, COMMAND)
    return FleetView(number, stored_rollouts.load(connection), frozenset(waiting))


@dataclass(frozen=True, slots=True)
class OwnCap:
    """The most that this node gives to candidates of groups, and why, for people."""

    percents: Mapping[str, float]
    why: str


@dataclass(slots=True)
class OwnCapsState:
    """The percents that this node holds down by itself, by the name of its request, until the leader follows that."""

    by_name: dict[str, OwnCap] = field(default_factory=dict)

    def add(self, name: str, percents: Mapping[str, float], why: str) -> None:
        self.by_name[name] = OwnCap(percents, why)

    def lift(self, waits: Callable[[str], bool]) -> None:
        """Forget what the leader has followed: the stored positions have it."""
        self.by_name = {name: cap for name, cap in self.by_name.items() if waits(name)}

    def apply(self, climb: ClimbState) -> None:
        """Let a rollout give no more to its candidate than this node does."""
        caps = [cap for cap in self.by_name.values() if climb.group in cap.percents]
        climb.cap = min((cap.percents[climb.group] for cap in caps), default=None)
        climb.notes = tuple(cap.why for cap in caps)


class RolloutFollowing:
    """Puts stored positions in force at this node. No percent rises while there `has_successor`: the workers of a new
    program serve before they hear of it, and would take its callers back."""

    def __init__(self, climbs: ClimbsState, percents: PercentsInForce, has_successor: Callable[[], bool]) -> None:
        self.caps = OwnCapsState()
        self._climbs = climbs
        self._percents = percents
        self._has_successor = has_successor

    def follow(self, view: FleetView, waits: Callable[[str], bool]) -> bool:
        """Follow what is stored; return False if a part of it has to wait. `waits`: whether a request of this node may
        not be followed yet."""
        self.caps.lift(waits)
        moved, is_whole = [], True
        for climb in self._climbs.all():
            row = view.rows.get(climb.group)
            before = climb.percent, climb.position.since
            if row is not None and self._may_follow(climb, row):
                _stand(climb, row)
            elif row is not None:
                is_whole = False
            self.caps.apply(climb)
            if before != (climb.percent, climb.position.since) and (climb.percent or before[0]):
                moved.append(climb)
        self._enforce(moved)
        return is_whole

    def hold_down(self, name: str, percents: Mapping[str, float], why: str) -> None:
        """Give no more than these percents, by group, to candidates, at once and at this node."""
        self.caps.add(name, percents, why)
        moved = []
        for climb in self._climbs.all():
            before = climb.percent
            self.caps.apply(climb)
            if climb.percent != before:
                moved.append(climb)
        self._enforce(moved)

    def _may_follow(self, climb: ClimbState, row: StoredRollout) -> bool:
        return row.percent <= climb.position.percent or not self._has_successor()

    def _enforce(self, moved: list[ClimbState]) -> None:
        if moved:
            self._percents.enforce(*moved)
        else:
            self._percents.begin()


def _stand(climb: ClimbState, row: StoredRollout) -> None:
    """Stand where the store says; where a row cannot be read, at the percent that is known."""
    climb.moves = list(row.history)
    climb.is_provisional = False
    if row.kept is None:
        position, _ = unreadable(row, None, climb.position.since)
        climb.set_position(position)
        return
    climb.set_position(row.kept.position)
    notes = row.kept.fleet or FleetNotes()
    climb.held = notes.held
    if row.kept.position.waits_for is WaitsFor.GATE and notes.gate:
        climb.gate = GateFinding(row.kept.position.looked_at or 0.0, Verdict.NOT_READY, notes.gate)
