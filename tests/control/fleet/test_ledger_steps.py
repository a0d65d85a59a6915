"""The steps of a ledger that nodes share: what becomes of batches, changes and times when the lead passes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace as replaced
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest

from strangler.control.fleet.leadership import NotLeaderError
from strangler.control.fleet.ledger_requests import KIND, LedgerOrder
from strangler.control.fleet.shared_ledger import FleetNode, SharedLedger
from strangler.control.fleet.store_clock import StoreClock
from strangler.control.ledger_home import LedgerAwayError, LedgerOffError
from strangler.core.documents import ImportedSum, LedgerImportRequest
from strangler.ipc.messages import LedgerBatch, LedgerSum
from strangler.ledger.actions import LedgerError, RowChange, own
from strangler.state.files import STORE
from strangler.store import ledger_batches, requests, stored_ledger
from strangler.store.connection import Connection
from strangler.store.errors import DatabaseError
from strangler.store.file_store import FileStore
from strangler.store.ledger_changes import lock_saves, note_save
from strangler.store.schema import prepare_file
from strangler.store.store import Store, StoreError
from tests import factories as f

NOW = 20_000 * 86_400.0 + 3600
_T = TypeVar("_T")


class NodeStore(FileStore):
    """A store that a test can make unreadable."""

    is_unreadable = False

    async def read(self, work: Callable[[Connection], _T]) -> _T:
        if self.is_unreadable:
            raise DatabaseError("it cannot be read")
        return await super().read(work)


class Lead:
    """The leadership of all nodes of a test, which passes from node to node by hand."""

    def __init__(self) -> None:
        self.epoch = 0
        self.holder = ""


class Leadership:
    """The leadership as a node sees it. `is_commit_lost`: its next commit is in doubt, and its last one."""

    def __init__(self, lead: Lead, node: str, store: Store) -> None:
        self._lead = lead
        self._node = node
        self._store = store
        self.is_commit_lost = False

    @property
    def holds(self) -> bool:
        return self._lead.holder == self._node

    @property
    def epoch(self) -> int:
        return self._lead.epoch if self.holds else 0

    @property
    def leader(self) -> str | None:
        return self._lead.holder or None

    def subscribe(self, follower: Callable[[bool], object]) -> None:
        raise AssertionError("the ledger looks at the epoch")

    async def call(self, work: Callable[[Connection], _T]) -> _T:
        if not self.holds:
            raise NotLeaderError("another node leads")
        done = await self._store.call(work)
        if self.is_commit_lost:
            self._lead.holder = ""
            raise StoreError("the connection was lost")
        return done


class Node:
    """A node with a store of its own, in the one file of all."""

    def __init__(self, folder: Path, lead: Lead, name: str) -> None:
        self.name = name
        self.now = NOW
        self.acknowledged: list[tuple[str, int]] = []
        self.store = NodeStore(folder / STORE, prepare_file)
        self.clock = StoreClock(lambda: self.now, lambda: self.now)
        self.clock.set(NOW)
        self.leadership = Leadership(lead, name, self.store)
        self.home = SharedLedger(FleetNode(name, "run", self.store, self.leadership, self.clock), self, f.settings())

    def ledger_stored(self, instance: str, number: int) -> None:
        self.acknowledged.append((instance, number))

    @property
    def calls(self) -> int:
        rows = self.home.state.rows.rows
        return sum(day.legacy for row in rows.values() for day in row.history.days.values())

    async def reads(self) -> int:
        """Return the calls of the ledger as it is stored now."""
        self.home.follow()
        await self.home.step()
        return self.calls


class Nodes:
    """Nodes of one store."""

    def __init__(self, folder: Path, names: str) -> None:
        self.lead = Lead()
        self.all = {name: Node(folder, self.lead, name) for name in names}

    def __getitem__(self, name: str) -> Node:
        return self.all[name]

    def pass_to(self, name: str) -> None:
        self.lead.holder = name
        self.lead.epoch += 1

    async def step(self) -> None:
        for node in self.all.values():
            await node.home.step()


@asynccontextmanager
async def nodes_in(folder: Path, names: str = "ab") -> AsyncIterator[Nodes]:
    nodes = Nodes(folder, names)
    nodes.pass_to(names[0])
    try:
        for node in nodes.all.values():
            await node.store.call(lambda _: None)  # makes the file
        yield nodes
    finally:
        for node in nodes.all.values():
            await node.store.close()


def batch(number: int, calls: int, endpoint: str = "GET /orders", at: float = NOW) -> LedgerBatch:
    method, _, template = endpoint.partition(" ")
    sums = [LedgerSum(method, template, "", "legacy", 200, "curl/8", calls, at, [calls, *[0] * 14], "")]
    return LedgerBatch(number, sums, 0)


async def test_workers_of_equal_names_on_two_nodes_are_two_workers(tmp_path: Path) -> None:
    async with nodes_in(tmp_path) as nodes:
        for name, calls in (("a", 1), ("b", 10)):
            nodes[name].home.take("run-1-0-1", batch(1, calls))
        await nodes.step()
        assert await nodes["a"].reads() == 11
        for node in nodes.all.values():
            assert node.acknowledged == [("run-1-0-1", 1)]


async def test_a_follower_acknowledges_what_is_in_the_store(tmp_path: Path) -> None:
    async with nodes_in(tmp_path) as nodes:
        follower = nodes["b"]
        follower.home.take("w", batch(1, 3))
        assert follower.acknowledged == []
        await follower.home.step()
        assert follower.acknowledged == [("w", 1)]
        assert await nodes["a"].reads() == 3
        assert await follower.reads() == 3


async def test_batches_that_wait_are_counted_once_by_the_next_leader(tmp_path: Path) -> None:
    async with nodes_in(tmp_path, "abc") as nodes:
        nodes["a"].home.take("w", batch(1, 1))
        nodes["b"].home.take("w", batch(1, 10))
        await nodes.step()
        nodes["b"].home.take("w", batch(2, 10))
        await nodes["b"].home.step()
        nodes["a"].home.take("w", batch(2, 1))
        nodes.pass_to("b")
        nodes["b"].home.take("w", batch(3, 10))
        await nodes.step()
        nodes.pass_to("c")
        await nodes.step()
        await nodes.step()
        assert await nodes["c"].reads() == 32
        assert await nodes["a"].reads() == await nodes["b"].reads() == 32


async def test_a_leader_whose_last_commit_is_in_doubt_counts_nothing_twice(tmp_path: Path) -> None:
    async with nodes_in(tmp_path) as nodes:
        first = nodes["a"]
        first.home.take("w", batch(1, 5))
        first.leadership.is_commit_lost = True
        await first.home.step()
        assert first.acknowledged == []
        nodes.pass_to("b")
        await nodes.step()
        assert first.acknowledged == [("w", 1)]
        assert await nodes["b"].reads() == 5
        assert await first.reads() == 5


async def test_what_a_leader_has_counted_and_not_stored_counts_once(tmp_path: Path) -> None:
    async with nodes_in(tmp_path) as nodes:
        await nodes.step()
        await nodes["a"].store.call(
            lambda connection: connection.execute(
                "CREATE TRIGGER broken BEFORE INSERT ON ledger_changes BEGIN SELECT RAISE(ABORT, 'a bad disk'); END"
            )
        )
        nodes["a"].home.take("w", batch(1, 5))
        nodes["b"].home.take("w", batch(1, 7))
        await nodes["b"].home.step()
        file = LedgerImportRequest("d1", "list", "list", [("GET", "/carts")], [], None, None)
        importing = asyncio.create_task(nodes["b"].home.import_file(file))
        for _ in range(3):
            await nodes["a"].home.step()
        assert nodes["a"].acknowledged == []
        await nodes["b"].store.call(lambda connection: connection.execute("DROP TRIGGER broken"))
        await nodes["a"].home.step()
        assert nodes["a"].acknowledged == [("w", 1)]
        assert await nodes["b"].reads() == 12
        while not importing.done():
            await nodes.step()
            await asyncio.sleep(0)
        assert importing.result().new_endpoints == 1


async def test_later_batches_of_a_leaders_own_workers_wait_for_those_in_the_store(tmp_path: Path) -> None:
    async with nodes_in(tmp_path) as nodes:
        follower = nodes["b"]
        for number in range(1, 2 + ledger_batches.MAX_TAKEN):
            follower.home.take("w", batch(number, 1))
            await follower.home.step()
        nodes.pass_to("b")
        follower.home.take("w", batch(ledger_batches.MAX_TAKEN + 2, 1))
        await follower.home.step()
        assert follower.calls == ledger_batches.MAX_TAKEN
        await follower.home.step()
        assert follower.calls == ledger_batches.MAX_TAKEN + 2


async def test_a_batch_that_cannot_be_read_holds_up_nothing(tmp_path: Path) -> None:
    async with nodes_in(tmp_path) as nodes:
        await nodes["b"].store.call(lambda each: ledger_batches.put_batches(each, "b", NOW, [("b/x", 1, b"\xff")]))
        nodes["b"].home.take("w", batch(1, 3))
        await nodes.step()
        assert await nodes["a"].reads() == 3
        assert await nodes["a"].store.call(ledger_batches.waiting) == (0, 0)


async def test_calls_wait_in_the_workers_while_the_store_has_no_room(tmp_path: Path) -> None:
    async with nodes_in(tmp_path) as nodes:
        nodes.pass_to("")
        many = [("x/w", number, b"x") for number in range(ledger_batches.MAX_WAITING)]
        await nodes["a"].store.call(lambda each: ledger_batches.put_batches(each, "x", NOW, many))
        follower = nodes["b"]
        follower.home.take("w", batch(1, 3))
        await follower.home.step()
        assert follower.acknowledged == []
        assert follower.home.problem is not None
        assert "calls wait in the workers" in follower.home.problem
        await nodes["a"].store.call(lambda each: each.execute("DELETE FROM ledger_batches"))
        await follower.home.step()
        assert follower.acknowledged == [("w", 1)]
        assert follower.home.problem is None


async def test_calls_of_a_host_whose_clock_is_wrong_get_the_time_of_the_store(tmp_path: Path) -> None:
    async with nodes_in(tmp_path) as nodes:
        for node, wrong in ((nodes["a"], 7200.0), (nodes["b"], -7200.0)):
            node.clock = StoreClock(partial(float, NOW + wrong), lambda: 0.0)
            node.clock.set(NOW)
            parts = FleetNode(node.name, "run", node.store, node.leadership, node.clock)
            node.home = SharedLedger(parts, node, f.settings())
            node.home.take("w", batch(1, 3, f"GET /of-{node.name}", NOW - 60 + wrong))
        await nodes.step()
        await nodes["a"].home.step()
        seen = {name: row.last_seen for name, row in nodes["a"].home.state.rows.rows.items()}
        assert seen == {"GET /of-a": NOW - 60, "GET /of-b": NOW - 60}


async def test_nothing_is_put_into_the_store_before_its_clock_is_known(tmp_path: Path) -> None:
    async with nodes_in(tmp_path) as nodes:
        node = nodes["b"]
        clock = StoreClock(lambda: NOW - 7200, lambda: 0.0)
        node.home = SharedLedger(FleetNode("b", "run", node.store, node.leadership, clock), node, f.settings())
        node.home.take("w", batch(1, 3, at=NOW - 7200))
        await node.home.step()
        assert node.acknowledged == []
        clock.set(NOW)
        await node.home.step()
        assert node.acknowledged == [("w", 1)]


async def test_time_is_watched_while_any_node_watches(tmp_path: Path) -> None:
    async with nodes_in(tmp_path) as nodes:
        await nodes.step()
        nodes.pass_to("")
        for _ in range(20):
            nodes["b"].now += 30
            nodes["b"].home.watch()
        nodes.pass_to("a")
        nodes["a"].now = nodes["b"].now + 30
        await nodes["b"].home.save(is_last=True)
        await nodes["a"].home.save(is_last=True)
        assert nodes["a"].home.state.watch.watched_s(0, NOW + 86_400) == pytest.approx(600)


async def make(nodes: Nodes, name: str, change: RowChange) -> str:
    """Make a change at a node, while all nodes do their steps."""
    making = asyncio.create_task(nodes[name].home.change(change))
    while not making.done():
        await nodes.step()
        await asyncio.sleep(0)
    return making.result()


@pytest.mark.parametrize("name", ["a", "b"])
async def test_a_change_at_any_node_is_the_leaders_and_read_where_it_was_made(tmp_path: Path, name: str) -> None:
    async with nodes_in(tmp_path) as nodes:
        nodes["a"].home.take("w", batch(1, 3))
        await nodes.step()
        assert await make(nodes, name, RowChange("own", "GET /orders", "ana")) == "GET /orders belongs to ana"
        assert nodes[name].home.state.rows.rows["GET /orders"].owner == "ana"
        with pytest.raises(LedgerError, match="there is no endpoint"):
            await make(nodes, name, RowChange("ignore", "GET /nowhere"))
        with pytest.raises(LedgerError, match="run one version on all nodes"):
            await make(nodes, name, RowChange("paint", "GET /orders"))


async def test_names_of_endpoints_reach_the_other_nodes(tmp_path: Path) -> None:
    async with nodes_in(tmp_path) as nodes:
        nodes["b"].home.take("w", batch(1, 3, "GET /shops/acme"))
        await nodes.step()
        await nodes["a"].home.step()
        await make(nodes, "b", RowChange("fold", "/shops/{}"))
        for node in nodes.all.values():
            assert node.home.state.tree.template_of_first("/shops/apex") == "/shops/{}"


async def test_a_change_is_withdrawn_where_no_leader_takes_it(tmp_path: Path) -> None:
    async with nodes_in(tmp_path) as nodes:
        nodes["a"].home.take("w", batch(1, 3))
        await nodes.step()
        nodes.pass_to("")
        with pytest.raises(LedgerAwayError, match="no node leads; nothing was changed"):
            await nodes["b"].home.change(RowChange("own", "GET /orders", "ana"))
        nodes.pass_to("a")
        await nodes.step()
        assert nodes["a"].home.state.rows.rows["GET /orders"].owner is None


async def test_a_change_that_is_withdrawn_while_it_is_made_is_not_made(tmp_path: Path) -> None:
    """The leader has made the change in memory when its transaction finds that it is wanted no longer."""
    async with nodes_in(tmp_path) as nodes:
        leader = nodes["a"]
        leader.home.take("w", batch(1, 3))
        await nodes.step()
        order = msgspec.json.encode(LedgerOrder(5.0, change=RowChange("own", "GET /orders", "ana")))
        await nodes["b"].store.call(lambda each: requests.ask_leader(each, "b", KIND, "x", order, NOW))
        call = leader.leadership.call

        async def withdraw_first(work: Callable[[Connection], _T]) -> _T:
            await nodes["b"].store.call(lambda each: requests.withdraw(each, KIND, "x"))
            return await call(work)

        leader.leadership.call = withdraw_first  # type: ignore[method-assign]
        leader.home.take("w", batch(2, 4))
        await leader.home.step()
        assert leader.acknowledged == [("w", 1)]
        await leader.home.step()
        assert leader.acknowledged == [("w", 1), ("w", 2)]
        assert leader.home.state.rows.rows["GET /orders"].owner is None
        assert leader.calls == 7


async def test_what_a_command_has_saved_beside_the_leader_is_kept(tmp_path: Path) -> None:
    def command(connection: Connection) -> None:
        saves, state = lock_saves(connection), stored_ledger.load(connection)
        own(state, "GET /orders", "ana")
        unsaved = stored_ledger.collect_unsaved(state)
        stored_ledger.save(connection, unsaved)
        note_save(connection, unsaved, saves)

    async with nodes_in(tmp_path) as nodes:
        nodes["a"].home.take("w", batch(1, 3))
        await nodes.step()
        await nodes["b"].store.call(command)
        nodes["a"].home.take("w", batch(2, 4))
        await nodes["a"].home.step()
        await nodes["a"].home.step()
        assert nodes["a"].acknowledged == [("w", 1), ("w", 2)]
        for node in nodes.all.values():
            assert await node.reads() == 7
            assert node.home.state.rows.rows["GET /orders"].owner == "ana"


async def test_a_request_that_comes_too_late_changes_nothing(tmp_path: Path) -> None:
    async with nodes_in(tmp_path) as nodes:
        nodes["a"].home.take("w", batch(1, 3))
        await nodes.step()
        order = msgspec.json.encode(LedgerOrder(5.0, change=RowChange("own", "GET /orders", "ana")))
        await nodes["b"].store.call(lambda each: requests.ask_leader(each, "b", KIND, "x", order, NOW - 60))
        await nodes.step()
        assert nodes["a"].home.state.rows.rows["GET /orders"].owner is None
        assert await nodes["a"].store.call(lambda each: requests.response_to(each, "x")) is not None


async def test_a_large_import_at_a_follower_is_whole(tmp_path: Path) -> None:
    sums = [
        ImportedSum("GET", f"/{number % 40}x/{'y' * 300}", 200, "curl/8", 1, NOW, [], "/" + "z" * 200)
        for number in range(20_000)
    ]
    file = LedgerImportRequest("d1", "access.log", "combined", [], sums, NOW - 86_400, NOW)
    assert len(msgspec.json.encode(file)) > 10 << 20
    async with nodes_in(tmp_path) as nodes:
        await nodes.step()
        importing = asyncio.create_task(nodes["b"].home.import_file(file))
        while not importing.done():
            await nodes.step()
            await asyncio.sleep(0)
        assert importing.result().calls == 20_000
        assert await nodes["b"].reads() == 20_000
        assert nodes["b"].home.state.watch.watched_s(0, NOW) == 86_400


async def test_a_leader_without_a_ledger_says_so_and_leaves_the_calls_of_others(tmp_path: Path) -> None:
    off = replaced(f.settings(), ledger=None)
    async with nodes_in(tmp_path) as nodes:
        nodes["a"].home.adopt(off)
        nodes["b"].home.take("w", batch(1, 3))
        await nodes.step()
        with pytest.raises(LedgerOffError):
            await make(nodes, "b", RowChange("own", "GET /orders", "ana"))
        nodes["a"].home.adopt(f.settings())
        assert await nodes["a"].reads() == 3


async def test_a_node_that_leads_no_longer_shows_its_ledger_until_it_has_read_that_of_the_next(tmp_path: Path) -> None:
    async with nodes_in(tmp_path) as nodes:
        nodes["a"].home.take("w", batch(1, 3))
        await nodes.step()
        nodes.pass_to("b")
        nodes["a"].store.is_unreadable = True
        await nodes.step()
        assert nodes["a"].calls == 3
        assert nodes["a"].home.problem == "the ledger cannot be read: it cannot be read"
        nodes["b"].home.take("w", batch(1, 4))
        await nodes["b"].home.step()
        nodes["a"].store.is_unreadable = False
        assert await nodes["a"].reads() == 7
        assert nodes["a"].home.problem is None


async def test_an_ending_node_stores_all_that_its_workers_have_sent(tmp_path: Path) -> None:
    async with nodes_in(tmp_path) as nodes:
        await nodes.step()
        for number in range(1, 30):
            for name in "ab":
                nodes[name].home.take("w", LedgerBatch(number, batch(1, 1).sums * 500, 0))
        await nodes["b"].home.close()
        await nodes["a"].home.close()
        assert len(nodes["a"].acknowledged) == len(nodes["b"].acknowledged) == 29
