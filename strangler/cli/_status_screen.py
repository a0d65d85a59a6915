"""`strangler status --watch`: the state of the proxy on one screen."""

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from strangler.cli._admin import Admin
from strangler.cli._tables import candidate, nodes, notices, percent, table, upstreams
from strangler.core.documents import RecentFigures, RouteStatus, StatusDocument

_ERRORS_ARE_BAD = 0.01
_OTHER_LINES = 6
"""Lines of the screen that blank lines and table headers take."""


class StatusScreen:
    """The watched document is the status, and the routes get the lines that are left."""

    def ask(self, admin: Admin) -> StatusDocument:
        return admin.ask("GET", "/api/status", StatusDocument)

    def document(self, found: StatusDocument) -> StatusDocument:
        return found

    def draw(self, found: StatusDocument, width: int, height: int, absence: Text | None) -> list[RenderableType]:
        head = [Text.from_markup(line) for line in notices(found)] if absence is None else [absence]
        lower = upstreams(found.upstreams)
        fleet = nodes(found.nodes)
        used = lower.row_count + (fleet.row_count + 2 if len(found.nodes) > 1 else 0)
        room = height - sum(line.plain.count("\n") + 1 for line in head) - used - _OTHER_LINES
        others: list[RenderableType] = [Text(), fleet] if len(found.nodes) > 1 else []
        return [*head, *others, Text(), *_live_routes(found, max(3, room)), Text(), lower]


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
