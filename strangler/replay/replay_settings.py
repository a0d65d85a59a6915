"""The settings of a replay."""

from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from strangler.core.replaying.caller_order import Speed
from strangler.core.replaying.given import GivenHeaders

PROXY: Final = "proxy"
"""The word for the first listener of routes.yaml, where the name of an upstream may stand."""

Against: TypeAlias = Literal["recorded", "legacy"]
Writes: TypeAlias = Literal["sandbox", "dry_run"]


@dataclass(frozen=True, slots=True)
class ReplaySettings:
    """The requests that are sent, where and how fast, and what their responses are compared with."""

    to: str | None = None
    """The name of an upstream, or `PROXY`; None: the candidate of the route that matches."""
    against: Against = "recorded"
    routes: frozenset[str] = frozenset()
    """The routes whose requests are sent; empty: all."""
    speed: Speed = field(default_factory=lambda: Speed(factor=1.0))
    callers_at_once: int = 64
    writes: Writes | None = None
    """How writes are sent, whatever `shadow.writes` of routes says; None: as it says, and not at all without it."""
    given: GivenHeaders = field(default_factory=GivenHeaders)
    is_self: bool = False
    """Whether legacy is compared with itself, and with what was recorded, in place of a candidate."""
