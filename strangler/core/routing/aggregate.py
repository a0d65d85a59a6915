"""Aggregates: several services provide one response. The requests for them, and how their responses are joined.

    GET /pages/7?lang=de ──▶ GET /v2/orders/7?lang=de ──▶ {"id":7} ───────┐
                         └─▶ GET /payments/7?lang=de ───▶ {"paid":true} ──┴─▶ {"order":{"id":7},"payment":{"paid":true}}

The body of a part is put into the whole as received: no number is parsed and written again.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import quote

import msgspec

from strangler.core.fault import Fault
from strangler.core.http.head import RawHeaders
from strangler.core.http.problem import Problem, part_problem, problem_of
from strangler.core.result import Result
from strangler.core.settings import AggregatePart, MatchSettings

METHODS = ("GET", "HEAD")
"""The methods that an aggregate serves; any other method on its path is legacy's."""

MAX_PART_BYTES = 4 * 1024 * 1024
"""The limit of one part's response."""

NOT_FOR_PARTS = frozenset(
    {
        b"accept-encoding", b"content-encoding", b"content-length", b"content-type", b"expect", b"if-match",
        b"if-modified-since", b"if-none-match", b"if-range", b"if-unmodified-since", b"range", b"trailer",
    }
)  # fmt: skip
"""Fields of a request that concern the whole response, or a body, which no part gets."""

FIELDS_FOR_PARTS: RawHeaders = [(b"Accept-Encoding", b"identity")]

_is_json = re.compile(rb"application/(?:[^;,\s]+\+)?json[ \t]*(?:;.*)?", re.IGNORECASE | re.DOTALL).fullmatch
_BOM = b"\xef\xbb\xbf"
_SPACE = b" \t\r\n"


class Part:
    """One part, with everything that is computed before a request comes."""

    __slots__ = ("_path", "_query", "is_required", "key", "label", "name", "timeout_s", "upstream")

    def __init__(self, settings: AggregatePart, match: MatchSettings) -> None:
        self.name = settings.name
        self.upstream = settings.upstream
        self.is_required = settings.required
        self.timeout_s = settings.timeout_s
        self.key = msgspec.json.encode(settings.name) + b":"
        self.label = quote(settings.name, safe="").encode()
        places: dict[str, bytes | int] = {
            segment: place for place, segment in enumerate((match.path or match.prefix or "").split("/"))
        }
        path, mark, query = settings.path.partition("?")
        self._path: list[bytes | int] = [
            places.get(segment, segment.encode()) if segment.startswith("{") else segment.encode()
            for segment in path.split("/")
        ]
        self._query = query.encode() if mark else None

    def target(self, path: bytes, query: bytes | None) -> bytes:
        """Return the request target for a raw path that the route matches, and its raw query.

        A `{name}` is filled with the bytes that the path has there, still encoded.
        """
        segments = path.split(b"/")
        target = b"/".join([segments[each] if isinstance(each, int) else each for each in self._path])
        queries = [each for each in (self._query, query) if each is not None]
        return b"%b?%b" % (target, b"&".join(queries)) if queries else target


class PartResponse(NamedTuple):
    """A part's response that can be joined."""

    body: bytes
    """JSON text in UTF-8, without space around it."""
    headers: RawHeaders


class PartFailure(NamedTuple):
    """Why a part has no place in the whole."""

    reason: str
    """A fault, a status, or `not_json`, `coded`, `too_large`: for logs, metrics and X-Strangler-Partial."""
    result: Result
    """The result for the fallback rules: the fault, else the status that the client would get."""
    retry_after_s: float | None = None

    @property
    def problem(self) -> Problem:
        """Return the response to the client, if the part is required."""
        fault, status = self.result.fault, self.result.status
        if fault is not None and fault is not Fault.CLIENT_GONE:
            return problem_of(fault, self.retry_after_s)
        return part_problem(status or 502, self.retry_after_s)


