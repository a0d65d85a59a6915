# Compiled with mypyc: see docs/hot-path.md.
"""The head of a request to an upstream (DESIGN section 6)."""

from strangler.core.http.upstream_edits import UpstreamEdits, forwarded_prefix
from strangler.core.routing.rewrite import Rewrite, rewrite_target
from strangler.core.settings import Url
from strangler.http1.passing_lines import passing_lines
from strangler.worker.call import Call

_HOST = frozenset({b"host"})
_PREFIX = frozenset({b"x-forwarded-prefix"})


def request_head(call: Call, edits: UpstreamEdits, url: Url, rewrite: Rewrite | None, span_id: bytes) -> bytes:
    """Return the head for an upstream: as received, without hop-by-hop fields, with the proxy's own and `edits`.

    `span_id` is that of the attempt, which is the parent of the upstream's spans if the request is sampled.
    """
    headers, trace, forwarded = call.request_headers, call.trace, call.downstream.forwarded
    dropped = edits.dropped
    if forwarded.is_trusted:
        dropped = edits.dropped_with_certificate if forwarded.has_certificate else edits.dropped_from_trusted
    first = b""
    host = edits.new_host(call.host_value, url, call.is_absolute)
    if host is not None:
        first = b"Host: %b\r\n" % host
        dropped |= _HOST
    added = trace.lines if trace.notes is None else trace.lines_of(span_id)
    if rewrite is not None:
        prefix = rewrite.forwarded_prefix(call.path)
        if prefix:
            received = headers.fields.get(b"x-forwarded-prefix")
            if received is not None:
                dropped |= _PREFIX  # only then: making a new set costs 0.4 µs
            value = forwarded_prefix(prefix, received, is_trusted=forwarded.is_trusted)
            added = b"X-Forwarded-Prefix: %b\r\n%b" % (value, added)
    last = b"\r\n"
    if headers.has_upgrade:
        last = b"Connection: Upgrade\r\nUpgrade: %b\r\n\r\n" % headers.fields[b"upgrade"]
    elif headers.is_chunked:
        last = b"Transfer-Encoding: chunked\r\n\r\n"
    target = call.target
    if rewrite is not None or url.path:
        target = rewrite_target(target, rewrite, url.path.encode())
    return b"%b %b HTTP/1.1\r\n%b%b%b%b" % (
        call.method,
        target,
        first,
        passing_lines(call, forwarded, trace, dropped, added),
        edits.added_lines,
        last,
    )
