"""`strangler diffs`: the inbox of differences that shadows and replays have found."""

import time
from collections.abc import Callable
from pathlib import Path

import click
import msgspec
from rich.markup import escape

from strangler.cli import _inbox
from strangler.cli._admin import NamedAdmin
from strangler.cli._config import route_of, settings_of
from strangler.cli._diffs_review import accept, fixed, known, propose
from strangler.cli._diffs_show import show
from strangler.cli._diffs_where import config_of, evidence_of, where_options
from strangler.cli._evidence import known_release, release_option
from strangler.cli._json import json_text
from strangler.cli._tables import stopped
from strangler.cli._terminal import console as terminal
from strangler.cli._terminal import plain
from strangler.cli._times import Since
from strangler.core.compare import Severity
from strangler.core.documents import InboxDocument, SignatureRow
from strangler.core.source import SOURCES, Source
from strangler.store.evidence.hints import order_hints
from strangler.store.evidence.reading import Filters
from strangler.store.evidence.writing import STATES

_FOLLOW_EVERY_S = 1.0
_MOST_ROWS = 200


@click.group(invoke_without_command=True)
@where_options
@click.option("--route", help="Only this route.")
@click.option("--severity", type=click.Choice([str(severity) for severity in Severity]), help="Only this severity.")
@click.option("--endpoint", help="Only this endpoint, as it is named here: 'GET /api/orders/{}'.")
@click.option("--state", type=click.Choice(STATES), help="Only this state.")
@click.option("--source", type=click.Choice(SOURCES), help="Only those that shadows (live) or replays have shown.")
@click.option("--noise", "is_noise", is_flag=True, help="Only those where legacy differs from itself.")
@click.option("--since", type=Since(), help="Only those seen since then: 30m, 2h or 2026-11-23.")
@click.option(
    "--limit", type=click.IntRange(0), help="Rows of the table; 0: all.  [default: 200 on a terminal, else 0]"
)
@release_option
@click.option("--json", "as_json", is_flag=True, help="Print all of it as JSON.")
@click.option("--follow", is_flag=True, help="Keep running, and print what is seen from now on.")
@click.pass_context
def command(
    ctx: click.Context,
    config: Path | None,
    admin: NamedAdmin | None,
    route: str | None,
    severity: str | None,
    state: str | None,
    since: float | None,
    endpoint: str | None,
    source: Source | None,
    is_noise: bool,
    limit: int | None,
    release: str | None,
    as_json: bool,
    follow: bool,
) -> None:
    """Show and review the differences that were found.

    Most severe first. Each row is one difference: a route, an endpoint, a place in the response, a kind. It stays
    until its cause is gone or somebody accepts it.
    """
    if ctx.invoked_subcommand is not None:
        return
    evidence = evidence_of(ctx, config, admin)
    filters = Filters(route, severity, state, since, release, source)
    known_release(evidence, route, release)

    def inbox() -> InboxDocument:
        found = evidence.inbox(filters)
        rows = [row for row in found.signatures if endpoint in (None, row.endpoint)]
        rows = [row for row in rows if row.is_noise or not is_noise]
        hints = [text for text in found.hints if endpoint is None or text.startswith(f"{endpoint}: ")]
        return msgspec.structs.replace(found, signatures=rows, hints=hints)

    if follow:
        _follow(lambda: inbox().signatures, as_json)
        return
    found = inbox()
    if as_json:
        click.echo(json_text(found))
        return
    console = terminal()
    rows = found.signatures
    if rows:
        most = limit if limit is not None else _MOST_ROWS if console.is_terminal else 0
        console.print(_inbox.table(rows[:most] if most else rows, console.width))
        if most and len(rows) > most:
            console.print(f"[dim]{len(rows) - most:,} more: narrow it down, or --limit 0[/]")
    else:
        _knows(route, config_of(ctx, config))
        is_all = filters == Filters() and endpoint is None and not is_noise
        console.print("no differences" if is_all else "no such differences")
    for text in [*(hint.text for hint in order_hints(rows)), *found.hints]:
        console.print(f"[cyan]hint[/]: {escape(text)}", soft_wrap=True)
    for note in _notes(found):
        console.print(note, soft_wrap=True)


def _knows(route: str | None, config: Path) -> None:
    """End the program if routes.yaml has no such route."""
    if route is not None:
        route_of(config, settings_of(config), route)


def _notes(found: InboxDocument) -> list[str]:
    """Return what else a reviewer should know."""
    notes = [stopped(name, why) for name, why in found.stops.items()]
    for name, report in found.rules.items():
        for rule in report.rules:
            about = f"route '{escape(name)}': accept rule {escape(rule.rule)}"
            if rule.is_expired:
                notes.append(f"[yellow]{about} has expired[/] and no longer counts")
            elif rule.is_dead:
                notes.append(f"[yellow]{about} matched nothing[/] in {report.comparisons:,} comparisons")
    return notes


def _follow(rows: Callable[[], list[SignatureRow]], as_json: bool) -> None:
    counts = {row.id: row.count for row in rows()}
    try:
        while True:
            time.sleep(_FOLLOW_EVERY_S)
            for row in rows():
                before = counts.get(row.id, 0)
                if row.count != before:
                    click.echo(json_text(row) if as_json else plain(_inbox.follow_line(row, before)))
                counts[row.id] = row.count
    except KeyboardInterrupt:
        return


for subcommand in (show, accept, known, fixed, propose):
    command.add_command(subcommand)
