"""Redaction in place: as samples are redacted, but all bytes around a secret stay, since a recording is sent again.

What the redactor of samples would still find in the result decides: a part that cannot be cleared in its own form is
not kept.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from strangler.core.compare.codings import undo_codings
from strangler.core.compare.model.media import Body, MediaType, body_of, parse_media_type
from strangler.core.compare.model.tree import Json, parse_json, parse_ndjson
from strangler.core.compare.model.values import Reason
from strangler.core.compare.redaction.redact import Redactor
from strangler.core.compare.redaction.redact_url import redact_url
from strangler.core.privacy.secrets import formed_spans, is_secret_name, named_spans
from strangler.recordings.in_place.body_text import text_of_body, text_of_raw
from strangler.recordings.in_place.edits import Edit, edited, joined, marked, marks_set, moved
from strangler.recordings.in_place.field_edits import header_edits
from strangler.recordings.in_place.json_edits import json_edits, lines_edits, unescaped_json
from strangler.recordings.in_place.last_word import is_left_in_form, is_left_in_json, is_left_in_markup
from strangler.recordings.in_place.markup_edits import markup_edits
from strangler.recordings.in_place.multipart_parts import part_spans
from strangler.recordings.in_place.text_edits import TextSearch
from strangler.recordings.in_place.url_edits import fields_edits, target_edits
from strangler.recordings.recorded import (
    RawText,
    RecordedBody,
    RecordedHeaders,
    RecordedPair,
    RecordedRequest,
    RecordedResponse,
    raw_bytes,
    raw_text,
)

_MAX_NESTED: Final = 4
_FIELDS_KEPT: Final = 4096
_LONGEST_KEPT: Final = 256
"""Bytes of the longest value of a field that is remembered."""
_SEARCHED_AS_A_WHOLE: Final = (Body.JSON, Body.NDJSON, Body.FORM, Body.TEXT, Body.UNNAMED)


def key_id(key: bytes) -> str:
    """Return the name of a key in a recording's header: 8 hex digits that do not tell the key."""
    return blake2b(b"the key of a recording", key=key, digest_size=4).hexdigest()


