"""Path templates, by which an operator declares the segments of a path that are values."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

from strangler.core.ledger.first_template import MAX_SEGMENTS, escaped
from strangler.core.ledger.segments import HOLE as HOLE
from strangler.core.ledger.segments import REST as REST
from strangler.core.ledger.word_classes import OVERFLOW as OVERFLOW

_HOLE = re.compile(r"\{\w*\}")
_UNREADABLE = re.compile(r"[?#\s]")
"""The characters that cannot stand in an endpoint as they are."""


@dataclass(frozen=True, slots=True)
class Template:
    """A template such as `/shops/{}/items`. `segments` has None for a hole; `has_rest`: one of any depth at the end.

    Words are in the spelling of the ledger: decoded, but for characters that mean something in a template.
    """

    segments: tuple[str | None, ...]
    has_rest: bool = False

    @property
    def parts(self) -> list[str]:
        """Return the segments without the rest; every hole is `{}`."""
        return [HOLE if segment is None else segment for segment in self.segments]

    @property
    def text(self) -> str:
        """Return the template in the form of an endpoint."""
        return "/" + "/".join([*self.parts, REST] if self.has_rest else self.parts)

    def covers(self, segments: list[str]) -> bool:
        """Return True if the template matches the first of these segments; a hole takes no empty one, and no rest."""
        if len(segments) < len(self.segments):
            return False
        pairs = zip(self.segments, segments, strict=False)
        return all(given not in _NO_VALUES if wanted is None else wanted == given for wanted, given in pairs)

    @property
    def rank(self) -> tuple[int, ...]:
        """Return the key that sorts templates; in descending order the most specific comes first."""
        segments = tuple(1 if segment is None else 2 for segment in self.segments)
        return (*segments, 0) if self.has_rest else segments


_NO_VALUES = ("", REST, OVERFLOW)


def covers_path(template: str, path: str) -> bool:
    """Return True if an endpoint's path covers a path or a narrower endpoint's path, both spelled like templates.

    `{}` stands for any text within a segment, but for none; `{...}` and `…` for one segment or more at the end.
    """
    has_rest = template.endswith((f"/{REST}", f"/{OVERFLOW}"))
    if not has_rest and template.count("/") != path.count("/"):
        return False
    wanted, given = template.split("/"), path.split("/")
    if has_rest:
        wanted.pop()
        if len(given) <= len(wanted):
            return False
    return all(_covers_segment(*pair) for pair in zip(wanted, given, strict=False))


def _covers_segment(wanted: str, given: str) -> bool:
    """Return True if a segment with holes covers another one. The work is in proportion to the lengths."""
    if wanted == given:
        return True
    first, *others = wanted.split(HOLE)
    if not others or given in _NO_VALUES or not given.startswith(first):
        return False
    at, last = len(first), others.pop()
    for text in others:
        found = given.find(text, at + 1)
        if found < 0:
            return False
        at = found + len(text)
    return given.endswith(last) and len(given) - len(last) > at


def parse_template(text: str) -> Template:
    """Read `/shops/{name}/items`; names in braces have no meaning, and `{...}` may stand at the end.

    Raises ValueError with the way out.
    """
    if not text.startswith("/"):
        raise ValueError("a path starts with '/'; write one such as /shops/{}/items")
    if any(char in text for char in "?#") or not text.isprintable() or " " in text:
        raise ValueError("write only the path, without query, spaces and control characters")
    parts = text.removeprefix("/").split("/")
    has_rest = parts[-1] == REST
    parts = parts[:-1] if has_rest else parts
    if len(parts) > MAX_SEGMENTS:
        raise ValueError(f"a template has at most {MAX_SEGMENTS} segments; end it with {{...}}")
    return Template(tuple(map(_segment, parts)), has_rest)


def parse_endpoint_path(text: str) -> str:
    """Read `/orders/{id}.json` as the path of an endpoint, `/orders/{}.json`: a template, with holes within segments.

    Raises ValueError with the way out.
    """
    parts = text.split("/")
    plain = [_HOLE.sub("", part) if _HOLE.fullmatch(part) is None else part for part in parts]
    parse_template("/".join(plain))
    return "/".join(part if part == REST else HOLE.join(map(_word, _HOLE.split(part))) for part in parts)


def write_endpoint_path(path: str) -> str:
    """Return the text that `parse_endpoint_path` reads as this endpoint's path."""
    return _UNREADABLE.sub(lambda found: quote(found[0], safe=""), path)


def _segment(part: str) -> str | None:
    if _HOLE.fullmatch(part):
        return None
    if "{" in part or "}" in part:
        raise ValueError(f"the segment {part!r} cannot be read; write a whole segment as {{}}, or {{...}} at the end")
    return _word(part)


def ordered(templates: Iterable[Template]) -> tuple[Template, ...]:
    """Return the templates without duplicates, the most specific first."""
    return tuple(sorted(dict.fromkeys(templates), key=lambda template: template.rank, reverse=True))


def route_templates(prefix: str | None, path: str | None, fold: Iterable[str]) -> tuple[Template, ...]:
    """Return the templates of a route's endpoints, from its match (one of `prefix` and `path`) and its `fold`.

    The words of the match stay words, whatever a fold says; a fold that can never apply within the match is left out.
    """
    own = _match_template(prefix, path)
    folds = (_narrowed(own, parse_template(text)) for text in fold)
    found = ordered([own, *(fold for fold in folds if fold is not None)])
    return tuple(template for template in found if template.segments or template.has_rest)


def can_meet(prefix: str | None, path: str | None, template: str) -> bool:
    """Return False if no path fits both the match (one of `prefix` and `path`) and a template or endpoint."""
    parts = template.removeprefix("/").split("/")
    has_rest = parts[-1] == REST
    segments = tuple(None if HOLE in part else part for part in (parts[:-1] if has_rest else parts))
    return _narrowed(_match_template(prefix, path), Template(segments, has_rest)) is not None


def _match_template(prefix: str | None, path: str | None) -> Template:
    """Return a match as a template: a prefix's trailing slash does not count, an exact path's does."""
    text = path if path is not None else (prefix or "").rstrip("/")
    parts = text.removeprefix("/").split("/") if text else []
    return Template(tuple(None if _is_name(part) else _word(part) for part in parts))


def _is_name(part: str) -> bool:
    return part.startswith("{") and part.endswith("}")


def _word(part: str) -> str:
    return escaped(unquote_to_bytes(part).decode("utf-8", "replace"))


def _narrowed(own: Template, fold: Template) -> Template | None:
    """Return a fold within a match, its first segments being those of the match; None if no path fits both."""
    length = max(len(own.segments), len(fold.segments))
    segments: list[str | None] = []
    for index in range(length):
        ours = own.segments[index] if index < len(own.segments) else None
        theirs = fold.segments[index] if index < len(fold.segments) else None
        if ours is not None and theirs is not None and ours != theirs:
            return None
        segments.append(ours if ours is not None else theirs)
    return Template(tuple(segments), fold.has_rest)
