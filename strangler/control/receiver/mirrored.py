"""A mirrored request, as comparisons use it."""

from strangler.core.http.head import RawHeaders
from strangler.core.http.headers import HOP_BY_HOP, ForwardedFields, header_lines
from strangler.core.routing.received import ARM_FIELD, ROUTE_FIELD, without_suffix
from strangler.http1.parse import host_of
from strangler.http1.passing_lines import passing_lines
from strangler.http1.request import Request
from strangler.http1.request_ids import RequestIds
from strangler.ipc.messages import Captured, CapturedResponse

_HOST = frozenset({b"host"})
_OF_ENVOY = b"x-envoy-"
_HOPS = b"x-forwarded-for"
_UNKNOWN = CapturedResponse(
    status=0, head=b"", body=b"", fault=None, duration_s=0.0, size=0, is_too_large=False, is_streaming=False
)
"""The response that the client got: only the mirroring proxy has seen it."""


def restore_host(request: Request) -> bool:
    """Take the ending off the host that Envoy has added, before a route is looked up. Return whether there was one."""
    host_value = without_suffix(request.host_value)
    if host_value == request.host_value:
        return False
    request.host_value = host_value
    request.host = host_of(host_value) or b""
    return True


def captured(
    request: Request, forwarded: ForwardedFields, route: str, at: float, body: bytes, *, has_other_host: bool
) -> Captured:
    """Return the request as a worker would forward it. `has_other_host`: its Host field is not the one that came.

    No arm has served it, as far as is known here.
    """
    ids, dropped, first = RequestIds(request.request_headers), forwarded.dropped, b""
    if has_other_host:
        dropped, first = dropped | _HOST, b"Host: %b\r\n" % request.host_value
    return Captured(
        route=route,
        at=at,
        method=request.method,
        target=request.target,
        host=request.host_value,
        lines=first + passing_lines(request, forwarded, ids, dropped, ids.lines),
        body=body,
        is_body_complete=True,
        request_id=ids.request_id,
        traceparent=ids.traceparent,
        arm="",
        upstream="",
        url="",
        response=_UNKNOWN,
        failed=None,
        is_from_trusted=forwarded.is_trusted,
    )


def captured_by_envoy(request: Request, route: str, at: float, body: bytes) -> Captured:
    """Return a request that the Envoy of this node has mirrored, as that Envoy has sent it to the arm.

    Envoy has set the forwarded fields, Via and the ids before it mirrored the request, so they are what both arms get.
    Its additions for the mirror itself are taken off. The arm that was chosen may have failed since, and legacy have
    responded in its place: no arm has served it, as far as is known here.
    """
    ids = RequestIds(request.request_headers)
    dropped = HOP_BY_HOP | {ROUTE_FIELD, ARM_FIELD} | request.request_headers.named
    lines = header_lines(_without_hop(request.request_headers.headers), dropped)
    return Captured(
        route=route,
        at=at,
        method=request.method,
        target=request.target,
        host=request.host_value,
        lines=b"".join(lines),
        body=body,
        is_body_complete=True,
        request_id=ids.request_id,
        traceparent=ids.traceparent,
        arm="",
        upstream="",
        url="",
        response=_UNKNOWN,
        failed=None,
        is_from_trusted=False,
    )


def _without_hop(headers: RawHeaders) -> RawHeaders:
    """Return the fields without those of Envoy, and without the hop that it adds to X-Forwarded-For of a mirror."""
    kept: RawHeaders = []
    for name, value in headers:
        low = name.lower()
        if low.startswith(_OF_ENVOY):
            continue
        kept.append((name, value.rpartition(b",")[0].rstrip() or value) if low == _HOPS else (name, value))
    return kept
