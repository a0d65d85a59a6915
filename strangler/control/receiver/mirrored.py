"""A mirrored request, as comparisons use it."""

from strangler.core.http.headers import ForwardedFields
from strangler.core.routing.received import without_suffix
from strangler.http1.parse import host_of
from strangler.http1.passing_lines import passing_lines
from strangler.http1.request import Request
from strangler.http1.request_ids import RequestIds
from strangler.ipc.messages import Captured, CapturedResponse

_HOST = frozenset({b"host"})
UNKNOWN = CapturedResponse(
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
        response=UNKNOWN,
        failed=None,
        is_from_trusted=forwarded.is_trusted,
    )
