"""Three nodes with one store under load: whatever fails, no request notices, nothing is lost, nothing counted twice."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
import pytest_asyncio

from tests.e2e.fleet import HOUR_S, Fleet, Node, fleet, locked, stopped, until
from tests.e2e.fleet_counts import Account, begin, sent
from tests.e2e.fleet_load import CLIENTS, Window

pytestmark = pytest.mark.asyncio(loop_scope="module")
CONTROL_RUN_S = 2.0
"""How long the load goes on without a fault, for comparison."""
AFTER_S = 1.0
EVIDENCE = ("pairs", "signatures", "sightings", "samples")
LEADER_REPLACED_S = 10.0
PATIENCE_S = 20.0
"""How long a change may take until all nodes show it: 1 s is promised, and control gives way on a busy machine."""
AWAY_S = 15.0
MAX_GROWTH_BYTES = 64 << 20
"""The memory that control may grow by while findings wait."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def on(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    async with fleet(tmp_path_factory.mktemp("fleet")) as made:
        await start_rollout(made)
        yield made


async def start_rollout(on: Fleet) -> None:
    status, found = await on.nodes[0].ask("/api/rollouts/baskets/start", "POST", {"who": "ana"})
    assert status == 200, found
    await until(partial(_has_percent, on, 30), "the rollout is at 30 % on all nodes")


class FaultState:
    """The time of a fault, within a load."""

    def __init__(self, on: Fleet, control_run: Window) -> None:
        self._on = on
        self._control_run = control_run
        self._begun = time.monotonic()

    def assert_unnoticed(self, but_at: str = "") -> None:
        """No request since the fault began failed or was slowed by it. `but_at`: a node that has died with its own."""
        fault, before = self._on.load.since(self._begun), self._control_run
        assert [lost for lost in fault.lost if lost.node != but_at] == []
        assert {each.status for each in fault.acknowledged} == {200}
        slow = fault.slower_than(max(10 * before.percentile(0.99), 0.5))
        assert len(slow) <= len(fault.acknowledged) / 50, (before.percentile(0.99), slow)
        rate = len(fault.acknowledged) / (time.monotonic() - self._begun)
        assert rate > len(before.acknowledged) / CONTROL_RUN_S / 3, (rate, len(before.acknowledged))


@asynccontextmanager
async def loaded(on: Fleet) -> AsyncIterator[FaultState]:
    """Run the load, at first without a fault; the block is the time of the fault."""
    async with on.load.running():
        yield FaultState(on, await on.load.during(CONTROL_RUN_S))
        await asyncio.sleep(AFTER_S)


async def test_all_nodes_say_the_same_and_count_each_request_once(on: Fleet) -> None:
    account = await begin(on)
    async with loaded(on) as fault:
        await on.load.during(2 * CONTROL_RUN_S)
        fault.assert_unnoticed()
    await account.balances()
    assert (await account.since()).dropped == 0
    assert {each.node for each in account.requests} == {"a", "b", "c"}
    await on.agreed("/api/diffs", lambda inbox: inbox["signatures"])
    await on.agreed("/api/routes/orders/readiness", lambda verdict: _without(verdict, "age_s"))
    await on.agreed("/api/ledger", lambda ledger: (ledger["rows"], ledger["states"], ledger["share"]))
    await on.agreed("/api/rollouts/baskets", lambda rollout: _without(rollout, "looks", "why", "until", "waits_for"))
    await on.agreed("/api/events?limit=1000", lambda found: [event["event"]["id"] for event in found["events"]])
    await on.agreed("/api/audit", lambda audit: audit["entries"])
    await on.agreed("/api/rollout", lambda rollout: rollout["routes"])


async def test_no_time_is_that_of_the_node_whose_clock_is_an_hour_ahead(on: Fleet) -> None:
    await on.load.send(30)
    account = await begin(on)
    assert account.before.pairs > 0
    soon = time.time() + HOUR_S / 2
    rows = await on.agreed("/api/diffs", lambda inbox: inbox["signatures"])
    assert [row["path"] for row in rows if max(row["first_seen"], row["last_seen"], row["state_since"]) > soon] == []
    text = time.strftime("%Y-%m-%dT%H:%M", time.gmtime(soon))
    ledger = await on.agreed("/api/ledger", lambda document: document["rows"])
    assert [row["endpoint"] for row in ledger if row["last_seen"] > text] == []
    moves = await on.agreed("/api/rollouts/baskets", lambda rollout: rollout["moves"])
    assert [move for move in moves if move["at"] > text] == []
    assert (await on.agreed("/api/routes/orders/readiness", lambda verdict: verdict["age_s"])) < HOUR_S / 2


async def test_a_leader_whose_control_is_killed_is_replaced_and_costs_nothing(on: Fleet) -> None:
    account = await begin(on)
    before, ((epoch,),) = await on.leader(), await on.query("SELECT epoch FROM leader")
    async with loaded(on) as fault:
        killed = time.monotonic()
        (await before.control()).kill()
        await until(partial(_has_epoch, on, epoch + 1), "somebody leads again", within_s=2 * LEADER_REPLACED_S)
        await until(before.is_ready, "its next control is ready")
        back = time.monotonic()
        await on.load.during(2.0)
        fault.assert_unnoticed()
    await account.lacks_at_most(_served_by(on, before, killed - 2.0, back))


