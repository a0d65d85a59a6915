"""HTML and XML as tokens in which what does not matter is gone: whitespace between, order and quoting of attributes.

A tokeniser and no parser: it takes anything, resolves no entity but the character ones, follows no reference, and every
pattern either consumes or runs to the end of the text, so that hostile markup costs linear time.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from itertools import zip_longest

from strangler.core.compare.align import common_length
from strangler.core.compare.text import normal_lines
from strangler.core.compare.values import Excerpt

_TOKEN = re.compile(
    r"<!--(?P<comment>.*?)(?:-->|\Z)"
    r"|<!\[CDATA\[(?P<cdata>.*?)(?:\]\]>|\Z)"
    r"|<!(?P<declaration>[^>]*)(?:>|\Z)"
    r"|<\?(?P<instruction>.*?)(?:\?>|\Z)"
    r"|</(?P<end>[^\s/>]+)[^>]*(?:>|\Z)"
    r"|<(?P<start>[A-Za-z_:][^\s/>]*)"
    r"|(?P<text>[^<]+|<)",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(
    r"\s*(?:(?P<close>/?>)|(?P<stray>[/=])|(?P<name>[^\s=>/]+)"
    r"(?:\s*=\s*(?:\"(?P<double>[^\"]*)(?:\"|\Z)"
    r"|'(?P<single>[^']*)(?:'|\Z)|(?P<bare>[^\s>\"'][^\s>]*)?))?|\Z)"
)
_SHOWN = frozenset(
    re.findall(r"\w+", "audio button canvas iframe img input meter object picture progress select svg textarea video")
)
"""Inline elements that are seen even if they hold no text."""
_BLOCKS = frozenset(
    re.findall(
        r"\w+",
        "address article aside base blockquote body br caption center col colgroup dd details dialog div dl "
        "dt fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 head header hgroup hr html legend li "
        "link main menu meta nav noscript ol optgroup option p pre script section source style summary table "
        "tbody td template tfoot th thead title tr track ul",
    )
)
"""Whitespace beside these is never seen; beside all others, unknown elements too, it may be."""
_RAW = {name: re.compile(rf"</{name}(?=[\s/>]|\Z)", re.IGNORECASE) for name in ("script", "style", "textarea", "title")}
_KEPT = frozenset(["pre", "textarea", "script"])


@dataclass(frozen=True, slots=True)
class Tag:
    """`attributes`: name, value, and the value's place in the source. It stands from `start` to `end` there."""

    start: int
    name: str
    attributes: tuple[tuple[str, str, tuple[int, int]], ...]
    is_empty: bool
    end: int
    is_end: bool = False


@dataclass(frozen=True, slots=True)
class Token:
    """`key` is what counts when tokens are compared; `at` is where it stands in the source."""

    key: tuple[object, ...]
    at: int


def compare_markup(legacy: str, candidate: str, *, is_html: bool) -> tuple[Excerpt, Excerpt] | None:
    """None if they say the same, else both sources with the place of the first token that differs."""
    legacy, candidate = normal_lines(legacy), normal_lines(candidate)
    if legacy == candidate:
        return None
    read = html_tokens if is_html else xml_tokens
    for left, right in zip_longest(read(legacy), read(candidate)):
        if left is None or right is None or left.key != right.key:
            ahead = _ahead(left, right)
            return (
                Excerpt(legacy, left.at + ahead if left else len(legacy), is_markup=True),
                Excerpt(candidate, right.at + ahead if right else len(candidate), is_markup=True),
            )
    return None


def _ahead(left: Token | None, right: Token | None) -> int:
    """How far into two texts their first change is."""
    if left is None or right is None or left.key[0] != "text" or right.key[0] != "text":
        return 0
    return common_length(str(left.key[1]), str(right.key[1]))


def read_tags(text: str) -> Iterator[Tag]:
    """Start and end tags as they stand in the source; comments and what else there is are left out."""
    at = 0
    while found := _TOKEN.match(text, at):
        begin, at = at, found.end()
        if found["end"]:
            yield Tag(begin, found["end"], (), False, at, is_end=True)
        elif found["start"]:
            tag = read_tag(text, found["start"], begin, at)
            at = tag.end
            yield tag


