"""Comparing two bodies, their codings undone, by their media types."""

import re
from collections.abc import Hashable
from dataclasses import dataclass
from datetime import date

from strangler.core.compare.accept_rules.found import FoundState
from strangler.core.compare.accept_rules.paths import PathState, root_path
from strangler.core.compare.accept_rules.rules import NO_RULES, CompareRules
from strangler.core.compare.json.ids import DigestState
from strangler.core.compare.json.trees import compare_trees
from strangler.core.compare.markup.markup_bodies import MarkupBody, compare_markup, is_markup
from strangler.core.compare.model.align import Alignment, Gap, align
from strangler.core.compare.model.common_ends import common_length
from strangler.core.compare.model.forms import parse_form
from strangler.core.compare.model.media import Body, MediaType, body_of, parse_media_type, text_of
from strangler.core.compare.model.text import compare_text, normal_lines
from strangler.core.compare.model.tree import Json, ParseFailure, parse_json, parse_ndjson
from strangler.core.compare.model.values import Kind, Node, Opaque, Reason, Response, Value
from strangler.core.compare.multipart import MAX_NESTED, Part, split_parts

_JSON_FAMILY = (Body.JSON, Body.NDJSON)
_JSON_START = re.compile(rb"(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff)?[ \t\r\n\0]*[\[{]")
_MAX_LISTED_PARTS = 5


@dataclass(frozen=True, slots=True)
class Content:
    """A body with its codings undone."""

    data: bytes
    media: MediaType | None
    kind: Body

    @property
    def text(self) -> str | None:
        return text_of(self.data, self.media, self.kind)

    @property
    def looks_like_json(self) -> bool:
        """Return True if it begins like an object or an array."""
        return _JSON_START.match(self.data) is not None


def content_of(response: Response, data: bytes) -> Content:
    """Return the content of a response. `data`: its body with the codings undone."""
    types = response.field_values(b"content-type")
    media = parse_media_type(types[0]) if types else None
    return Content(data, media, body_of(media))


def compare_bodies(legacy: Content, candidate: Content, rules: CompareRules, found: FoundState) -> Reason | None:
    """Put differences into `found`; or return why the bodies cannot be compared."""
    if legacy.data == candidate.data:  # the same body, whatever its media type
        return None
    return _Comparing(rules, found).contents(legacy, candidate, root_path(rules), 0)


