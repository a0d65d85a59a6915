"""All tables of the store, whatever its engine is. Those of the fleet are empty where a node has the store alone."""

from typing import Final

from strangler.store import leader, meta, requests, stored_ledger, stored_metrics, topics
from strangler.store.events import outbox, stored_gates
from strangler.store.evidence import stored_rollouts, tables

SCHEMA: Final = "".join(
    (
        meta.SCHEMA,
        stored_metrics.SCHEMA,
        tables.SCHEMA,
        outbox.SCHEMA,
        stored_gates.SCHEMA,
        stored_ledger.SCHEMA,
        stored_rollouts.SCHEMA,
        topics.SCHEMA,
        requests.SCHEMA,
        leader.SCHEMA,
    )
)
"""The definitions, each of which ends with `;`, in SQLite's words: `postgres.tables_of` translates them."""
