"""The kill switch of nodes that share a PostgreSQL: turned at any, followed by all, also after it was away."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest

from strangler.control.fleet.shared_switch import SharedKillSwitch
from strangler.control.fleet.store_clock import StoreClock
from strangler.control.links import LinksState
from strangler.control.switch_keeper import KillSwitchKeeper
from strangler.control.totals import TotalsState
from strangler.state import kill_switch
from strangler.state.kill_switch import KillSwitchState
from strangler.store.connection import Connection
from strangler.store.events.event import Event
from strangler.store.server_store import ServerStore
from strangler.store.store import StoreError
from tests.control.fleet.database import Server
from tests.store.store_proxy import StoreProxy, store_proxy

NOW: Final = 1_795_000_000.0


@dataclass
class Clocks:
    """The time of the database and, in place of the host's, that of a node whose clock is `ahead_s` ahead."""

    at: float = NOW

    def passes(self, seconds: float = 1.0) -> None:
        self.at += seconds


@dataclass
class Node:
    """A node without its processes: `seen` are the states that its workers got, `events` those that it stored."""

    name: str
    folder: Path
    store: ServerStore
    links: LinksState
    clock: StoreClock
    seen: list[KillSwitchState] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.keeper = KillSwitchKeeper(self.folder, self.links, [self])
        self.switch = SharedKillSwitch(self.store, self.keeper, self.insert, self.clock, self.name)

    def turned(self, state: KillSwitchState) -> None:
        self.links.kill_switch = state
        self.seen.append(state)

    def insert(self, _: Connection, events: Sequence[Event]) -> None:
        self.events += events

    @property
    def state(self) -> KillSwitchState:
        """The state in force, which is that of the file."""
        assert kill_switch.read(self.folder) == self.links.kill_switch
        return self.links.kill_switch

    @property
    def brief(self) -> tuple[bool, str, list[str], list[str]]:
        return self.state.on, self.state.reason, sorted(self.state.routes), sorted(self.state.pending)

    async def turn(self, on: bool, reason: str, route: str | None = None) -> None:
        """Turn it as an operator does, here first and then, if the store takes it, for all."""
        async with self.keeper.turning:
            before = self.keeper.state
            await self.keeper.put(self.switch.turned(before, on, reason, route, "ana", f"id of {reason}"))
        publishing = asyncio.ensure_future(self.switch.publish(route))
        running = asyncio.ensure_future(self.switch.run())
        await publishing
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


