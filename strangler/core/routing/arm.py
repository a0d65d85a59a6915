# Compiled with mypyc: see docs/hot-path.md.
"""The two arms of a route, and the reasons why a request goes to one of them."""

from enum import StrEnum

BUCKETS = 10_000
"""A bucket is a hundredth of a percent."""

LEGACY = "legacy"
"""The name of the upstream that takes everything that no route sends elsewhere."""

AGGREGATE = "aggregate"
"""The upstream that logs and metrics name for an aggregate: no upstream may have this name."""


class Arm(StrEnum):
    """The side of a route that serves a request."""

    LEGACY = "legacy"
    CANDIDATE = "candidate"


class Reason(StrEnum):
    """Why a request goes to its arm: stable names, for logs, metrics and `explain --json`."""

    NO_ROUTE = "no_route"
    AMBIGUOUS_PATH = "ambiguous_path"
    MALFORMED_TARGET = "malformed_target"  # refused with 400 and not forwarded
    KILL_SWITCH = "kill_switch"
    RETIRED = "retired"  # refused: the route's sunset has passed
    BROWNOUT = "brownout"  # refused: the route is off for a while
    DISABLED = "disabled"
    OVERRIDE = "override"
    SPLIT_HEADER = "split_header"
    PERCENT = "percent"  # split.percent is 0 or 100, or the bucket of the sticky key decided
    UNPLANNED = "unplanned"  # refused before it was planned
    CHANCE = "chance"  # no sticky key was present: decided by chance


LEGACY_ARM, CANDIDATE_ARM = Arm
"""For the hot path: looking a member up in its class costs 0.1 µs."""
