"""Hints for reviewers beside a list of differences: for now, that an array is only in another order."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from strangler.core.compare import Kind
from strangler.core.documents import SignatureRow
from strangler.evidence.reviews import OPEN_STATES

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
