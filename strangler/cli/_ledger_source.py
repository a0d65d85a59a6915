"""The ledger, where commands find it: at the running proxy, else in the state folder."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol, TypeVar
from urllib.parse import quote, urlencode

import click

from strangler.cli._admin import Admin, NamedAdmin, find_admin, running_admin
from strangler.cli._config import failed, settings_of
from strangler.cli._rollout_percents import with_stored_percents
from strangler.cli._terminal import log_on_stderr
from strangler.core.documents import (
    LedgerActionDocument,
    LedgerActionRequest,
    LedgerDocument,
    LedgerEndpointDocument,
    LedgerImportedDocument,
    LedgerImportRequest,
)
from strangler.core.ledger_settings import LedgerSettings
from strangler.core.settings import Settings
from strangler.ledger import actions
from strangler.ledger.actions import LedgerError, RowChange
from strangler.ledger.ledger_queries import Filters, endpoint_document, ledger_document
from strangler.ledger.ledger_state import LedgerState
from strangler.store import stored_ledger
from strangler.store.connection import Connection
from strangler.store.errors import DatabaseError
from strangler.store.evidence import reading
from strangler.store.evidence.access import location_of
from strangler.store.evidence.audits import write_audit
from strangler.store.evidence.queries import endpoint_evidence
from strangler.store.evidence.reading import NoEvidenceError
from strangler.store.ledger_changes import lock_saves, note_save
from strangler.store.location import StoreLocation
from strangler.store.schema.opening import writer
from strangler.times import utc_day

_T = TypeVar("_T")
_LOCK_TIMEOUT_S: Final = 60.0
"""How long a command waits for another one that imports a file."""
_TIMEOUT_S: Final = 120.0
"""A document of all rows, and an import, may have 16 MiB; the proxy takes seconds for it."""


class LedgerSource(Protocol):
    """The ledger as commands read and change it. None stands for what is not there."""

    def document(self, filters: Filters) -> LedgerDocument: ...
    def endpoint(self, name: str) -> LedgerEndpointDocument | None: ...
    def change(self, action: str, request: LedgerActionRequest) -> str: ...
    def take_import(self, request: LedgerImportRequest) -> LedgerImportedDocument: ...


def find_ledger(config: Path, admin: NamedAdmin | None, settings: Settings | None = None) -> LedgerSource:
    """Return that of the running proxy if there is one, else that of the state folder which routes.yaml names.

    `settings`: those of a file that is loaded already; None: `config` is loaded, unless `admin` names a proxy.
    """
    if admin is not None:
        return _live(find_admin(config, admin))
    settings = settings or settings_of(config)
    running = running_admin(settings)
    if running is not None:
        return _live(running)
    if settings.ledger is None:
        raise failed(f"{config}: `ledger: false` keeps no ledger; take it out")
    return _Stored(location_of(settings), with_stored_percents(settings), settings.ledger)


def _live(admin: Admin) -> "_Live":
    return _Live(replace(admin, timeout_s=_TIMEOUT_S))


@dataclass(frozen=True, slots=True)
class _Live:
    """The ledger at the admin listener."""

    admin: Admin

    def document(self, filters: Filters) -> LedgerDocument:
        return self.admin.ask("GET", f"/api/ledger{_query(filters)}", LedgerDocument)

    def endpoint(self, name: str) -> LedgerEndpointDocument | None:
        return self.admin.find(f"/api/ledger/endpoint?endpoint={quote(name, safe='')}", LedgerEndpointDocument)

    def change(self, action: str, request: LedgerActionRequest) -> str:
        return self.admin.ask("POST", f"/api/ledger/{action}", LedgerActionDocument, request).done

    def take_import(self, request: LedgerImportRequest) -> LedgerImportedDocument:
        return self.admin.ask("POST", "/api/ledger/import", LedgerImportedDocument, request)


def _query(filters: Filters) -> str:
    found: list[tuple[str, str]] = [("sort", filters.sort)]
    found += [("state", state) for state in sorted(filters.states)]
    texts = (("route", filters.route), ("since", filters.since), ("q", filters.text))
    found += [(name, value) for name, value in texts if value]
    return "?" + urlencode([*found, *([("hidden", "1")] if filters.with_hidden else [])])


@dataclass(frozen=True, slots=True)
class _Stored:
    """The ledger in the store itself."""

    location: StoreLocation
    settings: Settings
    ledger: LedgerSettings

    def document(self, filters: Filters) -> LedgerDocument:
        now = time.time()
        return self._read(lambda state, _: ledger_document(state, self.settings, now, filters), now)

    def endpoint(self, name: str) -> LedgerEndpointDocument | None:
        now = time.time()

        def ask(state: LedgerState, connection: Connection | None) -> LedgerEndpointDocument | None:
            found = endpoint_document(state, self.settings, now, name, None)
            route = None if found is None else found.row.route
            if found is None or route is None or connection is None:
                return found
            evidence = endpoint_evidence(connection, self.settings, route, found.row.endpoint, utc_day())
            return endpoint_document(state, self.settings, now, name, evidence)

        return self._read(ask, now)

    def change(self, action: str, request: LedgerActionRequest) -> str:
        now = time.time()

        def work(state: LedgerState, connection: Connection) -> str:
            done = actions.apply_change(state, RowChange(action, request.endpoint, request.name))
            write_audit(connection, now, request.who, f"ledger {action}", "", request.why, done)
            return done

        return self._write(work, now)

    def take_import(self, request: LedgerImportRequest) -> LedgerImportedDocument:
        now = time.time()

        def work(state: LedgerState, connection: Connection) -> LedgerImportedDocument:
            done = actions.apply_import(state, request, self.ledger.quiet_s, now)
            detail = f"{request.name}: {done.new_endpoints} new endpoints, {done.calls} calls"
            write_audit(connection, now, request.who, "ledger import", "", "", detail)
            return done

        return self._write(work, now)

    def _read(self, ask: Callable[[LedgerState, Connection | None], _T], now: float) -> _T:
        if self.location.is_empty:  # nothing has run here
            state = LedgerState()
            state.adopt(self.settings, now)
            return ask(state, None)
        try:
            with reading.reader(self.location, looks_over=True) as connection:
                state = _loaded(connection)
                state.adopt(self.settings, now)
                return ask(state, connection)
        except NoEvidenceError as error:
            raise click.ClickException(str(error)) from None

    def _write(self, work: Callable[[LedgerState, Connection], _T], now: float) -> _T:
        """Change the ledger in the store, whole or not at all: no proxy runs, but another command may."""
        try:
            with writer(self.location, _LOCK_TIMEOUT_S) as connection:
                saves = None if self.location.url is None else lock_saves(connection)
                state = _loaded(connection)
                state.adopt(self.settings, now)
                done = work(state, connection)
                unsaved = stored_ledger.collect_unsaved(state, with_slow=True)
                if saves is not None:  # nodes that run read it again
                    note_save(connection, unsaved, saves)
                if not stored_ledger.save(connection, unsaved):
                    raise click.ClickException(f"{self.location.place} was replaced meanwhile; nothing was changed")
                return done
        except LedgerError as error:
            raise click.ClickException(str(error)) from None
        except (DatabaseError, OSError) as error:
            raise click.ClickException(f"{self.location.place} cannot be written: {error}") from None


def _loaded(connection: Connection) -> LedgerState:
    """Return the stored ledger. What cannot be read of it is left out, and said on standard error."""
    with log_on_stderr():
        return stored_ledger.load(connection)
