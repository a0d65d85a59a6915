"""The decision for a request, and why."""

from enum import StrEnum
from typing import TYPE_CHECKING

from strangler.core.aggregate import Part
from strangler.core.path import Oddity
from strangler.core.problem import Problem

if TYPE_CHECKING:
    from strangler.core.routes import Route

BUCKETS = 10_000
"""A bucket is a hundredth of a percent."""

LEGACY = "legacy"
"""The name of the upstream that takes all that no route sends elsewhere."""

AGGREGATE = "aggregate"
"""The upstream that logs and metrics name where several respond together: no upstream may be called so."""


class Arm(StrEnum):
    """The side of a route that serves a request."""

    LEGACY = "legacy"
    CANDIDATE = "candidate"


class Reason(StrEnum):
    """Why a request goes to its arm: stable names, for logs, metrics and `explain --json`."""

    NO_ROUTE = "no_route"
    AMBIGUOUS_PATH = "ambiguous_path"
    MALFORMED_TARGET = "malformed_target"  # answered with 400 and sent nowhere
    KILL_SWITCH = "kill_switch"
    DISABLED = "disabled"
    OVERRIDE = "override"
    SPLIT_HEADER = "split_header"
    PERCENT = "percent"  # split.percent is 0 or 100, or the bucket of the sticky key decided
    UNPLANNED = "unplanned"  # refused before it was looked at
    CHANCE = "chance"  # no sticky key was present: decided by chance


LEGACY_ARM, CANDIDATE_ARM = Arm
"""For the hot path: to look a member up in its class costs 0.1 µs."""


class Plan:
    """Which arm serves the request and why. Nobody writes to it once it is made.

    A plain slotted class because one is made per request, and one of these can be compiled.
    """

    __slots__ = (
        "arm", "bucket", "oddity", "parts", "reason", "refusal", "route", "shadow", "sticky_key", "upstream",
    )  # fmt: skip

    bucket: int | None
    """0 to 9999; None if no bucket was needed."""
    oddity: Oddity | None
    """Why the path has no one meaning, where no route was chosen for that reason."""
    parts: tuple[Part, ...]
    """The parts of an aggregate, if that serves the request; else one upstream does, and this is empty."""
    refusal: Problem | None
    """What the worker answers instead of forwarding."""

    def __init__(
        self,
        route: "Route | None",
        arm: Arm,
        upstream: str,
        reason: Reason,
        bucket: int | None = None,
        sticky_key: bytes | None = None,
        shadow: bool = False,
        refusal: Problem | None = None,
        oddity: Oddity | None = None,
    ) -> None:
        self.route = route
        self.arm = arm
        self.upstream = upstream
        self.reason = reason
        self.bucket = bucket
        self.sticky_key = sticky_key
        self.shadow = shadow
        self.refusal = refusal
        self.oddity = oddity
        self.parts = () if route is None or arm is LEGACY_ARM else route.parts


UNPLANNED = Plan(None, Arm.LEGACY, LEGACY, Reason.UNPLANNED)
"""Of a request that could not be read."""
