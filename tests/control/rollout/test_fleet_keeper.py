"""The rollouts of a fleet: nodes on a real PostgreSQL, with a clock that is set, and a leader that the test names."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from strangler.control.rollout.climbs import UnknownRolloutError
from strangler.control.rollout.fleet_keeper import NotFollowedError
from strangler.core.rollout.evidence import StepCounts
from strangler.core.rollout.latency import MIN_PAIRS
from strangler.core.rollout.machine import NoTransitionError, RolloutState
from strangler.core.rollout.position import WaitsFor
from strangler.state import rollout_file
from strangler.state.kill_switch import KillSwitchState
from strangler.store.store import StoreError
from tests.control.fleet.database import Server
from tests.control.rollout.nodes import Fleet
from tests.control.rollout.proxies import Killed, rolled, with_plan
from tests.core.rollout.draws import BAD, GOOD
from tests.store.evidence.pairs import match

ON = KillSwitchState(on=True, reason="", since=None)
AUDIT = "SELECT who, what FROM audit ORDER BY id"
EVENTS = "SELECT type FROM events WHERE type LIKE 'rollout.%' ORDER BY seq"


@pytest.fixture
async def fleet(postgres: Server, database: str, tmp_path: Path) -> AsyncIterator[Fleet]:
    made = await Fleet(postgres.url(database), tmp_path).join("a", "b", "c")
    yield made
    await made.end()


async def test_all_nodes_climb_by_the_sum_of_what_they_serve(fleet: Fleet) -> None:
    await (await fleet.climb(100, GOOD)).look(GOOD, times=12)
    for node in fleet.nodes:
        assert list(dict.fromkeys(node.percents)) == [0, 1, 5, 25, 50, 100]
        assert node.position.state is RolloutState.DONE
        assert rollout_file.percents(node.folder) == {"orders": 100}
    assert [kind for (kind,) in await fleet.rows(EVENTS)] == [*["rollout.stepped"] * 5, "rollout.done"]


async def test_counts_of_all_nodes_are_counted_once_each(fleet: Fleet) -> None:
    await fleet.climb(5, GOOD)
    for _ in range(3):
        for node in fleet.nodes:
            node.serve(GOOD)
        await fleet.tick()
    await fleet.tick()
    stored = (await fleet.stored()).kept
    assert stored is not None
    assert stored.position.counts.candidate.requests == 9 * GOOD.counts.candidate.requests
    assert await fleet.rows("SELECT * FROM requests") == []


async def test_a_batch_whose_commit_is_in_doubt_is_counted_once(fleet: Fleet) -> None:
    await fleet.climb(5, GOOD)
    follower = fleet["b"]
    follower.store.is_in_doubt = True
    follower.serve(GOOD)
    await fleet.tick()
    follower.store.is_in_doubt = False
    await fleet.tick()
    await fleet.tick()
    assert follower.position.counts.candidate.requests <= GOOD.counts.candidate.requests
    stored = (await fleet.stored()).kept
    assert stored is not None
    assert stored.position.counts.candidate.requests == GOOD.counts.candidate.requests


async def test_counts_of_an_earlier_position_are_not_counted(fleet: Fleet) -> None:
    await fleet.climb(5, GOOD)
    behind = fleet["c"]
    behind.store.is_away = True
    behind.serve(GOOD)
    while fleet["a"].percent < 25:
        fleet.now += 60
        fleet["a"].serve(GOOD)
        await fleet.tick()
    counts = fleet["a"].position.counts
    behind.serve(BAD)
    behind.store.is_away = False
    await fleet.tick()
    assert behind.percent == 25
    stored = (await fleet.stored()).kept
    assert stored is not None
    assert stored.position.counts == counts == StepCounts()


async def test_a_control_that_is_killed_counts_nothing_twice(fleet: Fleet) -> None:
    await fleet.climb(5, GOOD)
    fleet["b"].serve(GOOD)
    await fleet["b"].keeper.tick()
    fleet["b"].serve(GOOD)  # lost with its control
    await fleet["b"].again()
    fleet["b"].serve(GOOD)
    await fleet.tick()
    stored = (await fleet.stored()).kept
    assert stored is not None
    assert stored.position.counts.candidate.requests == 2 * GOOD.counts.candidate.requests
    assert fleet["b"].percents[-1] == 5


async def test_a_leader_that_dies_between_commit_and_enforcing_moves_no_caller_back(fleet: Fleet) -> None:
    await fleet.climb(5, GOOD)
    leader = fleet["a"]
    with pytest.raises(Killed):  # noqa: PT012 - it dies at the step, whenever that is
        while True:
            fleet.now += 60
            for node in fleet.nodes:
                node.serve(GOOD)
            for node in (fleet["b"], fleet["c"]):
                await node.keeper.tick()
            leader.leads.dies_after = fleet["b"].position.waits_for is None or _is_next_step_due(fleet)
            await leader.keeper.tick()
    fleet.leader = "b"
    fleet.nodes.remove(leader)
    await fleet.look(GOOD, times=40)
    assert fleet["b"].percent == fleet["c"].percent == 100
    await leader.again()
    assert leader.percent == 100
    fleet.nodes.append(leader)
    for node in fleet.nodes:
        assert node.percents == sorted(node.percents), f"callers were moved back at {node.name}"


def _is_next_step_due(fleet: Fleet) -> bool:
    position = fleet["b"].position
    return fleet.now - position.since >= 600


async def test_a_breaker_at_a_follower_falls_there_at_once_and_everywhere_by_the_leader(fleet: Fleet) -> None:
    await fleet.climb(25, GOOD)
    fleet["c"].keeper.breaker_opened("orders")
    assert [node.percent for node in fleet.nodes] == [25, 25, 0]
    assert rollout_file.percents(fleet["c"].folder) == {"orders": 0}
    assert any("breaker has opened at this node" in note for note in fleet["c"].keeper.find("orders").notes)
    fleet["b"].keeper.breaker_opened("orders")
    await fleet.tick()
    assert [node.percent for node in fleet.nodes] == [0, 0, 0]
    for node in fleet.nodes:
        assert (node.position.state, node.position.percent) == (RolloutState.PAUSED, 0)
        assert node.keeper.find("orders").notes == []
    kinds = [kind for (kind,) in await fleet.rows(EVENTS)]
    assert kinds.count("rollout.failed") == 1
    assert fleet["c"].percents[-2:] == [25, 0], "it never went up again in between"


async def test_a_breaker_falls_while_the_store_is_away_and_is_followed_once_it_is_back(fleet: Fleet) -> None:
    await fleet.climb(25, GOOD)
    fleet["b"].store.is_away = True
    fleet["b"].keeper.breaker_opened("orders")
    await fleet.tick()
    assert [node.percent for node in fleet.nodes] == [25, 0, 25]
    await fleet.tick()
    fleet["b"].store.is_away = False
    await fleet.tick()
    assert [node.percent for node in fleet.nodes] == [0, 0, 0]
    assert 25 not in fleet["b"].percents[fleet["b"].percents.index(25) + 1 :]


async def test_bad_looks_at_one_node_bring_all_down(fleet: Fleet) -> None:
    await fleet.climb(25, GOOD)
    for _ in range(4):  # a look may be ahead of the counts of its minute
        fleet.now += 60
        fleet["b"].serve(BAD)
        await fleet.tick()
    assert [node.percent for node in fleet.nodes] == [5, 5, 5]


# Commands


async def test_a_command_at_a_follower_is_followed_once_with_its_actor(fleet: Fleet) -> None:
    await fleet["b"].commanded("start", "bea")
    for node in fleet.nodes:
        assert node.position.state is RolloutState.RUNNING
        assert node.keeper.find("orders").moves[0].who == "bea"
    assert await fleet.rows(AUDIT) == [("bea", "rollout start")]
    await fleet["c"].commanded("pause", "cem")
    assert {node.position.state for node in fleet.nodes} == {RolloutState.PAUSED}
    assert await fleet.rows(AUDIT) == [("bea", "rollout start"), ("cem", "rollout pause")]


async def test_a_command_that_is_not_possible_says_so_at_a_follower(fleet: Fleet) -> None:
    with pytest.raises(NoTransitionError, match="start"):
        await fleet["b"].commanded("resume")
    with pytest.raises(UnknownRolloutError, match="there is no route 'ordres'"):
        await fleet["b"].keeper.command("ordres", "start", "ana")
    fleet["c"].reload(rolled(), rolled("carts"))
    commanding = asyncio.create_task(fleet["c"].keeper.command("carts", "start", "ana"))
    while not commanding.done():
        await fleet.tick()
        await asyncio.sleep(0.01)
    with pytest.raises(UnknownRolloutError, match="of the node that leads"):
        await commanding
    assert await fleet.rows(AUDIT) == []


async def test_of_two_commands_at_two_nodes_one_is_refused(fleet: Fleet) -> None:
    first = asyncio.create_task(fleet["a"].keeper.command("orders", "start", "ana"))
    second = asyncio.create_task(fleet["b"].keeper.command("orders", "start", "bea"))
    while not (first.done() and second.done()):
        await fleet.tick()
        await asyncio.sleep(0.01)
    found = await asyncio.gather(first, second, return_exceptions=True)
    assert [isinstance(each, NoTransitionError) for each in found].count(True) == 1
    assert len(await fleet.rows(AUDIT)) == 1


async def test_without_a_leader_a_start_is_withdrawn_and_a_pause_waits_for_the_next(fleet: Fleet) -> None:
    await fleet.climb(5, GOOD)
    fleet.leader = None
    with pytest.raises(NotFollowedError, match="resume was withdrawn, so it will not be followed"):
        await fleet["b"].keeper.command("orders", "resume", "ana")
    assert await fleet.rows("SELECT * FROM requests") == []
    status = await fleet["b"].keeper.command("orders", "pause", "bea")
    assert any("pause by bea holds for this node alone" in note for note in status.notes)
    assert "no node leads" in fleet["c"].keeper.find("orders").why
    fleet.leader = "c"
    await fleet.tick()
    assert {node.position.state for node in fleet.nodes} == {RolloutState.PAUSED}
    assert fleet["b"].keeper.find("orders").notes == []


@pytest.mark.parametrize(("command", "percent"), [("pause", 25), ("back", 5)])
async def test_what_stops_is_followed_alone_without_the_store_and_by_all_once_it_is_back(
    fleet: Fleet, command: str, percent: float
) -> None:
    await fleet.climb(25, GOOD)
    node = fleet["b"]
    node.store.is_away = True
    for refused in ("resume", "start", "approve"):
        with pytest.raises(StoreError, match="refused"):
            await node.keeper.command("orders", refused, "ana")
    status = await node.keeper.command("orders", command, "ana")
    assert any(f"{command} by ana holds for this node alone" in note for note in status.notes)
    assert [each.percent for each in fleet.nodes] == [25, percent, 25]
    await fleet.tick()
    assert [each.percent for each in fleet.nodes] == [25, percent, 25]
    node.store.is_away = False
    await fleet.tick()
    state = RolloutState.PAUSED if command == "pause" else RolloutState.BACKING
    assert {(each.percent, each.position.state) for each in fleet.nodes} == {(percent, state)}
    assert await fleet.rows(AUDIT) == [("ana", "rollout start"), ("ana", f"rollout {command}")]


async def test_a_late_start_is_refused_by_the_leader(fleet: Fleet) -> None:
    fleet.leader = None
    commanding = asyncio.create_task(fleet["b"].keeper.command("orders", "start", "ana"))
    async with asyncio.timeout(10):
        while not await fleet.rows("SELECT * FROM requests"):  # noqa: ASYNC110 - the database has it
            await asyncio.sleep(0.01)
    fleet.now += 6
    fleet.leader = "a"
    while not commanding.done():
        await fleet.tick()
        await asyncio.sleep(0.01)
    with pytest.raises(NoTransitionError, match="waited more than 5 s"):
        await commanding


# What holds it


async def test_nothing_climbs_while_the_leader_holds_and_all_nodes_say_why(fleet: Fleet) -> None:
    await fleet.climb(5, GOOD)
    fleet.hold = "node c has another routes.yaml than a and b"
    await fleet.look(GOOD, times=30)
    for node in fleet.nodes:
        assert node.percent == 5
        assert "node c has another routes.yaml" in node.keeper.find("orders").why
    fleet["b"].keeper.breaker_opened("orders")
    await fleet.tick()
    assert {node.percent for node in fleet.nodes} == {0}, "a fall does not wait"
    await fleet["c"].commanded("resume")
    await fleet.look(GOOD, times=3)
    assert {node.percent for node in fleet.nodes} == {0}
    fleet.hold = None
    await fleet.look(GOOD)
    assert {node.percent for node in fleet.nodes} == {1.0}


async def test_a_node_whose_program_is_replaced_follows_falls_and_no_rise(fleet: Fleet) -> None:
    await fleet.climb(5, GOOD)
    fleet["b"].has_successor = True
    while fleet["a"].percent == 5:
        await fleet.look(GOOD)
    assert [node.percent for node in fleet.nodes] == [25, 5, 25]
    fleet["b"].has_successor = False
    await fleet.tick()
    assert fleet["b"].percent == 25
    fleet["b"].has_successor = True
    await fleet.look(BAD, times=4)
    assert {node.percent for node in fleet.nodes} == {5}


async def test_a_gate_without_evidence_holds_and_all_nodes_say_why(
    postgres: Server, database: str, tmp_path: Path
) -> None:
    fleet = await Fleet(postgres.url(database), tmp_path).join("a", "b", routes=(with_plan(gate="every"),))
    await fleet["b"].commanded("start")
    await fleet.look(GOOD, times=3)
    for node in fleet.nodes:
        assert (node.percent, node.position.waits_for) == (0, WaitsFor.GATE)
        assert "the gate does not hold: " in node.keeper.find("orders").why
    await fleet.end()


async def test_the_kill_switch_of_the_leader_holds_and_begins_the_evidence_anew(fleet: Fleet) -> None:
    await fleet.climb(5, GOOD)
    for node in fleet.nodes:
        node.keeper.turned(ON)
    await fleet.look(GOOD, times=20)
    for node in fleet.nodes:
        assert (node.percent, node.position.waits_for) == (5, WaitsFor.KILL_SWITCH)
        assert node.position.counts == StepCounts()
    for node in fleet.nodes:
        node.keeper.turned(replace(ON, on=False))
    await fleet.look(GOOD, times=12)
    assert {node.percent for node in fleet.nodes} == {25.0}


async def test_a_new_leader_follows_a_plan_that_the_former_has_not_seen(fleet: Fleet) -> None:
    await fleet.climb(25, GOOD)
    for node in fleet.nodes[1:]:
        node.reload(with_plan(steps=(10.0, 50.0)))
    fleet.leader = "b"
    await fleet.tick()
    assert (fleet["b"].percent, fleet["b"].position.state) == (25, RolloutState.PAUSED)
    waiting = [kind for (kind,) in await fleet.rows(EVENTS)].count("rollout.waiting")
    assert waiting == 1
    fleet.leader = "c"
    await fleet.tick()
    assert [kind for (kind,) in await fleet.rows(EVENTS)].count("rollout.waiting") == 1, "it is followed once"


async def test_a_rollout_that_is_taken_out_is_forgotten_unless_files_differ(fleet: Fleet) -> None:
    await fleet.climb(5, GOOD)
    fleet.hold = "files differ"
    fleet["a"].reload(rolled(plan=None, percent=5))
    await fleet.tick()
    assert await fleet.rows("SELECT name FROM rollout_positions") == [("orders",)]
    assert fleet["b"].percent == 5
    for node in fleet.nodes[1:]:
        node.reload(rolled(plan=None, percent=5))
    fleet.hold = None
    await fleet.tick()
    assert await fleet.rows("SELECT name FROM rollout_positions") == []


# Starts and losses


async def test_a_node_that_starts_goes_to_the_stored_percent_and_never_below(fleet: Fleet) -> None:
    await fleet.climb(25, GOOD)
    await fleet.join("d")
    assert fleet["d"].percent == 25
    assert list(dict.fromkeys(fleet["d"].percents)) == [0, 25]
    for node in list(fleet.nodes):
        await node.again()
        assert node.percents[-1] == 25
        assert 0 not in node.percents[node.percents.index(25) :]


async def test_a_node_that_starts_while_the_store_is_away_waits_at_what_is_in_force(fleet: Fleet) -> None:
    await fleet.climb(25, GOOD)
    node = fleet["b"]
    await node.killed()
    node.start_anew()
    await node.control(is_away=True)
    await fleet.tick()
    assert node.percent == 0
    assert "not known yet" in node.keeper.find("orders").notes[0]
    with pytest.raises(StoreError):
        await node.keeper.command("orders", "start", "ana")
    node.serve(GOOD)
    node.store.is_away = False
    await fleet.tick()
    assert (node.percent, node.percents) == (25, [0, 25])
    stored = (await fleet.stored()).kept
    assert stored is not None
    assert stored.position.counts == StepCounts(), "nothing that it served before is of this position"


async def test_a_control_that_starts_again_while_the_store_is_away_keeps_the_percent_in_force(fleet: Fleet) -> None:
    await fleet.climb(25, GOOD)
    node = fleet["b"]
    await node.killed()
    await node.control(is_away=True)
    await fleet.tick()
    assert node.percent == 25
    node.store.is_away = False
    await fleet.tick()
    assert set(node.percents[node.percents.index(25) :]) == {25}


async def test_a_leader_that_loses_the_leadership_acts_no_more_and_nothing_is_lost(fleet: Fleet) -> None:
    await fleet.climb(5, GOOD)
    fleet["a"].serve(GOOD)
    fleet.leader = "b"
    await fleet.tick()
    await fleet.tick()
    stored = (await fleet.stored()).kept
    assert stored is not None
    assert stored.position.counts.candidate.requests == GOOD.counts.candidate.requests


async def test_times_of_shadows_at_all_nodes_are_evidence(fleet: Fleet) -> None:
    await fleet.climb(5, GOOD)
    pair = match(at=fleet.now + 1, latency=(0.1, 0.3))
    for node in fleet.nodes:
        for _ in range(MIN_PAIRS):
            node.keeper.observe(pair)
    await fleet.tick()
    for node in fleet.nodes:
        node.keeper.observe(replace(pair, latency=(0.05, 0.3)))
        node.keeper.observe(replace(pair, at=fleet.now - 1))
    fleet.now += 2
    await fleet.tick()
    stored = (await fleet.stored()).kept
    assert stored is not None
    assert stored.position.counts.paired.pairs == 2 * MIN_PAIRS + 3
    assert stored.position.counts.paired.slower >= 3


async def test_the_last_counts_of_a_node_that_ends_are_counted(fleet: Fleet) -> None:
    await fleet.climb(5, GOOD)
    leaving = fleet["c"]
    leaving.serve(GOOD)
    fleet.nodes.remove(leaving)
    await leaving.end()
    await fleet.tick()
    stored = (await fleet.stored()).kept
    assert stored is not None
    assert stored.position.counts.candidate.requests == GOOD.counts.candidate.requests


async def test_nothing_is_written_every_second_that_has_not_changed(fleet: Fleet) -> None:
    await fleet.climb(5, GOOD)
    await fleet.tick()
    before = await fleet.rows("SELECT xmin::text FROM rollout_positions")
    for _ in range(5):
        fleet.now += 1
        await fleet.tick()
    assert await fleet.rows("SELECT xmin::text FROM rollout_positions") == before
