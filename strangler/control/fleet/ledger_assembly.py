"""How the keeper of the ledger is built: with a ledger of its own, or with a part in that of a fleet."""

import time

from strangler.control.fleet.fleet_parts import FleetParts
from strangler.control.fleet.shared_ledger import FleetNode, SharedLedger
from strangler.control.ledger_home import LedgerSender
from strangler.control.ledger_keeper import LedgerKeeper
from strangler.core.settings import Settings
from strangler.store.store import Store
from strangler.store.topics import Topic


def assemble_ledger(
    run: str, node: str, store: Store, fleet: FleetParts, workers: LedgerSender, settings: Settings
) -> LedgerKeeper:
    """Build the keeper. `run`: the name of this run, which several processes of control may have one after another."""
    if not store.is_shared:
        return LedgerKeeper(store, workers, settings)
    parts = FleetNode(node, f"{run}-{time.time_ns()}", store, fleet.leadership, fleet.clock)
    home = SharedLedger(parts, workers, settings)
    fleet.feed.subscribe(Topic.LEDGER, home.follow)
    return LedgerKeeper(store, workers, settings, fleet.clock.now, home)
