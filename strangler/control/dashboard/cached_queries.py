"""Cached evidence for pages that are rendered every second: reads do not grow with the browsers that watch."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from strangler.core.documents import AuditEntry, SignatureDocument, SignatureRow, VerdictDocument
from strangler.core.settings import Settings
from strangler.store.connection import Connection
from strangler.store.evidence import audits, queries, reading
from strangler.store.evidence.audits import AuditFilters
from strangler.store.evidence.former_ids import present_id
from strangler.store.evidence.hints import EndpointHint, endpoint_hints
from strangler.store.evidence.reading import Filters, NoEvidenceError
from strangler.store.evidence.reviews import OPEN_STATES
from strangler.store.store import Store
from strangler.times import utc_day

INBOX_S = 2.0
READY_S = 5.0  # its intervals are resampled thousands of times
_MOST = 64
"""The most results that are cached."""

_T = TypeVar("_T")


@dataclass(slots=True)
class EvidenceState:
    """Owns the results of the last seconds. They are read again under new settings, whose rules decide states."""

    _kept: dict[tuple[str, str], tuple[float, Settings, Any]] = field(default_factory=dict)
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def inbox(self, store: Store, settings: Settings) -> list[SignatureRow]:
        """Return all signatures, most severe first; none if nothing was ever compared, or the store is corrupt."""

        return (await self._inbox(store, settings))[0]

    async def endpoint_hints(self, store: Store, settings: Settings) -> list[EndpointHint]:
        """Return hints at accept rules that are for other endpoints."""
        return (await self._inbox(store, settings))[1]

    async def _inbox(self, store: Store, settings: Settings) -> tuple[list[SignatureRow], list[EndpointHint]]:
        def ask(connection: Connection) -> tuple[list[SignatureRow], list[EndpointHint]]:
            rules, today = queries.rules_of(settings), utc_day()
            rows = reading.signatures(connection, rules, Filters(), today)
            return rows, endpoint_hints(rows, rules, today)

        return await self._cached("inbox", "", INBOX_S, store, settings, ask) or ([], [])

    async def readiness(self, store: Store, settings: Settings, route: str) -> VerdictDocument | None:
        """Return the verdict for a route; None if nothing was ever compared, or the store is corrupt."""

        def ask(connection: Connection) -> VerdictDocument | None:
            return queries.ready(connection, settings, route, utc_day())

        return await self._cached("ready", route, READY_S, store, settings, ask)

    async def timeline(self, store: Store, settings: Settings, route: str) -> list[dict[str, int]]:
        """Return the outcomes of a route's pairs by hour, as judged now; empty if nothing was ever compared."""

        def ask(connection: Connection) -> list[dict[str, int]]:
            return queries.timeline(connection, settings, route, utc_day())

        return await self._cached("timeline", route, READY_S, store, settings, ask) or []

    async def signature(self, store: Store, settings: Settings, name: str) -> SignatureDocument | None:
        """Return one signature with its samples, by its whole id or a former one; it is not cached."""

        def ask(connection: Connection) -> SignatureDocument | None:
            present = present_id(connection, name)
            found = queries.detail(connection, settings, present, utc_day())
            return found if found is not None and found.id == present else None

        return await _read(store, ask)

    async def present_ids(self, store: Store, names: Iterable[str]) -> set[str]:
        """Return the present ids of differences, which may be named by former ones."""
        found = await _read(store, lambda connection: {present_id(connection, name) for name in names})
        return set(names) if found is None else found

    async def audit(self, store: Store, filters: AuditFilters) -> list[AuditEntry] | None:
        """Return the audit, newest first; None if it cannot be read."""
        return await _read(store, lambda connection: audits.entries(connection, filters))

    def forget(self) -> None:
        """Drop all cached results after a change."""
        self._kept.clear()

    async def _cached(
        self, what: str, of: str, for_s: float, store: Store, settings: Settings, ask: Callable[[Connection], _T]
    ) -> _T | None:
        async with self._one_at_a_time:
            at, under, response = self._kept.get((what, of), (float("-inf"), None, None))
            if under is settings and time.monotonic() - at < for_s:
                kept: _T | None = response
                return kept
            while len(self._kept) >= _MOST:
                del self._kept[next(iter(self._kept))]
            found = await _read(store, ask)
            self._kept[what, of] = time.monotonic(), settings, found
            return found


async def _read(store: Store, ask: Callable[[Connection], _T]) -> _T | None:
    try:
        return await reading.ask(store, ask)
    except NoEvidenceError:
        return None


def chosen_open(rows: list[SignatureRow], by: Mapping[str, str]) -> list[SignatureRow]:
    """Return the rows that a form for the whole list applies to: without a chosen state, only open ones."""
    found = chosen(rows, by)
    return found if by.get("state") else [row for row in found if row.state in OPEN_STATES]


def chosen(rows: list[SignatureRow], by: Mapping[str, str]) -> list[SignatureRow]:
    """Return the rows that have these values; an empty value matches any.

    `noise` is `yes` or `no`, and `source` one that has shown the row.
    """
    wanted = {key: value for key, value in by.items() if value and key not in {"noise", "source"}}
    source = by.get("source", "")
    noise = {"yes": True, "no": False}.get(by.get("noise", ""))
    return [
        row
        for row in rows
        if noise in (None, row.is_noise)
        and (not source or source in row.sources)
        and all(getattr(row, key) == value for key, value in wanted.items())
    ]
