"""Paths into XML: how places are written (`/feed/entry/@id`) and the patterns that rules use."""

import re
from dataclasses import dataclass

from strangler.core.compare.accept_rules.jsonpath import PatternError
from strangler.core.compare.accept_rules.path_pattern import PathPattern

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


class XmlPattern(PathPattern[XmlSegment, str]):
    """A rule's path into XML."""

    __slots__ = ()


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
