"""Making a replayed response comparable with a recorded one, whose secrets are marks and whose body is not coded.

Both then differ where they would differ without redaction; all else is left as it was received.
"""

from dataclasses import KW_ONLY, dataclass, replace

from strangler.core.compare import Response
from strangler.core.compare.codings import undo_codings
from strangler.core.compare.model.media import Body, body_of, parse_media_type
from strangler.core.compare.model.values import Reason
from strangler.core.http.head import RawHeaders
from strangler.recordings.in_place.body_text import text_of_body
from strangler.recordings.in_place.mark_places import holds_mark, with_equal_marks
from strangler.recordings.recorded import raw_bytes, raw_text
from strangler.recordings.redact_in_place import RecordingRedactor

_CODING = b"content-encoding"
_TRANSFER_CODING = b"transfer-encoding"
_LENGTH = b"content-length"


@dataclass(frozen=True, slots=True)
class Comparable:
    """Responses of a recording and of its replay, made comparable.

    `redactor`: by the rules of the route. `is_same_key`: it has the key of the recording, so that equal secrets have
    equal marks; otherwise all marks are made equal, and what differs in secrets alone is not seen.
    """

    redactor: RecordingRedactor
    _: KW_ONLY
    is_same_key: bool

    def responses(self, recorded: Response, replayed: Response) -> tuple[Response, Response]:
        """Return both responses; without a mark in the recorded one, the replayed one is not searched."""
        has_marked_fields = holds_mark(b"\n".join(part for field in recorded.headers for part in field))
        has_marked_body = holds_mark(recorded.body)
        replayed = _received_alike(recorded, replayed, is_length_known=not has_marked_body)
        if not has_marked_fields and not has_marked_body:
            return recorded, replayed
        if has_marked_body:
            replayed = self._with_marked_body(replayed)
        if has_marked_fields:
            replayed = replace(replayed, headers=self._marked_fields(replayed.headers))
        return (recorded, replayed) if self.is_same_key else (_with_equal_marks(recorded), _with_equal_marks(replayed))

    def _marked_fields(self, headers: RawHeaders) -> RawHeaders:
        fields = self.redactor.headers(tuple((raw_text(name), raw_text(value)) for name, value in headers))
        return [(raw_bytes(name), raw_bytes(value)) for name, value in fields]

    def _with_marked_body(self, response: Response) -> Response:
        """Return a response with its codings undone and its secrets marked; as it is if it cannot be searched."""
        plain = undo_codings(response.body, response.field_values(_CODING))
        if isinstance(plain, Reason) or response.is_too_large:
            return response
        types = response.field_values(b"content-type")
        marked = self.redactor.body(plain, parse_media_type(types[0]) if types else None)
        if marked is None:
            return response
        headers = response.headers if plain == response.body else _without(response.headers, _CODING)
        return replace(response, headers=headers, body=marked)


def _received_alike(recorded: Response, replayed: Response, *, is_length_known: bool) -> Response:
    """Return a replayed response without what recording takes off: the codings of the body, and Transfer-Encoding.

    Content-Length stays as it was sent in both. Where it shows that the recorded body was sent as it is,
    Content-Encoding stays, too: it differs.
    """
    if replayed.field_values(_TRANSFER_CODING) and not recorded.field_values(_TRANSFER_CODING):
        replayed = replace(replayed, headers=_without(replayed.headers, _TRANSFER_CODING))
    codings = replayed.field_values(_CODING)
    if not codings or not recorded.body or recorded.field_values(_CODING) or replayed.is_too_large:
        return replayed
    if is_length_known and recorded.field_values(_LENGTH) == [str(len(recorded.body)).encode()]:
        return replayed
    plain = undo_codings(replayed.body, codings)
    if isinstance(plain, Reason) or plain == replayed.body:
        return replayed
    return replace(replayed, headers=_without(replayed.headers, _CODING), body=plain)


def _without(headers: RawHeaders, name: bytes) -> RawHeaders:
    return [field for field in headers if field[0].lower() != name]


def _with_equal_marks(response: Response) -> Response:
    headers = [(_equal_bytes(name), _equal_bytes(value)) for name, value in response.headers]
    return replace(response, headers=headers, body=_equal_body(response) if response.body else b"")


def _equal_body(response: Response) -> bytes:
    types = response.field_values(b"content-type")
    media = parse_media_type(types[0]) if types else None
    kind = body_of(media)
    if kind in (Body.MULTIPART, Body.BINARY):
        return _equal_bytes(response.body)
    found = text_of_body(response.body, media, kind)
    return _equal_bytes(response.body) if found is None else found[1](with_equal_marks(found[0]))


def _equal_bytes(data: bytes) -> bytes:
    return with_equal_marks(data.decode("latin-1")).encode("latin-1")
