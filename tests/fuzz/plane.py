"""A data plane that is driven from outside of its loop, since hypothesis is not asynchronous."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import uvloop

from strangler.core.settings import Settings
from tests.factories import settings, upstream
from tests.http1.raw import Client
from tests.http1.scripted import Script, ScriptedUpstream
from tests.worker.plane import RunningPlane, at, timeouts

END_S = 5.0


@dataclass(slots=True)
class Plane:
    """`complaints`: what came to the loop's handler of last resort; must stay empty."""

    runner: asyncio.Runner
    running: RunningPlane
    upstream: ScriptedUpstream
    complaints: list[Any] = field(default_factory=list)

    def hold(self) -> None:
        """Check what must hold after every example."""
        assert self.complaints == []
        assert self.running.crashes == []

    async def exchange(self, pieces: list[bytes], *, waits: bool) -> Client:
        """Send the pieces on a new connection and wait for its end. `waits`: it is not ended before the answer came."""
        client = await Client.connect(self.running.number)
        try:
            for piece in pieces:
                await client.send(piece)
            await self._settle(client, waits)
            client.half_close()
            async with asyncio.timeout(END_S):
                await client.wait_for(lambda: False)
        finally:
            await client.close()
        return client

    async def _settle(self, client: Client, waits: bool) -> None:
        """Wait until no request is under way; one that waits for more of its body would wait forever."""
        active, quiet = self.running.port.active, 0
        while quiet < (200 if waits else 4) and client.end == "open":
            quiet = quiet + 1 if active or quiet < 3 else 1000
            await asyncio.sleep(0.001)


@contextlib.contextmanager
def plane(script: Script, changed: Callable[[Settings], Settings] = lambda made: made) -> Iterator[Plane]:
    """A plane with one upstream, which does what `script` says, for as long as this lasts."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        stack = contextlib.AsyncExitStack()
        made = runner.run(_enter(stack, runner, script, changed))
        made.runner.get_loop().set_exception_handler(lambda _, context: made.complaints.append(context))
        try:
            yield made
        finally:
            runner.run(stack.aclose())


async def _enter(
    stack: contextlib.AsyncExitStack,
    runner: asyncio.Runner,
    script: Script,
    changed: Callable[[Settings], Settings],
) -> Plane:
    scripted = await stack.enter_async_context(ScriptedUpstream(script))
    only = settings(upstreams=[upstream("legacy", at(scripted), timeouts=timeouts())])
    return Plane(runner, await stack.enter_async_context(RunningPlane(changed(only))), scripted)
