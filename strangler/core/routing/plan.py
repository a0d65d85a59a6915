# Compiled with mypyc: see docs/hot-path.md.
"""The plan of a request: the arm that serves it, and why."""

from collections.abc import Callable

from strangler.core.http.head import RequestHead
from strangler.core.http.problem import Problem
from strangler.core.routing.aggregate import Part
from strangler.core.routing.arm import BUCKETS, CANDIDATE_ARM, LEGACY, LEGACY_ARM, Arm, Reason
from strangler.core.routing.path import Oddity
from strangler.core.routing.route import Route

_ARMS = {b"legacy": Arm.LEGACY, b"candidate": Arm.CANDIDATE}

_PERCENT = Reason.PERCENT

Draw = Callable[[], float]
"""A source of random numbers, at least 0 and below 1."""


class Plan:
    """The arm that serves a request, and why. It is never changed once it is handed out.

    A plain slotted class because one is made per request, and because such a class can be compiled.
    """

    __slots__ = (
        "arm", "bucket", "oddity", "parts", "reason", "refusal", "route", "shadow", "sticky_key", "upstream",
    )  # fmt: skip

    bucket: int | None
    """0 to 9999; None if no bucket was needed."""
    oddity: Oddity | None
    """Why the path has no single meaning, if no route was chosen for that reason."""
    parts: tuple[Part, ...]
    """The parts of the aggregate that serves the request; empty if one upstream does."""
    refusal: Problem | None
    """The response of the worker itself, instead of forwarding."""

    def __init__(
        self,
        route: Route | None,
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
"""The plan of a request that could not be read."""


def decide(route: Route, head: RequestHead, draw: Draw) -> Plan:
    """Decide by override, split headers, bucket or chance, in this order; then whether the request gets a shadow.

    `draw` is called once for a split by chance, then once for a shadow of less than 100 percent.
    """
    plan = _by_header(route, head) or _by_share(route, head, draw)
    if route.shadow is None:
        return plan
    percent = shadow_percent(route, head.method, plan.arm)
    plan.shadow = percent >= 100 or (percent > 0 and draw() * 100 < percent)  # not handed out yet
    return plan


def shadow_percent(route: Route, method: bytes, arm: Arm) -> float:
    """Return the share of such requests that get a shadow, 0 to 100."""
    shadow = route.shadow
    if shadow is None:
        return 0
    return shadow.percent if method in (shadow.of_legacy if arm is LEGACY_ARM else shadow.of_candidate) else 0


def _by_header(route: Route, head: RequestHead) -> Plan | None:
    if route.override is not None:
        arm = _ARMS.get(head.fields.get(route.override, b""))
        if arm is not None:
            return plan_to(route, arm, Reason.OVERRIDE)
    for name, value in route.split_headers:
        if head.fields.get(name) == value:
            return plan_to(route, Arm.CANDIDATE, Reason.SPLIT_HEADER)
    return None


def _by_share(route: Route, head: RequestHead, draw: Draw) -> Plan:
    split = route.split
    if split.hundredths == 0:
        return plan_to(route, LEGACY_ARM, _PERCENT)
    if split.hundredths == BUCKETS:
        return plan_to(route, CANDIDATE_ARM, _PERCENT)
    key = split.sticky_key(head)
    if key is None:
        arm = Arm.CANDIDATE if draw() * BUCKETS < split.hundredths else Arm.LEGACY
        return plan_to(route, arm, Reason.CHANCE)
    bucket = split.bucket(key)
    if bucket < split.hundredths:
        return Plan(route, CANDIDATE_ARM, route.upstream, _PERCENT, bucket, key)
    return Plan(route, LEGACY_ARM, LEGACY, _PERCENT, bucket, key)


def plan_to(route: Route, arm: Arm, reason: Reason) -> Plan:
    """Return the plan of a route without bucket and shadow.

    It is made for each request (0.3 µs): a plan kept by its route would form a reference cycle, and the routes of a
    replaced snapshot would stay until a full garbage collection, which a worker hardly ever has.
    """
    return Plan(route, arm, route.upstream if arm is CANDIDATE_ARM else LEGACY, reason)
