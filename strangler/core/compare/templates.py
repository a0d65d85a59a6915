"""Path templates: which segments of a path are values and which are words, as an operator says it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

HOLE = "{}"
REST = "{...}"
_HOLE = re.compile(r"\{\w*\}")
MAX_SEGMENTS = 16


@dataclass(frozen=True, slots=True)
class Template:
    """`/shops/{}/items`: `segments` has None for a hole. With `has_rest` everything behind is one hole of any depth."""

    segments: tuple[str | None, ...]
    has_rest: bool = False

    @property
    def text(self) -> str:
        """The template as an endpoint names it: every hole is `{}`."""
        parts = [HOLE if segment is None else segment for segment in self.segments]
        return "/" + "/".join([*parts, REST] if self.has_rest else parts)

    def covers(self, segments: list[str]) -> bool:
        """True if the first of these segments, percent-decoded, are as the template says; a hole takes no empty one."""
        if len(segments) < len(self.segments):
            return False
        pairs = zip(self.segments, segments, strict=False)
        return all(bool(given) if wanted is None else wanted == given for wanted, given in pairs)

    @property
    def rank(self) -> tuple[int, ...]:
        """Sort by it in descending order to have the most specific template first."""
        return tuple(1 if segment is None else 2 for segment in self.segments)


def parse_template(text: str) -> Template:
    """Read `/shops/{name}/items`; a name in braces means nothing, and `{...}` may stand at the end.

    Raises ValueError with the way out.
    """
    if not text.startswith("/"):
        raise ValueError("a path starts with '/'; write one such as /shops/{}/items")
    if any(char in text for char in "?#") or not text.isprintable() or " " in text:
        raise ValueError("write the path alone, without query, spaces and control characters")
    parts = text.removeprefix("/").split("/")
    has_rest = parts[-1] == REST
    parts = parts[:-1] if has_rest else parts
    if len(parts) > MAX_SEGMENTS:
        raise ValueError(f"a template has {MAX_SEGMENTS} segments at most; end it with {{...}}")
    return Template(tuple(map(_segment, parts)), has_rest)


def _segment(part: str) -> str | None:
    if _HOLE.fullmatch(part):
        return None
    if "{" in part or "}" in part:
        raise ValueError(f"the segment {part!r} cannot be read; write a whole segment as {{}}, or {{...}} at the end")
    return unquote_to_bytes(part).decode("utf-8", "replace")


def ordered(templates: Iterable[Template]) -> tuple[Template, ...]:
    """The templates without repetitions, the most specific first."""
    return tuple(sorted(dict.fromkeys(templates), key=lambda template: template.rank, reverse=True))
