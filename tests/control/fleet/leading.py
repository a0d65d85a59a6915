"""A process that leads when it may: `python -m tests.control.fleet.leading URL NODE`.

While it leads it appends its epoch to the table `appended`. Each look at the leadership is a line of standard output.
A line of standard input has it do something: `long` reads a long result, `lock` waits for a locked table, and `end`
ends the process in order.
"""

import asyncio
import json
import sys
import time
from functools import partial

import structlog
import uvloop

from strangler.control.fleet.shared_leadership import SharedLeadership
from strangler.control.fleet.store_clock import StoreClock
from strangler.store.connection import Connection
from strangler.store.store import StoreError


def append(connection: Connection, epoch: int, node: str) -> None:
    connection.execute("INSERT INTO appended (epoch, node) VALUES (?, ?)", (epoch, node))


def read_long(connection: Connection) -> None:
    """Read more than sockets hold."""
    print(json.dumps({"reads": True}), flush=True)
    connection.execute("SELECT repeat('x', 1000000) FROM generate_series(1, 100)").fetchall()


def wait_for_lock(connection: Connection) -> None:
    connection.execute("INSERT INTO locked VALUES (1)")


WORKS = {"long": read_long, "lock": wait_for_lock}


async def lead(leadership: SharedLeadership, node: str) -> None:
    leadership.subscribe(lambda holds: print(json.dumps({"gained": holds, "at": time.monotonic()}), flush=True))
    while True:
        before = time.monotonic()
        epoch = leadership.epoch
        look = {"epoch": epoch, "leader": leadership.leader, "from": before, "to": time.monotonic()}
        print(json.dumps(look), flush=True)
        if epoch:
            try:
                await leadership.call(partial(append, epoch=epoch, node=node))
            except StoreError as error:
                print(json.dumps({"failed": str(error)}), flush=True)
        await asyncio.sleep(0.02)


async def obey(leadership: SharedLeadership) -> None:
    while (line := await asyncio.to_thread(sys.stdin.readline)) != "end\n":
        try:
            await leadership.call(WORKS[line.strip()])
        except StoreError as error:
            print(json.dumps({"did_not": str(error)}), flush=True)


async def main(url: str, node: str) -> None:
    leadership = SharedLeadership(url, node, StoreClock())
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(leadership.run()), group.create_task(lead(leadership, node))]
        await obey(leadership)
        for task in tasks:
            task.cancel()
    await leadership.close()


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    uvloop.run(main(*sys.argv[1:]))