@dataclass(frozen=True, slots=True)
class _Comparing:
    """The context of all steps of one comparison, in which `at` is the path of a body: `$`, or that of a part."""

    rules: CompareRules
    found: FoundState

    def contents(self, legacy: Content, candidate: Content, at: PathState, depth: int) -> Reason | None:
        """Compare two bodies by their kind. `depth`: the number of multipart bodies around them."""
        if legacy.data == candidate.data:
            return None
        documents = read_documents(legacy, candidate, is_typed=self.rules.is_typed)
        if documents is not None:
            return self._documents(*documents, legacy, candidate, at)
        if Body.MULTIPART in (legacy.kind, candidate.kind) and depth < MAX_NESTED:
            return self._multipart(legacy, candidate, at, depth + 1)
        if legacy.kind is candidate.kind is Body.FORM:
            fields = root_path(self.rules, folds_lists=True) if depth == 0 else at
            compare_trees(parse_form(legacy.data), parse_form(candidate.data), self.rules, self.found, fields)
            return None
        if is_markup(legacy.kind, candidate.kind):
            return self._markup(legacy, candidate, at, depth)
        self._text(legacy, candidate, at)
        return None

    def _markup(self, legacy: Content, candidate: Content, at: PathState, depth: int) -> Reason | None:
        """Compare two bodies as markup. A part just differs or not: places within would not name the part."""
        sides = _as_markup(legacy), _as_markup(candidate)
        if depth == 0:
            return compare_markup(*sides, self.rules, self.found)
        inner = FoundState(NO_RULES, date.min)
        reason = compare_markup(*sides, NO_RULES, inner)
        if reason is None and inner.has_mismatch:
            self._text(legacy, candidate, at)
        return reason

    def _text(self, legacy: Content, candidate: Content, at: PathState) -> None:
        values = _compare_as_text(legacy, candidate)
        if values is not None:
            self.found.body(at, Kind.VALUE, *values)

    def _documents(
        self,
        left: Json | ParseFailure,
        right: Json | ParseFailure,
        legacy: Content,
        candidate: Content,
        at: PathState,
    ) -> Reason | None:
        if ParseFailure.TOO_DEEP in (left, right):
            return Reason.DECODE
        if isinstance(left, Json) and isinstance(right, Json):
            compare_trees(left.tree, right.tree, self.rules, self.found, at)
        elif isinstance(left, Json) or isinstance(right, Json):
            self.found.body(at, Kind.TYPE, _body_value(left, legacy), _body_value(right, candidate))
        else:
            self.found.body(at, Kind.VALUE, Opaque(legacy.data), Opaque(candidate.data))
        return None

    def _multipart(self, legacy: Content, candidate: Content, at: PathState, depth: int) -> Reason | None:
        left, right = parts_of(legacy), parts_of(candidate)
        if left is not None and right is not None:
            is_form = all(part.name is not None for part in (*left, *right)) and _is_form_data(legacy, candidate)
            return (
                self._fields(left, right, at, depth) if is_form else self._parts(left, right, at, at.child(None), depth)
            )
        kind = Kind.VALUE if left is right else Kind.TYPE
        self.found.body(at, kind, Opaque(legacy.data), Opaque(candidate.data))
        return None

    def _fields(self, legacy: list[Part], candidate: list[Part], at: PathState, depth: int) -> Reason | None:
        """Compare form fields by name (RFC 7578 section 5.2); their order counts only among fields of one name."""
        left, right = _by_name(legacy), _by_name(candidate)
        for name in {**left, **right}:
            field = at.child(name)
            if name not in right:
                self.found.lacking(field, _field_value(left[name]))
            elif name not in left:
                self.found.added(field, _field_value(right[name]))
            else:
                reason = self._parts(left[name], right[name], field, field, depth)
                if reason is not None:
                    return reason
            if self.found.is_enough():
                break
        return None

    def _parts(
        self, legacy: list[Part], candidate: list[Part], at: PathState, below: PathState, depth: int
    ) -> Reason | None:
        """Compare parts by position, aligned like the elements of an array. `below`: the path of each part."""
        is_typed = self.rules.is_typed
        identities = ([_identity(part, is_typed) for part in parts] for parts in (legacy, candidate))
        alignment = _aligned(*identities)
        if alignment.is_reordered:
            self.found.body(at, Kind.ORDER, _field_value(legacy), _field_value(candidate))
        if len(legacy) != len(candidate):
            self.found.body(at, Kind.LENGTH, len(legacy), len(candidate))
        elif any(len(gap.left) != len(gap.right) for gap in alignment.gaps):
            spare = [place for gap in alignment.gaps for place in gap.left]
            text = f"{len(legacy)} parts, {len(spare)} of them only here"
            self.found.body(at, Kind.LENGTH, text, text)
        for gap in alignment.gaps:
            for i, j in zip(gap.left, gap.right, strict=False):
                reason = self._part(legacy[i], candidate[j], below, depth)
                if reason is not None:
                    return reason
                if self.found.is_enough():
                    return None
        return None

    def _part(self, legacy: Part, candidate: Part, at: PathState, depth: int) -> Reason | None:
        left, right = dict(legacy.facts), dict(candidate.facts)
        for name in sorted({**left, **right}):
            field = at.child(f"header:{name}")
            if name not in right:
                self.found.lacking(field, left[name])
            elif name not in left:
                self.found.added(field, right[name])
            elif left[name] != right[name]:
                self.found.body(field, Kind.VALUE, left[name], right[name])
        return self.contents(_content_of_part(legacy), _content_of_part(candidate), at, depth)


# Multipart


def parts_of(content: Content) -> list[Part] | None:
    """Return the parts of a multipart body; None if it is none by its media type, or does not parse."""
    return split_parts(content.data, content.media) if content.kind is Body.MULTIPART else None


def _is_form_data(*contents: Content) -> bool:
    return all(content.media is not None and content.media.essence == "multipart/form-data" for content in contents)


def _by_name(parts: list[Part]) -> dict[str, list[Part]]:
    fields: dict[str, list[Part]] = {}
    for part in parts:
        fields.setdefault(part.name or "", []).append(part)
    return fields


def _content_of_part(part: Part) -> Content:
    return Content(part.data, part.media, body_of(part.media))


def _aligned(legacy: list[Hashable], candidate: list[Hashable]) -> Alignment:
    """Align two lists; swapping the sides mirrors the result, since ties break by content and not by side."""
    first = common_length(legacy, candidate)
    is_turned = len(legacy) > len(candidate)
    if len(legacy) == len(candidate) and first < len(legacy):
        is_turned = repr(legacy[first]) > repr(candidate[first])
    if not is_turned:
        return align(legacy, candidate)
    turned = align(candidate, legacy)
    return Alignment(turned.is_reordered, [], [Gap(gap.right, gap.left) for gap in turned.gaps])


