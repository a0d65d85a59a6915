"""The evidence, where commands find it: at the running proxy, else in the state folder."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol, TypeVar
from urllib.parse import quote, urlencode

import click
import msgspec

from strangler.cli._admin import Admin, NamedAdmin, find_admin, running_admin
from strangler.cli._config import failed, settings_of
from strangler.cli._rollout_percents import with_stored_percents
from strangler.cli._send_replayed import send_replayed
from strangler.config.edit import unknown_route
from strangler.core.documents import (
    AuditDocument,
    AuditEntry,
    AuditRequest,
    DoneDocument,
    InboxDocument,
    LedgerDocument,
    ProposalDocument,
    ReleaseNamedDocument,
    ReleaseRequest,
    ReleaseRow,
    ReleasesDocument,
    ReportDocument,
    ResetDocument,
    ResetRequest,
    ReviewedDocument,
    SignatureDocument,
    VerdictDocument,
)
from strangler.core.settings import GateSettings, Settings
from strangler.ledger.ledger_excerpt import excerpt
from strangler.ledger.ledger_queries import Filters as LedgerFilters
from strangler.ledger.ledger_queries import ledger_document
from strangler.store import stored_ledger
from strangler.store.connection import Connection
from strangler.store.errors import DatabaseError
from strangler.store.evidence import audits, queries, reading
from strangler.store.evidence.access import location_of
from strangler.store.evidence.audits import AuditFilters, write_audit
from strangler.store.evidence.findings import Finding
from strangler.store.evidence.reading import Filters, NoEvidenceError
from strangler.store.evidence.replayed import store_replayed, unknown_routes
from strangler.store.evidence.retention import set_aside
from strangler.store.evidence.reviews import Marked, Review, mark
from strangler.store.evidence.stored_releases import name_release, set_aside_names, set_aside_problem
from strangler.store.location import StoreLocation
from strangler.store.schema.opening import writer
from strangler.times import utc_day

_T = TypeVar("_T")


class Evidence(Protocol):
    """The evidence as commands read and write it. None stands for what is not there."""

    def inbox(self, filters: Filters) -> InboxDocument: ...
    def detail(self, name: str, release: str | None = None) -> SignatureDocument | None: ...
    def ready(self, route: str, release: str | None = None) -> VerdictDocument | None: ...
    def proposal(self, route: str) -> str | None: ...
    def report(self, release: str | None = None) -> ReportDocument: ...
    def releases(self, route: str | None) -> list[ReleaseRow]: ...
    def name_release(self, route: str, name: str, actor: str, why: str) -> ReleaseNamedDocument: ...
    def reset(self, route: str, actor: str, why: str) -> ResetDocument: ...
    def ready_under(self, route: str, gate: GateSettings) -> VerdictDocument | None: ...
    def mark(self, names: Sequence[str], review: Review, actor: str) -> Marked: ...
    def add_replayed(self, findings: Sequence[Finding], run: str, actor: str) -> int: ...
    def audited(self, filters: AuditFilters) -> list[AuditEntry]: ...
    def audit(self, what: str, route: str, why: str, actor: str, detail: str) -> None: ...


def find_evidence(config: Path, admin: NamedAdmin | None, settings: Settings | None = None) -> Evidence:
    """Return the running proxy if there is one, else the store of the state folder that routes.yaml names.

    `settings`: those of a file that is loaded already; None: `config` is loaded.
    """
    settings = settings or settings_of(config)
    if admin is not None:
        return _Live(find_admin(config, admin))
    running = running_admin(settings)
    if running is not None:
        return _Live(running)
    return _Stored(location_of(settings), with_stored_percents(settings))


def known_release(evidence: Evidence, route: str | None, release: str | None) -> None:
    """End the program if the release is not known, and print those that are."""
    if release is None:
        return
    problem = reading.release_problem((known.name for known in evidence.releases(route)), route, release)
    if problem is not None:
        raise failed(problem)


release_option = click.option("--release", metavar="NAME", help="Show this release in place of the current one.")


def _of(release: str | None) -> str:
    return "" if release is None else f"?{urlencode({'release': release})}"


@dataclass(frozen=True, slots=True)
class _Live:
    """The evidence at the admin listener."""

    admin: Admin

    def inbox(self, filters: Filters) -> InboxDocument:
        return self.admin.ask("GET", f"/api/diffs?{_query(asdict(filters))}", InboxDocument)

    def detail(self, name: str, release: str | None = None) -> SignatureDocument | None:
        return self.admin.find(f"/api/diffs/{quote(name, safe='')}{_of(release)}", SignatureDocument)

    def ready(self, route: str, release: str | None = None) -> VerdictDocument | None:
        return self.admin.find(f"{_route(route)}/readiness{_of(release)}", VerdictDocument)

    def proposal(self, route: str) -> str | None:
        found = self.admin.find(f"{_route(route)}/proposal", ProposalDocument)
        return None if found is None else found.patch

    def report(self, release: str | None = None) -> ReportDocument:
        return self.admin.ask("GET", f"/api/report{_of(release)}", ReportDocument)

    def ready_under(self, route: str, gate: GateSettings) -> VerdictDocument | None:
        query = urlencode({"gate": msgspec.json.encode(gate)})
        return self.admin.find(f"{_route(route)}/readiness?{query}", VerdictDocument)

    def mark(self, names: Sequence[str], review: Review, actor: str) -> Marked:
        body = {"ids": list(names), "who": actor} | asdict(review)
        done = self.admin.ask("POST", "/api/diffs", ReviewedDocument, body)
        return Marked(tuple(done.changed), tuple(done.unchanged))

    def add_replayed(self, findings: Sequence[Finding], run: str, actor: str) -> int:
        return send_replayed(self.admin, findings, run, actor)

    def audited(self, filters: AuditFilters) -> list[AuditEntry]:
        return self.admin.ask("GET", f"/api/audit?{_query(asdict(filters))}", AuditDocument).entries

    def releases(self, route: str | None) -> list[ReleaseRow]:
        query = "" if route is None else f"?{urlencode({'route': route})}"
        return self.admin.ask("GET", f"/api/releases{query}", ReleasesDocument).releases

    def name_release(self, route: str, name: str, actor: str, why: str) -> ReleaseNamedDocument:
        return self.admin.ask("POST", "/api/releases", ReleaseNamedDocument, ReleaseRequest(route, name, actor, why))

    def reset(self, route: str, actor: str, why: str) -> ResetDocument:
        return self.admin.ask("POST", f"{_route(route)}/reset", ResetDocument, ResetRequest(why, actor))

    def audit(self, what: str, route: str, why: str, actor: str, detail: str) -> None:
        self.admin.ask("POST", "/api/audit", DoneDocument, AuditRequest(what, route, why, actor, detail))


def _route(name: str) -> str:
    return f"/api/routes/{quote(name, safe='')}"


def _query(filters: Mapping[str, object]) -> str:
    return urlencode({name: value for name, value in filters.items() if value is not None})


@dataclass(frozen=True, slots=True)
class _Stored:
    """The evidence in the store itself."""

    location: StoreLocation
    settings: Settings

    def inbox(self, filters: Filters) -> InboxDocument:
        return self._read(lambda connection: queries.inbox(connection, self.settings, filters, utc_day()))

    def detail(self, name: str, release: str | None = None) -> SignatureDocument | None:
        return self._read(lambda connection: queries.detail(connection, self.settings, name, utc_day(), release))

    def ready(self, route: str, release: str | None = None) -> VerdictDocument | None:
        return self._read(lambda connection: queries.ready(connection, self.settings, route, utc_day(), release))

    def proposal(self, route: str) -> str | None:
        return self._read(lambda connection: reading.proposal(connection, route))

    def report(self, release: str | None = None) -> ReportDocument:
        def ask(connection: Connection) -> ReportDocument:
            return queries.report(connection, self.settings, utc_day(), release, self._ledger(connection))

        return self._read(ask)

    def _ledger(self, connection: Connection) -> LedgerDocument | None:
        if self.settings.ledger is None:
            return None
        state, now = stored_ledger.load(connection), time.time()
        state.adopt(self.settings, now)
        return excerpt(ledger_document(state, self.settings, now, LedgerFilters()))

    def releases(self, route: str | None) -> list[ReleaseRow]:
        found = self._read(lambda connection: queries.releases(connection, self.settings, route))
        return [] if found is None else found.releases

    def name_release(self, route: str, name: str, actor: str, why: str) -> ReleaseNamedDocument:
        def work(connection: Connection) -> str:
            now = time.time()
            if name in set_aside_names(connection, route):
                raise failed(set_aside_problem(name))
            former = name_release(connection, route, name, now)
            if former != name:
                write_audit(connection, now, actor, "release", route, why, f"{former or '(unnamed)'} to {name}")
            return former

        former = self._write(work)
        return ReleaseNamedDocument(route, name, former or None, former != name)

    def reset(self, route: str, actor: str, why: str) -> ResetDocument:
        def work(connection: Connection) -> list[str]:
            now = time.time()
            names = set_aside(connection, route, now)
            if names:
                write_audit(connection, now, actor, "evidence reset", route, why, ", ".join(names))
            return names

        return ResetDocument(route, self._write(work))

    def ready_under(self, route: str, gate: GateSettings) -> VerdictDocument | None:
        return self._read(lambda connection: queries.ready(connection, self.settings, route, utc_day(), gate=gate))

    def mark(self, names: Sequence[str], review: Review, actor: str) -> Marked:
        marked = self._write(lambda connection: mark(connection, names, review, actor, time.time()))
        if marked.unknown:
            raise click.ClickException(f"no difference has the id {marked.unknown[0]}; nothing was changed")
        return marked

    def add_replayed(self, findings: Sequence[Finding], run: str, actor: str) -> int:
        names = [route.name for route in self.settings.routes]
        missing = unknown_routes(findings, names)
        if missing:
            raise failed(unknown_route(missing[0], names))
        return self._write(
            lambda connection: store_replayed(connection, self.location.folder, findings, run, actor, time.time())
        )

    def audited(self, filters: AuditFilters) -> list[AuditEntry]:
        if self.location.is_empty:  # nothing has run here, and so nothing was changed
            return []
        return self._read(lambda connection: audits.entries(connection, filters))

    def audit(self, what: str, route: str, why: str, actor: str, detail: str) -> None:
        self._write(lambda connection: write_audit(connection, time.time(), actor, what, route, why, detail))

    def _read(self, ask: Callable[[Connection], _T]) -> _T:
        try:
            with reading.reader(self.location, looks_over=True) as connection:
                return ask(connection)
        except NoEvidenceError as error:
            raise click.ClickException(str(error)) from None

    def _write(self, work: Callable[[Connection], _T]) -> _T:
        """Write to the store: no proxy of this node runs, but those of other nodes may."""
        try:
            with writer(self.location) as connection:
                return work(connection)
        except (DatabaseError, OSError) as error:
            raise click.ClickException(f"{self.location.place} cannot be written: {error}") from None
