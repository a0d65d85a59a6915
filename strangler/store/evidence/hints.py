"""Hints for reviewers beside a list of differences: an array in another order, a rule that is for another endpoint."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from strangler.core.compare import Acceptance, CompareRules, Kind
from strangler.core.compare.accept_rules.accept import Accept
from strangler.core.compare.model.endpoint_names import covers_endpoint
from strangler.core.documents import SignatureRow
from strangler.store.evidence.reviews import OPEN_STATES
from strangler.store.evidence.states import Rules, accepted_now

MAX_PATHS: Final = 3
"""The most arrays that one hint names."""


@dataclass(frozen=True, slots=True)
class OrderHint:
    """Arrays of an endpoint with the same elements in another order."""

    route: str
    endpoint: str
    paths: tuple[str, ...]
    more: int  # arrays beyond those named

    @property
    def text(self) -> str:
        """The hint, with the rule that would accept the order."""
        more = f" and {self.more} more" if self.more else ""
        rules = ", ".join(f"{{path: {json.dumps(path, ensure_ascii=False)}}}" for path in self.paths)
        return (
            f"{self.endpoint}: the same elements in another order at {', '.join(self.paths)}{more}."
            f" If order means nothing there, write into route '{self.route}': compare: {{unordered: [{rules}]}}"
        )


def order_hints(rows: Iterable[SignatureRow]) -> list[OrderHint]:
    """Return one hint for each endpoint that has an open difference of kind `order`."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row.kind == Kind.ORDER and row.state in OPEN_STATES and row.in_ == "body" and row.path:
            found.setdefault((row.route, row.endpoint), []).append(row.path)
    return [
        OrderHint(route, endpoint, tuple(sorted(set(paths))[:MAX_PATHS]), max(0, len(set(paths)) - MAX_PATHS))
        for (route, endpoint), paths in sorted(found.items())
    ]


@dataclass(frozen=True, slots=True)
class EndpointHint:
    """An accept rule that is for a part of an endpoint, or for one beside it, and so leaves its differences open."""

    route: str
    endpoint: str
    rule: str
    is_part: bool

    @property
    def text(self) -> str:
        """The hint, with what to do."""
        rule = f"the accept rule of route '{self.route}' for {self.rule}"
        if self.is_part:
            return (
                f"{self.endpoint}: {rule} is for that part of it alone, and the difference was seen in others, too;"
                " to allow it everywhere, accept it again"
            )
        return f"{self.endpoint}: {rule} is not for this endpoint, which has a name of its own; accept it by itself"


def endpoint_hints(rows: Iterable[SignatureRow], rules: Rules, today: date) -> list[EndpointHint]:
    """Return a hint for each open difference that a rule would accept if it were for this endpoint."""
    found: dict[EndpointHint, None] = {}
    for row in rows:
        if row.state in OPEN_STATES and not row.is_noise and row.route in rules:
            found.update(dict.fromkeys(_near(row, rules[row.route], today)))
    return sorted(found, key=lambda hint: (hint.route, hint.endpoint, hint.rule))


def _near(row: SignatureRow, rules: CompareRules, today: date) -> Iterable[EndpointHint]:
    for rule in rules.accept:
        if rule.endpoint in (None, row.endpoint):
            continue
        is_part = rule.is_within(row.endpoint)
        if (is_part or covers_endpoint(rule.endpoint or "", row.endpoint)) and _would_accept(rule, rules, row, today):
            yield EndpointHint(row.route, row.endpoint, rule.endpoint or "", is_part)


def _would_accept(rule: Accept, rules: CompareRules, row: SignatureRow, today: date) -> bool:
    alone = replace(rules, accept=(replace(rule, endpoint=None),), unordered=())
    return accepted_now(alone, row, today) is not Acceptance.NONE
