"""Applying the rules in force to a difference that was found earlier and is known by place and kind alone."""

from collections.abc import Iterable
from datetime import date
from enum import Enum, auto

from strangler.core.compare.accept_rules.accept import Accept, rules_within
from strangler.core.compare.accept_rules.jsonpath import PatternError, parse_pattern
from strangler.core.compare.accept_rules.places import accept_covers_place
from strangler.core.compare.accept_rules.rules import CompareRules
from strangler.core.compare.model.values import Kind, Steps, Where


class Acceptance(Enum):
    """How much of one difference the rules accept now: in all pairs that have it, some, or none."""

    ALL = auto()
    SOME = auto()
    """It depends on the pair: a rule has a tolerance, one pair of values, or is for a part of the endpoint."""
    NONE = auto()


def acceptance(
    rules: CompareRules,
    endpoint: str,
    in_: Where,
    path: str | None,
    kind: Kind,
    *,
    legacy: object,
    candidate: object,
    today: date,
) -> Acceptance:
    """Return how much the rules of a route accept of one difference of an endpoint (`GET /api/orders/{}`).

    `legacy` and `candidate` are the values that it was seen with; for a status they are the difference. A 5xx of the
    candidate is never accepted.
    """
    alive = [rule for rule in rules.accept if rule.is_about(kind) and not rule.is_expired(today)]
    values = legacy, candidate
    found = _by_rules(rules, [rule for rule in alive if rule.is_for(endpoint)], in_, path, kind, values)
    if found is not Acceptance.NONE:
        return found
    parts = rules_within(alive, endpoint)
    is_accepted = bool(parts) and _by_rules(rules, parts, in_, path, kind, values) is not Acceptance.NONE
    return Acceptance.SOME if is_accepted else Acceptance.NONE


def _by_rules(
    rules: CompareRules,
    in_force: list[Accept],
    in_: Where,
    path: str | None,
    kind: Kind,
    values: tuple[object, object],
) -> Acceptance:
    if in_ is Where.STATUS:
        return _status_acceptance(in_force, *values)
    if path is None:
        return Acceptance.NONE
    if in_ is Where.HEADER:
        return _strongest(rule for rule in in_force if rule.header == path)
    if kind is Kind.ORDER and _is_unordered(rules, path):
        return Acceptance.ALL
    return _strongest(_covering(in_force, path, kind))


def _status_acceptance(rules: Iterable[Accept], legacy: object, candidate: object) -> Acceptance:
    if not isinstance(candidate, int) or candidate >= 500:
        return Acceptance.NONE
    return Acceptance.ALL if any(rule.status == (legacy, candidate) for rule in rules) else Acceptance.NONE


def _strongest(covering: Iterable[Accept]) -> Acceptance:
    """Return what the rules accept together: all if one rule does; several that accept some still accept some."""
    rules = list(covering)
    if any(not rule.depends_on_values for rule in rules):
        return Acceptance.ALL
    return Acceptance.SOME if rules else Acceptance.NONE


def _covering(rules: Iterable[Accept], path: str, kind: Kind) -> list[Accept]:
    steps = path_steps(path)
    if steps is None:
        return [rule for rule in rules if accept_covers_place(rule, path, kind)]
    return [rule for rule in rules if rule.pattern is not None and rule.pattern.reach(steps) is not None]


def _is_unordered(rules: CompareRules, path: str) -> bool:
    steps = path_steps(path)
    return steps is not None and any(rule.pattern.reach(steps) == len(steps) for rule in rules.unordered)


def path_steps(path: str | None) -> Steps | None:
    """Return the steps of a path, `$.items[*].price` -> `("items", None, "price")`; None for any other or cut text."""
    if path is None:
        return None
    try:
        return tuple(None if segment.is_wild else segment.name for segment in parse_pattern(path).segments)
    except PatternError:
        return None