@dataclass
class Fleet:
    """Nodes of one store, each with a way of its own to it."""

    server: Server
    database: str
    postgres: "psycopg.Connection[Any]"
    folder: Path
    clocks: Clocks
    stack: AsyncExitStack
    ways: dict[str, StoreProxy] = field(default_factory=dict)

    async def node(self, name: str, ahead_s: float = 0.0, *, is_clock_set: bool = True) -> Node:
        """Start a node, or start it again: what is in its folder stays."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        if name not in self.ways:
            self.ways[name] = self.stack.enter_context(store_proxy(self.server.port))
        store = ServerStore(self.server.url(self.database, self.ways[name].port), name, folder, lambda _: None)
        self.stack.push_async_callback(store.close)
        links = LinksState(TotalsState(), 1, b"", kill_switch.read(folder))
        clock = StoreClock(lambda: self.clocks.at + ahead_s, lambda: self.clocks.at)
        if is_clock_set:
            clock.set(self.clocks.at)
        return Node(name, folder, store, links, clock)

    async def cut(self, node: Node) -> None:
        """Take the store away from a node, which notices."""
        self.ways[node.name].cut()
        with pytest.raises(StoreError):
            await node.switch.exchange()

    async def mend(self, node: Node) -> None:
        """Bring the store back to a node, and have it publish and follow."""
        self.ways[node.name].restore()
        while True:
            with suppress(StoreError):
                return await node.switch.exchange()
            await asyncio.sleep(0.05)

    def rows(self) -> dict[str, Any]:
        return {
            scope: row for scope, *row in self.postgres.execute("SELECT scope, is_on, reason, node FROM kill_switches")
        }

    def audits(self) -> list[tuple[str, str, str]]:
        return self.postgres.execute("SELECT route, why, detail FROM audit ORDER BY at").fetchall()


@pytest.fixture
async def fleet(postgres: Server, database: str, tmp_path: Path) -> AsyncIterator[Fleet]:
    with postgres.connect(database) as connection:
        async with AsyncExitStack() as stack:
            yield Fleet(postgres, database, connection, tmp_path, Clocks(), stack)


async def test_a_turn_is_in_force_here_at_once_and_elsewhere_once_it_is_announced(fleet: Fleet) -> None:
    first, second = await fleet.node("one"), await fleet.node("two")
    await first.turn(True, "nonsense", "orders")
    assert first.brief == (False, "", ["orders"], [])
    assert fleet.rows() == {"orders": [1, "nonsense", "one"]}
    assert fleet.postgres.execute("SELECT topic FROM topics").fetchall() == [("kill_switch",)]
    await second.switch.exchange()
    assert second.state.routes == first.state.routes
    fleet.clocks.passes()
    await second.turn(False, "mended", "orders")
    await first.switch.exchange()
    assert (first.brief, second.brief) == ((False, "", [], []), (False, "", [], []))
    assert fleet.audits() == [("orders", "nonsense", "on"), ("orders", "mended", "off")]
    assert [[event.id for event in node.events] for node in (first, second)] == [["id of nonsense"], ["id of mended"]]
    seen = len(first.seen)
    await first.switch.exchange()
    assert len(first.seen) == seen, "nothing has changed"


async def test_of_conflicting_turns_while_the_store_is_away_the_later_holds_for_all(fleet: Fleet) -> None:
    first, second = await fleet.node("one"), await fleet.node("two", ahead_s=3600)
    await first.turn(True, "before", "users")
    await second.switch.exchange()
    await fleet.cut(first)
    await fleet.cut(second)
    for node, on, reason, route in (
        (first, True, "one's", None),
        (second, True, "two's, later", None),
        (second, False, "two's", "users"),
        (first, False, "one's, later", "users"),
        (first, True, "one's, later", "users"),
        (first, True, "of one alone", "orders"),
    ):
        fleet.clocks.passes()
        await node.turn(on, reason, route)
    assert first.brief == (True, "one's", ["orders", "users"], ["", "orders", "users"])
    assert second.brief == (True, "two's, later", [], ["", "users"])
    await fleet.mend(first)
    await fleet.mend(second)
    await first.switch.exchange()
    assert first.brief == second.brief == (True, "two's, later", ["orders", "users"], [])
    assert first.state.routes["users"].reason == "one's, later"
    assert {scope: row[2] for scope, row in fleet.rows().items()} == {"": "two", "orders": "one", "users": "one"}


async def test_a_node_that_is_killed_before_the_store_has_its_turn_publishes_it_when_it_starts(fleet: Fleet) -> None:
    first, second = await fleet.node("one"), await fleet.node("two")
    await fleet.cut(first)
    await first.turn(True, "nonsense")
    fleet.ways["one"].restore()
    again = await fleet.node("one")
    assert again.brief == (True, "nonsense", [], [""])
    await again.switch.restore()
    await again.switch.restore()
    assert again.brief == (True, "nonsense", [], [])
    await second.switch.restore()
    assert second.state.on
    assert fleet.audits() == [("", "nonsense", "on")]
    assert [event.id for event in again.events] == ["id of nonsense"]


async def test_a_turn_whose_commit_was_in_doubt_is_stored_once(fleet: Fleet) -> None:
    first = await fleet.node("one")
    before = first.state
    await first.turn(True, "nonsense")
    pending = first.switch.turned(before, True, "nonsense", None, "ana", "id of nonsense")
    await first.keeper.put(pending)  # as if the node had died before it knew that the store has it
    await first.switch.exchange()
    assert (first.brief, len(fleet.audits())) == ((True, "nonsense", [], []), 1)


async def test_a_turn_is_later_than_all_that_its_node_has_seen_whatever_its_clock_says(fleet: Fleet) -> None:
    first, second = await fleet.node("one"), await fleet.node("two")
    await first.turn(True, "nonsense")
    fleet.clocks.at -= 0.25  # what the two have measured of the store's clock differs
    second.clock.set(fleet.clocks.at)
    await second.switch.exchange()
    await second.turn(False, "mended")
    await first.switch.exchange()
    assert (first.brief, second.brief) == ((False, "mended", [], []), (False, "mended", [], []))


async def test_turns_by_an_own_clock_get_the_time_of_the_store_once_it_is_known(fleet: Fleet) -> None:
    first, second = await fleet.node("one", ahead_s=-3600, is_clock_set=False), await fleet.node("two")
    await second.turn(True, "two's", "orders")
    fleet.clocks.passes()
    await fleet.cut(first)
    await first.turn(True, "one's, an hour ago by its clock", "orders")
    fleet.clocks.passes(2)
    first.clock.set(fleet.clocks.at)
    await fleet.mend(first)
    assert first.brief == (False, "", ["orders"], [])
    assert fleet.rows()["orders"] == [1, "one's, an hour ago by its clock", "one"]
    ahead = await fleet.node("ahead", ahead_s=3600, is_clock_set=False)
    await fleet.cut(ahead)
    await ahead.turn(True, "in an hour", "users")
    ahead.clock.set(fleet.clocks.at)
    await fleet.mend(ahead)
    fleet.clocks.passes()
    await second.switch.exchange()
    await second.turn(False, "mended", "users")
    await ahead.switch.exchange()
    assert [*ahead.state.routes] == ["orders"]


async def test_a_node_with_a_file_that_cannot_be_read_is_on_alone(fleet: Fleet) -> None:
    first = await fleet.node("one")
    await first.turn(True, "nonsense", "orders")
    (fleet.folder / "two").mkdir()
    (fleet.folder / "two" / "kill-switch.json").write_bytes(b"{")
    second = await fleet.node("two")
    await second.switch.restore()
    assert (second.keeper.state.on, [*second.keeper.state.routes]) == (True, ["orders"])
    assert (fleet.folder / "two" / "kill-switch.json").read_bytes() == b"{", "left as it is"
    await first.switch.exchange()
    assert first.brief == (False, "", ["orders"], []), "it does not spread"
    fleet.clocks.passes()
    await second.turn(False, "looked at it")
    await first.switch.exchange()
    assert second.brief == (False, "looked at it", ["orders"], [])
    assert first.brief == (False, "looked at it", ["orders"], [])


async def test_what_a_new_store_has_lost_its_nodes_still_know(fleet: Fleet) -> None:
    first = await fleet.node("one")
    await first.turn(True, "nonsense", "orders")
    fleet.postgres.execute("DELETE FROM kill_switches")
    await first.switch.exchange()
    assert fleet.rows() == {"orders": [1, "nonsense", "one"]}