class Joined(NamedTuple):
    """The joined response; its status is 200."""

    fields: RawHeaders
    body: bytes
    missing: bytes
    """The optional parts that are null, in the form of X-Strangler-Partial; empty if there are none."""


def part_failed(fault: Fault, duration_s: float, retry_after_s: float | None = None) -> PartFailure:
    """Return the failure of a part that gave no complete response."""
    return PartFailure(fault.value, Result(fault, None, duration_s), retry_after_s)


def part_unusable(reason: str, duration_s: float) -> PartFailure:
    """Return the failure of a part whose response cannot be joined."""
    return PartFailure(reason, Result(None, 502, duration_s))


def unusable(status: int, headers: RawHeaders, duration_s: float) -> PartFailure | None:
    """Return what is wrong with a response by its head: only JSON of a 2xx can be joined."""
    if not 200 <= status <= 299:
        kept = status if status in (503, 504) else 502
        return PartFailure(str(status), Result(None, kept, duration_s))
    if _values(headers, b"content-encoding") not in ([], [b"identity"]):
        return part_unusable("coded", duration_s)
    types = _values(headers, b"content-type")
    if len(types) != 1 or not _is_json(types[0]):
        return part_unusable("not_json", duration_s)
    return None


def read_part(status: int, headers: RawHeaders, body: bytes, duration_s: float) -> PartResponse | PartFailure:
    """Return a part's response, if it is a 2xx with one JSON text (RFC 8259)."""
    failure = unusable(status, headers, duration_s)
    if failure is not None:
        return failure
    text = body.removeprefix(_BOM).strip(_SPACE)
    try:
        text.decode()
        msgspec.json.decode(text, type=msgspec.Raw)
    except (ValueError, msgspec.DecodeError, RecursionError):
        return part_unusable("not_json", duration_s)
    return PartResponse(text, headers)


def join(parts: Sequence[Part], responses: Sequence[PartResponse | PartFailure]) -> Joined | tuple[Part, PartFailure]:
    """Return the joined response, its parts in the order of the file; or the first required part that failed."""
    pieces, missing, given = [], [], []
    for part, response in zip(parts, responses, strict=True):
        if isinstance(response, PartResponse):
            pieces.append(part.key + response.body)
            given.append(response.headers)
        elif part.is_required:
            return part, response
        else:
            pieces.append(part.key + b"null")
            missing.append(failure_item(part, response))
    partial = b", ".join(missing)
    body = b"{%b}" % b",".join(pieces)
    return Joined(_fields(given, partial, len(body)), body, partial)


def failure_item(part: Part, failure: PartFailure) -> bytes:
    """Return `payment;reason=timeout`, an item of an RFC 9651 list."""
    return b"%b;reason=%b" % (part.label, failure.reason.encode())


def _fields(given: list[RawHeaders], partial: bytes, size: int) -> RawHeaders:
    """Return the fields of the joined response. Caching fields hold if all parts agree on them; else `no-store`.

    A charset is kept if all parts name the same. The cookies of all parts pass.
    """
    types = {value for headers in given for value in _values(headers, b"content-type")}
    is_common = len(types) == 1 and all(value.lower().startswith(b"application/json") for value in types)
    fields = [
        (b"Content-Type", types.pop() if is_common else b"application/json"),
        (b"Content-Length", b"%d" % size),
    ]
    caching = {b", ".join(_values(headers, b"cache-control")) for headers in given}
    common = caching.pop() if len(caching) == 1 and not partial else b"no-store"
    if common:
        fields.append((b"Cache-Control", common))
    vary = dict.fromkeys(value for headers in given for value in _values(headers, b"vary"))
    if vary:
        fields.append((b"Vary", b", ".join(vary)))
    fields += [(b"Set-Cookie", value) for headers in given for value in _values(headers, b"set-cookie")]
    if partial:
        fields.append((b"X-Strangler-Partial", partial))
    return fields


def _values(headers: RawHeaders, name: bytes) -> list[bytes]:
    return [value for key, value in headers if key.lower() == name]
