"""A labelled set: pairs of answers as they come in a migration, and what a person says of each."""

import copy
from dataclasses import dataclass, field
from typing import Any

from strangler.core.compare import NO_CONDITIONS, RequestConditions, Response
from strangler.core.settings import CompareSettings
from tests.core.compare.responses import response, settings

Label = tuple[str, str | None, str]
"""The key of a difference: in, path, kind."""

GONE = object()
"""As a new value: the key, or the element, is taken away."""


@dataclass(frozen=True)
class Pair:
    """`differences`: what is not accepted. `rules`: what the route's compare section says. `request`: conditions."""

    name: str
    legacy: Response
    candidate: Response
    differences: set[Label] = field(default_factory=set)
    outcome: str = ""
    reason: str | None = None
    rules: CompareSettings = field(default_factory=settings)
    request: RequestConditions = NO_CONDITIONS

    @property
    def expected_outcome(self) -> str:
        return self.outcome or ("mismatch" if self.differences else "match")


def edited(document: Any, changes: dict[str, Any]) -> Any:
    """A copy with new values at dotted places (`items.0.price`); a callable makes the new value of the old one."""
    made = copy.deepcopy(document)
    for place, value in changes.items():
        *way, last = [int(step) if step.isdigit() else step for step in place.split(".")]
        holder = made
        for step in way:
            holder = holder[step]
        if value is GONE:
            del holder[last]
        else:
            holder[last] = value(holder[last]) if callable(value) else value
    return made


def family(
    name: str,
    document: Any,
    cases: dict[str, tuple[dict[str, Any], set[str]]],
    rules: CompareSettings | None = None,
    outcome: str = "",
) -> list[Pair]:
    """Pairs of one JSON document and edited copies. A label is written `kind $.path`."""
    return [
        Pair(
            f"{name}: {case}",
            response(document),
            response(edited(document, changes)),
            {body_label(label) for label in labels},
            outcome,
            rules=rules or settings(),
        )
        for case, (changes, labels) in cases.items()
    ]


def body_label(text: str) -> Label:
    kind, _, path = text.partition(" ")
    return "body", path, kind
