"""The writing of rollouts: positions, moves, events and audits in one transaction, none without the others."""

from collections.abc import Mapping, Sequence
from sqlite3 import Connection
from typing import Protocol

from strangler.control.events.event import Event
from strangler.control.rollout import stored
from strangler.control.rollout.climb import Unsaved
from strangler.control.rollout.stored import StoredPosition
from strangler.evidence.audits import write_audit


class Publisher(Protocol):
    """The part that stores events within a transaction, and sends them afterwards."""

    def insert(self, connection: Connection, events: Sequence[Event]) -> None: ...
    def on_stored(self, events: Sequence[Event]) -> None: ...


def write(
    publisher: Publisher,
    positions: Mapping[str, StoredPosition],
    unsaved: Sequence[tuple[str, Unsaved]],
    gone: Sequence[str],
    connection: Connection,
) -> None:
    """Write positions, what belongs to each group, and which groups are `gone`."""
    stored.save(connection, positions, [(group, move) for group, each in unsaved for move in each.moves], gone)
    publisher.insert(connection, [event for _, each in unsaved for event in each.events])
    for _, each in unsaved:
        for audit in each.audits:
            write_audit(connection, audit.at, audit.actor, audit.what, audit.route, audit.why, audit.detail)
