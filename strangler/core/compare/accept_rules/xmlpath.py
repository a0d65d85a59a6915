"""Paths into XML: their syntax (`/feed/entry/@id`) and the patterns of rules."""

import re
from dataclasses import dataclass

from strangler.core.compare.accept_rules.jsonpath import PatternError
from strangler.core.compare.accept_rules.path_pattern import PathPattern

_NAME = r"[^\W\d][\w.\-\u00b7]*"
_STEP = re.compile(rf"(?P<deep>//|/)(?P<at>@?)(?P<name>{_NAME}|\*)")


@dataclass(frozen=True, slots=True)
class XmlSegment:
    """One segment. `name`: a local name, or `@name` for an attribute; None for any element, or any attribute."""

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
    """Return `("feed", "entry", "@id")` as `/feed/entry/@id`."""
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
            raise PatternError(f"{text!r} goes on after an attribute, which contains nothing; end the path there")
    if not segments:
        raise PatternError(f"{text!r} names nothing; write a path such as /feed/entry/title")
    return XmlPattern(tuple(segments))


def _way_out(rest: str) -> str:
    if rest.startswith(":"):
        return "write local names without prefix, since prefixes differ between documents"
    if rest.startswith("["):
        return "elements of one name share a path, so leave out the [ ]"
    return "write /name, /@name, /* or //name"
