"""A request that our own Envoy has mirrored, as comparisons use it.

It comes as Envoy forwards it to an arm, with Via, X-Forwarded-* and the ids of a request. On its way to us Envoy adds
fields of its own and one more hop to X-Forwarded-For, and the names of the route and the arm that it has chosen.
"""

from typing import Final

from strangler.control.receiver.mirrored import UNKNOWN
from strangler.core.http.headers import HOP_BY_HOP
from strangler.core.http.trust import TrustedProxies
from strangler.core.routing.arm import Arm
from strangler.core.routing.received import ARM_FIELD, ROUTE_FIELD
from strangler.http1.request import Request
from strangler.http1.request_ids import RequestIds
from strangler.ipc.messages import Captured

_ROUTE: Final = ROUTE_FIELD.encode()
_ARM: Final = ARM_FIELD.encode()
_FORWARDED_FOR: Final = b"x-forwarded-for"
_DROPPED: Final = HOP_BY_HOP | {_ROUTE, _ARM, _FORWARDED_FOR}
_OF_ENVOY: Final = b"x-envoy-"
"""Envoy takes such fields off what clients send: all that come are its own."""

_ARMS: Final = {arm.value.encode(): arm for arm in (Arm.LEGACY, Arm.CANDIDATE)}


def route_name(request: Request) -> str:
    """Return the name of the route that Envoy has chosen; empty if it names none."""
    return request.fields.get(_ROUTE, b"").decode("latin-1")


def arm_of(request: Request) -> Arm | None:
    """Return the arm that Envoy has chosen; None if it names none."""
    return _ARMS.get(request.fields.get(_ARM, b""))


def captured_by_envoy(
    request: Request, route: str, arm: Arm, at: float, body: bytes, trusted: TrustedProxies
) -> Captured:
    """Return the request as Envoy forwards it to an arm."""
    headers, ids = request.request_headers, RequestIds(request.request_headers)
    hops = request.fields.get(_FORWARDED_FOR, b"").rpartition(b",")[0].rstrip()
    of_envoy = {name for name in request.fields if name.startswith(_OF_ENVOY)}
    line = b"X-Forwarded-For: %b\r\n" % hops if hops else b""
    return Captured(
        route=route,
        at=at,
        method=request.method,
        target=request.target,
        host=request.host_value,
        lines=b"%b%b%b" % (headers.lines(_DROPPED | ids.dropped | of_envoy), line, ids.lines),
        body=body,
        is_body_complete=True,
        request_id=ids.request_id,
        traceparent=ids.traceparent,
        arm=arm.value,
        upstream="",
        url="",
        response=UNKNOWN,
        failed=None,
        is_from_trusted=trusted.includes(hops.rpartition(b",")[2].strip().decode("latin-1")),
    )
