"""Paths into XML: how places are written (`/feed/entry/@id`) and the patterns that rules use."""

import re
from dataclasses import dataclass

from strangler.core.compare.jsonpath import PatternError

_NAME = r"[^\W\d][\w.\-\u00b7]*"
_STEP = re.compile(rf"(?P<deep>//|/)(?P<at>@?)(?P<name>{_NAME}|\*)")


@dataclass(frozen=True, slots=True)
class XmlSegment:
    """`name`: a local name, `@name` for an attribute; None for any, with `is_attribute` any attribute."""

    name: str | None
    is_attribute: bool
    is_deep: bool

    def takes(self, step: str) -> bool:
        if step.startswith("@") is not self.is_attribute:
            return False
        return self.name is None or self.name == step


@dataclass(frozen=True, slots=True)
class XmlPattern:
    """A rule's path into XML. A walk's progress is a bit mask, as in `jsonpath.Pattern`."""

    segments: tuple[XmlSegment, ...]

    @property
    def done(self) -> int:
        return 1 << len(self.segments)

    def advance(self, mask: int, step: str) -> int:
        """The mask one step further down; it starts as 1."""
        after = 0
        for at, segment in enumerate(self.segments):
            if not mask >> at & 1:
                continue
            if segment.is_deep:
                after |= 1 << at
            if segment.takes(step):
                after |= 1 << (at + 1)
        return after

    def covers(self, steps: tuple[str, ...]) -> bool:
        """True if the pattern names the node that the steps lead to, or one above it."""
        mask = 1
        for step in steps:
            mask = self.advance(mask, step)
            if mask & self.done:
                return True
        return False


def write_xml_path(steps: tuple[str, ...]) -> str:
    """`("feed", "entry", "@id")` -> `/feed/entry/@id`."""
    return "".join("/" + step for step in steps)


def parse_xml_path(text: str) -> XmlPattern:
    """Read `/feed/entry/title`, `/feed/@version`, `//title`, `/feed/*`. Raises PatternError."""
    at, segments = 0, []
    while at < len(text):
        found = _STEP.match(text, at)
        if found is None:
            raise PatternError(f"{text!r} cannot be read from {text[at:]!r} on; {_way_out(text[at:])}")
        name = None if found["name"] == "*" else found["at"] + found["name"]
        segments.append(XmlSegment(name, bool(found["at"]), found["deep"] == "//"))
        at = found.end()
        if found["at"] and at < len(text):
            raise PatternError(f"{text!r} goes on behind an attribute; nothing is in one")
    if not segments:
        raise PatternError(f"{text!r} names nothing; write a path such as /feed/entry/title")
    return XmlPattern(tuple(segments))


def _way_out(rest: str) -> str:
    if rest.startswith(":"):
        return "write local names alone, since prefixes are a matter of each document"
    if rest.startswith("["):
        return "elements of one name share a path, so leave the [ ] out"
    return "write /name, /@name, /* or //name"
