"""One transaction of all that shadows store: findings, stops, releases, and the use of rules."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from strangler.control.shadow.fleet import Sender
from strangler.control.shadow.listener import EvidenceListener
from strangler.core.documents import RuleReport
from strangler.core.settings import Settings
from strangler.store.connection import Connection
from strangler.store.events.event import Event
from strangler.store.evidence.agreed_releases import Agreement, agreed, unused_names
from strangler.store.evidence.carry_over import Carried, Endpoint, carry_over
from strangler.store.evidence.findings import Finding
from strangler.store.evidence.index import IndexState
from strangler.store.evidence.journal import Journal
from strangler.store.evidence.queries import rules_of
from strangler.store.evidence.replayed import audit_replay
from strangler.store.evidence.resets import load_resets, releases_since, since_resets
from strangler.store.evidence.retention import drop_evidence, prune, set_aside
from strangler.store.evidence.rule_uses import add_rule_uses
from strangler.store.evidence.stopped_routes import Stop, StopChange, settle_changes, store_changes, store_stop
from strangler.store.evidence.stored_releases import Release, save_releases
from strangler.store.evidence.turn import take_turn
from strangler.store.evidence.writing import store_findings, store_rules
from strangler.store.numbered_batches import is_new_batch
from strangler.store.sqlite import look_over
from strangler.store.topics import Topic, announce
from strangler.times import utc_day


@dataclass(frozen=True, slots=True)
class Replayed:
    """The replay that findings are of, and who has added them."""

    run: str
    actor: str


@dataclass(frozen=True, slots=True)
class Batch:
    """All that one transaction writes. It stays as it is until it is known to be stored."""

    findings: list[Finding]
    changes: list[StopChange]
    releases: list[Release]
    evicted: list[tuple[str, str]]
    rules: dict[str, RuleReport]
    is_prune_due: bool
    replay: Replayed | None = None
    """The replay whose findings these are, if they are not those of shadows."""
    number: int = 0
    """The number of the batch among those of its writer, if several nodes share the store."""

    @property
    def key(self) -> tuple[bool, int]:
        """The key among the batches of one process: replays have numbers of their own."""
        return self.replay is not None, self.number

    @property
    def is_empty(self) -> bool:
        return not (self.findings or self.changes or self.releases or self.evicted or self.is_prune_due)


def halves(batch: Batch) -> list[Batch]:
    """Return the parts of a batch that the store has refused, to be tried one after the other, for what it cannot take
    is in one of them. Their numbers are to be set."""
    findings, middle = batch.findings, len(batch.findings) // 2
    rest = replace(batch, findings=[], changes=[], releases=[], evicted=[])
    parts = [replace(rest, findings=findings[:middle]), replace(rest, findings=findings[middle:])]
    return [part for part in (replace(batch, findings=[]), *parts) if not part.is_empty]


@dataclass(frozen=True, slots=True)
class Written:
    """The outcome of a batch, once it is stored."""

    events: list[Event] = field(default_factory=list)
    late: list[Finding] = field(default_factory=list)
    """Findings that were left out, since their requests came before a reset."""
    releases: Agreement = field(default_factory=Agreement)


class BatchWriter:
    """Writes batches in the store's thread. Owns the journal, and knows which database the index belongs to.

    `sender` is this process among those that share the store, or None if it has the store alone.
    """

    def __init__(
        self,
        folder: Path,
        index: IndexState,
        stops: Callable[[], dict[str, Stop]],
        listener: EvidenceListener,
        now: Callable[[], float],
        sender: Sender | None = None,
    ) -> None:
        self._index = index
        self._stops = stops
        self._listener = listener
        self._now = now
        self._sender = sender
        self._journal = Journal(folder)
        self._journaled: set[str] = set()
        """Findings whose lines are in the journal, but whose batch the database has not committed."""
        self._reported: dict[str, RuleReport] = {}
        """The uses of rules that are stored."""
        self._indexed: Connection | None = None
        self._tried: dict[tuple[bool, int], Written] = {}
        """The outcomes of batches whose commit is in doubt; by whether it is of a replay, and number."""

    def write(self, connection: Connection, batch: Batch) -> Written:
        """Write a batch. Call `committed` once it is stored."""
        now = self._now()
        take_turn(connection)
        if not self._is_new(connection, batch, now):
            return self._tried[batch.key]  # it was committed, and only the response was lost
        self._index.roll_back()
        self._follow(connection)
        batch, late = self._since_resets(connection, batch)
        releases = self._store_releases(connection, batch)
        store_findings(connection, self._index, batch.findings, now)
        changes = self._store_stops(connection, batch)
        self._store_rules(connection, batch)
        if batch.replay is not None:
            audit_replay(connection, batch.replay.run, batch.replay.actor, now)
        if batch.is_prune_due:
            prune(connection, now)
            self._indexed = None
            look_over(connection)
        # Last: who stores events lets others wait for the end of its transaction.
        events = self._listener.insert_signatures(connection, now)
        events += self._listener.insert_stops(connection, changes, now)
        self._append_lines(batch.findings)
        self._tried[batch.key] = Written(events, late, releases)
        return self._tried[batch.key]

    def _is_new(self, connection: Connection, batch: Batch, now: float) -> bool:
        if self._sender is None:
            return True
        what = "evidence" if batch.replay is None else "replays"  # which pass by a batch that is in doubt
        return is_new_batch(connection, f"{self._sender.node} {what}", self._sender.run, batch.number, now)

    def set_aside(self, connection: Connection, route: str, now: float) -> list[str]:
        """Set the evidence of a route aside. Return the names under which it can be read."""
        self._indexed = None
        return set_aside(connection, route, now)

    def carry_over(self, connection: Connection, names: Mapping[Endpoint, str], settings: Settings) -> Carried:
        """Carry the evidence of endpoints over to their present names, all of it or nothing."""
        self._indexed = None
        return carry_over(connection, names, rules_of(settings), utc_day(), self._now())

    def committed(self, batch: Batch) -> None:
        """Note that a batch is stored, so that nothing of it is needed again."""
        self._index.commit()
        self._tried.pop(batch.key, None)
        self._journaled.difference_update(finding.id for finding in batch.findings)
        self._reported |= batch.rules

    def _follow(self, connection: Connection) -> None:
        """Load the index again, and store the stops in force, if the database may be another one.

        That of several nodes is none: a reader loads its index beside the writing.
        """
        if self._indexed is connection or self._sender is not None:
            return
        self._index.load(connection)
        for route, stop in self._stops().items():
            store_stop(connection, route, stop)
        self._indexed = connection

    def _since_resets(self, connection: Connection, batch: Batch) -> tuple[Batch, list[Finding]]:
        """Return the batch without what came before a reset, and the findings that are left out."""
        resets = load_resets(connection)
        if not resets:
            return batch, []
        findings = since_resets(batch.findings, resets)
        kept = {finding.id for finding in findings} if len(findings) < len(batch.findings) else None
        late = [] if kept is None else [finding for finding in batch.findings if finding.id not in kept]
        return replace(batch, findings=findings, releases=releases_since(batch.releases, resets)), late

    def _store_releases(self, connection: Connection, batch: Batch) -> Agreement:
        if self._sender is None:
            drop_evidence(connection, batch.evicted)
            save_releases(connection, batch.releases)
            return Agreement()
        drop_evidence(connection, unused_names(connection, batch.evicted))
        found = agreed(connection, batch.releases)
        save_releases(connection, found.rows)
        if found.changes:
            announce(connection, Topic.RELEASES)
        return found

    def _store_rules(self, connection: Connection, batch: Batch) -> None:
        if self._sender is None:
            store_rules(connection, batch.rules)
        else:
            add_rule_uses(connection, batch.rules, self._reported)

    def _store_stops(self, connection: Connection, batch: Batch) -> list[StopChange]:
        """Store the changes of stops. Return those that an event is about."""
        if self._sender is None:
            store_changes(connection, batch.changes)
            return batch.changes
        changes = settle_changes(connection, batch.changes)
        if changes:
            announce(connection, Topic.STOPS)
        return changes

    def _append_lines(self, findings: list[Finding]) -> None:
        lines = {
            finding.id: finding.line
            for finding in findings
            if finding.line is not None and finding.id not in self._journaled
        }
        self._journal.append(lines.values())
        self._journaled |= lines.keys()