@dataclass(frozen=True, slots=True)
class RecordingRedactor:
    """Redaction of pairs. `redactor`: that of samples, which shows values; `.hides_values` has no meaning here."""

    redactor: Redactor
    _remembered: "Callable[[RawText, RawText], tuple[RawText, RawText]]" = field(init=False, repr=False, compare=False)
    """`_field`, which remembers its results: clients and servers send the same fields again and again."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_remembered", lru_cache(_FIELDS_KEPT)(self._field))

    def pair(self, pair: RecordedPair, *, hides_caller: bool) -> RecordedPair | None:
        """Return the pair without secrets; None if its target cannot be cleared. `hides_caller`: it is an address."""
        target = self.target(pair.request.target)
        if target is None:
            return None
        headers, body = self._message(pair.request.headers, pair.request.body)
        response = None
        if pair.response is not None:
            fields, content = self._message(pair.response.headers, pair.response.body)
            response = RecordedResponse(pair.response.status, fields, content, pair.response.ms)
        return RecordedPair(
            at=pair.at,
            caller=self.redactor.mark(pair.caller) if hides_caller and pair.caller else pair.caller,
            route=pair.route,
            arm=pair.arm,
            request=RecordedRequest(pair.request.method, target, headers, body),
            response=response,
        )

    def target(self, target: RawText) -> RawText | None:
        """Return a request target without secrets, or None."""
        text, encode = text_of_raw(target)
        if self.redactor.is_clear_document(text):
            return target
        edits = joined(text, target_edits(text, TextSearch(self.redactor), 0), self.redactor)
        result = edited(text, edits)
        if marks_set(lambda at: redact_url(result, self.redactor, at), len(result)):
            return None
        return encode(result)

    def headers(self, headers: RecordedHeaders) -> RecordedHeaders:
        """Return header fields without secrets."""
        return tuple(
            (self._remembered if len(raw_bytes(value)) <= _LONGEST_KEPT else self._field)(name, value)
            for name, value in headers
        )

    def header(self, name: str, value: RawText) -> RawText:
        """Return a field's value without secrets; cookies keep their names, credentials their scheme."""
        text, encode = text_of_raw(value)
        return encode(edited(text, header_edits(name.lower(), text, TextSearch(self.redactor))))

    def body(self, data: bytes, media: MediaType | None, depth: int = 0) -> bytes | None:
        """Return a body, its codings undone, without secrets; None if it cannot be searched."""
        kind = body_of(media)
        if kind is Body.MULTIPART:
            return self._multipart(data, media, depth)
        if kind is Body.BINARY:
            return None
        found = text_of_body(data, media, kind)
        if found is None:
            return None
        text, encode = found
        if kind in _SEARCHED_AS_A_WHOLE and self._is_clear(text, kind):
            return data
        edits = self._body_edits(text, kind)
        return None if edits is None else encode(edited(text, edits))

    def _is_clear(self, text: str, kind: Body) -> bool:
        """Return True if a body is proven to stay as it is; JSON that does not parse is not."""
        if kind in (Body.TEXT, Body.UNNAMED):
            return self.redactor.is_clear(text)
        if kind is Body.FORM:
            return self.redactor.is_clear_document(text)
        plain = unescaped_json(text) if "\\" in text else text
        if plain is None or not self.redactor.is_clear_document(plain):
            return False
        return isinstance(parse_json(text) if kind is Body.JSON else parse_ndjson(text), Json)

    def _message(
        self, headers: RecordedHeaders, body: RecordedBody | None
    ) -> tuple[RecordedHeaders, RecordedBody | None]:
        redacted = self.headers(headers)
        if body is None or body.omitted is not None or body.data == b"":
            return redacted, body
        data = body.data or b""
        whole = len(data) if body.cut_from is None else body.cut_from
        plain = undo_codings(data, list(_values(headers, "content-encoding")))
        if isinstance(plain, Reason) or not body.is_whole:
            return redacted, RecordedBody(omitted=whole)
        kinds = list(_values(headers, "content-type"))
        result = self.body(plain, parse_media_type(kinds[0]) if kinds else None)
        if result is None:
            return redacted, RecordedBody(omitted=whole)
        if plain != data:
            redacted = tuple(each for each in redacted if _name_of(each[0]).lower() != "content-encoding")
        return redacted, RecordedBody.of(result)

    def _field(self, name: RawText, value: RawText) -> tuple[RawText, RawText]:
        return self._name(name), self.header(_name_of(name), value)

    def _name(self, name: RawText) -> RawText:
        text, encode = text_of_raw(name)
        return encode(edited(text, self._inner(text)))

    def _inner(self, text: str) -> list[Edit]:
        return TextSearch(self.redactor).inner(text)

    def _body_edits(self, text: str, kind: Body) -> list[Edit] | None:
        search = TextSearch(self.redactor)
        if kind in (Body.JSON, Body.NDJSON):
            find = json_edits if kind is Body.JSON else lines_edits
            return self._sufficient(
                text, find(text, search, 0), lambda result: is_left_in_json(result, kind, self.redactor)
            )
        if kind is Body.FORM:
            return self._sufficient(
                text, fields_edits(text, search, 0), lambda result: is_left_in_form(result, self.redactor)
            )
        if kind in (Body.HTML, Body.XML):
            is_html = kind is Body.HTML
            return self._markup_edits(text, search, is_html)
        edits = search.inner(text)
        if edits and edits[0][:2] == (0, len(text)) and "\n" in text:
            edits = list(self._by_lines(text, search))
            return None if search.finds(edited(text, edits)) else edits
        return edits

    def _by_lines(self, text: str, search: TextSearch) -> Iterator[Edit]:
        at = 0
        for line in text.split("\n"):
            yield from moved(search.inner(line), at)
            at += len(line) + 1

    def _markup_edits(self, text: str, search: TextSearch, is_html: bool) -> list[Edit] | None:
        def left(result: str) -> bool:
            return is_left_in_markup(result, self.redactor, is_html=is_html)

        edits = markup_edits(text, search, 0, is_html=is_html)
        found = self._sufficient(text, edits, left)
        if found is not None:
            return found
        spans = [*formed_spans(text), *named_spans(text)]
        return self._sufficient(text, [*edits, *(marked(self.redactor, text, *span) for span in spans)], left)

    def _sufficient(self, text: str, edits: Iterable[Edit] | None, is_left: Callable[[str], bool]) -> list[Edit] | None:
        """Return the edits in order; None if there are none, or a secret would be left in the text."""
        if edits is None:
            return None
        ordered = joined(text, edits, self.redactor)
        return None if is_left(edited(text, ordered)) else ordered

    def _multipart(self, data: bytes, media: MediaType | None, depth: int) -> bytes | None:
        parts = part_spans(data, media)
        if parts is None or depth == _MAX_NESTED:
            return None
        pieces, done = [], 0
        for part in parts:
            head = text_of_raw(raw_text(data[slice(*part.head)]))
            content = data[slice(*part.data)]
            if not part.is_plain:
                return None
            if part.name is not None and content and is_secret_name(part.name):
                written = raw_text(content)
                mark = self.redactor.mark(written if isinstance(written, str) else content)
                kept: bytes | None = mark.encode()
            else:
                kept = self.body(content, part.media, depth + 1) if content else b""
            if kept is None:
                return None
            pieces += [data[done : part.head[0]], raw_bytes(head[1](edited(head[0], self._inner(head[0]))))]
            pieces += [data[part.head[1] : part.data[0]], kept]
            done = part.data[1]
        return b"".join([*pieces, data[done:]])


def _name_of(name: RawText) -> str:
    return raw_bytes(name).decode("latin-1")


def _values(headers: RecordedHeaders, wanted: str) -> Iterator[bytes]:
    return (raw_bytes(value) for name, value in headers if _name_of(name).lower() == wanted)
