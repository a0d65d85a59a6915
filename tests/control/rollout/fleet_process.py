"""A node as a process: `python -m tests.control.rollout.fleet_process URL NODE FOLDER HOLD_S OFF_S`.

Its rollout has real leadership, feed and store, and workers that serve good requests all the time. Its clock is off by
so many seconds. Each change of the percent is a line of standard output. Lines of standard input are commands of a
person, or `breaker`: one opens.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

import structlog

from strangler.control.events.publisher import EventPublisher
from strangler.control.events.sinks import EventSinks
from strangler.control.fleet.fleet_parts import OwnNode, assemble_fleet
from strangler.control.fleet.store_clock import StoreClock
from strangler.control.own_metrics import OwnMetrics
from strangler.control.reload import InForce
from strangler.control.rollout.climbs import ClimbsState
from strangler.control.rollout.fleet_keeper import FleetRolloutKeeper
from strangler.control.totals import TotalsState
from strangler.core.rollout.machine import NoTransitionError
from strangler.core.rollout_percents import with_percents
from strangler.core.rollout_settings import EvidenceSettings, RolloutSettings
from strangler.ipc.messages import RolloutBatch, encode_settings
from strangler.state import kill_switch
from strangler.store.location import StoreLocation
from strangler.store.schema.opening import open_store
from strangler.store.store import StoreError
from strangler.store.topics import Topic
from tests.control.rollout.proxies import counts_of, rolled
from tests.core.rollout.draws import GOOD
from tests.factories import settings

SERVE_EVERY_S = 0.05


class NodeProcess:
    """The node. What its workers have in force is in `in_force`."""

    def __init__(self, url: str, node: str, folder: Path, hold_s: float, off_s: float) -> None:
        plan = RolloutSettings(
            steps=(1.0, 5.0, 25.0, 50.0, 100.0),
            hold_s=hold_s,
            gate="never",
            look_s=0.3,
            evidence=EvidenceSettings(1, 1),
        )
        self.file = settings((rolled(plan=plan),))
        self.in_force, self.generation = with_percents(self.file, {}), 1
        self.store = open_store(StoreLocation(folder / "store", url), node)
        self.fleet = assemble_fleet(url, OwnNode(node, folder, "run", lambda: 0), self.store)
        clock: StoreClock = self.fleet.clock
        clock._wall_clock = lambda: time.time() + off_s
        own = OwnMetrics(TotalsState(), "control")
        publisher = EventPublisher(self.store, EventSinks(self.store, {}, own), own, "run", "//test")
        self.climbs = ClimbsState(self.in_force, kill_switch.OFF, 1)
        self.keeper = FleetRolloutKeeper(
            self.store,
            self.fleet.leadership,
            publisher,
            own,
            self.climbs,
            self.push,
            node=node,
            run=str(time.time_ns()),
            now=clock.now,
        )
        self.fleet.feed.subscribe(Topic.ROLLOUTS, self.keeper.hint)
        self.fleet.feed.subscribe(Topic.REQUESTS, self.keeper.hint_leader)

    def push(self) -> int:
        before, self.generation = self.percent, self.generation + 1
        self.in_force = self.climbs.effective(self.file)
        self.keeper.adopt(InForce(self.in_force, encode_settings(self.in_force), self.generation, "", is_move=True))
        if self.percent != before:
            say(percent=self.percent, at=time.time())
        return self.generation

    @property
    def percent(self) -> float:
        return self.in_force.routes[0].split.percent

    async def run(self) -> None:
        await self.keeper.restore()
        async with asyncio.TaskGroup() as group:
            for part in (*self.fleet.running, self.keeper):
                group.create_task(part.run())
            group.create_task(self.serve())
            group.create_task(self.watch())
            group.create_task(self.obey())

    async def serve(self) -> None:
        while True:
            self.keeper.take(RolloutBatch([counts_of(GOOD, "orders", self.generation)]))
            await asyncio.sleep(SERVE_EVERY_S)

    async def watch(self) -> None:
        before = None
        while True:
            state = self.fleet.leadership.holds, self.keeper.find("orders").state
            if state != before:
                say(leads=state[0], state=state[1])
            before = state
            await asyncio.sleep(0.05)

    async def obey(self) -> None:
        while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
            if line == "breaker":
                self.keeper.breaker_opened("orders")
                continue
            try:
                status = await self.keeper.command("orders", line, "ana")
                say(done=line, notes=status.notes)
            except (StoreError, NoTransitionError) as error:
                say(refused=line, why=str(error))


def say(**values: object) -> None:
    print(json.dumps(values), flush=True)


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    at, named, folder, hold_s, off_s = sys.argv[1:]
    asyncio.run(NodeProcess(at, named, Path(folder), float(hold_s), float(off_s)).run())
