"""The route by which a mirrored request is compared; or why it is not."""

from enum import StrEnum
from typing import Final

from strangler.core.http.head import RequestHead
from strangler.core.http.methods import is_safe
from strangler.core.routing.arm import Reason
from strangler.core.routing.plan import Draw
from strangler.core.routing.retirement import Clock
from strangler.core.routing.route import Route
from strangler.core.routing.snapshot import Snapshot

ENVOY_SUFFIX = b"-shadow"
"""The ending that Envoy gives to the host of a mirrored request."""

ROUTE_FIELD: Final = "x-strangler-route"
"""The field of a request that our own Envoy mirrors with the name of the route that it has chosen."""

ARM_FIELD: Final = "x-strangler-arm"
"""The same with the arm that it has chosen."""

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
    unfit = _unfit(head)
    if unfit is not None:
        return unfit
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


def sampled_route(
    snapshot: Snapshot, head: RequestHead, name: str, killed: bool, clock: Clock, killed_routes: frozenset[str]
) -> Route | Uncompared:
    """Return the route of that name, if the request is one to compare: our own Envoy has chosen the route, and chance
    has decided there. What its settings no longer allow is not compared: Envoy may be a moment behind them."""
    unfit = _unfit(head)
    if unfit is not None:
        return unfit
    route = snapshot.routes.get(name)
    if route is None or not route.settings.enabled or killed or name in killed_routes:
        return Uncompared.UNMATCHED
    if route.retirement is not None and route.retirement.refusal(clock()) is not None:
        return Uncompared.UNMATCHED
    shadow = route.settings.shadow
    if shadow is None or shadow.is_only_received or route.settings.is_passthrough:
        return Uncompared.UNMATCHED
    if head.method.decode() not in shadow.methods:
        return Uncompared.UNSAFE
    return route if shadow.percent else Uncompared.UNSAMPLED


def _unfit(head: RequestHead) -> Uncompared | None:
    """Return why a request is not compared, whatever its route; None if it may be."""
    if _SHADOW in head.fields:
        return Uncompared.SHADOW
    return None if is_safe(head) else Uncompared.UNSAFE


def without_suffix(host: bytes) -> bytes:
    """Return a Host field as it was before Envoy mirrored the request: `shop:80` for `shop-shadow:80`."""
    name, colon, port = host.partition(b":")
    return name.removesuffix(ENVOY_SUFFIX) + colon + port if name != ENVOY_SUFFIX else host
