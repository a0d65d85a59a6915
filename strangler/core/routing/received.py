"""The route by which a mirrored request is compared; or why it is not."""

from enum import StrEnum

from strangler.core.http.head import RequestHead
from strangler.core.http.methods import is_safe
from strangler.core.routing.arm import LEGACY_ARM, Arm, Reason
from strangler.core.routing.plan import Draw, shadow_percent
from strangler.core.routing.retirement import Clock
from strangler.core.routing.route import Route
from strangler.core.routing.snapshot import Snapshot

ENVOY_SUFFIX = b"-shadow"
"""The ending that Envoy gives to the host of a mirrored request."""

ROUTE_FIELD = b"x-strangler-route"
"""The field in which the Envoy of this node names the route of a mirrored request."""
ARM_FIELD = b"x-strangler-arm"
"""The same for the arm that was chosen."""

_ARMS = {arm.value.encode(): arm for arm in Arm}
_SHADOW = b"x-strangler-shadow"
_OF_LEGACY_ALONE = frozenset({Reason.DISABLED, Reason.KILL_SWITCH})


class Uncompared(StrEnum):
    """The reasons why a mirrored request is not compared, as the metric counts them."""

    UNMATCHED = "unmatched"  # legacy alone serves it: no route, an ambiguous path, a route that is off or has ended
    UNSAFE = "unsafe"  # it may change something, is an upgrade, or `shadow.methods` leaves its method out
    UNSAMPLED = "unsampled"  # beyond `shadow.percent`
    SHADOW = "shadow"  # it is a shadow itself
    DROPPED = "dropped"  # there is no place for it, or it did not come whole
    MALFORMED = "malformed"


COMPARED = "compared"
"""The same for one that is compared."""


def received_route(
    snapshot: Snapshot,
    head: RequestHead,
    draw: Draw,
    killed: bool,
    clock: Clock,
    killed_routes: frozenset[str],
) -> Route | Uncompared:
    """Return the route that a worker would choose, if the request is one to compare.

    The arm that the split gives does not matter: both are asked. `draw` decides about `shadow.percent`.
    """
    if _SHADOW in head.fields:
        return Uncompared.SHADOW
    if not is_safe(head):
        return Uncompared.UNSAFE
    plan = snapshot.plan(head, draw, killed, clock, killed_routes)
    route = plan.route
    if route is None or plan.refusal is not None or plan.reason in _OF_LEGACY_ALONE:
        return Uncompared.UNMATCHED
    shadow = route.settings.shadow
    if shadow is None or route.settings.is_passthrough:
        return Uncompared.UNMATCHED
    if head.method.decode() not in shadow.methods:
        return Uncompared.UNSAFE
    is_drawn = shadow.percent >= 100 or draw() * 100 < shadow.percent
    return route if is_drawn else Uncompared.UNSAMPLED


def mirrored_route(
    snapshot: Snapshot, head: RequestHead, killed: bool, killed_routes: frozenset[str]
) -> Route | Uncompared:
    """Return the route that the Envoy of this node names, if it is still one whose requests get shadows at that arm.

    Envoy has planned the request and drawn it by `shadow.percent`, so neither is done again. What has changed since
    then counts: a route that is gone, off or no longer shadowed is compared no more.
    """
    if _SHADOW in head.fields:
        return Uncompared.SHADOW
    if not is_safe(head) or b"expect" in head.fields:
        return Uncompared.UNSAFE
    route = snapshot.routes.get(head.fields.get(ROUTE_FIELD, b"").decode("utf-8", "replace"))
    arm = _ARMS.get(head.fields.get(ARM_FIELD, b""), LEGACY_ARM)
    if route is None or route.shadow is None or not route.settings.enabled or route.settings.is_passthrough:
        return Uncompared.UNMATCHED
    if killed or route.name in killed_routes:
        return Uncompared.UNMATCHED
    return route if shadow_percent(route, head.method, arm) > 0 else Uncompared.UNSAFE


def without_suffix(host: bytes) -> bytes:
    """Return a Host field as it was before Envoy mirrored the request: `shop:80` for `shop-shadow:80`."""
    name, colon, port = host.partition(b":")
    return name.removesuffix(ENVOY_SUFFIX) + colon + port if name != ENVOY_SUFFIX else host
