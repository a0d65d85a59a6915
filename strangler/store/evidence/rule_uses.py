"""The uses of accept rules, added up over the nodes of a store: each adds what it has counted since it last did."""

from collections.abc import Mapping
from typing import Final

import msgspec

from strangler.core.documents import RuleReport, RuleUse
from strangler.store.connection import Connection
from strangler.store.evidence.writing import store_rules

_NONE: Final = RuleReport(0, [])


def add_rule_uses(
    connection: Connection, reports: Mapping[str, RuleReport], reported: Mapping[str, RuleReport]
) -> None:
    """Add a node's reports of routes to those in the store. `reported`: its reports that are in there already."""
    for route, report in sorted(reports.items()):
        row = connection.execute("SELECT content FROM rule_uses WHERE route = ?", (route,)).fetchone()
        stored = _NONE if row is None else msgspec.json.decode(row[0], type=RuleReport)
        store_rules(connection, {route: _total(stored, report, reported.get(route, _NONE))})


def _total(stored: RuleReport, report: RuleReport, before: RuleReport) -> RuleReport:
    if _names(stored) != _names(report):  # other rules: their uses begin
        stored = RuleReport(0, [msgspec.structs.replace(rule, uses=0, is_dead=False) for rule in report.rules])
    if _names(before) != _names(report) or before.comparisons > report.comparisons:  # the node has begun anew
        before = RuleReport(0, [msgspec.structs.replace(rule, uses=0) for rule in report.rules])
    rules = [_sum(*same) for same in zip(stored.rules, report.rules, before.rules, strict=True)]
    return RuleReport(stored.comparisons + report.comparisons - before.comparisons, rules)


def _sum(stored: RuleUse, counted: RuleUse, before: RuleUse) -> RuleUse:
    uses = stored.uses + counted.uses - before.uses
    return RuleUse(counted.rule, uses, uses == 0 and (stored.is_dead or counted.is_dead), counted.is_expired)


def _names(report: RuleReport) -> list[str]:
    return [rule.rule for rule in report.rules]
