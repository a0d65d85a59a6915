"""Which arm of a route serves a request."""

from collections.abc import Callable

from strangler.core.head import RequestHead
from strangler.core.plan import BUCKETS, CANDIDATE_ARM, LEGACY, LEGACY_ARM, Arm, Plan, Reason
from strangler.core.routes import Route

_ARMS = {b"legacy": Arm.LEGACY, b"candidate": Arm.CANDIDATE}

_PERCENT = Reason.PERCENT

Draw = Callable[[], float]
"""A number of chance, at least 0 and below 1."""


def decide(route: Route, head: RequestHead, draw: Draw) -> Plan:
    """Override, split headers, bucket or chance, in this order; then whether the request gets a shadow.

    `draw` is called once for a split by chance, then once for a shadow of less than 100 percent.
    """
    plan = _by_header(route, head) or _by_share(route, head, draw)
    if route.shadow is None:
        return plan
    percent = shadow_percent(route, head.method, plan.arm)
    plan.shadow = percent >= 100 or (percent > 0 and draw() * 100 < percent)  # it is not handed out yet
    return plan


def shadow_percent(route: Route, method: bytes, arm: Arm) -> float:
    """The share of such requests that get a shadow, 0 to 100."""
    shadow = route.shadow
    if shadow is None:
        return 0
    return shadow.percent if method in (shadow.of_legacy if arm is LEGACY_ARM else shadow.of_candidate) else 0


def _by_header(route: Route, head: RequestHead) -> Plan | None:
    if route.override is not None:
        arm = _ARMS.get(head.fields.get(route.override, b""))
        if arm is not None:
            return route.plan(arm, Reason.OVERRIDE)
    for name, value in route.split_headers:
        if head.fields.get(name) == value:
            return route.plan(Arm.CANDIDATE, Reason.SPLIT_HEADER)
    return None


def _by_share(route: Route, head: RequestHead, draw: Draw) -> Plan:
    split = route.split
    if split.hundredths == 0:
        return route.plan(LEGACY_ARM, _PERCENT)
    if split.hundredths == BUCKETS:
        return route.plan(CANDIDATE_ARM, _PERCENT)
    key = split.sticky_key(head)
    if key is None:
        arm = Arm.CANDIDATE if draw() * BUCKETS < split.hundredths else Arm.LEGACY
        return route.plan(arm, Reason.CHANCE)
    bucket = split.bucket(key)
    if bucket < split.hundredths:
        return Plan(route, CANDIDATE_ARM, route.upstream, _PERCENT, bucket, key)
    return Plan(route, LEGACY_ARM, LEGACY, _PERCENT, bucket, key)
