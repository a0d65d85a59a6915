"""Members of JSON objects, taken out of a text without touching any other byte of it."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

_WORD: Final = re.compile(r'\s*+("(?:[^"\\]|\\.)*+"|[{}\[\],:]|[^\s{}\[\],:"]++)')
_MAX_DEPTH: Final = 500


class NotRemovableError(ValueError):
    """A text that is not JSON, or whose value is not a member of an object."""


@dataclass(slots=True)
class _Container:
    """An object or array that is being read."""

    is_object: bool
    start: int = 0
    """The start of the present member: the end of what came before it, its comma included."""
    key: str | None = None
    is_dropped: bool = False
    """True if the present member is to go."""
    spans: list[tuple[int, int]] = field(default_factory=list)
    """Members, from the end of the former comma to the start of the next."""
    drops: list[bool] = field(default_factory=list)


def without_members(text: str, is_dropped: Callable[[bytes], bool]) -> tuple[str, list[str]]:
    """Return a JSON text without the members whose string value `is_dropped`, and their names.

    Raises NotRemovableError for a text that is not JSON, and if such a string is a key, an element of an array, or the
    whole document: without it, the others would mean something else.
    """
    try:
        json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotRemovableError("not JSON") from error
    cuts: list[tuple[int, int]] = []
    names: list[str] = []
    stack: list[_Container] = []
    for found in _WORD.finditer(text):
        word, start, end = found[1], found.start(1), found.end(1)
        if word in "{[":
            if len(stack) == _MAX_DEPTH:
                raise NotRemovableError("nested too deeply")
            stack.append(_Container(word == "{", start=end))
        elif word in "}]":
            container = stack.pop()
            _end_member(container, start)
            cuts += _cuts(container)
        elif word == ",":
            _end_member(stack[-1], start)
            stack[-1].start = end
        elif word[0] == '"':
            _read_string(word, stack, names, is_dropped)
    return _cut(text, cuts), names


def _read_string(word: str, stack: list[_Container], names: list[str], is_dropped: Callable[[bytes], bool]) -> None:
    value: str = json.loads(word)
    container = stack[-1] if stack else None
    is_key = container is not None and container.is_object and container.key is None
    if is_dropped(value.encode("utf-8", "surrogatepass")):
        if container is None or not container.is_object or is_key:
            raise NotRemovableError("not the value of a member")
        container.is_dropped = True
        names.append(container.key or "")
    if container is not None and is_key:
        container.key = value


def _end_member(container: _Container, end: int) -> None:
    if not container.is_object:
        return
    container.spans.append((container.start, end))
    container.drops.append(container.is_dropped)
    container.key, container.is_dropped = None, False


def _cuts(container: _Container) -> list[tuple[int, int]]:
    """Return what goes: a member with the comma behind it, and the comma before it if only such members follow."""
    if not any(container.drops):
        return []
    kept = [at for at, is_dropped in enumerate(container.drops) if not is_dropped]
    last = kept[-1] if kept else -1
    cuts = [(start, end + 1) for at, (start, end) in enumerate(container.spans) if at < last and container.drops[at]]
    if last + 1 < len(container.spans):
        behind = container.spans[last][1] if kept else container.spans[0][0]
        cuts.append((behind, container.spans[-1][1]))
    return cuts


def _cut(text: str, cuts: list[tuple[int, int]]) -> str:
    kept, at = [], 0
    for start, end in sorted(cuts):
        if start >= at:
            kept.append(text[at:start])
        at = max(at, end)
    return "".join([*kept, text[at:]])
