"""The templates that the operator gave: matches of routes, and imported lists. They win over what is learned."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import unquote

from strangler.core.ledger.first_template import escaped, segment_template
from strangler.core.ledger.segments import HOLE, REST, split_segments


@dataclass(slots=True)
class NamedNode:
    """A segment of named templates. `is_end`: a template ends here; `is_prefix`: what follows is learned."""

    words: dict[str, "NamedNode"] = field(default_factory=dict)
    holes: dict[str, "NamedNode"] = field(default_factory=dict)
    """By the segment as it is written: `{}`, `{}.json`."""
    is_end: bool = False
    is_prefix: bool = False
    has_rest: bool = False


@dataclass(slots=True)
class NamedTemplates:
    """All named templates as one tree: the most specific that covers a path wins."""

    root: NamedNode = field(default_factory=NamedNode)
    unusual: frozenset[str] = frozenset()
    """The words among their segments that look like values: workers must not fold them."""

    def add(self, template: str, is_prefix: bool = False) -> None:
        """Add `/orders/{}/lines`; names in braces have no meaning, and `{...}` may stand at the end."""
        node = self.root
        for segment in named_segments(template):
            if segment == REST:
                node.has_rest = True
                return
            kind = node.holes if HOLE in segment else node.words
            node = kind.setdefault(segment, NamedNode())
            if _is_unusual(segment):
                self.unusual |= {unquote(segment)}
        node.is_end = True
        node.is_prefix |= is_prefix

    def remove(self, template: str) -> bool:
        """Forget a template; False if it is none of these."""
        node: NamedNode | None = self.root
        for segment in named_segments(template):
            if segment == REST and node is not None and node.has_rest:
                node.has_rest = False
                return True
            node = node and (node.words.get(segment) or node.holes.get(segment))
        if node is None or not node.is_end:
            return False
        node.is_end = node.is_prefix = False
        return True

    def resolved(self, segments: list[str]) -> list[str]:
        """Return the segments with those that a template covers replaced by the template's own."""
        if not self.root.words and not self.root.holes and not self.root.has_rest:
            return segments
        found = _covering(self.root, segments, 0)
        return segments if found is None else found


def unusual_words(templates: Iterable[str]) -> frozenset[str]:
    """Return the words in the segments of an operator's templates that look like values: those of `unusual` alone."""
    segments = {segment for template in templates for segment in named_segments(template)}
    return frozenset(unquote(segment) for segment in segments if segment != REST and _is_unusual(segment))


def _is_unusual(segment: str) -> bool:
    return HOLE not in segment and segment_template(unquote(segment)) != segment


_NAME = re.compile(r"\{\w*\}")


def named_segments(template: str) -> list[str]:
    """Return the segments of an operator's template as first templates spell them: `/m%79/{id}` -> `my`, `{}`."""
    found = [_NAME.sub(HOLE, segment) for segment in split_segments(template)]
    return [text if "{" in text or text[:1] in ("?", "#", "&") else escaped(unquote(text)) for text in found]


def _covering(node: NamedNode, segments: list[str], at: int) -> list[str] | None:
    """Return the segments from `at` on as the most specific template has them; None if none covers them.

    The number of holes bounds the work: an imported list has few that compete at one place.
    """
    if at == len(segments):
        return [] if node.is_end else None
    segment = segments[at]
    ways = [(segment, node.words[segment])] if segment in node.words else []
    ways += [(text, child) for text, child in node.holes.items() if _fits(text, segment)]
    for text, child in ways:
        rest = _covering(child, segments, at + 1)
        if rest is not None:
            return [text, *rest]
    if node.has_rest:
        return [REST]
    return segments[at:] if node.is_prefix else None


def _fits(text: str, segment: str) -> bool:
    """Return True if a segment of a template with a hole covers a segment, which may be folded already."""
    if text == HOLE:
        return segment not in ("", REST)
    head, _, tail = text.partition(HOLE)
    return len(segment) > len(head) + len(tail) and segment.startswith(head) and segment.endswith(tail)