async def test_a_leader_that_stands_still_is_replaced_and_never_acts_beside_its_successor(on: Fleet) -> None:
    account = await begin(on)
    before = await on.leader()
    async with loaded(on) as fault:
        control = await before.control()
        control.suspend()
        try:
            others = [node for node in on.nodes if node is not before]
            await until(partial(_is_led_by_another, others, before), "another leads", within_s=2 * LEADER_REPLACED_S)
        finally:
            control.resume()
        after = await on.leader()
        assert after is not before
        fault.assert_unnoticed()
    await account.lacks_at_most(_served_by(on, before, 0.0, time.monotonic()))
    await _assert_delivered_once(on)


async def test_a_store_that_is_killed_and_started_again_costs_nothing(on: Fleet) -> None:
    account = await begin(on)
    async with loaded(on) as fault:
        await asyncio.to_thread(on.postgres.kill)
        await until(partial(_problems, on), "all nodes say that the store is away")
        await on.load.during(1.0)
        await asyncio.to_thread(on.postgres.start)
        await until(partial(_no_problems, on), "the store is back for all nodes")
        fault.assert_unnoticed()
    await account.balances()


async def test_a_store_that_stands_still_costs_nothing(on: Fleet) -> None:
    account = await begin(on)
    async with loaded(on) as fault:
        async with stopped(on.postgres):
            await on.load.during(20.0)
            assert await _problems(on)
        await until(partial(_no_problems, on), "the store is back for all nodes")
        fault.assert_unnoticed()
    await account.balances()


async def test_tables_that_somebody_has_locked_cost_nothing(on: Fleet) -> None:
    account = await begin(on)
    async with loaded(on) as fault:
        async with locked(on.postgres, *EVIDENCE):
            await on.load.during(15.0)
        await until(partial(_no_problems, on), "the store is back for all nodes")
        fault.assert_unnoticed()
    await account.balances()


async def test_the_kill_switch_reaches_all_nodes_from_any_of_them(on: Fleet) -> None:
    candidate = on.load.counted()
    async with on.load.running():
        for node in on.nodes:
            for turn, arms in ((True, {"legacy"}), (False, {"legacy", "candidate"})):
                body = {"on": turn, "reason": "a test", "who": "ana"}
                status, found = await node.ask("/api/kill-switch", "POST", body)
                assert status == 200, found
                turned = time.monotonic()
                await until(
                    partial(_is_turned, on, turn), "the kill switch is turned on all nodes", within_s=PATIENCE_S
                )
                await until(partial(_has_arms, on, arms), f"baskets are served by {arms}", within_s=PATIENCE_S)
    assert on.load.counted()["baskets", "candidate"] > candidate["baskets", "candidate"]
    assert on.load.lost == [] or on.load.lost[-1].at < turned


async def test_percents_reach_all_nodes_from_one_that_does_not_lead(on: Fleet) -> None:
    follower = await on.follower()
    assert await _has_percent(on, 0, "coupons")
    status, found = await follower.ask("/api/rollouts/coupons/start", "POST", {"who": "ana"})
    assert status == 200, found
    await until(
        partial(_has_percent, on, 50, "coupons"), "the first step is in force on all nodes", within_s=PATIENCE_S
    )


async def test_each_event_reaches_the_webhook_once(on: Fleet) -> None:
    await on.nodes[1].ask("/api/kill-switch", "POST", {"on": True, "reason": "an event", "who": "ana"})
    await on.nodes[2].ask("/api/kill-switch", "POST", {"on": False, "reason": "an event", "who": "ana"})
    await until(partial(_is_turned, on, False))

    async def all_are_there() -> bool:
        stored = await on.agreed(
            "/api/events?limit=1000", lambda found: [each["event"]["id"] for each in found["events"]]
        )
        return len(stored) == len(set(stored)) and set(stored) <= {event["id"] for event in on.hook.events}

    await until(all_are_there, "the webhook has all events of the store")
    await _assert_delivered_once(on)
    turns = [event["data"] for event in on.hook.events if event["type"].startswith("kill_switch")]
    assert [turn["on"] for turn in turns if turn["reason"] == "an event"] == [True, False]


async def test_a_store_that_stays_away_costs_bounded_memory(on: Fleet) -> None:
    account = await begin(on)
    async with loaded(on) as fault:
        controls = [await node.control() for node in on.nodes]
        before = [control.memory_info().rss for control in controls]
        await asyncio.to_thread(on.postgres.stop)
        await on.load.during(AWAY_S)
        grown = [control.memory_info().rss - rss for control, rss in zip(controls, before, strict=True)]
        await asyncio.to_thread(on.postgres.start)
        await until(partial(_no_problems, on), "the store is back for all nodes")
        fault.assert_unnoticed()
    assert max(grown) < MAX_GROWTH_BYTES, grown
    await account.balances()


