"""What came from traffic must not steer the terminal of who reads it."""

import os
import re
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

_PIPE_WIDTH = 1000
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""All but tab and line feed: C0 and C1 controls, separators, and marks that turn the direction of what follows."""


def plain(text: str) -> str:
    """The text with a sign in place of each control character: `␛` for ESC, `�` for those that have none."""
    return _CONTROL.sub(_sign, text)


def _sign(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code == 0x7F:
        return "\u2421"
    return chr(0x2400 + code) if code < 0x20 else "\ufffd"


class _Terminal(Console):
    """Its own colours and moves are segments of their own, or styles: text never needs a control character."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            text = segment.text
            yield segment if segment.control or _CONTROL.search(text) is None else segment._replace(text=plain(text))


def console(**options: Any) -> Console:
    """Where commands print for people. `options` are rich's. Without a terminal no line is folded, as grep wants it."""
    made = _Terminal(highlight=False, **options)
    if not made.is_terminal and "COLUMNS" not in os.environ and "width" not in options:
        made.width = _PIPE_WIDTH
    return made
