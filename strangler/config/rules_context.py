"""The parts of the file that a check of one route may need, besides that route."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from strangler.config.document import Loc
from strangler.config.notes import Notes
from strangler.config.scalars import did_you_mean
from strangler.config.schema import File

_SUGGESTED = 10


@dataclass(frozen=True, slots=True)
class RouteContext:
    """The file that a route stands in, the upstreams that it may name, and the time."""

    file: File
    upstreams: frozenset[str]
    today: date
    now: float  # Unix time

    def check_upstream(self, name: str, loc: Loc, notes: Notes) -> None:
        """Note an error if the upstream that a key names is not in the file."""
        if name in self.upstreams:
            return
        way_out = (
            did_you_mean(name, self.upstreams)
            or f"add it to upstreams, or take one of {', '.join(sorted(self.upstreams)[:_SUGGESTED])}"
        )
        notes.error(loc, f"unknown upstream '{name[:60]}'", way_out)


def sorted_text(names: Iterable[str]) -> str:
    """Return `a, b`, the names in their order."""
    return ", ".join(sorted(names))