async def test_a_node_that_starts_while_the_store_is_away_serves_and_follows_later(on: Fleet) -> None:
    node = await on.follower()
    async with on.load.running():
        await asyncio.to_thread(on.postgres.stop)
        node.signal(signal.SIGTERM)
        await node.ended()
        await node.serve()
        started = time.monotonic()
        await until(partial(_has_served, on, node, "baskets", started), "it serves baskets")
        baskets = [each for each in on.load.since(started).acknowledged if each.route == "baskets"]
        assert {each.arm for each in baskets if each.node == node.name} == {"legacy"}, "rollouts are at 0 %"
        await asyncio.to_thread(on.postgres.start)
        await until(partial(_no_problems, on), "the store is back for all nodes")
        await until(partial(_has_percent, on, 30), "it has the percents of the others")
        back = time.monotonic()
        await until(partial(_has_served, on, node, "baskets", back, "candidate"), "it follows the rollout")
    await on.leader()


async def test_a_leader_that_dies_is_replaced_by_a_new_node(on: Fleet) -> None:
    account = await begin(on)
    dead = await on.leader()
    async with loaded(on) as fault:
        killed = time.monotonic()
        await dead.kill()
        on.nodes.remove(dead)
        assert await until(on.leader, within_s=2 * LEADER_REPLACED_S) is not dead
        new = Node(on.folder / "d", "d", on.routes)
        await new.serve()
        on.nodes.append(new)
        await until(partial(_has_percent, on, 30), "the new node has the percents of the others")
        await until(partial(_has_served, on, new, "orders", killed), "the new node serves")
        fault.assert_unnoticed(but_at=dead.name)
    assert len(on.load.since(killed).lost) <= CLIENTS
    sent_to_dead = _served_by(on, dead, killed - 3.0, killed + 1.0)
    await until(partial(_lacks_at_most, account, sent_to_dead), "all but the last of the dead node is counted")
    await _assert_delivered_once(on)


async def _assert_delivered_once(on: Fleet) -> None:
    """Each event came to the webhook once; one that was on its way when a leader was lost may have come twice."""
    ((epoch,),) = await on.query("SELECT epoch FROM leader")
    repeated = on.hook.repeated()
    assert set(repeated.values()) <= {2}, repeated
    assert len(repeated) < int(epoch), (repeated, epoch)


async def _lacks_at_most(account: Account, requests: int) -> bool:
    """Return whether all but so many requests are in the ledger and in the evidence."""
    found, expected = await account.since(), sent(account.requests)
    assert found.pairs <= expected.pairs
    assert found.ledger.total() <= expected.ledger.total() + CLIENTS, "requests that were lost may be counted"
    return max(expected.pairs - found.pairs, expected.ledger.total() - found.ledger.total()) <= requests


async def _has_served(on: Fleet, node: Node, route: str, since: float, arm: str = "") -> bool:
    """Return whether a node has served five requests of a route since a time, by that arm if one is named."""
    served = [each for each in on.load.since(since).acknowledged if (each.node, each.route) == (node.name, route)]
    return len([each for each in served if arm in each.arm]) >= 5


def _without(document: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key not in keys}


def _served_by(on: Fleet, node: Node, since: float, until_: float) -> int:
    """Return how many requests a node served in a time."""
    return len([each for each in on.load.acknowledged if each.node == node.name and since <= each.ended <= until_])


async def _has_epoch(on: Fleet, epoch: int) -> bool:
    """Return whether a node has begun to lead since."""
    ((now,),) = await on.query("SELECT epoch FROM leader")
    return int(now) >= epoch


async def _is_led_by_another(nodes: list[Node], before: Node) -> bool:
    found = [await node.document("/api/status") for node in nodes]
    leaders = {each["node"] for status in found for each in status["nodes"] if each["leader"]}
    return bool(leaders) and before.name not in leaders


async def _problems(on: Fleet) -> bool:
    """Return whether all nodes say that something is wrong with the store."""
    found = await on.documents("/api/status")
    return all(status is not None and status["problems"].get("store") for status in found)


async def _no_problems(on: Fleet) -> bool:
    found = await on.documents("/api/status")
    return all(status is not None and not status["problems"] for status in found)


async def _is_turned(on: Fleet, turn: bool) -> bool:
    found = await on.documents("/api/kill-switch")
    return all(switch is not None and switch["on"] is turn for switch in found)


async def _has_percent(on: Fleet, percent: float, route: str = "baskets") -> bool:
    found = await on.documents("/api/rollout")
    return all(document is not None and document["routes"][route]["percent"] == percent for document in found)


async def _has_arms(on: Fleet, arms: set[str]) -> bool:
    """Return whether these arms have served the baskets of the last second."""
    return arms == {
        each.arm
        for each in on.load.acknowledged[-200:]
        if each.route == "baskets" and each.ended > time.monotonic() - 1
    }
