"""A receiver of our own Envoy as a process, which a test may stop and kill: `python -m ... PATH`."""

import asyncio
import socket
import sys

from strangler.control.own_metrics import OwnMetrics
from strangler.control.receiver.receiving import Receiving
from strangler.control.receiver.server import ReceiverServer
from strangler.control.totals import TotalsState
from strangler.core.routing.snapshot import Snapshot
from strangler.ipc.messages import Captured
from strangler.state.kill_switch import OFF
from tests.factories import route, settings, shadow, upstream


class _NoComparisons:
    """Compares nothing."""

    def take_received(self, captured: Captured) -> bool:
        return True

    def count_dropped(self, route: str, reason: str) -> None: ...


async def main(path: str) -> None:
    """Serve until killed."""
    wanted = settings([route("orders", shadow=shadow(100))], [upstream("legacy"), upstream("orders")])
    own = OwnMetrics(TotalsState(), "own")
    server = ReceiverServer(wanted, Receiving(Snapshot(wanted, 1), _NoComparisons(), lambda: OFF, own), own)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    server.start([], listener)
    print("serves", flush=True)
    await server.run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
