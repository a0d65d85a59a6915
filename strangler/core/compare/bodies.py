"""Comparing two bodies, codings off, each as what its media type says it is."""

from dataclasses import dataclass

from strangler.core.compare.forms import parse_form
from strangler.core.compare.found import FoundState
from strangler.core.compare.markup_bodies import MarkupBody, compare_markup, is_markup
from strangler.core.compare.media import Body, MediaType, body_of, parse_media_type, text_of
from strangler.core.compare.paths import root_path
from strangler.core.compare.rules import CompareRules
from strangler.core.compare.text import compare_text
from strangler.core.compare.tree import Json, ParseFailure, parse_json, parse_ndjson
from strangler.core.compare.trees import compare_trees
from strangler.core.compare.values import Answer, Kind, Opaque, Reason, Value

_NEVER_DEEP = 200
"""Nesting that any parser takes, whatever the stack above it."""
_JSON_FAMILY = (Body.JSON, Body.NDJSON)


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
    def is_surely_shallow(self) -> bool:
        return self.data.count(b"[") + self.data.count(b"{") < _NEVER_DEEP


def content_of(answer: Answer, data: bytes) -> Content:
    """`data`: the answer's body with its codings undone."""
    types = answer.field_values(b"content-type")
    media = parse_media_type(types[0]) if types else None
    return Content(data, media, body_of(media))


def compare_bodies(legacy: Content, candidate: Content, rules: CompareRules, found: FoundState) -> Reason | None:
    """Put differences into `found`; or say why the bodies cannot be compared."""
    if not legacy.data and not candidate.data:
        return None
    if legacy.kind in _JSON_FAMILY or candidate.kind in _JSON_FAMILY:
        return _compare_json(legacy, candidate, rules, found)
    if legacy.data == candidate.data and legacy.media == candidate.media:
        return None
    if legacy.kind is candidate.kind is Body.FORM:
        trees = parse_form(legacy.data), parse_form(candidate.data)
        compare_trees(*trees, rules, found, folds_lists=True)
        return None
    if is_markup(legacy.kind, candidate.kind):
        return compare_markup(_as_markup(legacy), _as_markup(candidate), rules, found)
    values = _compare_as_text(legacy, candidate)
    if values is not None:
        found.body(root_path(rules), Kind.VALUE, *values)
    return None


def _as_markup(content: Content) -> MarkupBody:
    return MarkupBody(content.data, content.text if content.kind is not Body.BINARY else None, content.kind)


def _compare_json(legacy: Content, candidate: Content, rules: CompareRules, found: FoundState) -> Reason | None:
    same_kind = legacy.kind is candidate.kind
    if same_kind and legacy.data == candidate.data and legacy.media == candidate.media and legacy.is_surely_shallow:
        return None
    left, right = parse_content(legacy), parse_content(candidate)
    if ParseFailure.TOO_DEEP in (left, right):
        return Reason.DECODE
    if isinstance(left, Json) and isinstance(right, Json) and same_kind:
        compare_trees(left.tree, right.tree, rules, found)
    elif isinstance(left, Json) or isinstance(right, Json):
        found.body(root_path(rules), Kind.TYPE, _shown(left, legacy), _shown(right, candidate))
    elif legacy.data != candidate.data:
        found.body(root_path(rules), Kind.VALUE, Opaque(legacy.data), Opaque(candidate.data))
    return None


def parse_content(content: Content) -> Json | ParseFailure:
    """A body as JSON; one of another media type is not JSON, whatever is in it."""
    text = content.text if content.kind in _JSON_FAMILY else None
    if text is None:
        return ParseFailure.NOT_JSON
    return parse_ndjson(text) if content.kind is Body.NDJSON else parse_json(text)


def _shown(parsed: Json | ParseFailure, content: Content) -> Value:
    return parsed.tree if isinstance(parsed, Json) else Opaque(content.data)


def _compare_as_text(legacy: Content, candidate: Content) -> tuple[Value, Value] | None:
    """As text if both have one, else as bytes."""
    left = legacy.text if legacy.kind is not Body.BINARY else None
    right = candidate.text if candidate.kind is not Body.BINARY else None
    if left is None or right is None:
        return None if legacy.data == candidate.data else (Opaque(legacy.data), Opaque(candidate.data))
    return compare_text(left, right)
