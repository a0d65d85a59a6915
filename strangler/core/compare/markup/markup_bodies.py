"""Comparing two bodies of which at least one is HTML or XML by its media type."""

import re
from typing import NamedTuple

from strangler.core.compare.accept_rules.found import FoundState
from strangler.core.compare.accept_rules.paths import root_path
from strangler.core.compare.accept_rules.rules import CompareRules
from strangler.core.compare.markup.html import compare_html
from strangler.core.compare.markup.xml import compare_xml
from strangler.core.compare.markup.xml_tree import parse_xml
from strangler.core.compare.model.media import Body
from strangler.core.compare.model.text import compare_text
from strangler.core.compare.model.values import Excerpt, Kind, Opaque, Reason, Value

_TAG = re.compile(r"<[A-Za-z!/?]")


class MarkupBody(NamedTuple):
    """A body with its codings undone; `text` is None if it is no text, or invalid in its charset."""

    data: bytes
    text: str | None
    kind: Body


def is_markup(*kinds: Body) -> bool:
    """Return True if one of the kinds is HTML or XML."""
    return Body.HTML in kinds or Body.XML in kinds


def compare_markup(legacy: MarkupBody, candidate: MarkupBody, rules: CompareRules, found: FoundState) -> Reason | None:
    """Put differences into `found`; or return why the bodies cannot be compared."""
    if Body.XML in (legacy.kind, candidate.kind):
        _compare_xml(legacy, candidate, rules, found)
        return None
    return _compare_html(legacy, candidate, rules, found)


def _compare_xml(legacy: MarkupBody, candidate: MarkupBody, rules: CompareRules, found: FoundState) -> None:
    left, right = (parse_xml(side.text) if side.text is not None else None for side in (legacy, candidate))
    if left is not None and right is not None:
        compare_xml(left, right, rules, found)
        return
    values = _body_value(legacy, left is not None), _body_value(candidate, right is not None)
    kind = Kind.VALUE if left is None and right is None else Kind.TYPE
    found.body(root_path(rules), kind, *values)


def _compare_html(legacy: MarkupBody, candidate: MarkupBody, rules: CompareRules, found: FoundState) -> Reason | None:
    """Compare two bodies of which one is HTML; the other one is read as HTML if it has a tag."""
    if legacy.text is None or candidate.text is None:
        found.body(root_path(rules), Kind.VALUE, Opaque(legacy.data), Opaque(candidate.data))
        return None
    if legacy.kind is candidate.kind:
        return compare_html(legacy.text, candidate.text, rules, found)
    has_tags = [_TAG.search(side.text or "") is not None for side in (legacy, candidate)]
    if all(has_tags):
        return compare_html(legacy.text, candidate.text, rules, found)
    if any(has_tags):
        found.body(root_path(rules), Kind.TYPE, _body_value(legacy, True), _body_value(candidate, True))
        return None
    values = compare_text(legacy.text, candidate.text)
    if values is not None:
        found.body(root_path(rules), Kind.VALUE, *values)
    return None


def _body_value(side: MarkupBody, has_parsed: bool) -> Value:
    """Return the body for display; one that was not parsed cannot be searched for secrets, so it is opaque."""
    if not has_parsed or side.text is None:
        return Opaque(side.data)
    return Excerpt(side.text, 0, is_markup=True)
