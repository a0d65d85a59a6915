"""Accept rules: declared differences that are allowed."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from strangler.core.compare.accept_rules.css import CssRule
from strangler.core.compare.accept_rules.jsonpath import Pattern
from strangler.core.compare.accept_rules.xmlpath import XmlPattern
from strangler.core.compare.model.endpoint_names import covers_endpoint, fixed_start
from strangler.core.compare.model.numbers import canonical, is_within
from strangler.core.compare.model.values import Excerpt, Kind, Node, Value
from strangler.core.settings import AcceptRule


@dataclass(frozen=True, slots=True)
class Accept:
    """One rule, compiled. Exactly one of `pattern`, `xml`, `css`, `header` and `status` is set.

    `index` is its place in the route's list.
    """

    index: int
    pattern: Pattern | None = None
    xml: XmlPattern | None = None
    """The rule's `path`, if it begins with `/`."""
    css: CssRule | None = None
    header: str | None = None
    status: tuple[int, int] | None = None
    endpoint: str | None = None
    """`POST /api/orders/{}`; None: every endpoint of the route."""
    kind: Kind | None = None
    abs_: Decimal | None = None
    rel: Decimal | None = None
    values: tuple[Node, Node] | None = None
    """Legacy's value, and the candidate's value that is accepted for it."""
    texts: tuple[str, str] | None = None
    """The same two as written in the rule, for bodies that are one text."""
    until: date | None = None

    def is_expired(self, today: date) -> bool:
        return self.until is not None and today > self.until

    def is_about(self, kind: Kind) -> bool:
        """Return True if the rule can accept differences of this kind.

        A tolerance concerns values only; a pair of values requires that both sides have a value.
        """
        if self.has_tolerance and kind is not Kind.VALUE:
            return False
        if self.values is not None and kind not in (Kind.VALUE, Kind.TYPE):
            return False
        return self.kind in (None, kind)

    def is_for(self, endpoint: str) -> bool:
        """Return True if the rule is in force for this endpoint, `POST /api/orders/{}`."""
        return self.endpoint in (None, endpoint)

    def is_within(self, endpoint: str) -> bool:
        """Return True if the rule is for a part of this endpoint: it was written before words were folded into `{}`."""
        return self.endpoint is not None and self.endpoint != endpoint and covers_endpoint(endpoint, self.endpoint)

    def covers_request(self, request: str) -> bool:
        """Return True if the rule's endpoint covers a request, `POST /api/orders/7`, spelled like an endpoint."""
        return self.endpoint is None or covers_endpoint(self.endpoint, request)

    @property
    def has_tolerance(self) -> bool:
        return self.abs_ is not None or self.rel is not None

    @property
    def depends_on_values(self) -> bool:
        """Return True if the rule accepts only some differences at its place."""
        return self.has_tolerance or self.values is not None

    @property
    def hides_values(self) -> bool:
        """Return True if the rule accepts any two values of a node that it covers."""
        is_in_body = self.pattern is not None or self.xml is not None or self.css is not None
        return is_in_body and not self.depends_on_values and self.is_about(Kind.VALUE)

    def allows(self, legacy: Value, candidate: Value) -> bool:
        """Return True if the rule accepts a difference at a node that it covers, of a kind that it can accept."""
        if self.values is not None:
            if isinstance(legacy, Excerpt) and isinstance(candidate, Excerpt):
                return self.texts == (legacy.text, candidate.text)
            return self.values == (legacy, candidate)
        if not self.has_tolerance:
            return True
        if self.xml is not None:
            legacy, candidate = _number(legacy), _number(candidate)
        if not (isinstance(legacy, bytes) and isinstance(candidate, bytes)):
            return False
        return is_within(legacy, candidate, self.abs_, self.rel)


def rules_within(rules: Iterable[Accept], endpoint: str) -> list[Accept]:
    """Return the rules that are for a part of an endpoint; an endpoint without holes has no parts."""
    start = fixed_start(endpoint)
    if start == endpoint:
        return []
    return [rule for rule in rules if rule.endpoint and rule.endpoint.startswith(start) and rule.is_within(endpoint)]


_NUMBER = re.compile(r"\s*([+-]?)0*(\d+(?:\.\d+)?)\s*\Z", re.ASCII)


def _number(value: Value) -> Value:
    """Return a number in the text of XML as a JSON number; any other value unchanged."""
    found = _NUMBER.match(value) if isinstance(value, str) and len(value) < 64 else None
    if found is None:
        return value
    return canonical(found[1].replace("+", "") + found[2])


def is_xml_path(path: str) -> bool:
    """Return True for a rule's `path` into XML, not into JSON."""
    return path.startswith("/")


def expired_rules(rules: Iterable[AcceptRule], today: date) -> tuple[AcceptRule, ...]:
    """Return the rules that have expired, to be reported whether or not anything would still match them."""
    return tuple(rule for rule in rules if rule.until is not None and today > date.fromisoformat(rule.until))


class RuleUseState:
    """The number of times that each accept rule of a route accepted something. It restarts on a reload."""

    def __init__(self, rules: int) -> None:
        self.comparisons = 0
        self.uses = [0] * rules
        self._elsewhere = [0] * rules
        """The comparisons in which each rule was not in force, since it is for another endpoint."""

    def record(self, used: Iterable[int], in_force: Iterable[int] | None = None) -> None:
        """Count one comparable pair, by its `Comparison.rules_used` and the rules in force (None: all of them).

        Both are places in the route's list, like `CompareRules.indices` of the endpoint's rules.
        """
        self.comparisons += 1
        for index in used:
            self.uses[index] += 1
        if in_force is not None:
            for index in set(range(len(self.uses))).difference(in_force):
                self._elsewhere[index] += 1

    def dead(self, min_comparisons: int) -> tuple[int, ...]:
        """Return the places of the rules that accepted nothing in `min_comparisons` or more comparisons under them."""
        return tuple(
            index
            for index, (uses, elsewhere) in enumerate(zip(self.uses, self._elsewhere, strict=True))
            if not uses and self.comparisons - elsewhere >= min_comparisons
        )
