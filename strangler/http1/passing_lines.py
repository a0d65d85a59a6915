# Compiled with mypyc: see docs/hot-path.md.
"""The header section of a request as every upstream gets it (DESIGN section 6)."""

from strangler.core.http.headers import ForwardedFields
from strangler.http1.request import Request
from strangler.http1.request_ids import RequestIds

_VIA_11 = b"Via: 1.1 strangler\r\n"
_VIA_10 = b"Via: 1.0 strangler\r\n"


def passing_lines(
    request: Request, forwarded: ForwardedFields, ids: RequestIds, dropped: frozenset[bytes], added: bytes
) -> bytes:
    """Return the client's fields but for those in `dropped`, Forwarded and Via, and then `added`."""
    headers = request.request_headers
    if ids.dropped:
        dropped |= ids.dropped
    return b"%b%b%b%b" % (
        headers.lines(dropped),
        forwarded.lines(headers.fields, request.host_value),
        _VIA_10 if headers.is_http10 else _VIA_11,
        added,
    )
