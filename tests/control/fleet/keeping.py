"""A node that keeps its part of the ledger: `python -m tests.control.fleet.keeping URL NODE FOLDER AHEAD_S`.

Lines of standard input are batches of its workers, as `{"instance": …, "number": …, "sums": [[endpoint, calls, at]]}`,
changes, as `{"change": ["own", endpoint, name]}`, and `{"end": true}`. Lines of standard output are what is
acknowledged, what becomes of changes, and what the node knows. Its clock is `AHEAD_S` ahead of the host's.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import structlog
import uvloop

from strangler.control.fleet.shared_leadership import SharedLeadership
from strangler.control.fleet.shared_ledger import FleetNode, SharedLedger
from strangler.control.fleet.store_clock import StoreClock
from strangler.control.ledger_keeper import LedgerKeeper
from strangler.ipc.messages import LedgerBatch, LedgerSum
from strangler.ledger.actions import LedgerError, RowChange
from strangler.store.store import StoreError
from tests import factories as f
from tests.control.fleet.stores import server_store


def say(**facts: Any) -> None:
    print(json.dumps(facts), flush=True)


class Workers:
    """The way back to the workers."""

    def ledger_stored(self, instance: str, number: int) -> None:
        say(stored=[instance, number])


def batch(line: dict[str, Any]) -> LedgerBatch:
    sums = []
    for endpoint, calls, at in line["sums"]:
        method, _, template = endpoint.partition(" ")
        sums.append(LedgerSum(method, template, "", "legacy", 200, "curl/8", calls, at, [calls, *[0] * 14], ""))
    return LedgerBatch(line["number"], sums, 0)


async def make(keeper: LedgerKeeper, home: SharedLedger, change: RowChange) -> None:
    try:
        say(done=await home.change(change))
    except (LedgerError, StoreError) as error:
        say(refused=str(error))


async def obey(keeper: LedgerKeeper, home: SharedLedger) -> None:
    async with asyncio.TaskGroup() as group:
        while line := await asyncio.to_thread(sys.stdin.readline):
            message = json.loads(line)
            if "end" in message:
                return
            if "change" in message:
                group.create_task(make(keeper, home, RowChange(*message["change"])))
            else:
                keeper.take(message["instance"], batch(message))


async def report(leadership: SharedLeadership, home: SharedLedger) -> None:
    while True:
        calls = sum(row.history.days[day].legacy for row in home.state.rows.rows.values() for day in row.history.days)
        say(epoch=leadership.epoch, calls=calls, cpu=time.process_time())
        await asyncio.sleep(0.1)


async def main(url: str, node: str, folder: str, ahead_s: str) -> None:
    clock = StoreClock(lambda: time.time() + float(ahead_s))
    leadership, store = SharedLeadership(url, node, clock), server_store(url, node, Path(folder))
    settings = f.settings()
    home = SharedLedger(FleetNode(node, str(time.time_ns()), store, leadership, clock), Workers(), settings)
    keeper = LedgerKeeper(store, Workers(), settings, clock.now, home)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each) for each in (leadership.run(), keeper.run(), report(leadership, home))]
        await obey(keeper, home)
        for task in tasks:
            task.cancel()
    await keeper.close()
    await leadership.close()
    await store.close()


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    uvloop.run(main(*sys.argv[1:]))