def _identity(part: Part, is_typed: bool) -> Hashable:
    """Return a value that is equal for equal parts: JSON by its value, text by its lines, all else by its bytes."""
    content = _content_of_part(part)
    if content.kind in _JSON_FAMILY or content.looks_like_json:
        kind = content.kind if content.kind in _JSON_FAMILY else Body.JSON
        parsed = _parsed(content, kind, is_typed)
        if isinstance(parsed, Json):
            return part.facts, DigestState().of(parsed.tree)
    text = content.text if content.kind is Body.TEXT else None
    return part.facts, part.data if text is None else normal_lines(text)


def _field_value(parts: list[Part]) -> Node:
    """Return the value of a field for display: JSON or text, else the number of bytes; a list for several parts."""
    values: list[Node] = []
    for part in parts[:_MAX_LISTED_PARTS]:
        content = _content_of_part(part)
        parsed = parse_content(content)
        text = content.text if content.kind is Body.TEXT else None
        values.append(parsed.tree if isinstance(parsed, Json) else text or f"{len(part.data)} bytes")
    return values[0] if len(parts) == 1 else values


# JSON


def read_documents(
    legacy: Content, candidate: Content, *, is_typed: bool
) -> tuple[Json | ParseFailure, Json | ParseFailure] | None:
    """Return both bodies as JSON; None if neither is JSON, by media type or by content.

    A body of another media type counts as JSON if it is an object or an array: `5` may be a text.
    """
    named = legacy.kind in _JSON_FAMILY, candidate.kind in _JSON_FAMILY
    if legacy.kind is candidate.kind and all(named):
        return parse_content(legacy, is_typed=is_typed), parse_content(candidate, is_typed=is_typed)
    if all(named):
        return _differently_named(legacy, candidate, is_typed)
    if any(named):
        kind = legacy.kind if named[0] else candidate.kind
        return _unnamed(legacy, kind, named[0], is_typed), _unnamed(candidate, kind, named[1], is_typed)
    if not (legacy.looks_like_json or candidate.looks_like_json):
        return None
    documents = _unnamed(legacy, Body.JSON, False, is_typed), _unnamed(candidate, Body.JSON, False, is_typed)
    return documents if any(isinstance(document, Json) for document in documents) else None


def _differently_named(
    legacy: Content, candidate: Content, is_typed: bool
) -> tuple[Json | ParseFailure, Json | ParseFailure]:
    """Return JSON and newline-delimited JSON as one document each, unless the former does not parse as one."""
    left, right = (_parsed(content, Body.JSON, is_typed) for content in (legacy, candidate))
    if (left if legacy.kind is Body.JSON else right) is not ParseFailure.NOT_JSON:
        return left, right
    return _parsed(legacy, Body.NDJSON, is_typed), _parsed(candidate, Body.NDJSON, is_typed)


def _unnamed(content: Content, kind: Body, is_named: bool, is_typed: bool) -> Json | ParseFailure:
    """Return a body read as JSON of a kind, whatever its media type."""
    if is_named:
        return _parsed(content, kind, is_typed)
    parsed = _parsed(content, kind, is_typed) if content.looks_like_json else ParseFailure.NOT_JSON
    return ParseFailure.NOT_JSON if parsed is ParseFailure.TOO_DEEP else parsed


def parse_content(content: Content, *, is_typed: bool = False) -> Json | ParseFailure:
    """Return a body as JSON by its media type; of another media type it is NOT_JSON, unread."""
    return _parsed(content, content.kind, is_typed) if content.kind in _JSON_FAMILY else ParseFailure.NOT_JSON


def _parsed(content: Content, kind: Body, is_typed: bool) -> Json | ParseFailure:
    text = content.text
    if text is None:
        return ParseFailure.NOT_JSON
    return parse_ndjson(text, is_typed=is_typed) if kind is Body.NDJSON else parse_json(text, is_typed=is_typed)


def _body_value(parsed: Json | ParseFailure, content: Content) -> Value:
    return parsed.tree if isinstance(parsed, Json) else Opaque(content.data)


def _as_markup(content: Content) -> MarkupBody:
    return MarkupBody(content.data, content.text if content.kind is not Body.BINARY else None, content.kind)


def _compare_as_text(legacy: Content, candidate: Content) -> tuple[Value, Value] | None:
    """Return how two bodies differ: as texts if both have one, else as bytes; None if they are equal."""
    left = legacy.text if legacy.kind is not Body.BINARY else None
    right = candidate.text if candidate.kind is not Body.BINARY else None
    if left is None or right is None:
        return Opaque(legacy.data), Opaque(candidate.data)
    return compare_text(left, right)
