"""Paths into JSON: their syntax (`$.items[*].price`, `$['odd key']`) and the patterns of rules."""

import re
from dataclasses import dataclass

from strangler.core.compare.accept_rules.path_pattern import PathPattern
from strangler.core.compare.model.values import Step, Steps

_PLAIN = re.compile(r"[^\W\d]\w*\Z")
_SEGMENT = re.compile(
    r"(?P<deep>\.\.)?(?:(?P<word>\w+(?:-\w+)*)|(?P<wild>\*)|\[\s*(?:(?P<star>\*)|'(?P<single>(?:[^'\\]|\\.)*)'"
    r"|\"(?P<double>(?:[^\"\\]|\\.)*)\")\s*\])",
    re.DOTALL,
)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)


class PatternError(ValueError):
    """A rule's path that cannot be read; the message has the reason and the way out."""


def write_path(steps: Steps) -> str:
    """Return `("items", None, "unit price")` as `$.items[*]['unit price']`, always printable and valid UTF-8."""
    return "$" + "".join(map(_written, steps))


def _written(step: Step) -> str:
    if step is None:
        return "[*]"
    if _PLAIN.match(step) and step.isprintable():
        return f".{step}"
    return "['" + "".join(map(_escaped, step)) + "']"


def _escaped(char: str) -> str:
    if char in "'\\":
        return f"\\{char}"
    if char.isprintable():
        return char
    units = char.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment. `is_deep`: after `..`, so at any depth. `is_wild`: any key or element; else the key `name`."""

    name: str
    is_wild: bool
    is_deep: bool

    def takes(self, step: Step) -> bool:
        return self.is_wild or self.name == step


class Pattern(PathPattern[Segment, Step]):
    """A rule's path into JSON."""

    __slots__ = ()


def parse_pattern(text: str) -> Pattern:
    """Read `$`, `.name`, `['name']`, `[*]`, `.*` and `..`. Raises PatternError."""
    if not text.startswith("$"):
        raise PatternError(f"{text!r} is not a JSON path; it must start with $")
    at, segments = 1, []
    while at < len(text):
        segment, at = _segment(text, at)
        segments.append(segment)
    return Pattern(tuple(segments))


def _segment(text: str, at: int) -> tuple[Segment, int]:
    is_dot = text[at] == "." and text[at : at + 2] != ".."
    found = _SEGMENT.match(text, at + is_dot)
    is_bracket = found is not None and found["word"] is None and found["wild"] is None
    if found is None or (is_dot and is_bracket) or not (is_dot or is_bracket or found["deep"]):
        raise PatternError(f"{text!r} cannot be read from {text[at:]!r} on; {_way_out(text[at:])}")
    if found["wild"] or found["star"]:
        return Segment("", True, bool(found["deep"])), found.end()
    quoted = found["single"] if found["single"] is not None else found["double"]
    name = found["word"] if quoted is None else _unescaped(quoted)
    return Segment(name, False, bool(found["deep"])), found.end()


def _way_out(rest: str) -> str:
    if re.match(r"\[\s*-?\d", rest):
        return "array indices are folded, so write [*]"
    return "write .name, ['odd name'], [*] or ..name"


def _unescaped(quoted: str) -> str:
    plain = _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else found[2], quoted)
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
