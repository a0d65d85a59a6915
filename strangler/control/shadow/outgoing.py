"""The request that an arm is asked for a comparison: as the worker forwards it, marked as a shadow."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from strangler.core.head import RawHeaders
from strangler.core.rewrite import Rewrite, rewrite_target
from strangler.core.settings import UpstreamSettings, Url
from strangler.wire.messages import Captured

MARK = b"X-Strangler-Shadow"
_REBUILT = frozenset({b"host", b"content-length", b"transfer-encoding", b"expect", b"x-strangler-shadow"})
_ABSOLUTE = re.compile(rb"https?://[^/?]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What goes out. `target` is in origin-form; framing and connection are the sender's own."""

    url: Url
    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)


def path_of(target: bytes) -> bytes:
    """The raw path of a request target, without its query; `*` stays."""
    return origin_form(target).partition(b"?")[0]


def origin_form(target: bytes) -> bytes:
    """`http://shop/a?b` -> `/a?b`."""
    found = _ABSOLUTE.match(target)
    if found is None:
        return target
    rest = target[found.end() :]
    return rest if rest.startswith(b"/") else b"/" + rest


def outgoing(
    captured: Captured, upstream: UpstreamSettings, url: Url, rewrite: Rewrite | None, *, is_dry_run: bool
) -> Outgoing:
    """`rewrite`: the route's, for its candidate; None for legacy."""
    target = rewrite_target(origin_form(captured.target), rewrite, url.path.encode())
    host = captured.host if captured.host and upstream.host == "preserve" else url.authority.encode()
    edits = upstream.headers
    removed = {name.lower().encode() for name in (*edits.remove, *(name for name, _ in edits.set))}
    fields: RawHeaders = [(b"Host", host)]
    fields += (pair for pair in lines_of(captured.lines) if pair[0].lower() not in _REBUILT | removed)
    fields += ((name.encode(), value.encode()) for name, value in edits.set)
    fields.append((MARK, b"dry-run" if is_dry_run else b"1"))
    return Outgoing(
        url=url,
        method=captured.method.decode("ascii"),
        target=_text(target),
        headers=tuple((_text(name), _text(value)) for name, value in fields),
        body=captured.body,
    )


def lines_of(raw: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and value of each line of a header section; what is before the first colon is the name."""
    for line in raw.split(b"\r\n"):
        name, colon, value = line.partition(b":")
        if colon:
            yield name, value.strip(b" \t")


def _text(raw: bytes) -> str:
    """As the client library wants it: it writes UTF-8, so bytes that are none cannot be sent as they came."""
    return raw.decode("utf-8", "replace")
