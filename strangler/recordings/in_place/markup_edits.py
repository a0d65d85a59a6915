"""Secrets in HTML and XML, at their places: texts, attributes, comments, and elements that are secret by their name."""

import re
from collections.abc import Iterator
from typing import Final

from strangler.core.compare.markup.html_nodes import RAW_TEXT, VOID
from strangler.core.compare.redaction.redact_markup import VALUE_ATTRIBUTES, is_secret_element
from strangler.core.privacy.secrets import is_secret_name
from strangler.recordings.in_place.edits import ENTITIES, PLAIN, Edit, Encoding, Search, moved

TAG: Final = re.compile(
    r"<!--(?P<comment>.*?)(?:--!?>|\Z)"
    r"|<!\[CDATA\[(?P<cdata>.*?)(?:\]\]>|\Z)"
    r"|<\?(?P<instruction>.*?)(?:\?>|\Z)"
    r"|<!(?P<declaration>[^>]*+)>"
    r"|</(?P<end>[^\W\d][^\s>/]*+)[^>]*+>"
    r"|<(?P<start>[^\W\d][^\s>/]*+)(?P<attributes>(?:[^>\"'=]|=\s*+(?:\"[^\"]*+\"|'[^']*+'|[^\s>\"'][^\s>]*+)?|[\"'])*+)>",
    re.DOTALL,
)
_ATTRIBUTE: Final = re.compile(
    r"(?P<name>[^\s\"'>/=][^\s>/=]*)(?:\s*=\s*(?:\"(?P<double>[^\"]*)\"|'(?P<single>[^']*)'|(?P<bare>[^\s\"'>][^\s>]*)))?"
)
_ESCAPABLE: Final = ("textarea", "title")


def markup_edits(text: str, search: Search, depth: int, *, is_html: bool) -> list[Edit]:
    """Return the edits of a document or a part of one, in no order."""
    return list(_edits(text, search, depth, is_html))


def _edits(text: str, search: Search, depth: int, is_html: bool) -> Iterator[Edit]:
    at = 0
    while tag := TAG.search(text, at):
        yield from _leaf(text, at, tag.start(), ENTITIES, search, depth)
        at = tag.end()
        for group, encoding in (("comment", PLAIN), ("cdata", PLAIN), ("instruction", PLAIN), ("declaration", PLAIN)):
            if tag[group]:
                yield from _leaf(text, *tag.span(group), encoding, search, depth)
        name = tag["start"]
        if name is None:
            continue
        is_secret = is_secret_element(name, [(key, value) for key, value, *_ in _attributes(tag, is_html)])
        yield from _attribute_edits(tag, search, depth, is_secret, is_html)
        lower = name.lower() if is_html else name
        if (is_html and lower in VOID) or (not is_html and tag["attributes"].endswith("/")):
            continue
        is_raw = is_html and (lower in RAW_TEXT or lower in _ESCAPABLE)
        if is_secret or is_raw:
            end = _content_end(text, at, name, is_html, is_raw)
            if is_secret:
                yield from _hidden(text, at, end, search)
            else:
                yield from _leaf(text, at, end, ENTITIES if lower in _ESCAPABLE else PLAIN, search, depth)
            at = end
    yield from _leaf(text, at, len(text), ENTITIES, search, depth)


def _leaf(text: str, start: int, end: int, encoding: Encoding, search: Search, depth: int) -> list[Edit]:
    raw = text[start:end]
    if not raw or raw.isspace():
        return []
    return moved(encoding.edits(raw, lambda plain: search.inner(plain, depth + 1)), start)


def _attributes(tag: "re.Match[str]", is_html: bool) -> Iterator[tuple[str, str, int, int]]:
    """Yield the attributes of a start tag: name, decoded value, and the span of the value in the text."""
    start = tag.start("attributes")
    for found in _ATTRIBUTE.finditer(tag["attributes"]):
        group = next((name for name in ("double", "single", "bare") if found[name] is not None), None)
        name = found["name"].lower() if is_html else found["name"]
        if group is None:
            yield name, "", start + found.end(), start + found.end()
        else:
            first, last = found.span(group)
            yield name, ENTITIES.plain(found[group]), start + first, start + last


def _attribute_edits(
    tag: "re.Match[str]", search: Search, depth: int, is_secret: bool, is_html: bool
) -> Iterator[Edit]:
    for name, value, start, end in _attributes(tag, is_html):
        if not value:
            continue
        if is_secret_name(name) or (is_secret and name.lower() in VALUE_ATTRIBUTES):
            mark = search.redactor.mark(value)
            if mark != value:
                yield Edit(start, end, mark)
        else:
            yield from _leaf(tag.string, start, end, ENTITIES, search, depth)


def _hidden(text: str, start: int, end: int, search: Search) -> Iterator[Edit]:
    content = text[start:end]
    plain = ENTITIES.plain(content.strip())
    if not plain:
        return
    mark = search.redactor.mark(plain)
    first = start + len(content) - len(content.lstrip())
    if mark != plain:
        yield Edit(first, first + len(content.strip()), mark)


def _content_end(text: str, start: int, name: str, is_html: bool, is_raw: bool) -> int:
    """Return the end of an element's content: before its end tag, or the end of the text."""
    pattern = re.compile(rf"<(/?){re.escape(name)}(?=[\s/>])(?:[^>\"']|\"[^\"]*\"|'[^']*')*>", re.IGNORECASE * is_html)
    depth = 1
    for found in pattern.finditer(text, start):
        if found[1]:
            depth -= 1
            if not depth or is_raw:
                return found.start()
        elif not is_raw and (is_html or not found[0].endswith("/>")):
            depth += 1
    return len(text)
