"""What reviewers ask, and the answers as plain data: the same for the admin listener and for a command by itself."""

import time
from datetime import date
from sqlite3 import Connection
from typing import Any

from strangler.control.shadow import reading
from strangler.control.shadow.reading import Filters
from strangler.core.compare import CompareRules, compile_rules
from strangler.core.plan import AGGREGATE
from strangler.core.settings import RouteSettings, Settings

_TOP = 12
"""Signatures of a route that the report tells of."""


def rules_of(settings: Settings) -> dict[str, CompareRules]:
    """The comparison rules of all routes."""
    return {route.name: compile_rules(route.compare) for route in settings.routes}


def inbox(connection: Connection, settings: Settings, filters: Filters, today: date) -> dict[str, Any]:
    """`{"signatures": […], "rules": {…}, "stops": {…}}`"""
    return {
        "signatures": reading.signatures(connection, rules_of(settings), filters, today),
        "rules": reading.rule_reports(connection),
        "stops": reading.stops(connection),
    }


def detail(connection: Connection, settings: Settings, name: str, today: date) -> dict[str, Any] | None:
    """One signature with its samples; None if there is none of that id."""
    return reading.signature(connection, rules_of(settings), name, today)


def ready(connection: Connection, settings: Settings, name: str, today: date) -> dict[str, Any] | None:
    """The verdict for a route; None if there is no such route."""
    route = route_named(settings, name)
    if route is None:
        return None
    return reading.readiness(connection, name, {name: compile_rules(route.compare)}, route.gate, today)


def report(connection: Connection, settings: Settings, today: date) -> dict[str, Any]:
    """All that the report shows, route by route, those with shadows first."""
    rules = rules_of(settings)
    rows = reading.signatures(connection, rules, Filters(), today)
    return {
        "at": time.time(),
        "routes": [
            {
                "name": route.name,
                "candidate": route.candidate or AGGREGATE,
                "percent": route.split.percent,
                "shadow_percent": route.shadow.percent if route.shadow else 0.0,
                "readiness": reading.readiness(connection, route.name, rules, route.gate, today),
                "timeline": reading.timeline(connection, route.name),
                "latencies": reading.latencies(connection, route.name),
                "signatures": [row for row in rows if row["route"] == route.name][:_TOP],
                "rules": reading.rule_reports(connection).get(route.name),
            }
            for route in sorted(settings.routes, key=lambda route: (route.shadow is None, route.name))
        ],
        "audit": reading.audit(connection),
    }


def route_named(settings: Settings, name: str) -> RouteSettings | None:
    return next((route for route in settings.routes if route.name == name), None)
