"""`strangler audit`: what was changed, by whom, when and why."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.markup import escape
from rich.table import Table

from strangler.cli._admin import NamedAdmin, admin_option
from strangler.cli._config import config_option
from strangler.cli._evidence import find_evidence
from strangler.cli._json import json_text
from strangler.cli._tables import table
from strangler.cli._terminal import console as terminal
from strangler.cli._times import Since
from strangler.core.documents import AuditDocument, AuditEntry
from strangler.core.plain import plain_line
from strangler.store.evidence.audits import DEFAULT_LIMIT, MAX_LIMIT, AuditFilters

_COLUMNS = ("when, UTC", "who", "what", "route", "why", "detail")


@click.command()
@click.option("--route", help="Only this route.")
@click.option("--since", type=Since(), help="Only entries since then: 30m, 2h or 2026-11-23.")
@click.option("--who", help="Only entries of this name.")
@click.option(
    "--limit",
    type=click.IntRange(1, MAX_LIMIT),
    default=DEFAULT_LIMIT,
    show_default=True,
    help="Most entries to show, newest first.",
)
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@config_option
@admin_option
def command(
    route: str | None,
    since: float | None,
    who: str | None,
    limit: int,
    as_json: bool,
    config: Path,
    admin: NamedAdmin | None,
) -> None:
    """Show every action that has changed something, newest first.

    The name is that of STRANGLER_USER, which a pipeline sets, else of the system's user. Entries are kept for 400 days,
    and at most 100,000 of them.
    """
    found = find_evidence(config, admin).audited(AuditFilters(route, since, who, limit))
    if as_json:
        click.echo(json_text(AuditDocument(found)))
        return
    console = terminal()
    if not found:
        console.print("nothing was changed" if (route, since, who) == (None, None, None) else "no such entries")
        return
    console.print(_table(found))
    if len(found) == limit:
        console.print(f"[dim]the newest {limit:,}; --limit shows more[/]")


def _table(entries: Iterable[AuditEntry]) -> Table:
    made = table(*_COLUMNS)
    made.columns[0].no_wrap = True
    for entry in entries:
        when = datetime.fromtimestamp(entry.at, UTC).strftime("%Y-%m-%d %H:%M:%S")
        made.add_row(when, *(escape(plain_line(getattr(entry, name))) for name in _COLUMNS[1:]))
    return made
