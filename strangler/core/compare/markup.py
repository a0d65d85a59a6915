"""The tags of HTML and XML as they stand in a source, for what is cut or does not parse.

A tokeniser and no parser: it takes anything, and every pattern either consumes or runs to the end of the text, so that
hostile markup costs linear time.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Tag:
    """`attributes`: name, value, and the value's place in the source. It stands from `start` to `end` there."""

    start: int
    name: str
    attributes: tuple[tuple[str, str, tuple[int, int]], ...]
    is_empty: bool
    end: int
    is_end: bool = False


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
