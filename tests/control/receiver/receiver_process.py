"""A receiver of our own Envoy as a process, which a test may stop and kill: `python -m ... PATH`."""

import asyncio
import sys
from pathlib import Path

from strangler.control.own_metrics import OwnMetrics
from strangler.control.receiver.receiving import Receiving
from strangler.control.receiver.server import ReceiverServer
from strangler.control.totals import TotalsState
from strangler.core.routing.snapshot import Snapshot
from strangler.state.kill_switch import OFF
from tests.control.receiver.running_receiver import KeptComparisons, listener_at, received_settings


async def main(path: Path) -> None:
    """Serve until killed."""
    wanted, own = received_settings(), OwnMetrics(TotalsState(), "own")
    server = ReceiverServer(wanted, Receiving(Snapshot(wanted, 1), KeptComparisons(), lambda: OFF, own), own)
    server.start([], listener_at(path))
    print("serves", flush=True)
    await server.run()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
