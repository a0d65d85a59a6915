"""`strangler ledger`: the endpoints of legacy, who still calls them, and what may be deleted."""

from pathlib import Path

import click
import msgspec

from strangler.cli._admin import NamedAdmin
from strangler.cli._diffs_where import config_of, where_options
from strangler.cli._json import json_text
from strangler.cli._ledger_actions import fold, ignore, own, unfold
from strangler.cli._ledger_compare import compare
from strangler.cli._ledger_import import import_files
from strangler.cli._ledger_show import show
from strangler.cli._ledger_source import find_ledger
from strangler.cli._ledger_table import STYLES, csv_text, notices, rows_table
from strangler.cli._terminal import console as terminal
from strangler.cli._times import SinceDay
from strangler.core.documents import LedgerDocument
from strangler.ledger.ledger_queries import SORTS, Filters

_MOST_ROWS = 50


@click.group(invoke_without_command=True)
@where_options
@click.option("--state", "states", multiple=True, type=click.Choice(list(STYLES)), help="Only this state; repeatable.")
@click.option("--route", help="Only endpoints that this route serves.")
@click.option("--text", default="", help="Only those with this text in endpoint, owner or caller.")
@click.option("--since", type=SinceDay(), help="Count only calls since then: 30d or 2027-02-01.")
@click.option("--sort", type=click.Choice(SORTS), default="calls", show_default=True, help="The order of the rows.")
@click.option("--limit", type=click.IntRange(0), help="The most rows; 0: all.  [default: 50 on a terminal, else 0]")
@click.option("--all", "with_hidden", is_flag=True, help="Also what was only probed, and what is ignored.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@click.option("--csv", "as_csv", is_flag=True, help="Print the rows as CSV.")
@click.pass_context
def command(
    ctx: click.Context,
    config: Path | None,
    admin: NamedAdmin | None,
    states: tuple[str, ...],
    route: str | None,
    text: str,
    since: str | None,
    sort: str,
    limit: int | None,
    with_hidden: bool,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Show what legacy serves, and what may be deleted.

    Endpoints are learned from all traffic, and from what `ledger import` reads. Without a subcommand: one row for each.

    \b
    strangler ledger --state deletable
    strangler ledger show 'GET /orders/{}'
    """
    if ctx.invoked_subcommand is not None:
        return
    if as_json and as_csv:
        raise click.UsageError("--json and --csv exclude each other")
    file = config_of(ctx, config)
    filters = Filters(frozenset(states), route, since, text, sort, with_hidden)
    found = find_ledger(file, admin).document(filters)
    if as_json or as_csv:
        rows = found.rows[:limit] if limit else found.rows
        click.echo(json_text(msgspec.structs.replace(found, rows=rows)) if as_json else csv_text(rows), nl=as_json)
        return
    _print(found, filters, limit)


def _print(found: LedgerDocument, filters: Filters, limit: int | None) -> None:
    console = terminal()
    for line in notices(found):
        console.print(line, soft_wrap=True)
    rows = found.rows
    if not rows:
        is_all = filters == Filters(sort=filters.sort, since=filters.since)
        console.print(_NOTHING if is_all else "no such endpoints", soft_wrap=True)
        return
    most = limit if limit is not None else _MOST_ROWS if console.is_terminal else 0
    console.print()
    console.print(rows_table(rows[:most] if most else rows, console.width))
    if most and len(rows) > most:
        console.print(f"[dim]{len(rows) - most:,} more: narrow it down, or --limit 0[/]")


_NOTHING = "no endpoints yet: `strangler serve` learns them from traffic, `strangler ledger import` from files"

for subcommand in (show, import_files, fold, unfold, ignore, own, compare):
    command.add_command(subcommand)
