"""`--watch`: a document of the proxy on one screen, redrawn in place."""

import json
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Generic, Protocol, TypeVar

import click
import msgspec
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.text import Text

from strangler.cli._admin import Admin
from strangler.cli._json import json_text

_Found = TypeVar("_Found")


class Screen(Protocol[_Found]):
    """The document that is watched, and how it is drawn."""

    def ask(self, admin: Admin) -> _Found:
        """Read the document. Raises click.ClickException."""

    def document(self, found: _Found) -> msgspec.Struct | None:
        """Return what `--json` prints."""

    def draw(self, found: _Found, width: int, height: int, absence: Text | None) -> list[RenderableType]:
        """Return what is drawn. `absence`: the text about a proxy that is away, which comes first."""


class _Watched(Generic[_Found]):
    """The last document that was read, and since when none could be."""

    def __init__(self, find: Callable[[], Admin], screen: Screen[_Found]) -> None:
        self._find = find
        self._screen = screen
        self._admin: Admin | None = None
        self._found: _Found | None = None
        self._away: str | None = None
        """The reason why the proxy cannot be read; None if it can."""
        self._seen = datetime.now()

    def look(self) -> None:
        """Read the document once. A proxy that is away is looked up again: it may come back at another address."""
        try:
            self._admin = self._admin or self._find()
            self._found = self._screen.ask(self._admin)
        except click.ClickException as error:
            self._away = error.message
            self._admin = None
        else:
            self._away = None
            self._seen = datetime.now()

    def drawn(self, width: int, height: int) -> RenderableType:
        clock = Text.from_markup(f"[dim]{datetime.now():%H:%M:%S}  Ctrl-C ends[/]")
        absence = None if self._away is None else self._absence(self._away)
        if self._found is None:
            return Group(absence or Text(), clock)
        return Group(*self._screen.draw(self._found, width, height, absence), Text(), clock)

    def line(self) -> str:
        """Return the document as JSON, or why there is none, on one line."""
        if self._found is None or self._away is not None:
            return json.dumps({"away": self._away}, ensure_ascii=False)
        return json_text(self._screen.document(self._found))

    def _absence(self, why: str) -> Text:
        return Text.from_markup(
            f"[bold red]away[/] since {self._seen:%H:%M:%S}: {escape(why)}\n"
            "The figures below are the last ones seen; this goes on when the proxy is back."
        )


def watch(
    console: Console, find: Callable[[], Admin], screen: Screen[_Found], interval_s: float, *, as_json: bool
) -> None:
    """Print a document again and again until Ctrl-C or SIGTERM: in place on a terminal, else one after the other."""
    watched = _Watched(find, screen)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the terminal is restored
    with suppress(KeyboardInterrupt):
        if as_json or not console.is_terminal:
            _print_on(console, watched, interval_s, as_json=as_json)
        with Live(console=console, screen=True, auto_refresh=False) as live:
            while True:
                watched.look()
                live.update(watched.drawn(console.width, console.height), refresh=True)
                time.sleep(interval_s)


def _print_on(console: Console, watched: _Watched[_Found], interval_s: float, *, as_json: bool) -> None:
    while True:
        watched.look()
        if as_json:
            click.echo(watched.line())
        else:
            console.print(watched.drawn(console.width, console.height))
        time.sleep(interval_s)
