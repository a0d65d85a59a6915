"""Accept rules: declared differences that are allowed."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from strangler.core.compare.jsonpath import Pattern, parse_pattern
from strangler.core.compare.numbers import is_within
from strangler.core.compare.values import Kind, Value
from strangler.core.settings import AcceptRule


@dataclass(frozen=True, slots=True)
class Accept:
    """One rule, compiled. Exactly one of `pattern` and `header` is set. `index` is its place in the route's list."""

    index: int
    pattern: Pattern | None
    header: str | None
    kind: Kind | None
    abs_: Decimal | None
    rel: Decimal | None
    until: date | None

    def is_expired(self, today: date) -> bool:
        return self.until is not None and today > self.until

    def is_about(self, kind: Kind) -> bool:
        """True if the rule can say anything about differences of this kind; a tolerance is about values only."""
        if self.has_tolerance and kind is not Kind.VALUE:
            return False
        return self.kind in (None, kind)

    @property
    def has_tolerance(self) -> bool:
        return self.abs_ is not None or self.rel is not None

    @property
    def hides_values(self) -> bool:
        """True if any two values of a node that the rule covers are as good as equal."""
        return self.pattern is not None and not self.has_tolerance and self.is_about(Kind.VALUE)

    def allows(self, legacy: Value, candidate: Value) -> bool:
        """For a difference at a node that the rule covers, of a kind it is about."""
        if not self.has_tolerance:
            return True
        if not (isinstance(legacy, bytes) and isinstance(candidate, bytes)):
            return False
        return is_within(legacy, candidate, self.abs_, self.rel)


def compile_accept(rules: Iterable[AcceptRule]) -> tuple[Accept, ...]:
    """Raises ValueError (PatternError for a path) if a rule cannot be read."""
    return tuple(
        Accept(
            index=index,
            pattern=parse_pattern(rule.path) if rule.path is not None else None,
            header=rule.header.lower() if rule.header is not None else None,
            kind=Kind(rule.kind) if rule.kind is not None else None,
            abs_=Decimal(rule.abs) if rule.abs is not None else None,
            rel=Decimal(rule.rel) if rule.rel is not None else None,
            until=date.fromisoformat(rule.until) if rule.until is not None else None,
        )
        for index, rule in enumerate(rules)
    )


def expired_rules(rules: Iterable[AcceptRule], today: date) -> tuple[AcceptRule, ...]:
    """Those that no longer count, to be reported whether or not anything would still match them."""
    return tuple(rule for rule in rules if rule.until is not None and today > date.fromisoformat(rule.until))


class RuleUseState:
    """How often each accept rule of a route accepted something. Owned by whoever compares; starts anew on a reload."""

    def __init__(self, rules: int) -> None:
        self.comparisons = 0
        self.uses = [0] * rules

    def record(self, used: Iterable[int]) -> None:
        """One comparable pair, and `Comparison.rules_used` of it."""
        self.comparisons += 1
        for index in used:
            self.uses[index] += 1

    def dead(self, min_comparisons: int) -> tuple[int, ...]:
        """Rules that accepted nothing in all of at least `min_comparisons` comparisons, by their place in the list."""
        if self.comparisons < min_comparisons:
            return ()
        return tuple(index for index, uses in enumerate(self.uses) if not uses)
