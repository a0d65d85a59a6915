"""The content of each page: a template and its values. A live page is rendered again while it is open."""

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

from yarl import URL

from strangler.control.dashboard import source, view
from strangler.control.dashboard.cached_ledger import CachedLedgerState, Ledger
from strangler.control.dashboard.cached_queries import EvidenceState, chosen, chosen_open
from strangler.control.dashboard.ledger_pages import LONG_SPANS, Charts, LedgerPages, share_charts
from strangler.control.dashboard.page_content import Content
from strangler.control.dashboard.rollout_pages import Rollouts, rollout_content
from strangler.control.history import HistoryState
from strangler.control.reload import ReloadState, read_text
from strangler.control.rollout.approval_links import ApprovalLinks
from strangler.control.shadow.evidence_actions import EvidenceActions
from strangler.core.compare import Severity
from strangler.core.documents import StatusDocument
from strangler.core.routing.explain import explain
from strangler.core.routing.snapshot import Snapshot
from strangler.core.settings import Settings
from strangler.http1.request_text import DescriptionError, described_head
from strangler.state.kill_switch import KillSwitchState
from strangler.store.evidence.audits import AuditFilters
from strangler.store.evidence.hints import order_hints
from strangler.store.evidence.reviews import cannot_accept
from strangler.store.evidence.side_by_side import sides
from strangler.store.evidence.writing import STATES
from strangler.store.store import Store

MAX_SIGNATURES = 300
"""The most rows on one page."""

MAX_ENDPOINTS = 1000
MAX_AUDIT = 500
FILTERS = ("route", "endpoint", "severity", "state", "noise", "source")
"""The filters of the list of differences."""

_SPANS: Final = ("minutes", "hours", *LONG_SPANS)
"""The spans of the overview's charts; the long ones come from the ledger."""


class Control(Protocol):
    """The parts of control that are needed here."""

    history: HistoryState
    reload: ReloadState
    store: Store

    @property
    def settings(self) -> Settings: ...
    @property
    def token(self) -> str | None: ...
    @property
    def kill_switch(self) -> KillSwitchState: ...
    @property
    def ledger(self) -> Ledger: ...
    @property
    def rollouts(self) -> Rollouts: ...
    @property
    def approvals(self) -> ApprovalLinks: ...
    @property
    def evidence(self) -> EvidenceActions: ...
    def status(self) -> StatusDocument: ...
    async def snapshot(self) -> Snapshot: ...
    async def turn_kill_switch(
        self, on: bool, reason: str, actor: str, route: str | None = None
    ) -> KillSwitchState: ...
    async def resume_shadows(self, route: str, actor: str, why: str) -> bool: ...
    async def audit(self, actor: str, what: str, route: str, why: str, detail: str) -> None: ...


