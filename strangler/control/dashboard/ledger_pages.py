"""The content of the pages that show the ledger: its list, an endpoint, and who was hit when a route was off."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final
from urllib.parse import urlencode

from markupsafe import Markup

from strangler.control.dashboard import ledger_charts, ledger_view
from strangler.control.dashboard.cached_ledger import CachedLedgerState, LedgerControl
from strangler.control.dashboard.page_content import Content
from strangler.core.documents import (
    LedgerDay,
    LedgerEndpointDocument,
    LedgerHistoryDocument,
)
from strangler.core.ledger_text import quiet_text
from strangler.core.retire_text import brownouts_text, retire_text
from strangler.times import utc_day

MAX_OF_ROUTE = 50
"""The most endpoints on the page of a route; the ledger's list has all of them."""

LONG_SPANS: Final = ("days", "months")
"""The spans that only the ledger has."""

_NO_HISTORY: Final = LedgerHistoryDocument([], [])

Charts = list[tuple[str, Markup]]
"""Captions, each with its picture."""


class LedgerPages:
    """Builds the content of pages; changes nothing."""

    def __init__(self, cached: CachedLedgerState) -> None:
        self._cached = cached

    async def ledger(self, state: LedgerControl, query: Mapping[str, str]) -> Content:
        """Return the list of endpoints and how far the migration is."""
        choice = ledger_view.choice_of(query)
        document = self._cached.document(state, ledger_view.plain_name(choice.text))
        if document is None:
            return Content("Ledger", "ledger_off.html")
        quiet = quiet_text(document.quiet_s)
        view = ledger_view.ledger_view(document, choice, quiet)
        context = {
            "document": document,
            "view": view,
            "covering": None if view.rows else await self._covering(state, choice.text),
            "quiet": quiet,
            "charts": requests_charts(self._cached.history(state), utc_day()),
            "route_names": [route.name for route in state.settings.routes],
            "nobody": ledger_view.NOBODY,
            "no_route": ledger_view.NO_ROUTE,
        }
        return Content("Ledger", "ledger.html", context, is_live=True)

    async def _covering(self, state: LedgerControl, text: str) -> str | None:
        """Return the endpoint that a text is a call of, `/orders/7` or `POST /orders/7`; None if there is none."""
        if "/" not in text:
            return None
        found = await self._cached.endpoint(state, f"GET {text}" if text.startswith("/") else text)
        return None if found is None else found.row.endpoint

    async def endpoint(self, state: LedgerControl, endpoint: str) -> Content | None:
        """Return all that the ledger knows of an endpoint; None if it does not know it."""
        ledger = state.settings.ledger
        if ledger is None:
            return Content("Ledger", "ledger_off.html")
        found = await self._cached.endpoint(state, endpoint)
        if found is None:
            return None
        context = {
            "found": found,
            "row": found.row,
            "quiet": quiet_text(ledger.quiet_s),
            "charts": endpoint_charts(found, utc_day()),
            "newest": [*reversed(found.days), *reversed(found.months)],
            "differences": _differences_url(found),
        }
        return Content(found.row.endpoint, "ledger_endpoint.html", context, is_live=True)

    async def refused(self, state: LedgerControl, name: str) -> Content | None:
        """Return the callers that a route with `retire` has refused; None if the route does not end."""
        route = next((route for route in state.status().routes if route.name == name), None)
        if route is None or route.retire is None:
            return None
        document = self._cached.of_route(state, name)
        if document is None:
            return Content("Ledger", "ledger_off.html")
        hits = ledger_view.hits_of(document.rows)
        context = {
            "route": name,
            "retire": retire_text(route.retire),
            "brownouts": brownouts_text(route.retire),
            "hits": hits[: ledger_view.MAX_HITS],
            "more": max(0, len(hits) - ledger_view.MAX_HITS),
        }
        return Content(f"Who was hit: {name}", "refused.html", context, is_live=True)

    def of_route(self, state: LedgerControl, name: str) -> dict[str, Any]:
        """Return what the page of a route shows of its endpoints."""
        document = self._cached.document(state)
        if document is None:
            return {"has_ledger": False}
        rows = ledger_view.rows_of(document, name)
        return {
            "has_ledger": True,
            "endpoints": rows[:MAX_OF_ROUTE],
            "endpoint_count": len(rows),
            "endpoints_url": ledger_view.Choice(route=name, with_hidden=True).url,
            "quiet": quiet_text(document.quiet_s),
        }


def _differences_url(found: LedgerEndpointDocument) -> str:
    route = found.evidence.route if found.evidence else ""
    return f"/signatures?{urlencode({'route': route, 'endpoint': found.row.endpoint})}"


def share_charts(history: LedgerHistoryDocument | None, span: str, now: datetime) -> Charts:
    """Return the charts of the overview for `hours`, `days` or `months`: the candidates' share, and the requests behind
    it. `now` is in UTC."""
    history, today = history or _NO_HISTORY, now.date()
    if span == "hours":
        slots, title = ledger_charts.by_hour(history.hours, now), "by hour (UTC), last two days"
    elif span == "days":
        slots, title = ledger_charts.by_day(history.days, today), "by day, last 12 weeks"
    else:
        slots, title = ledger_charts.by_month(history.days, history.months, today), "by month"
    return [
        (f"share {title}", ledger_charts.share_chart(slots, f"Share of traffic served by candidates, {title}")),
        (f"requests {title}", ledger_charts.requests_chart(slots, f"Requests by arm, {title}")),
    ]


def requests_charts(history: LedgerHistoryDocument | None, today: date) -> Charts:
    """Return the charts of all requests by arm; none before the first one."""
    return _charts(history.days, history.months, today) if history and (history.days or history.months) else []


def endpoint_charts(found: LedgerEndpointDocument, today: date) -> Charts:
    """Return the charts of an endpoint's calls by arm."""
    return _charts(found.days, found.months, today)


def _charts(days: Sequence[LedgerDay], months: Sequence[LedgerDay], today: date) -> Charts:
    daily = "requests by day, last 12 weeks"
    charts = [(daily, ledger_charts.requests_chart(ledger_charts.by_day(days, today), daily.capitalize()))]
    if months:
        slots = ledger_charts.by_month(days, months, today)
        charts.append(("requests by month", ledger_charts.requests_chart(slots, "Requests by month")))
    return charts
