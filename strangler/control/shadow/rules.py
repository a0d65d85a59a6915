"""The use of accept rules since they are in force, for reviewers: which are dead, and which have expired."""

from datetime import date

from strangler.control.shadow.route import ShadowRoute
from strangler.core.documents import RuleReport, RuleUse
from strangler.core.settings import AcceptRule
from strangler.times import utc_day

DEAD_AFTER = 1000
"""The comparisons after which a rule that never matched is dead."""


def rule_report(route: ShadowRoute) -> RuleReport:
    """Return the use of a route's accept rules so far."""
    dead = route.uses.dead(DEAD_AFTER)
    today = utc_day()
    rules = route.settings.compare.accept
    return RuleReport(
        comparisons=route.uses.comparisons,
        rules=[
            RuleUse(
                rule=rule_text(rule),
                uses=route.uses.uses[index],
                is_dead=index in dead,
                is_expired=rule.until is not None and today > date.fromisoformat(rule.until),
            )
            for index, rule in enumerate(rules)
        ],
    )


def rule_text(rule: AcceptRule) -> str:
    """Return a readable name: `$.total (value)`, `header vary`, `status 302 -> 303 (POST /login)`."""
    if rule.status is not None:
        name = f"status {rule.status[0]} -> {rule.status[1]}"
    else:
        name = rule.path or rule.css or f"header {rule.header}"
    pair = f"{rule.from_} -> {rule.to}" if rule.from_ is not None else None
    more = ", ".join(filter(None, (rule.kind, pair, rule.endpoint)))
    return f"{name} ({more})" if more else name
