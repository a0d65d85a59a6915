"""A node's control without workers, as a process that a test may kill: it publishes an event for each line it reads."""

import asyncio
import os
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import structlog

from strangler.store.events.event import Kind
from tests.control.control import control_of


async def main(folder: Path) -> None:
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    async with control_of(folder, os.environ) as app, AsyncExitStack() as stack:
        for part in (*app.fleet.running, app.events.publisher):
            task = asyncio.create_task(part.run())
            stack.callback(task.cancel)
        print("ready", flush=True)
        while line := await lines.readline():
            app.events.publisher.publish(Kind.ROUTE_SHIFTED, "orders", {"number": int(line)})


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(main(Path(sys.argv[1])))
