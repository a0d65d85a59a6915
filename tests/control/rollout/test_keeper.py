"""The keeper of rollouts: with a clock that is told, a real store, and a control that is killed at every point."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from strangler.control.events.gates import GateWatch
from strangler.control.rollout.climbs import UnknownRolloutError
from strangler.core.rollout.evidence import StepCounts
from strangler.core.rollout.latency import MIN_PAIRS, PairedTimes
from strangler.core.rollout.machine import NoTransitionError, RolloutState
from strangler.core.rollout.position import WaitsFor
from strangler.core.settings import AggregatePart
from strangler.state import rollout_file
from strangler.state.files import ROLLOUTS, STORE
from strangler.state.kill_switch import KilledRoute, KillSwitchState
from strangler.store.store import PATIENCE_S, StoreError
from tests.control.rollout.proxies import Killed, Proxy, rolled, with_plan
from tests.core.rollout.draws import BAD, GOOD, NOTHING
from tests.factories import route, shadow
from tests.store.evidence.pairs import match

ON = KillSwitchState(on=True, reason="", since=None)
OFF = KillSwitchState(on=False, reason="", since=None)


@pytest.fixture
async def proxy(tmp_path: Path) -> AsyncIterator[Proxy]:
    made = await Proxy(tmp_path).control()
    yield made
    await made.end()


async def test_good_looks_climb_to_the_end_and_each_step_is_put_in_force_once(proxy: Proxy) -> None:
    await (await proxy.climb(100, GOOD)).look(GOOD, times=12)
    assert list(dict.fromkeys(proxy.percents)) == [0, 1, 5, 25, 50, 100]
    assert proxy.position.state is RolloutState.DONE
    assert await proxy.events() == [
        ("rollout.stepped", 0, 1),
        ("rollout.stepped", 1, 5),
        ("rollout.stepped", 5, 25),
        ("rollout.stepped", 25, 50),
        ("rollout.stepped", 50, 100),
        ("rollout.done", 100, 100),
    ]
    assert rollout_file.percents(proxy.folder) == {"orders": 100}
    events = await proxy.documents()
    assert events[1].data["look"]["candidate"]["requests"] > 0, "events carry the numbers they were decided by"
    assert events[1].subject == "orders"


async def test_a_step_up_waits_for_a_store_that_works(proxy: Proxy) -> None:
    await proxy.climb(5, GOOD)
    proxy.store.is_full = True
    await proxy.look(GOOD, times=30)
    assert (proxy.percent, proxy.position.percent) == (5, 5)
    status = proxy.keeper.find("orders")
    assert "disk is full" in status.why
    proxy.store.is_full = False
    proxy.store.problem = None
    await proxy.look(GOOD, times=2)
    assert proxy.percent == 25
    assert [to for _, _, to in await proxy.events()] == [1, 5, 25], "the step is announced once"


async def test_a_step_up_waits_while_a_new_program_is_started_and_a_fall_does_not(proxy: Proxy) -> None:
    """The workers of the new one serve before they hear of a step: they would take its callers back."""
    await proxy.climb(5, GOOD)
    proxy.has_successor = True
    await proxy.look(GOOD, times=30)
    assert (proxy.percent, proxy.position.percent) == (5, 5)
    proxy.has_successor = False
    await proxy.look(GOOD)
    assert proxy.percent == 25
    assert [to for _, _, to in await proxy.events()] == [1, 5, 25], "the step is announced once"
    proxy.has_successor = True
    await proxy.look(BAD, times=3)
    assert proxy.percent == 5


async def test_a_fall_does_not_wait_for_the_store(proxy: Proxy) -> None:
    await proxy.climb(25, GOOD)
    proxy.store.is_full = True
    proxy.keeper.breaker_opened("orders")
    assert proxy.percent == 0
    assert rollout_file.percents(proxy.folder) == {"orders": 0}
    proxy.store.is_full = False
    await proxy.look(NOTHING)
    assert (await proxy.stored()).percent == 0
    assert (await proxy.events())[-1] == ("rollout.failed", 25, 0)


async def test_bad_looks_step_back_and_pause_at_the_second_fall(proxy: Proxy) -> None:
    await (await proxy.climb(25, GOOD)).look(BAD, times=3)
    assert (proxy.percent, proxy.position.state) == (5, RolloutState.RUNNING)
    while proxy.percent != 25:
        await proxy.look(GOOD)
    await proxy.look(BAD, times=3)
    assert (proxy.percent, proxy.position.state) == (5, RolloutState.PAUSED)
    assert (await proxy.documents())[-1].data["waits_for"] == "resume"
    assert "3 looks in a row were bad" in proxy.keeper.find("orders").why


async def test_a_rollout_that_was_sent_back_to_0_says_so_and_names_no_earlier_pause(proxy: Proxy) -> None:
    await proxy.climb(5, GOOD)
    for command, actor in (("pause", "ana"), ("resume", "ana"), ("back", "bob")):
        await proxy.keeper.command("orders", command, actor, "it is late")
    await proxy.look(NOTHING, times=5)
    assert (proxy.percent, proxy.position.state) == (0, RolloutState.PAUSED)
    assert proxy.keeper.find("orders").why == (
        "it is paused, since it was sent back by bob: it is late; to go on: strangler rollout resume orders"
    )


@pytest.mark.parametrize("command", ["pause", "back"])
async def test_commands_that_stop_are_followed_without_a_store_and_others_are_not(proxy: Proxy, command: str) -> None:
    await proxy.climb(25, GOOD)
    proxy.store.is_full = True
    await proxy.keeper.command("orders", command, "ana", "it is late")
    assert proxy.position.state is (RolloutState.PAUSED if command == "pause" else RolloutState.BACKING)
    await proxy.keeper.command("orders", "pause", "ana") if command == "back" else None
    with pytest.raises(StoreError):
        await proxy.keeper.command("orders", "resume", "ana")
    assert proxy.position.state is RolloutState.PAUSED
    proxy.store.is_full = False
    await proxy.keeper.tick()
    rows = await proxy.store.call(lambda connection: connection.execute("SELECT who, what FROM audit").fetchall())
    assert ("ana", f"rollout {command}") in rows, "the audit is written with the position"
    assert ("ana", "rollout resume") not in rows


async def test_a_command_that_is_not_possible_changes_nothing(proxy: Proxy) -> None:
    with pytest.raises(NoTransitionError, match="start"):
        await proxy.keeper.command("orders", "resume", "ana")
    with pytest.raises(UnknownRolloutError, match="there is no route 'ordres'"):
        await proxy.keeper.command("ordres", "start", "ana")
    proxy.reload(rolled(), route("plain"))
    with pytest.raises(UnknownRolloutError, match="route 'plain' has no rollout"):
        await proxy.keeper.command("plain", "start", "ana")
    assert proxy.position.state is RolloutState.WAITING


async def test_an_approval_of_another_percent_is_refused(tmp_path: Path) -> None:
    proxy = await Proxy(tmp_path, with_plan(approve=(5.0,))).control()
    await (await proxy.climb(1, GOOD)).look(GOOD, times=15)
    assert proxy.position.waits_for is WaitsFor.APPROVAL
    status = proxy.keeper.find("orders")
    assert status.why == "5 % waits for an approval: strangler rollout approve orders"
    announced = (await proxy.documents())[-1]
    assert (announced.type, announced.data["to"]) == ("rollout.waiting", 5)
    assert announced.data["waits_for"] == "approve"
    assert announced.data["at"] == proxy.position.announced_at
    assert proxy.keeper.gauges()["strangler_rollout_waits_for_person", ("orders",)] == 1
    with pytest.raises(NoTransitionError, match="25 % cannot be approved now: the next step is 5 %"):
        await proxy.keeper.command("orders", "approve", "ana", percent=25)
    assert "approve" in status.commands
    assert "approve" not in (await proxy.keeper.command("orders", "approve", "ana", percent=5)).commands
    for percent in (5, None):
        with pytest.raises(NoTransitionError, match="5 % is approved already"):
            await proxy.keeper.command("orders", "approve", "bob", percent=percent)
    approvals = "SELECT who FROM audit WHERE what = 'rollout approve'"
    rows = await proxy.store.call(lambda connection: connection.execute(approvals).fetchall())
    assert rows == [("ana",)], "it is audited once"
    await proxy.look(GOOD)
    assert proxy.percent == 5
    assert proxy.position.announced_at is None
    await proxy.end()


async def test_of_two_approvals_at_once_one_is_followed_and_in_the_audit(tmp_path: Path) -> None:
    proxy = await Proxy(tmp_path, with_plan(approve=(5.0,))).control()
    await (await proxy.climb(1, GOOD)).look(GOOD, times=15)
    assert "approve" in proxy.keeper.find("orders").commands
    approvals = [proxy.keeper.command("orders", "approve", name, percent=5) for name in ("ana", "bob")]
    _, second = await asyncio.gather(*approvals, return_exceptions=True)
    assert isinstance(second, NoTransitionError)
    assert "5 % is approved already" in str(second)
    assert "approve" not in proxy.keeper.find("orders").commands
    rows = await proxy.store.call(
        lambda connection: connection.execute("SELECT who FROM audit WHERE what = 'rollout approve'").fetchall()
    )
    assert rows == [("ana",)]
    await proxy.end()


async def test_counts_of_an_earlier_step_are_not_counted(proxy: Proxy) -> None:
    await proxy.climb(5, GOOD)
    before = proxy.position.counts
    proxy.serve(GOOD, generation=proxy.generation - 1)
    proxy.now += 1
    await proxy.keeper.tick()
    assert proxy.position.counts == before
    proxy.serve(GOOD)
    await proxy.keeper.tick()
    assert proxy.position.counts.candidate.requests == GOOD.counts.candidate.requests


async def test_a_resumption_counts_only_requests_that_began_after_it(proxy: Proxy) -> None:
    await proxy.climb(5, GOOD)
    await proxy.keeper.command("orders", "pause", "ana")
    generation = proxy.generation
    proxy.now += 1
    await proxy.keeper.command("orders", "resume", "ana")
    proxy.serve(BAD, generation=generation)
    await proxy.keeper.tick()
    assert proxy.position.counts == StepCounts()


async def test_a_group_climbs_as_one_by_the_counts_of_all_its_routes(tmp_path: Path) -> None:
    proxy = await Proxy(tmp_path, rolled("orders", group="shop"), rolled("carts", group="shop")).control()
    await proxy.keeper.command("carts", "start", "ana")
    await proxy.keeper.tick()
    assert [each.split.percent for each in proxy.in_force.routes] == [1, 1]
    proxy.serve(GOOD, "orders")
    proxy.serve(GOOD, "carts")
    await proxy.keeper.tick()
    position = proxy.keeper.position("shop")
    assert position is not None
    assert position.counts.candidate.requests == 2 * GOOD.counts.candidate.requests
    assert [each.route for each in proxy.keeper.document().rollouts] == ["orders", "carts"]
    await proxy.end()


async def test_times_of_shadows_are_evidence_of_the_step_they_were_made_on(proxy: Proxy) -> None:
    await proxy.climb(5, GOOD)
    pair = match(at=proxy.now + 1, latency=(0.1, 0.3))
    for _ in range(MIN_PAIRS):
        proxy.keeper.observe(pair)
    proxy.keeper.observe(replace(pair, latency=(0.05, 0.3)))
    proxy.keeper.observe(replace(pair, at=proxy.now - 1))
    proxy.keeper.observe(replace(pair, latency=None))
    proxy.keeper.observe(replace(pair, route="other"))
    proxy.now += 2
    await proxy.keeper.tick()
    assert proxy.position.counts.paired == PairedTimes(slower=1, pairs=1)
    await proxy.again()
    proxy.keeper.observe(replace(pair, at=proxy.now + 1))
    await proxy.keeper.tick()
    assert proxy.position.counts.paired.pairs == 2, "legacy's percentile is stored with the position"


# The gate


async def test_a_gate_without_evidence_holds_the_first_step(tmp_path: Path) -> None:
    proxy = await Proxy(tmp_path, with_plan(gate="every")).control()
    await proxy.keeper.command("orders", "start", "ana")
    await proxy.look(GOOD, times=3)
    assert proxy.percent == 0
    assert proxy.position.waits_for is WaitsFor.GATE
    assert "route 'orders' is not enough evidence" in proxy.keeper.find("orders").why
    await proxy.end()


# Breakers, the kill switch, disabled routes


@pytest.mark.parametrize(
    ("upstream", "falls"), [("orders", True), ("stock", True), ("advice", False), ("legacy", False)]
)
async def test_only_upstreams_that_the_candidate_needs_bring_it_down(
    tmp_path: Path, upstream: str, falls: bool
) -> None:
    parts = (
        AggregatePart("stock", "stock", "/stock", True, None),
        AggregatePart("advice", "advice", "/advice", False, None),
    )
    joined = replace(rolled("joined", group="shop"), candidate=None, aggregate=parts)
    proxy = await Proxy(tmp_path, rolled("orders", group="shop"), joined).control()
    await proxy.climb(25, GOOD)
    proxy.keeper.breaker_opened(upstream)
    assert proxy.percent == (0 if falls else 25)
    await proxy.end()


async def test_a_breaker_that_opens_again_at_zero_is_no_second_fall(proxy: Proxy) -> None:
    await proxy.climb(25, GOOD)
    for _ in range(5):
        proxy.keeper.breaker_opened("orders")
    await proxy.look(NOTHING)
    assert [kind for kind, *_ in await proxy.events()].count("rollout.failed") == 1
    assert proxy.position.state is RolloutState.PAUSED


async def test_the_kill_switch_keeps_the_position_and_nothing_climbs(proxy: Proxy) -> None:
    await proxy.climb(5, GOOD)
    proxy.keeper.turned(ON)
    await proxy.look(GOOD, times=30)
    assert (proxy.percent, proxy.position.waits_for) == (5, WaitsFor.KILL_SWITCH)
    assert proxy.position.counts == StepCounts()
    await proxy.again()
    assert not proxy.position.is_overridden, "control learns at its start that the switch was turned off"
    await proxy.look(GOOD, times=12)
    assert proxy.percent == 25
    whats = [move.what for move in proxy.keeper.find("orders").moves]
    assert whats.count("kill_switch") == 2


async def test_the_kill_switch_of_one_route_and_a_disabled_route_hold_the_whole_group(tmp_path: Path) -> None:
    routes = rolled("orders", group="shop"), rolled("carts", group="shop")
    proxy = await Proxy(tmp_path, *routes).control()
    await proxy.climb(5, GOOD)
    overridden = []
    for turn in (
        lambda: proxy.keeper.turned(replace(OFF, routes={"carts": KilledRoute("", None)})),
        lambda: proxy.keeper.turned(OFF),
        lambda: proxy.reload(routes[0], replace(routes[1], enabled=False)),
    ):
        turn()  # type: ignore[no-untyped-call]
        position = proxy.keeper.position("shop")
        overridden.append(position is not None and position.is_overridden)
    assert overridden == [True, False, True]
    await proxy.end()


# Plans and files


async def test_a_percent_in_force_is_taken_over_and_start_goes_on_from_it(tmp_path: Path) -> None:
    proxy = await Proxy(tmp_path, rolled(plan=None, percent=25)).control()
    proxy.reload(rolled())
    assert (proxy.percent, proxy.position.state) == (25, RolloutState.WAITING)
    await proxy.again()
    assert (proxy.percent, proxy.position.state) == (25, RolloutState.WAITING)
    await proxy.keeper.command("orders", "start", "ana")
    await proxy.look(GOOD, times=11)
    assert list(dict.fromkeys(proxy.percents)) == [25, 50]
    await proxy.end()


async def test_a_percent_survives_an_edit_while_the_proxy_is_down(tmp_path: Path) -> None:
    """The file in the folder is not there yet: the store of the gates knows what was last in force."""
    proxy = await Proxy(tmp_path, rolled(plan=None, percent=25)).control()
    await GateWatch(proxy.store, proxy.publisher, proxy.in_force).look()
    await proxy.end()
    proxy.open(rolled())
    await proxy.control()
    assert (proxy.percent, proxy.position.state) == (25, RolloutState.WAITING)
    await proxy.end()


async def test_a_plan_that_is_taken_out_ends_the_rollout_and_the_files_percent_counts(proxy: Proxy) -> None:
    await proxy.climb(25, GOOD)
    proxy.reload(rolled(plan=None, percent=3))
    await proxy.keeper.tick()
    assert proxy.percent == 3
    assert proxy.keeper.of("orders") is None
    assert rollout_file.read(proxy.folder) == {}
    await proxy.again()
    proxy.reload(rolled())
    assert (proxy.percent, proxy.position.state) == (3, RolloutState.WAITING)


@pytest.mark.parametrize(
    ("steps", "state"), [((1.0, 5.0, 60.0), RolloutState.RUNNING), ((1.0, 10.0, 60.0), RolloutState.PAUSED)]
)
async def test_a_changed_plan_keeps_its_percent_or_pauses(
    proxy: Proxy, steps: tuple[float, ...], state: RolloutState
) -> None:
    await proxy.climb(5, GOOD)
    proxy.reload(with_plan(steps=steps))
    assert (proxy.percent, proxy.position.state) == (5, state)


async def test_another_candidate_begins_the_evidence_anew(proxy: Proxy) -> None:
    await (await proxy.climb(5, GOOD)).look(GOOD, times=3)
    assert proxy.position.counts != StepCounts()
    proxy.reload(rolled(candidate="orders2"))
    assert proxy.position.counts == StepCounts()
    assert proxy.percent == 5


async def test_a_percent_beyond_half_without_a_warm_legacy_is_noted(tmp_path: Path) -> None:
    for kind, is_noted in (("legacy", True), ("candidate", False), ("any", False)):
        folder = tmp_path / kind
        folder.mkdir()
        proxy = await Proxy(folder, rolled(shadow=shadow(of=kind))).control()
        await proxy.climb(100, GOOD)
        notes = proxy.keeper.find("orders").notes
        assert any("shadow.of: candidate" in note for note in notes) is is_noted
        data = (await proxy.documents())[-1].data
        assert any("shadow.of: candidate" in note for note in data["notes"]) is is_noted
        await proxy.end()


# Restarts


async def test_a_control_that_starts_again_goes_on_with_the_same_counts_and_bumps_no_generation(proxy: Proxy) -> None:
    await (await proxy.climb(5, GOOD)).look(GOOD, times=3)
    before, generation, percents = proxy.position, proxy.generation, list(proxy.percents)
    await proxy.again()
    assert proxy.position == before
    assert (proxy.generation, proxy.percents) == (generation, percents)


async def test_a_whole_proxy_that_starts_again_begins_with_the_same_percent(proxy: Proxy) -> None:
    await proxy.climb(25, GOOD)
    await proxy.end()
    proxy.percents.clear()
    proxy.open(rolled())
    await proxy.control()
    assert set(proxy.percents) == {25}


UP = ["before the store", "after the store", "before the push", "after the push"]


@pytest.mark.parametrize("point", UP)
@pytest.mark.parametrize("whole", [False, True], ids=["control", "the whole proxy"])
async def test_a_step_up_happens_exactly_once_wherever_a_process_is_killed(
    proxy: Proxy, point: str, whole: bool
) -> None:
    await (await proxy.climb(5, GOOD)).look(GOOD, times=9)
    proxy.dies = point if "push" in point else None
    proxy.store.dies = point if "store" in point else None
    with pytest.raises(Killed):
        await proxy.look(GOOD)
    await proxy.kill()
    if whole:
        proxy.open(rolled())
    await proxy.control()
    if point == "before the store":
        assert proxy.percent == 5
        await proxy.look(GOOD, times=2)
    assert (proxy.percent, proxy.position.percent) == (25, 25)
    assert proxy.percents == sorted(proxy.percents), "no caller moves back, and no step is skipped"
    assert await proxy.events() == [("rollout.stepped", 0, 1), ("rollout.stepped", 1, 5), ("rollout.stepped", 5, 25)]
    assert proxy.position.moves == 3


@pytest.mark.parametrize("point", ["before the push", "after the push", "before the store", "after the store"])
@pytest.mark.parametrize("whole", [False, True], ids=["control", "the whole proxy"])
async def test_a_fall_is_never_taken_back_wherever_a_process_is_killed(proxy: Proxy, point: str, whole: bool) -> None:
    await proxy.climb(25, GOOD)
    proxy.dies = point if "push" in point else None
    with pytest.raises(Killed):  # noqa: PT012
        proxy.keeper.breaker_opened("orders")
        proxy.store.dies = point
        await proxy.keeper.tick()
    await proxy.kill()
    if whole:
        proxy.open(rolled())
    at = len(proxy.percents)
    await proxy.control()
    assert proxy.percent == 0
    assert set(proxy.percents[at:]) <= {0}, "nobody goes to a candidate whose breaker is open"
    assert (proxy.position.state, proxy.position.percent) == (RolloutState.PAUSED, 0)
    await proxy.look(GOOD, times=5)
    assert (await proxy.stored()).state is RolloutState.PAUSED


async def test_a_lost_store_pauses_at_the_percent_of_the_file(proxy: Proxy) -> None:
    await proxy.climb(25, GOOD)
    await proxy.end()
    for file in proxy.folder.glob(f"{STORE}*"):
        file.unlink()
    await proxy.control()
    assert (proxy.percent, proxy.position.state) == (25, RolloutState.PAUSED)
    assert "lost with the store" in proxy.keeper.find("orders").why
    await proxy.keeper.tick()
    assert (await proxy.events())[-1][0] == "rollout.waiting"
    await proxy.keeper.command("orders", "resume", "ana")
    await proxy.look(GOOD, times=11)
    assert proxy.percent == 50


async def test_a_lost_file_is_written_again_from_the_store(proxy: Proxy) -> None:
    await proxy.climb(25, GOOD)
    await proxy.end()
    (proxy.folder / ROLLOUTS).unlink()
    proxy.open(rolled())
    assert proxy.percent == 0
    await proxy.control()
    assert (proxy.percent, proxy.position.state) == (25, RolloutState.RUNNING)
    assert rollout_file.percents(proxy.folder) == {"orders": 25}


@pytest.mark.parametrize(
    "content",
    [b"nonsense", b'{"position": {"percent": 25.0, "moves": 3}, "version": 2}', b'{"position": {"state": "flying"}}'],
    ids=["no JSON", "a newer version", "an unknown state"],
)
async def test_a_row_that_cannot_be_read_pauses_at_the_percent(proxy: Proxy, content: bytes) -> None:
    await proxy.climb(25, GOOD)
    await proxy.store.call(
        lambda connection: connection.execute("UPDATE rollout_positions SET content = ?", (content,))
    )
    await proxy.kill()
    await proxy.control()
    assert (proxy.percent, proxy.position.state) == (25, RolloutState.PAUSED)
    assert "cannot be read" in proxy.keeper.find("orders").why


async def test_a_store_that_cannot_be_read_holds_the_percent_until_it_can(proxy: Proxy) -> None:
    await proxy.climb(25, GOOD)
    await proxy.kill()
    (proxy.folder / STORE).rename(proxy.folder / "aside")
    (proxy.folder / STORE).mkdir()
    await proxy.control()
    assert (proxy.percent, proxy.position.state) == (25, RolloutState.PAUSED)
    with pytest.raises(StoreError):
        await proxy.keeper.command("orders", "resume", "ana")
    await proxy.look(GOOD, times=20)
    assert proxy.percent == 25
    (proxy.folder / STORE).rmdir()
    (proxy.folder / "aside").rename(proxy.folder / STORE)
    await proxy.keeper.tick()
    assert (proxy.percent, proxy.position.state) == (25, RolloutState.RUNNING)


async def test_a_breaker_that_opens_while_the_store_cannot_be_read_is_not_forgotten(proxy: Proxy) -> None:
    await proxy.climb(25, GOOD)
    await proxy.kill()
    (proxy.folder / STORE).rename(proxy.folder / "aside")
    (proxy.folder / STORE).mkdir()
    await proxy.control()
    proxy.keeper.breaker_opened("orders")
    assert proxy.percent == 0
    (proxy.folder / STORE).rmdir()
    (proxy.folder / "aside").rename(proxy.folder / STORE)
    await proxy.keeper.tick()
    assert proxy.percent == 0
    assert (await proxy.stored()).percent == 0


async def test_a_breaker_that_opens_while_a_step_is_stored_wins(proxy: Proxy) -> None:
    await (await proxy.climb(5, GOOD)).look(GOOD, times=9)
    call = proxy.store.call

    async def opening(work, patience_s=PATIENCE_S):  # type: ignore[no-untyped-def]
        proxy.store.call = call  # type: ignore[method-assign]
        proxy.keeper.breaker_opened("orders")
        assert proxy.percent == 0, "at once, not after the disk"
        return await call(work)

    proxy.store.call = opening  # type: ignore[method-assign]
    await proxy.look(GOOD)
    await proxy.keeper.tick()
    assert (proxy.percent, proxy.position.percent, proxy.position.state) == (0, 0, RolloutState.PAUSED)
    assert 25 not in proxy.percents
    assert await proxy.events() == [
        ("rollout.stepped", 0, 1),
        ("rollout.stepped", 1, 5),
        ("rollout.stepped", 5, 25),
        ("rollout.failed", 25, 0),
    ]


async def test_a_proxy_without_rollouts_writes_nothing(tmp_path: Path) -> None:
    proxy = await Proxy(tmp_path, route("plain")).control()
    assert not (tmp_path / ROLLOUTS).exists()
    proxy.store.dies = "before the store"
    for _ in range(3):
        await proxy.keeper.tick()
    assert proxy.keeper.gauges() == {}
    proxy.store.dies = None
    await proxy.end()