def read_tag(text: str, name: str, begin: int, at: int) -> Tag:
    """The start tag that begins at `begin` and whose name ends at `at`. Of duplicate attributes the first wins."""
    attributes: dict[str, tuple[str, str, tuple[int, int]]] = {}
    while True:
        found = _ATTRIBUTE.match(text, at)
        if found is None or found.end() == at or found["close"]:
            is_empty = found is not None and found["close"] == "/>"
            return Tag(begin, name, tuple(attributes.values()), is_empty, found.end() if found else at)
        at = found.end()
        if found["name"]:
            group = next((group for group in ("double", "single", "bare") if found[group] is not None), "name")
            value = "" if group == "name" else found[group]
            attributes.setdefault(found["name"].lower(), (found["name"], value, found.span(group)))


def xml_tokens(text: str) -> Iterator[Token]:
    """Names are case-sensitive, `<a/>` is `<a></a>`, CDATA is text, whitespace alone between tags is nothing."""
    at, written, since = 0, "", 0
    while found := _TOKEN.match(text, at):
        kind, begin, at = found.lastgroup, at, found.end()
        if kind in ("text", "cdata"):
            since = since if written else begin
            written += found[kind] if kind == "cdata" else unescape(found[kind])
            continue
        if written.strip():
            yield Token(("text", written), since)
        written = ""
        if kind == "start":
            tag = read_tag(text, found["start"], begin, at)
            at = tag.end
            attributes = tuple(sorted((name, unescape(value)) for name, value, _ in tag.attributes))
            yield Token(("start", tag.name, attributes), begin)
            if tag.is_empty:
                yield Token(("end", tag.name), begin)
        elif kind == "instruction" and found[kind].split(None, 1)[:1] == ["xml"]:
            continue  # the XML declaration is about the bytes, not the document
        elif kind is not None:
            yield Token((kind, found[kind].strip()), begin)
    if written.strip():
        yield Token(("text", written), since)


def html_tokens(text: str) -> Iterator[Token]:
    """Names in lower case; whitespace is one space, or nothing beside a block; pre, textarea and script as they are."""
    at, preserved = 0, 0
    spacing = _SpacingState()
    while found := _TOKEN.match(text, at):
        kind, begin, at = found.lastgroup, at, found.end()
        if kind == "text":
            plain = unescape(found["text"])
            yield from [Token(("text", plain), begin)] if preserved else spacing.text(plain, begin)
        elif kind == "start":
            tag = read_tag(text, found["start"].lower(), begin, at)
            at = tag.end
            yield from spacing.tag(tag.name)
            attributes = tuple(sorted((name.lower(), unescape(value)) for name, value, _ in tag.attributes))
            yield Token(("start", tag.name, attributes), begin)
            preserved += tag.name == "pre"
            if tag.name in _RAW:
                yield from _raw_text(text, tag)
                at = _raw_end(text, tag)
        elif kind == "end":
            name = found["end"].lower()
            preserved = max(0, preserved - (name == "pre"))
            yield from spacing.tag(name)
            yield Token(("end", name), begin)
        elif kind is not None:
            content = " ".join(found[kind].split())
            yield Token((kind, content if kind == "comment" else content.lower()), begin)


def _raw_end(text: str, tag: Tag) -> int:
    found = _RAW[tag.name].search(text, tag.end)
    return found.start() if found else len(text)


def _raw_text(text: str, tag: Tag) -> Iterator[Token]:
    raw = text[tag.end : _raw_end(text, tag)]
    content = raw if tag.name in _KEPT else " ".join(raw.split())
    if content:
        yield Token(("text", content), tag.end)


class _SpacingState:
    """Which whitespace would be seen: a space is held back until what stands behind it is known."""

    __slots__ = ("_is_beside_block", "_space_at")

    def __init__(self) -> None:
        self._is_beside_block = True
        self._space_at: int | None = None

    def text(self, plain: str, at: int) -> Iterator[Token]:
        words = " ".join(plain.split())
        if plain[:1].isspace() and self._space_at is None:
            self._space_at = at
        if not words:
            return
        yield from self._held_back()
        yield Token(("text", words), at)
        self._is_beside_block = False
        self._space_at = at + len(plain) if plain[-1:].isspace() else None

    def tag(self, name: str) -> Iterator[Token]:
        """Other inline tags let a space pass: `a <b>x` looks like `a<b> x`."""
        if name in _BLOCKS:
            self._space_at = None
            self._is_beside_block = True
        elif name in _SHOWN:
            yield from self._held_back()
            self._is_beside_block = False

    def _held_back(self) -> Iterator[Token]:
        if self._space_at is not None and not self._is_beside_block:
            yield Token(("text", " "), self._space_at)
        self._space_at = None
