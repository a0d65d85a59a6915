"""Names of what comparisons find: the shape of an endpoint, and the signature of a difference."""

import json
import re
from collections.abc import Sequence
from hashlib import blake2b
from urllib.parse import unquote_to_bytes

from strangler.core.compare.model.templates import HOLE, REST, Template
from strangler.core.compare.model.values import Comparison, Kind, Severity, Where

_SERVER_ERROR = "5xx"

FOLDED = HOLE
_MAX_SEGMENTS = 16
_ID = re.compile(
    r"[+-]?\d+(?:\.\d+)?"  # number
    r"|[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}"  # UUID
    r"|[0-9a-f]{32,}"  # hash
    r"|(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{8,}"  # short hash: digits and letters
    r"|\d{4}-\d\d(?:-\d\d(?:t[\d:.]+z?)?)?"  # date
    r"|(?=[0-9a-z]*\d)[0-7][0-9a-hjkmnp-tv-z]{25}"  # ULID
    r"|(?=(?:[\w-]*?\d){3})[\w-]{20,}={0,2}"  # other tokens: long, with digits
    r"|[a-z]{1,12}[-_]\d{2,}"  # ord-1234
    r"|[\w.+-]+@[\w.-]+",  # e-mail address
    re.ASCII | re.IGNORECASE,
)
_EXTENSION = re.compile(r"(.+)(\.[a-z][a-z0-9]{1,5})", re.ASCII | re.IGNORECASE)


def endpoint_shape(path: bytes, templates: Sequence[Template] = ()) -> str:
    """Return a raw request path with its ids folded: `/api/orders/7/lines` -> `/api/orders/{}/lines`.

    Folded are numbers, UUIDs, hashes, dates, long tokens, e-mail addresses, and ids such as `ord-1234`. The first of
    `templates` that covers the path determines its first segments: the template's words stay, its holes are folded.
    """
    segments = path.partition(b"?")[0].split(b"/")
    if templates:
        decoded = list(map(_plain_segment, segments[1:]))
        template = next(
            (candidate_template for candidate_template in templates if candidate_template.covers(decoded)), None
        )
        if template is not None:
            return _by_template(template, segments)
    return _shape(segments)


def _shape(segments: list[bytes]) -> str:
    shape = "/".join(map(_segment_shape, segments[:_MAX_SEGMENTS]))
    return shape + "/…" if len(segments) > _MAX_SEGMENTS else shape


def _by_template(template: Template, segments: list[bytes]) -> str:
    length = len(template.segments)
    rest = segments[1 + length :]
    if template.has_rest:
        return template.text if rest else template.text.removesuffix("/" + REST)
    return template.text + ("/" + _shape(rest) if rest else "")


def is_id(text: str) -> bool:
    """Return True if a text is an id: a number, UUID, hash, date, long token, or such as `ord-1234`."""
    return _ID.fullmatch(text) is not None


def _plain_segment(raw: bytes) -> str:
    """Return a segment decoded and without its parameters."""
    return unquote_to_bytes(raw.partition(b";")[0]).decode("utf-8", "replace")


def _segment_shape(raw: bytes) -> str:
    segment = _plain_segment(raw)
    if not segment.isprintable() or len(segment) > 64 or "/" in segment:
        return FOLDED
    if _ID.fullmatch(segment):
        return FOLDED
    file = _EXTENSION.fullmatch(segment)
    return FOLDED + file[2] if file and _ID.fullmatch(file[1]) else segment


def signature(route: str, method: str, shape: str, in_: Where, path: str | None, kind: Kind, severity: Severity) -> str:
    """Return 16 hex digits, always the same for the same difference, on every replica.

    `shape` comes from `endpoint_shape`. `path` is that of `signature_path`.
    """
    parts = json.dumps([route, method, shape, in_, path, kind, severity])
    return blake2b(parts.encode(), digest_size=8).hexdigest()


def status_key(legacy: object, candidate: object) -> str:
    """Return the name of a status difference: the pair (`302->303`), or `5xx` if the candidate failed."""
    if isinstance(candidate, int) and candidate >= 500:
        return _SERVER_ERROR
    return f"{legacy}->{candidate}"


def signature_path(in_: Where, path: str | None, legacy: object, candidate: object) -> str | None:
    """Return the `path` of a difference for its signature: a status has none, so its `status_key` takes its place."""
    return status_key(legacy, candidate) if in_ is Where.STATUS else path


def comparison_signature(route: str, method: str, shape: str, comparison: Comparison) -> str | None:
    """Return the signature of the gravest difference, which stands for the whole comparison; None if there is none."""
    if not comparison.differences:
        return None
    first = comparison.differences[0]
    path = signature_path(first.in_, first.path, first.legacy, first.candidate)
    return signature(route, method, shape, first.in_, path, first.kind, first.severity)
