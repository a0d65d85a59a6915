"""The callers of routes that end: what `strangler check` says of a sunset while somebody still calls."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

from strangler.config.load import Loaded
from strangler.config.problem import Problem
from strangler.core.documents import LedgerRow
from strangler.core.ledger_text import quiet_text
from strangler.core.settings import RouteSettings, Settings
from strangler.ledger.ledger_queries import Filters, ledger_document
from strangler.store import stored_ledger
from strangler.store.evidence.access import NoEvidenceError, location_of, reader
from strangler.times import rfc3339

_NAMED = 3


def living_callers(loaded: Loaded, now: float | None = None) -> tuple[Problem, ...]:
    """Return a warning for each sunset of an endpoint that was called within `ledger.quiet`. `now`: Unix time.

    The ledger in the state folder says so. There is no warning where it cannot be read: the file alone is judged then.
    """
    settings = loaded.settings
    if settings is None or settings.ledger is None or not loaded.sunsets:
        return ()
    at = time.time() if now is None else now
    called = _called(settings, at, settings.ledger.quiet_s)
    routes = {route.name: route for route in settings.routes}
    return tuple(
        _warning(loaded.sunsets[name], routes[name], rows, settings.ledger.quiet_s)
        for name, rows in called.items()
        if name in loaded.sunsets
    )


def _called(settings: Settings, now: float, quiet_s: float) -> dict[str, list[LedgerRow]]:
    """Return the rows, by route, that were called within `quiet_s`."""
    try:
        with reader(location_of(settings)) as connection:
            document = ledger_document(stored_ledger.load(connection), settings, now, Filters())
    except NoEvidenceError:
        return {}
    since = rfc3339(now - quiet_s)
    found: dict[str, list[LedgerRow]] = {}
    for row in document.rows:
        if row.route is not None and row.last_seen is not None and row.last_seen > since:
            found.setdefault(row.route, []).append(row)
    return found


def _warning(place: tuple[str, int, int], route: RouteSettings, rows: list[LedgerRow], quiet_s: float) -> Problem:
    endpoints = rows[0].endpoint if len(rows) == 1 else f"{len(rows)} endpoints, {rows[0].endpoint} among them,"
    were = "was" if len(rows) == 1 else "were"
    what = f"{endpoints} {were} called within {quiet_text(quiet_s)} by {_names(rows)}"
    sunset = "" if route.retire is None else datetime.fromtimestamp(route.retire.sunset, UTC).strftime("%Y-%m-%d %H:%M")
    way_out = f"they are refused from retire.sunset on, {sunset} UTC; see `strangler ledger --route {route.name}`"
    return Problem(*place, f"route '{route.name}'", what, way_out, "warning")


def _names(rows: list[LedgerRow]) -> str:
    """Return the most frequent callers: `okhttp/4, Firefox and 3 more`."""
    calls: dict[str, int] = {}
    for name, count in _callers(rows):
        calls[name] = calls.get(name, 0) + count
    names = sorted(calls, key=lambda name: (-calls[name], name))
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _callers(rows: list[LedgerRow]) -> Iterator[tuple[str, int]]:
    return ((caller.name, caller.calls) for row in rows for caller in row.callers)
