"""The request to an arm for a comparison: byte for byte as a worker forwards it, and marked as a shadow."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from strangler.core.http.head import RawHeaders
from strangler.core.http.methods import OVERRIDES, SAFE
from strangler.core.http.upstream_edits import UpstreamEdits, forwarded_prefix
from strangler.core.routing.rewrite import Rewrite, rewrite_target
from strangler.core.settings import UpstreamSettings, Url
from strangler.ipc.messages import Captured

MARK = b"X-Strangler-Shadow"
DRY_RUN = b"dry-run"
_LAST = (b"Connection", b"close")
_REBUILT = frozenset({b"transfer-encoding", b"expect", b"x-strangler-shadow"})
_NOT_IN_A_QUESTION = frozenset(
    {
        b"access-control-request-headers", b"access-control-request-method", b"content-digest", b"content-encoding",
        b"content-language", b"content-length", b"content-md5", b"content-range", b"content-type", b"digest",
        b"if-match", b"if-modified-since", b"if-none-match", b"if-range", b"if-unmodified-since", b"origin",
        b"repr-digest", b"trailer", *OVERRIDES,
    }
)  # fmt: skip
"""Fields about a body, a condition or a CORS preflight, and fields that override the method."""
_ABSOLUTE = re.compile(rb"https?://[^/?]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One request for an upstream. `headers` are complete, framing and connection included."""

    url: Url
    method: bytes
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...] = field(repr=False)
    body: bytes = field(default=b"", repr=False)

    @property
    def is_safe(self) -> bool:
        """Whether the request changes nothing, by its method and by the fields that override it."""
        return self.method in SAFE and all(
            value.upper() in SAFE for name, value in self.headers if name.lower() in OVERRIDES
        )

    def encode(self) -> bytes:
        """Return the bytes to send."""
        lines = b"".join(b"%b: %b\r\n" % pair for pair in self.headers)
        return b"%b %b HTTP/1.1\r\n%b\r\n%b" % (self.method, self.target, lines, self.body)


def path_of(target: bytes) -> bytes:
    """Return the raw path of a request target, without its query; `*` stays."""
    return origin_form(target).partition(b"?")[0]


def origin_form(target: bytes) -> bytes:
    """Return the origin form of a target: `/a?b` for `http://shop/a?b`."""
    found = _ABSOLUTE.match(target)
    if found is None:
        return target
    rest = target[found.end() :]
    return rest if rest.startswith(b"/") else b"/" + rest


def is_absolute(target: bytes) -> bool:
    """Return whether a target has the absolute form, whose authority replaces Host (RFC 9112 section 3.2.2)."""
    return not target.startswith((b"/", b"*"))


def outgoing(
    captured: Captured,
    upstream: UpstreamSettings,
    url: Url,
    rewrite: Rewrite | None,
    *,
    is_dry_run: bool,
    has_own_host: bool = False,
    is_last: bool = True,
) -> Outgoing:
    """Return the request for `url`. `rewrite` is the route's, for its candidate; None for legacy.

    It differs from the worker's by its mark, a Content-Length if the client sent chunks, the lack of Expect, and by
    `Connection: close` if it `is_last` on its connection. `has_own_host`: Host is set again, as for an absolute-form
    target.
    """
    fields = _forwarded(captured, upstream, url, has_own_host=has_own_host, rewrite=rewrite)
    fields.append((MARK, DRY_RUN if is_dry_run else b"1"))
    if captured.body and not any(name.lower() == b"content-length" for name, _ in fields):
        fields.append((b"Content-Length", b"%d" % len(captured.body)))
    if is_last:
        fields.append(_LAST)
    target = rewrite_target(captured.target, rewrite, url.path.encode())
    return Outgoing(url, captured.method, target, tuple(fields), captured.body)


def question(
    captured: Captured, upstream: UpstreamSettings, url: Url, rewrite: Rewrite | None, *, is_last: bool = True
) -> Outgoing:
    """Return the OPTIONS request that asks whether `url` supports dry runs: the write's target and caller, no body."""
    forwarded = _forwarded(captured, upstream, url, rewrite=rewrite)
    fields = [pair for pair in forwarded if pair[0].lower() not in _NOT_IN_A_QUESTION]
    fields += [(MARK, DRY_RUN), *([_LAST] if is_last else [])]
    target = rewrite_target(captured.target, rewrite, url.path.encode())
    return Outgoing(url, b"OPTIONS", target, tuple(fields))


def _forwarded(
    captured: Captured,
    upstream: UpstreamSettings,
    url: Url,
    *,
    has_own_host: bool = False,
    rewrite: Rewrite | None = None,
) -> RawHeaders:
    """Return the fields in the order, the case and the bytes in which a worker forwards them."""
    edits = UpstreamEdits(upstream)
    dropped = _REBUILT | edits.removed
    host = edits.new_host(captured.host, url, has_own_host or is_absolute(captured.target))
    fields: RawHeaders = []
    if host is not None:
        fields.append((b"Host", host))
        dropped |= {b"host"}
    prefix = rewrite.forwarded_prefix(path_of(captured.target)) if rewrite is not None else b""
    passing = list(lines_of(captured.lines))
    if prefix:
        passing = _with_prefix(passing, prefix, captured.is_from_trusted)
    fields += (pair for pair in passing if pair[0].lower() not in dropped)
    fields += edits.added
    return fields


def _with_prefix(fields: RawHeaders, prefix: bytes, is_from_trusted: bool) -> RawHeaders:
    """Add X-Forwarded-Prefix where a worker adds it: after Via, the last field that it adds to a client's fields."""
    received = b", ".join(value for name, value in fields if name.lower() == _PREFIX)
    kept = [pair for pair in fields if pair[0].lower() != _PREFIX]
    vias = [at for at, pair in enumerate(kept) if pair[0] == b"Via" and pair[1].endswith(b" strangler")]
    at = vias[-1] + 1 if vias else len(kept)
    value = forwarded_prefix(prefix, received, is_trusted=is_from_trusted)
    return [*kept[:at], (b"X-Forwarded-Prefix", value), *kept[at:]]


_PREFIX = b"x-forwarded-prefix"


def lines_of(raw: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the name and the value of each line of a header section; the name ends at the first colon."""
    return iter(_lines(raw))


@lru_cache(maxsize=32)  # one comparison needs the same section several times
def _lines(raw: bytes) -> list[tuple[bytes, bytes]]:
    parts = [line.partition(b":") for line in raw.split(b"\r\n")]
    return [(name, value.strip(b" \t")) for name, colon, value in parts if colon]
