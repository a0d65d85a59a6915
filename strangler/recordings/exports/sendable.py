"""A recorded request as it can be sent again, to the host that the user names."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from strangler.core.http.head import RawHeaders
from strangler.recordings.exports.destination import Destination
from strangler.recordings.exports.redacted_values import (
    LeftOut,
    is_redacted,
    without_fields,
    without_pairs,
    without_values,
)
from strangler.recordings.recorded import RecordedPair, RecordedRequest, RecordedResponse, raw_bytes, raw_headers

_TOKEN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_ABSOLUTE: Final = re.compile(rb"https?://[^/?#]*", re.IGNORECASE)
_NOT_IN_TARGETS: Final = re.compile(rb"[\x00-\x20\x7f]")
_NOT_IN_VALUES: Final = re.compile(rb"[\x00\r\n]")


class Unsendable(StrEnum):
    """Why a request is left out of an export."""

    REDACTED_PATH = "their path has a redacted value"
    REDACTED_BODY = "their body has a redacted value that cannot be taken out of it"
    BODY_NOT_KEPT = "their body was not kept whole"
    BAD_METHOD = "their method is no token"
    BAD_TARGET = "their target cannot be sent"
    NO_WAY = "the format has no way to write them"


@dataclass(frozen=True, slots=True)
class Sendable:
    """A request in bytes. Its Host field is that of the destination, its Content-Length that of its body."""

    number: int
    """The line of the recording."""
    at: float
    caller: str
    method: bytes
    target: bytes
    """The target in origin-form, or `*`."""
    headers: RawHeaders
    body: bytes | None
    response: RecordedResponse | None
    left_out: tuple[LeftOut, ...]
    """The redacted fields that it lacks."""
    unwritable: int
    """The fields that it lacks since no request can have them."""

    def values(self, name: bytes) -> list[bytes]:
        """Return the values of a field; `name` is in lower case."""
        return [value for key, value in self.headers if key.lower() == name]


Sent: TypeAlias = Sendable | Unsendable


def sendable(number: int, pair: RecordedPair, to: Destination) -> Sent:
    """Return a recorded request without its redacted fields; else why nothing is left that could be sent."""
    request, left_out = pair.request, list[LeftOut]()
    method, target = request.method.encode("utf-8", "replace"), _target(request, left_out)
    if _TOKEN.fullmatch(method) is None:
        return Unsendable.BAD_METHOD
    if isinstance(target, Unsendable):
        return target
    recorded = [(name, value) for name, value in raw_headers(request.headers) if not name.startswith(b":")]
    headers = [field for field in recorded if _is_writable(*field)]
    unwritable = len(recorded) - len(headers)
    body = _body(request, headers, left_out)
    if isinstance(body, Unsendable):
        return body
    headers = _addressed(without_fields(headers, left_out), to, body)
    return Sendable(
        number, pair.at, pair.caller, method, target, headers, body, pair.response, tuple(left_out), unwritable
    )


def _target(request: RecordedRequest, left_out: list[LeftOut]) -> bytes | Unsendable:
    target = raw_bytes(request.target)
    target = _ABSOLUTE.sub(b"", target, count=1) if _ABSOLUTE.match(target) else target
    if target[:1] == b"?" or not target:
        target = b"/" + target
    if (target != b"*" and not target.startswith(b"/")) or _NOT_IN_TARGETS.search(target):
        return Unsendable.BAD_TARGET
    path, mark, query = target.partition(b"?")
    if is_redacted(path):
        return Unsendable.REDACTED_PATH
    return path + mark + without_pairs(query, "query", left_out)


def _body(request: RecordedRequest, headers: RawHeaders, left_out: list[LeftOut]) -> bytes | Unsendable | None:
    if request.body is None:
        return None
    data = request.body.data
    if data is None or not request.body.is_whole:
        return Unsendable.BODY_NOT_KEPT
    types = [value for name, value in headers if name.lower() == b"content-type"]
    kept = without_values(data, types[0] if types else b"", left_out)
    return Unsendable.REDACTED_BODY if kept is None else kept


def _is_writable(name: bytes, value: bytes) -> bool:
    return _TOKEN.fullmatch(name) is not None and _NOT_IN_VALUES.search(value) is None


def _addressed(headers: RawHeaders, to: Destination, body: bytes | None) -> RawHeaders:
    """Return the fields with the Host of the destination and the length of the body, each where it stood."""
    host, length = to.authority.encode(), b"%d" % len(body or b"")
    changed = []
    is_addressed = is_measured = False
    for name, value in headers:
        if name.lower() == b"host":
            if not is_addressed:
                changed.append((name, host))
            is_addressed = True
        elif name.lower() == b"content-length":
            if not is_measured:
                changed.append((name, length))
            is_measured = True
        else:
            changed.append((name, value))
    return changed if is_addressed else [(b"Host", host), *changed]
