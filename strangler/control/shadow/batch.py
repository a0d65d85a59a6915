"""One transaction of all that shadows store: findings, stops, releases, and the use of rules."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from strangler.control.shadow.listener import EvidenceListener
from strangler.core.documents import RuleReport
from strangler.core.settings import Settings
from strangler.store.connection import Connection
from strangler.store.events.event import Event
from strangler.store.evidence.carry_over import Carried, Endpoint, carry_over
from strangler.store.evidence.findings import Finding
from strangler.store.evidence.index import IndexState
from strangler.store.evidence.journal import Journal
from strangler.store.evidence.queries import rules_of
from strangler.store.evidence.replayed import audit_replay
from strangler.store.evidence.retention import drop_evidence, prune, set_aside
from strangler.store.evidence.stopped_routes import Stop, StopChange, store_changes, store_stop
from strangler.store.evidence.stored_releases import Release, save_releases
from strangler.store.evidence.writing import store_findings, store_rules
from strangler.store.sqlite import look_over
from strangler.times import utc_day


@dataclass(frozen=True, slots=True)
class Replayed:
    """The replay that findings are of, and who has added them."""

    run: str
    actor: str


@dataclass(frozen=True, slots=True)
class Batch:
    """All that one transaction writes."""

    findings: list[Finding]
    changes: list[StopChange]
    releases: list[Release]
    evicted: list[tuple[str, str]]
    rules: dict[str, RuleReport]
    is_prune_due: bool
    replay: Replayed | None = None
    """The replay whose findings these are, if they are not those of shadows."""

    @property
    def is_empty(self) -> bool:
        return not (self.findings or self.changes or self.releases or self.evicted or self.is_prune_due)


class BatchWriter:
    """Writes batches in the store's thread. Owns the journal, and knows which database the index belongs to."""

    def __init__(
        self, folder: Path, index: IndexState, stops: Callable[[], dict[str, Stop]], listener: EvidenceListener
    ) -> None:
        self._index = index
        self._stops = stops
        self._listener = listener
        self._journal = Journal(folder)
        self._journaled: set[str] = set()
        """Findings whose lines are in the journal, but whose batch the database has not committed."""
        self._indexed: Connection | None = None

    def write(self, connection: Connection, batch: Batch) -> list[Event]:
        """Write a batch. Return the events that are stored with it. Call `forget_lines` once it is committed."""
        self._follow(connection)
        now = time.time()
        drop_evidence(connection, batch.evicted)
        save_releases(connection, batch.releases)
        store_findings(connection, self._index, batch.findings, now)
        store_changes(connection, batch.changes)
        store_rules(connection, batch.rules)
        if batch.replay is not None:
            audit_replay(connection, batch.replay.run, batch.replay.actor, now)
        if batch.is_prune_due:
            prune(connection, now)
            self._indexed = None
            look_over(connection)
        # Last: who stores events lets others wait for the end of its transaction.
        events = self._listener.insert_signatures(connection, now)
        events += self._listener.insert_stops(connection, batch.changes, now)
        self._append_lines(batch.findings)
        return events

    def set_aside(self, connection: Connection, route: str, now: float) -> list[str]:
        """Set the evidence of a route aside. Return the names under which it can be read."""
        self._indexed = None
        return set_aside(connection, route, now)

    def carry_over(self, connection: Connection, names: Mapping[Endpoint, str], settings: Settings) -> Carried:
        """Carry the evidence of endpoints over to their present names, all of it or nothing."""
        self._indexed = None
        return carry_over(connection, names, rules_of(settings), utc_day(), time.time())

    def forget_lines(self, batch: Batch) -> None:
        """Note that a batch is committed, so that its lines are not needed again."""
        self._journaled.difference_update(finding.id for finding in batch.findings)

    def _follow(self, connection: Connection) -> None:
        """Load the index again, and store the stops in force, if the database may be another one."""
        if self._indexed is connection:
            return
        self._index.load(connection)
        for route, stop in self._stops().items():
            store_stop(connection, route, stop)
        self._indexed = connection

    def _append_lines(self, findings: list[Finding]) -> None:
        lines = {
            finding.id: finding.line
            for finding in findings
            if finding.line is not None and finding.id not in self._journaled
        }
        self._journal.append(lines.values())
        self._journaled |= lines.keys()
