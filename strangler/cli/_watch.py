"""`strangler status --watch`: the state of the proxy on one screen, redrawn in place."""

import json
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from strangler.cli._admin import Admin
from strangler.cli._json import json_text
from strangler.cli._tables import candidate, notices, percent, table, upstreams
from strangler.core.documents import RecentFigures, RouteStatus, StatusDocument

_ERRORS_ARE_BAD = 0.01
_OTHER_LINES = 6
"""Lines of the screen that blank lines and table headers take."""


class _Screen:
    """The last status that was read, and since when none could be."""

    def __init__(self, find: Callable[[], Admin]) -> None:
        self._find = find
        self._admin: Admin | None = None
        self.status: StatusDocument | None = None
        self.away: str | None = None
        """The reason why the proxy cannot be read; None if it can."""
        self._seen = datetime.now()

    def look(self) -> None:
        """Read the status once. A proxy that is away is looked up again: it may come back at another address."""
        try:
            self._admin = self._admin or self._find()
            self.status = self._admin.ask("GET", "/api/status", StatusDocument)
        except click.ClickException as error:
            self.away = error.message
            self._admin = None
        else:
            self.away = None
            self._seen = datetime.now()

    def drawn(self, height: int) -> RenderableType:
        clock = Text.from_markup(f"[dim]{datetime.now():%H:%M:%S}  Ctrl-C ends[/]")
        if self.status is None:
            return Group(self._absence(), clock)
        head = [Text.from_markup(line) for line in notices(self.status)]
        if self.away is not None:
            head = [self._absence()]
        lower = upstreams(self.status.upstreams)
        room = height - sum(line.plain.count("\n") + 1 for line in head) - lower.row_count - _OTHER_LINES
        return Group(*head, Text(), *_live_routes(self.status, max(3, room)), Text(), lower, Text(), clock)

    def _absence(self) -> Text:
        return Text.from_markup(
            f"[bold red]away[/] since {self._seen:%H:%M:%S}: {escape(self.away or '')}\n"
            "The figures below are the last ones seen; this goes on when the proxy is back."
        )


def watch(console: Console, find: Callable[[], Admin], interval_s: float, *, as_json: bool) -> None:
    """Print the report again and again until Ctrl-C or SIGTERM: in place on a terminal, else one after the other."""
    screen = _Screen(find)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the terminal is restored
    with suppress(KeyboardInterrupt):
        if as_json or not console.is_terminal:
            _print_on(console, screen, interval_s, as_json=as_json)
        with Live(console=console, screen=True, auto_refresh=False) as live:
            while True:
                screen.look()
                live.update(screen.drawn(console.height), refresh=True)
                time.sleep(interval_s)


def _print_on(console: Console, screen: _Screen, interval_s: float, *, as_json: bool) -> None:
    while True:
        screen.look()
        if not as_json:
            console.print(screen.drawn(console.height))
        elif screen.away is None:
            click.echo(json_text(screen.status))
        else:
            click.echo(json.dumps({"away": screen.away}, ensure_ascii=False))
        time.sleep(interval_s)


def _live_routes(status: StatusDocument, room: int) -> list[RenderableType]:
    """Return the routes with their current figures; if the screen cannot hold all, those with most requests."""
    routes = status.routes
    visible = routes if len(routes) <= room else sorted(routes, key=_rate, reverse=True)[:room]
    made = table("route", "candidate", "percent>", "share>", *_ARM_COLUMNS, *_ARM_COLUMNS)
    for column, arm in ((4, "legacy"), (7, "candidate")):
        made.columns[column].header = f"{arm}\nreq/s"
    for route in visible:
        _add(made, route)
    made.add_row("[dim]no route[/]", "", "", "", *_figures(status.unrouted.recent.legacy))
    more = [Text(f"{len(routes) - len(visible)} more with fewer requests")] if len(visible) < len(routes) else []
    return [made, *more]


_ARM_COLUMNS = ("req/s>", "5xx>", "p95>")


def _rate(route: RouteStatus) -> float:
    return route.recent.legacy.rate + route.recent.candidate.rate


def _add(made: Table, route: RouteStatus) -> None:
    recent, total = route.recent, _rate(route)
    made.add_row(
        escape(route.name),
        candidate(route),
        percent(route),
        f"{100 * recent.candidate.rate / total:.1f}%" if total else "[dim]-[/]",
        *_figures(recent.legacy),
        *_figures(recent.candidate),
    )


def _figures(recent: RecentFigures) -> tuple[str, str, str]:
    """Return the requests per second, and the share of 5xx and the 95th percentile of the last minute."""
    errors, p95_ms = recent.errors, recent.p95_ms
    share = "[dim]-[/]" if errors is None else f"{100 * errors:.1f}%"
    if errors is not None and errors >= _ERRORS_ARE_BAD:
        share = f"[bold red]{share}[/]"
    return f"{recent.rate:,.1f}", share, "[dim]-[/]" if p95_ms is None else f"{p95_ms:,.0f} ms"
