"""The listener to what comparisons show."""

from collections.abc import Sequence
from typing import Protocol

from strangler.store.connection import Connection
from strangler.store.events.event import Event
from strangler.store.evidence.findings import Finding
from strangler.store.evidence.stopped_routes import StopChange


class EvidenceListener(Protocol):
    """Makes events of what comparisons show.

    `insert_…` is called in a transaction of the store, in its thread; `on_stored` gets the events that they returned,
    once the transaction is committed. All else is called in the event loop.
    """

    def insert_signatures(self, connection: Connection, now: float) -> list[Event]: ...
    def insert_stops(self, connection: Connection, changes: Sequence[StopChange], now: float) -> list[Event]: ...
    def on_stored(self, events: Sequence[Event]) -> None: ...
    def publish_comparison(self, finding: Finding) -> None: ...
    def publish_halt(self, reason: str) -> None: ...
    def publish_resumption(self) -> None: ...
