"""A proxy without its processes: a state folder, one control after another, and what its workers have in force."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from strangler.control.events.publisher import EventPublisher
from strangler.control.events.sinks import EventSinks
from strangler.control.own_metrics import OwnMetrics
from strangler.control.reload import InForce
from strangler.control.rollout.climbs import ClimbsState
from strangler.control.rollout.keeper import RolloutKeeper
from strangler.control.totals import TotalsState
from strangler.core.documents import EventDocument
from strangler.core.rollout.evidence import Numbers
from strangler.core.rollout.position import Position
from strangler.core.rollout_percents import with_percents
from strangler.core.rollout_settings import RolloutSettings
from strangler.core.settings import RouteSettings, Settings
from strangler.ipc.messages import RolloutArm, RolloutBatch, RolloutCaller, RolloutCounts, encode_settings
from strangler.state import kill_switch, rollout_file
from strangler.state.files import STORE
from strangler.store.connection import Connection
from strangler.store.evidence import stored_rollouts
from strangler.store.file_store import FileStore
from strangler.store.schema import prepare_file
from strangler.store.store import PATIENCE_S, StoreError
from tests.factories import route, settings

T = TypeVar("T")
PLAN = RolloutSettings(hold_s=600, gate="never")


class Killed(BaseException):
    """The process was killed here."""


class MortalStore(FileStore):
    """A store whose process may be killed around a write, and whose disk may be full."""

    is_full = False
    dies: str | None = None

    async def call(self, work: Callable[[Connection], T], patience_s: float = PATIENCE_S) -> T:
        if self.dies == "before the store":
            raise Killed
        if self.is_full:
            self.problem = "database or disk is full"
            raise StoreError(self.problem)
        result = await super().call(work)
        self.problem = None
        if self.dies == "after the store":
            raise Killed
        return result


def rolled(name: str = "orders", plan: RolloutSettings | None = PLAN, **changes: Any) -> RouteSettings:
    return route(name, percent=changes.pop("percent", 0.0), rollout=plan, **changes)


class Proxy:
    """`in_force` is what the supervisor and the workers have; it survives control."""

    def __init__(self, folder: Path, *routes: RouteSettings) -> None:
        self.folder = folder
        self.now = 1_000_000.0
        self.dies: str | None = None
        self.switch = kill_switch.OFF
        self.has_successor = False
        self.percents: list[float] = []
        self.open(*routes or (rolled(),))

    def open(self, *routes: RouteSettings) -> None:
        """Start the whole proxy, as `strangler serve` does."""
        self.file: Settings = settings(routes)
        self.generation = 1
        self.in_force = with_percents(self.file, rollout_file.percents(self.folder))
        self.note()

    def note(self) -> None:
        self.percents.append(self.in_force.routes[0].split.percent)

    @property
    def percent(self) -> float:
        return self.percents[-1]

    async def control(self) -> "Proxy":
        """Start a control."""
        self.store = MortalStore(self.folder / STORE, prepare_file)
        own = OwnMetrics(TotalsState(), "control")
        self.publisher = EventPublisher(self.store, EventSinks(self.store, {}, own), own, "run", "//test")
        self.dies = None
        self.climbs = ClimbsState(self.in_force, self.switch, self.generation)
        self.keeper = RolloutKeeper(
            self.store,
            self.publisher,
            own,
            self.climbs,
            self.push,
            lambda: self.now,
            lambda: self.has_successor,
        )
        await self.keeper.restore()
        self.keeper.begin()
        return self

    async def end(self) -> None:
        await self.keeper.close()
        await self.store.close()

    async def kill(self) -> None:
        """Forget all that only control knew."""
        self.store.dies = None
        await self.store.close()

    async def again(self) -> "Proxy":
        await self.end()
        return await self.control()

    def push(self) -> int:
        """Put percents in force, as the reload does."""
        if self.dies == "before the push":
            raise Killed
        self.reload()
        if self.dies == "after the push":
            raise Killed
        return self.generation

    def reload(self, *routes: RouteSettings) -> None:
        """Load an edited file, or only the present percents."""
        if routes:
            self.file = settings(routes)
        self.generation += 1
        self.in_force = self.climbs.effective(self.file)
        self.note()
        self.keeper.adopt(
            InForce(self.in_force, encode_settings(self.in_force), self.generation, "", is_move=not routes)
        )

    def serve(self, found: Numbers, route: str = "orders", generation: int | None = None) -> None:
        """Report what a worker has counted."""
        self.keeper.take(RolloutBatch([counts_of(found, route, self.generation if generation is None else generation)]))

    async def look(self, found: Numbers, times: int = 1, every_s: float = 60.0) -> "Proxy":
        for _ in range(times):
            self.now += every_s
            self.serve(found)
            await self.keeper.tick()
        return self

    async def climb(self, percent: float, found: Numbers) -> "Proxy":
        """Start, and climb with good looks."""
        await self.keeper.command("orders", "start", "ana")
        for _ in range(200):
            if self.percent >= percent:
                return self
            await self.look(found)
        raise AssertionError(f"it stays at {self.position}")

    @property
    def position(self) -> Position:
        found = self.keeper.position("orders")
        assert found is not None
        return found

    async def stored(self) -> Position:
        row = (await self.store.call(stored_rollouts.load))["orders"]
        assert row.kept is not None
        return row.kept.position

    async def events(self) -> list[tuple[str, float, float]]:
        """Return the types of the stored events, with the percents."""
        return [(each.type, each.data["from"], each.data["to"]) for each in await self.documents()]

    async def documents(self) -> list[EventDocument]:
        rows = await self.store.call(
            lambda connection: connection.execute("SELECT body FROM events ORDER BY seq").fetchall()
        )
        return [msgspec.json.decode(body, type=EventDocument) for (body,) in rows]


def counts_of(found: Numbers, route: str, generation: int) -> RolloutCounts:
    """Return numbers as a worker sends them."""
    counts = found.counts
    return RolloutCounts(
        route,
        generation,
        RolloutArm(counts.legacy.requests, counts.legacy.failed, list(counts.legacy.buckets)),
        RolloutArm(counts.candidate.requests, counts.candidate.failed, list(counts.candidate.buckets)),
        counts.callers.registers,
        [
            RolloutCaller(caller, each.counts.requests, each.counts.failed, list(each.counts.buckets), each.counter)
            for caller, each in counts.callers.busiest.items()
        ],
    )


def with_plan(**changes: Any) -> RouteSettings:
    return rolled(plan=replace(PLAN, **changes))