class Pages:
    """Builds the content of pages; changes nothing."""

    def __init__(self, evidence: EvidenceState, cached: CachedLedgerState) -> None:
        self._evidence = evidence
        self._cached = cached
        self._ledger = LedgerPages(cached)

    async def content(self, state: Control, url: URL) -> Content | None:
        """Return the content of the page at a path with its query; None if there is no such page."""
        match url.parts:
            case ("/", ""):
                return await self._overview(state, url.query)
            case ("/", "routes", name):
                return await self._route(state, name, url.query)
            case ("/", "signatures"):
                return await self._signatures(state, url.query)
            case ("/", "signatures", name):
                return await self._signature(state, name, url.query)
            case ("/", "ledger"):
                return await self._ledger.ledger(state, url.query)
            case ("/", "ledger", "endpoint"):
                return await self._ledger.endpoint(state, url.query.get("endpoint", ""))
            case ("/", "routes", name, "refused"):
                return await self._ledger.refused(state, name)
            case ("/", "rollouts", *names):
                return rollout_content(state, names)
            case ("/", "explain"):
                return await _explain(state, url.query)
            case ("/", "audit"):
                return await self._audit(state, url.query)
            case ("/", "config"):
                return await _config(state)
            case _:
                return None

    async def _overview(self, state: Control, query: Mapping[str, str]) -> Content:
        rows = await self._evidence.inbox(state.store, state.settings)
        now, search = time.monotonic(), query.get("q", "")
        spans = [name for name in _SPANS if state.settings.ledger is not None or name not in LONG_SPANS]
        span = query.get("span", "") if query.get("span") in spans else spans[0]
        context = {
            "view": view.overview(state, now, rows, search),
            "charts": self._share_charts(state, span, now),
            "spans": [(name, name, _overview_url(search, name)) for name in spans],
            "span": span,
            "is_long": span in LONG_SPANS or (span == "hours" and state.settings.ledger is not None),
            "search": search,
        }
        return Content("Overview", "overview.html", context, is_live=True)

    def _share_charts(self, state: Control, span: str, now: float) -> Charts:
        """Return the charts of the candidates' share: minutes from memory, longer spans from the ledger, if there is
        one."""
        if span in LONG_SPANS or (span == "hours" and state.settings.ledger is not None):
            return share_charts(self._cached.history(state), span, datetime.now(UTC))
        spans_s = view.share_spans_s(state.history, now, span)
        return view.share_charts(state.history, now, spans_s, view.passthroughs(state.settings))

    async def _route(self, state: Control, name: str, query: Mapping[str, str]) -> Content | None:
        rows = await self._evidence.inbox(state.store, state.settings)
        ready = await self._evidence.readiness(state.store, state.settings, name)
        timeline = await self._evidence.timeline(state.store, state.settings, name)
        now, is_long = time.monotonic(), query.get("span") == "long"
        long_s = view.long_span_s(state.history, now)
        span_s, other_s = (long_s, view.SHORT_S) if is_long else (view.SHORT_S, long_s)
        route = view.route_view(state, name, now, rows)
        if route is None:
            return None
        context = {
            "route": route,
            "is_long": is_long,
            "spans": [view.span_text(span_s), view.span_text(other_s)],
            "charts": view.route_charts(state.history, now, name, span_s),
            "match_chart": view.match_chart(timeline, time.time(), name),
            "ready": ready if ready and (ready.pairs or ready.not_comparable) else None,
            "rows": chosen(rows, {"route": name})[:MAX_SIGNATURES],
            **self._ledger.of_route(state, name),
        }
        return Content(name, "route.html", context, is_live=True)

    async def _signatures(self, state: Control, query: Mapping[str, str]) -> Content:
        by = {key: query.get(key, "") for key in FILTERS}
        inbox = await self._evidence.inbox(state.store, state.settings)
        rows = chosen(inbox, by)
        hints = await self._evidence.endpoint_hints(state.store, state.settings)
        places = {(row.route, row.endpoint) for row in rows}
        pages = max(1, -(-len(rows) // MAX_SIGNATURES))
        page = min(_number(query.get("page")), pages)
        first = (page - 1) * MAX_SIGNATURES
        context = {
            "rows": rows[first : first + MAX_SIGNATURES],
            "total": len(rows),
            "open": len(chosen_open(rows, by)),
            "page": page,
            "pages": [(number, page_url(by, number)) for number in range(1, pages + 1)],
            "hints": [*order_hints(rows), *(hint for hint in hints if (hint.route, hint.endpoint) in places)],
            "chosen": by,
            "endpoints": sorted({row.endpoint for row in inbox if by["route"] in ("", row.route)})[:MAX_ENDPOINTS],
            "route_names": [route.name for route in state.settings.routes if route.shadow is not None],
            "severities": [severity.value for severity in Severity],
            "states": STATES,
        }
        return Content("Differences", "signatures.html", context, is_live=True)

    async def _signature(self, state: Control, name: str, query: Mapping[str, str]) -> Content | None:
        row = await self._evidence.signature(state.store, state.settings, name)
        if row is None:
            return None
        samples, number = row.samples, _number(query.get("sample"))
        sample = samples[min(number, len(samples)) - 1] if samples else None
        head, body = await asyncio.to_thread(sides, sample.answers) if sample else ([], [])
        context = {
            "row": row,
            "number": min(number, len(samples)),
            "sample": sample,
            "head": head,
            "body": body,
            "cannot_accept": cannot_accept(row),
        }
        return Content(f"{row.route} {row.path or row.in_}", "signature.html", context)

    async def _audit(self, state: Control, query: Mapping[str, str]) -> Content:
        filters = AuditFilters(query.get("route") or None, None, query.get("who") or None, MAX_AUDIT)
        rows = await self._evidence.audit(state.store, filters)
        context = {
            "rows": rows or [],
            "is_unreadable": rows is None,
            "most": MAX_AUDIT,
            "chosen": {key: query.get(key, "") for key in ("route", "who")},
            "route_names": [route.name for route in state.settings.routes],
        }
        return Content("Audit", "audit.html", context)


def _overview_url(search: str, span: str) -> str:
    query = {"q": search, "span": "" if span == _SPANS[0] else span}
    return str(URL("/").with_query({key: value for key, value in query.items() if value}))


def page_url(by: Mapping[str, str], page: int) -> str:
    """Return the address of a page of the list."""
    query = {key: value for key, value in by.items() if value} | ({"page": str(page)} if page > 1 else {})
    return str(URL("/signatures").with_query(query))


def _number(text: str | None) -> int:
    """Return the number of a sample or a page, at least 1."""
    return max(1, int(text[:6])) if text and text.isascii() and text.isdigit() else 1


async def _explain(state: Control, query: Mapping[str, str]) -> Content:
    fields = {
        "method": query.get("method") or "GET",
        "url": query.get("url", ""),
        "headers": query.get("headers", ""),
        "client": query.get("client") or "127.0.0.1",
    }
    response = wrong = None
    if fields["url"]:
        pairs = [line.partition(":")[::2] for line in fields["headers"].splitlines() if line.strip()]
        try:
            snapshot = await state.snapshot()
            head = described_head(snapshot.settings, fields["method"], fields["url"], pairs, fields["client"])
            switch = state.kill_switch
            response = explain(snapshot, head, switch.on, time.time(), frozenset(switch.routes))
        except DescriptionError as error:
            wrong = str(error)
    return Content("Explain", "explain.html", {"asked": fields, "answer": response, "wrong": wrong})


def _heading(title: str, path: Path, state: Control) -> str:
    """Return `In force`, or `In force: teams/a.yaml` for a file that routes.yaml includes."""
    if path == state.reload.path:
        return title
    folder = state.reload.path.parent
    return f"{title}: {path.relative_to(folder) if path.is_relative_to(folder) else path}"


async def _config(state: Control) -> Content:
    config, token = state.status().config, state.token
    texts = []
    if config.problems:
        for path in await asyncio.to_thread(state.reload.paths):
            text = await asyncio.to_thread(read_text, path)
            problems = source.of_file(config.problems, path)
            if text is not None and (path == state.reload.path or problems):
                texts.append((_heading("The current file", path, state), source.lines(text, problems, token)))
    for path, text in state.reload.texts.items():
        lines = source.lines(text, source.of_file(config.warnings, path), token)
        texts.append((_heading("In force", path, state), lines))
    context = {"config": config, "file": str(state.reload.path), "texts": texts}
    return Content("routes.yaml", "config.html", context, is_live=True)
