"""The ledger, where commands find it: at the running proxy, else in the state folder."""

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import quote, urlencode

import click

from strangler.cli._acting_user import acting_user
from strangler.cli._admin import Admin, NamedAdmin, find_admin, running_admin
from strangler.cli._config import failed, settings_of
from strangler.core.documents import (
    DoneDocument,
    LedgerActionRequest,
    LedgerDocument,
    LedgerEndpointDocument,
    LedgerImportedDocument,
    LedgerImportRequest,
)
from strangler.core.ledger_settings import LedgerSettings
from strangler.core.settings import Settings
from strangler.evidence import reading
from strangler.evidence.audits import write_audit
from strangler.evidence.reading import NoEvidenceError
from strangler.evidence.tables import prepare
from strangler.ledger import actions, stored
from strangler.ledger.actions import LedgerError
from strangler.ledger.ledger_queries import Filters, endpoint_document, ledger_document
from strangler.ledger.ledger_state import LedgerState
from strangler.state.files import STORE

_T = TypeVar("_T")
_IMPORT_TIMEOUT_S: Final = 120.0
"""An import is 16 MiB at most; the proxy takes seconds to count it."""


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
        return _Live(find_admin(config, admin))
    settings = settings or settings_of(config)
    running = running_admin(settings)
    if running is not None:
        return _Live(running)
    if settings.ledger is None:
        raise failed(f"{config}: `ledger: false` keeps no ledger; take it out")
    return _Stored(Path(settings.state), settings, settings.ledger)


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
        patient = replace(self.admin, timeout_s=_IMPORT_TIMEOUT_S)
        return patient.ask("POST", "/api/ledger/import", LedgerImportedDocument, request)


def _query(filters: Filters) -> str:
    found: list[tuple[str, str]] = [("sort", filters.sort)]
    found += [("state", state) for state in sorted(filters.states)]
    found += [
        (name, value) for name, value in (("route", filters.route), ("since", filters.since), ("q", filters.text)) if value
    ]
    return "?" + urlencode([*found, *([("hidden", "1")] if filters.with_hidden else [])])


@dataclass(frozen=True, slots=True)
class _Stored:
    """The ledger in the store itself."""

    folder: Path
    settings: Settings
    ledger: LedgerSettings

    def document(self, filters: Filters) -> LedgerDocument:
        return ledger_document(self._state(), self.settings, time.time(), filters)

    def endpoint(self, name: str) -> LedgerEndpointDocument | None:
        return endpoint_document(self._state(), self.settings, time.time(), name, None)

    def change(self, action: str, request: LedgerActionRequest) -> str:
        return ""

    def take_import(self, request: LedgerImportRequest) -> LedgerImportedDocument:
        raise NotImplementedError
