"""Nodes that share a store, without their processes: each with a state folder, and what its workers have in force."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from strangler.control.events.publisher import EventPublisher
from strangler.control.events.sinks import EventSinks
from strangler.control.fleet.leadership import NotLeaderError
from strangler.control.own_metrics import OwnMetrics
from strangler.control.reload import InForce
from strangler.control.rollout.climbs import ClimbsState
from strangler.control.rollout.fleet_keeper import FleetRolloutKeeper
from strangler.control.totals import TotalsState
from strangler.core.rollout.evidence import Numbers
from strangler.core.rollout.position import Position
from strangler.core.rollout_percents import with_percents
from strangler.core.settings import RouteSettings, Settings
from strangler.ipc.messages import RolloutBatch, encode_settings
from strangler.state import kill_switch
from strangler.store.connection import Connection
from strangler.store.errors import DatabaseError
from strangler.store.evidence import stored_rollouts
from strangler.store.evidence.stored_rollouts import StoredRollout
from strangler.store.server_store import ServerStore
from strangler.store.store import PATIENCE_S, InDoubtError, StoreError
from tests.control.rollout.proxies import Killed, counts_of, rolled
from tests.factories import settings

T = TypeVar("T")


class CutStore(ServerStore):
    """A shared store that may be away, or whose commits may be in doubt: all is stored, and nobody hears of it."""

    is_away = False
    is_in_doubt = False

    async def call(self, work: Callable[[Connection], T], patience_s: float = PATIENCE_S) -> T:
        if self.is_away:
            self.problem = "connection refused"
            raise StoreError(self.problem)
        self.problem = None
        result = await super().call(work, patience_s)
        if self.is_in_doubt:
            raise InDoubtError("the connection was lost")
        return result

    async def read(self, work: Callable[[Connection], T]) -> T:
        if self.is_away:
            raise DatabaseError("connection refused")
        return await super().read(work)


@dataclass(slots=True)
class Fleet:
    """The nodes, and what they share: a leader, a clock, and a reason why nothing climbs."""

    url: str
    folder: Path
    leader: str | None = "a"
    now: float = 1_000_000.0
    hold: str | None = None
    nodes: list["FleetNode"] = field(default_factory=list)

    def __getitem__(self, name: str) -> "FleetNode":
        return next(node for node in self.nodes if node.name == name)

    async def join(self, *names: str, routes: tuple[RouteSettings, ...] = ()) -> "Fleet":
        """Start nodes."""
        for name in names:
            node = FleetNode(self, name, routes or (rolled(),))
            await node.control()
            self.nodes.append(node)
        return self

    async def tick(self) -> None:
        """Let all nodes do what is due, twice, so that each follows what the others have asked for."""
        for _ in range(2):
            for node in self.nodes:
                await node.keeper.tick()

    async def look(self, found: Numbers, times: int = 1, every_s: float = 60.0) -> "Fleet":
        """Let all nodes serve requests, and time pass."""
        for _ in range(times):
            self.now += every_s
            for node in self.nodes:
                node.serve(found)
            await self.tick()
        return self

    async def climb(self, percent: float, found: Numbers) -> "Fleet":
        """Start, and climb with good looks, until all nodes are there."""
        await self.nodes[0].commanded("start")
        for _ in range(200):
            if all(node.percent >= percent for node in self.nodes):
                return self
            await self.look(found)
        raise AssertionError(f"it stays at {self.nodes[0].position}")

    async def end(self) -> None:
        for node in self.nodes:
            await node.end()

    async def rows(self, statement: str) -> list[tuple[object, ...]]:
        """Return the rows of a query."""
        return await self.nodes[-1].store.read(lambda connection: connection.execute(statement).fetchall())

    async def stored(self) -> StoredRollout:
        return (await self.nodes[-1].store.read(stored_rollouts.load))["orders"]


class _Leads:
    """The leadership as a test gives it; `dies_after` kills the process once the transaction is committed."""

    def __init__(self, fleet: Fleet, name: str, store: CutStore) -> None:
        self._fleet = fleet
        self._name = name
        self._store = store
        self.epoch = 1
        self.dies_after = False

    @property
    def holds(self) -> bool:
        return self._fleet.leader == self._name

    @property
    def leader(self) -> str | None:
        return self._fleet.leader

    def subscribe(self, follower: Callable[[bool], object]) -> None:
        """Do nothing: nobody asks to hear of it."""

    async def call(self, work: Callable[[Connection], T]) -> T:
        if not self.holds:
            raise NotLeaderError("another node leads")
        result = await self._store.call(work)
        if self.dies_after:
            raise Killed
        return result


class FleetNode:
    """A node; `percents` are those that its workers have had."""

    def __init__(self, fleet: Fleet, name: str, routes: tuple[RouteSettings, ...]) -> None:
        self.fleet = fleet
        self.name = name
        self.folder = fleet.folder / name
        self.folder.mkdir()
        self.file: Settings = settings(routes)
        self.generation = 1
        self.in_force = with_percents(self.file, {})
        self.has_successor = False
        self.switch = kill_switch.OFF
        self.percents: list[float] = [0.0]
        self.runs = 0
        self.served = 0

    def start_anew(self) -> None:
        """Start the whole node, as `strangler serve` does while the store is away."""
        self.in_force, self.percents = with_percents(self.file, {}), [0.0]

    async def control(self, *, is_away: bool = False) -> None:
        """Start a control. `is_away`: whether it finds no store."""
        self.runs += 1
        self.store = CutStore(self.fleet.url, self.name, self.folder, lambda _: None)
        self.store.is_away = is_away
        own = OwnMetrics(TotalsState(), "control")
        publisher = EventPublisher(self.store, EventSinks(self.store, {}, own), own, "run", "//test")
        self.climbs = ClimbsState(self.in_force, self.switch, self.generation)
        self.leads = _Leads(self.fleet, self.name, self.store)
        self.keeper = FleetRolloutKeeper(
            self.store,
            self.leads,
            publisher,
            own,
            self.climbs,
            self.push,
            node=self.name,
            run=f"{self.name}{self.runs}",
            now=lambda: self.fleet.now,
            hold=lambda _: self.fleet.hold,
            has_successor=lambda: self.has_successor,
            wait_s=1.0,
        )
        await self.keeper.restore()
        await self.keeper.tick()

    async def end(self) -> None:
        await self.keeper.close()
        await self.store.close()

    async def killed(self) -> None:
        """Forget all that only control knew."""
        await self.store.close()

    async def again(self) -> None:
        """Kill control, and start another; the workers go on meanwhile."""
        await self.killed()
        await self.control()

    def push(self) -> int:
        """Put percents in force, as the reload does."""
        self.generation += 1
        self.in_force = self.climbs.effective(self.file)
        self.percents.append(self.percent)
        self.keeper.adopt(InForce(self.in_force, encode_settings(self.in_force), self.generation, "", is_move=True))
        return self.generation

    def reload(self, *routes: RouteSettings) -> None:
        """Load an edited file."""
        self.file = settings(routes)
        self.generation += 1
        self.in_force = self.climbs.effective(self.file)
        self.percents.append(self.percent)
        self.keeper.adopt(InForce(self.in_force, encode_settings(self.in_force), self.generation, ""))

    @property
    def percent(self) -> float:
        """The percent that the workers have."""
        return self.in_force.routes[0].split.percent

    @property
    def position(self) -> Position:
        found = self.keeper.position("orders")
        assert found is not None
        return found

    def serve(self, found: Numbers, generation: int | None = None) -> None:
        """Report what a worker has counted."""
        number = self.generation if generation is None else generation
        self.keeper.take(RolloutBatch([counts_of(found, "orders", number)]))
        self.served += found.counts.candidate.requests

    async def commanded(self, command: str, actor: str = "ana") -> None:
        """Give a command here, while all nodes do what is due."""
        commanding = asyncio.create_task(self.keeper.command("orders", command, actor, "because"))
        while not commanding.done():
            await self.fleet.tick()
            await asyncio.sleep(0.01)
        await commanding
        await self.fleet.tick()
