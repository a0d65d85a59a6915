"""Queries of the evidence, whose results are the documents of the admin listener and of commands."""

import time
from datetime import date

from strangler.core.compare import CompareRules, compile_rules
from strangler.core.documents import (
    InboxDocument,
    LedgerDocument,
    LedgerEvidence,
    ReleasesDocument,
    ReportDocument,
    RouteReport,
    RuleReport,
    SignatureDocument,
    VerdictDocument,
)
from strangler.core.routing.arm import AGGREGATE
from strangler.core.settings import GateSettings, RouteSettings, Settings
from strangler.store.connection import Connection
from strangler.store.evidence import audits, reading
from strangler.store.evidence.audits import AuditFilters
from strangler.store.evidence.counted import counted
from strangler.store.evidence.hints import endpoint_hints
from strangler.store.evidence.judging import endpoint_pairs
from strangler.store.evidence.reading import Filters
from strangler.store.evidence.rollout_history import rollout_reports
from strangler.store.evidence.states import Rules

_TOP = 12
"""The most signatures of a route in the report."""
_AUDITED = 1000
"""The most entries of the audit in the report."""


def rules_of(settings: Settings) -> dict[str, CompareRules]:
    """Return the comparison rules of all routes."""
    return {route.name: compile_rules(route.compare) for route in settings.routes}


def inbox(connection: Connection, settings: Settings, filters: Filters, today: date) -> InboxDocument:
    """Return the filtered signatures, with the reports of all accept rules and the stopped routes."""
    rules = rules_of(settings)
    rows = reading.signatures(connection, rules, filters, today)
    return InboxDocument(
        signatures=rows,
        rules=reading.rule_reports(connection),
        stops=reading.stops(connection),
        hints=[hint.text for hint in endpoint_hints(rows, rules, today)],
    )


def detail(
    connection: Connection, settings: Settings, name: str, today: date, release: str | None = None
) -> SignatureDocument | None:
    """Return one signature with its samples; None if the id is unknown."""
    return reading.signature(connection, rules_of(settings), name, today, release)


def ready(
    connection: Connection,
    settings: Settings,
    name: str,
    today: date,
    release: str | None = None,
    gate: GateSettings | None = None,
) -> VerdictDocument | None:
    """Return the verdict for a release of a route, by default the current one; None if there is no such route.

    It uses the given gate, else the route's. Raises UnknownReleaseError.
    """
    route = route_named(settings, name)
    if route is None:
        return None
    reading.check_release(connection, name, release)
    return _verdict(connection, route, {name: compile_rules(route.compare)}, today, release, gate)


def _verdict(
    connection: Connection,
    route: RouteSettings,
    rules: Rules,
    today: date,
    release: str | None,
    gate: GateSettings | None = None,
) -> VerdictDocument:
    is_timed = route.shadow is not None and route.shadow.baseline.share > 0
    gate = gate if gate is not None else route.gate
    return reading.readiness(connection, route.name, rules, gate, today, release=release, is_timed=is_timed)


def endpoint_evidence(
    connection: Connection, settings: Settings, name: str, endpoint: str, today: date
) -> LedgerEvidence | None:
    """Return the comparisons of an endpoint in the current release of a route that count; None if there are none."""
    route = route_named(settings, name)
    if route is None:
        return None
    rules = {name: compile_rules(route.compare)}
    found = endpoint_pairs(connection, name, endpoint, rules, today, route.gate.sources)
    return None if found is None else LedgerEvidence(name, *found)


def timeline(connection: Connection, settings: Settings, name: str, today: date) -> list[dict[str, int]]:
    """Return the outcomes of a route's current release by hour; empty if there is no such route."""
    route = route_named(settings, name)
    if route is None:
        return []
    rules = {name: compile_rules(route.compare)}
    return reading.timeline(connection, name, rules, today, sources=route.gate.sources)


def releases(connection: Connection, settings: Settings, name: str | None) -> ReleasesDocument | None:
    """Return the releases of one route, or of all routes of routes.yaml; None if there is no such route."""
    names = {route.name for route in settings.routes}
    if name is not None and name not in names:
        return None
    return ReleasesDocument([release for release in reading.releases(connection, name) if release.route in names])


def report(
    connection: Connection,
    settings: Settings,
    today: date,
    release: str | None = None,
    ledger: LedgerDocument | None = None,
) -> ReportDocument:
    """Return the report, route by route, those with shadows first. With a release it has only the routes that have it.
    `ledger`: an excerpt, None without a ledger. Raises UnknownReleaseError."""
    rules, reports = rules_of(settings), reading.rule_reports(connection)
    reading.check_release(connection, None, release)
    routes = sorted(settings.routes, key=lambda route: (route.shadow is None, route.name))
    if release is not None:
        having = {release_row.route for release_row in reading.releases(connection) if release_row.name == release}
        routes = [route for route in routes if route.name in having]
    return ReportDocument(
        at=time.time(),
        routes=[_route_report(connection, route, rules, today, release, reports.get(route.name)) for route in routes],
        audit=audits.entries(connection, AuditFilters(limit=_AUDITED)),
        ledger=ledger,
        rollouts=rollout_reports(connection, settings),
    )


def _route_report(
    connection: Connection,
    route: RouteSettings,
    rules: Rules,
    today: date,
    release: str | None,
    use: RuleReport | None,
) -> RouteReport:
    """Return a route as the report shows it: all of it is evidence that its gate counts."""
    counts = counted(connection, route.name, route.gate.sources, release)
    return RouteReport(
        name=route.name,
        candidate=route.candidate or AGGREGATE,
        percent=route.split.percent,
        shadow_percent=route.shadow.percent if route.shadow else 0.0,
        readiness=_verdict(connection, route, rules, today, release),
        timeline=reading.timeline(connection, route.name, rules, today, release=release, sources=counts.sources),
        latencies=reading.latencies(connection, route.name, release, counts.sources),
        signatures=reading.counted_signatures(connection, rules, counts, today)[:_TOP],
        rules=use,
    )


def route_named(settings: Settings, name: str) -> RouteSettings | None:
    return next((route for route in settings.routes if route.name == name), None)
