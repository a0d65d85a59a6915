"""The percents that a node of a fleet puts in force, by what it has read, without a store."""

from collections.abc import Callable
from pathlib import Path

import pytest

from strangler.control.rollout.climbs import ClimbsState
from strangler.control.rollout.percents_in_force import PercentsInForce
from strangler.control.rollout.positions_in_force import FleetView, RolloutFollowing
from strangler.core.rollout.machine import RolloutState
from strangler.core.rollout.position import Position
from strangler.core.rollout_percents import with_percents
from strangler.state import kill_switch
from strangler.store.evidence.stored_rollouts import FleetNotes, StoredPosition, StoredRollout
from tests.control.rollout.proxies import rolled
from tests.factories import settings


class Node:
    """The rollouts of a node; `percents` are those that were put in force, one after the other."""

    def __init__(self, folder: Path, has_successor: Callable[[], bool] = lambda: False) -> None:
        self.file = settings((rolled(),))
        self.climbs = ClimbsState(with_percents(self.file, {}), kill_switch.OFF, 1)
        self.climbs.adopt(self.climbs.settings, 0.0)
        self.percents: list[float] = []
        in_force = PercentsInForce(folder, self.climbs, self.push)
        self.following = RolloutFollowing(self.climbs, in_force, has_successor)

    def push(self) -> int:
        made = self.climbs.effective(self.file)
        self.percents.append(made.routes[0].split.percent)
        self.climbs.generation += 1
        self.climbs.adopt(made, 0.0)
        return self.climbs.generation

    def follow(self, position: Position, waiting: frozenset[str] = frozenset(), held: str = "") -> bool:
        kept = StoredPosition(position, fleet=FleetNotes(held=held))
        row = StoredRollout(kept, position.percent, position.moves, ())
        return self.following.follow(FleetView(1, {"orders": row}, waiting), waiting.__contains__)


def at(percent: float, since: float = 1.0) -> Position:
    return Position(RolloutState.RUNNING, percent, since)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_each_percent_is_put_in_force_once(node: Node) -> None:
    for percent in (1, 1, 5, 5, 25):
        assert node.follow(at(percent, since=percent))
    assert node.percents == [1, 5, 25]


def test_a_position_that_begins_anew_gets_a_new_generation_at_the_same_percent(node: Node) -> None:
    node.follow(at(5, since=1.0))
    before = node.climbs.generation
    node.follow(at(5, since=2.0))
    climb = node.climbs.in_group("orders")
    assert climb is not None
    assert climb.generation == node.climbs.generation > before
    assert node.percents == [5, 5]


def test_a_cap_holds_until_the_positions_have_what_was_asked_for(node: Node) -> None:
    node.follow(at(25))
    node.following.hold_down("x", {"orders": 0.0}, "a breaker")
    node.follow(at(25), waiting=frozenset({"x"}))
    node.follow(at(50, since=3.0), waiting=frozenset({"x"}))
    assert node.percents[:2] == [25, 0]
    assert set(node.percents[2:]) <= {0}
    node.follow(at(0, since=4.0))
    assert node.percents[-1] == 0
    assert 50 not in node.percents
    climb = node.climbs.in_group("orders")
    assert climb is not None
    assert (climb.cap, climb.notes) == (None, ())


def test_the_lowest_of_several_caps_holds(node: Node) -> None:
    node.follow(at(50))
    node.following.hold_down("x", {"orders": 25.0}, "back")
    node.following.hold_down("y", {"orders": 0.0}, "a breaker")
    node.following.hold_down("z", {"others": 0.0}, "another group")
    assert node.percents == [50, 25, 0]
    node.follow(at(50), waiting=frozenset({"x"}))
    assert node.percents[-1] == 25


def test_a_rise_waits_for_a_new_program_and_a_fall_does_not(tmp_path: Path) -> None:
    restarts = [False]
    node = Node(tmp_path, lambda: restarts[0])
    node.follow(at(25))
    restarts[0] = True
    assert not node.follow(at(50, since=2.0)), "it is read again"
    assert node.percents == [25]
    assert node.follow(at(5, since=3.0))
    assert node.percents == [25, 5]


def test_a_row_that_is_not_there_or_cannot_be_read_moves_no_caller(node: Node) -> None:
    node.follow(at(25))
    node.following.follow(FleetView(2, {}, frozenset()), lambda _: False)
    unread = StoredRollout(None, 25.0, 3, (), "it is of version 2")
    node.following.follow(FleetView(3, {"orders": unread}, frozenset()), lambda _: False)
    climb = node.climbs.in_group("orders")
    assert climb is not None
    assert (climb.percent, climb.position.state) == (25, RolloutState.PAUSED)
    assert set(node.percents) == {25}


def test_a_node_says_why_the_leader_holds(node: Node) -> None:
    node.follow(at(25), held="another routes.yaml is in force at 'c'")
    climb = node.climbs.in_group("orders")
    assert climb is not None
    assert "'c'" in climb.held
