"""Escaping for terminals: text that came from traffic must not control the reader's terminal."""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from strangler.core.plain import CONTROL, plain

__all__ = ["console", "log_on_stderr", "plain"]

_PIPE_WIDTH = 1000


class _Terminal(Console):
    """A console whose text has no control characters: rich's own colours and moves are other segments, or styles."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            text = segment.text
            yield segment if segment.control or CONTROL.search(text) is None else segment._replace(text=plain(text))


def console(**options: Any) -> Console:
    """Return the console for output to people. `options` are rich's. Without a terminal no line is folded, for grep."""
    made = _Terminal(highlight=False, **options)
    if not made.is_terminal and "COLUMNS" not in os.environ and "width" not in options:
        made.width = _PIPE_WIDTH
    return made


@contextmanager
def log_on_stderr() -> Iterator[None]:
    """Have what is logged meanwhile on standard error: standard output is for the result."""
    before = structlog.get_config()
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))
    try:
        yield
    finally:
        structlog.configure(**before)
