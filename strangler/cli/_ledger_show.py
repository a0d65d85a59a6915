"""`strangler ledger show`: all that the ledger knows of one endpoint."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from difflib import get_close_matches
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from strangler.cli._admin import NamedAdmin
from strangler.cli._config import failed
from strangler.cli._diffs_where import config_of, where_options
from strangler.cli._json import json_text
from strangler.cli._ledger_source import LedgerSource, find_ledger
from strangler.cli._ledger_table import STYLES, day_text, statuses_text, times_text
from strangler.cli._tables import table
from strangler.cli._terminal import console as terminal
from strangler.cli._terminal import plain
from strangler.core.documents import LedgerDay, LedgerEndpointDocument, LedgerRow
from strangler.core.plain import plain_line
from strangler.ledger.ledger_queries import Filters

_BARS = "▁▂▃▄▅▆▇█"
_PLAIN_BARS = "123456789"
"""For terminals without the blocks of Unicode."""
_NONE = "."
"""A day without calls."""
_LABEL = 11
MAX_DAYS = 92
_NARROWEST = 10
_NEAR = 5
"""The names that are suggested for one that is unknown."""


@click.command()
@click.argument("endpoint")
@where_options
@click.option("--json", "as_json", is_flag=True, help="Print all of it as JSON.")
@click.pass_context
def show(ctx: click.Context, endpoint: str, config: Path | None, admin: NamedAdmin | None, as_json: bool) -> None:
    """Show one endpoint: calls, callers, the next step.

    \b
    strangler ledger show 'GET /orders/{}'
    """
    ledger = find_ledger(config_of(ctx, config), admin)
    found = ledger.endpoint(endpoint)
    if found is None:
        raise unknown(ledger, endpoint)
    if as_json:
        click.echo(json_text(found))
        return
    print_endpoint(terminal(), found)


def unknown(ledger: LedgerSource, endpoint: str) -> SystemExit:
    """Return the error for an endpoint that the ledger does not have, with those whose names are near."""
    names = [row.endpoint for row in ledger.document(Filters(with_hidden=True)).rows]
    near = _near(names, endpoint)
    way_out = f"; did you mean {' or '.join(map(repr, near))}?" if near else "; `strangler ledger --all` lists them"
    return failed(plain(f"the ledger has no endpoint {endpoint!r}{way_out}"))


def _near(names: list[str], endpoint: str) -> list[str]:
    """Return names that are like one, those of the same path first."""
    path = endpoint.partition(" ")[2] or endpoint
    same = [name for name in names if name.partition(" ")[2] == path]
    return list(dict.fromkeys([*same, *get_close_matches(endpoint, names, _NEAR)]))[:_NEAR]


def print_endpoint(console: Console, found: LedgerEndpointDocument) -> None:
    """Print the endpoint for people."""
    row = found.row
    style = STYLES.get(row.state, "")
    state = f"[{style}]{row.state}[/]" if style else row.state
    console.print(f"[bold]{escape(plain_line(row.endpoint))}[/]: {state}", soft_wrap=True)
    for name, text in _facts(found):
        console.print(f"{name:<{_LABEL}}{escape(plain_line(text))}", soft_wrap=True)
    chart = chart_lines(
        found.days, datetime.now(UTC).date(), min(console.width, _LABEL + MAX_DAYS), has_blocks(console.encoding)
    )
    if chart:
        console.print()
    for line in chart:
        console.print(escape(line), soft_wrap=True)
    if found.months:
        sums = ", ".join(f"{month.day} {_calls(month):,}" for month in found.months)
        console.print(f"{'earlier':<{_LABEL}}{sums}", soft_wrap=True)
    if row.callers:
        console.print()
        console.print(_callers(row))
    console.print()
    console.print(f"[bold]next[/]: {escape(plain_line(found.next.text))}", soft_wrap=True)
    if found.next.command is not None:
        console.print(f"\n    {escape(plain_line(found.next.command))}", soft_wrap=True)
    if found.next.block is not None:
        console.print()
        for line in found.next.block.rstrip("\n").split("\n"):
            console.print(f"    {escape(plain(line))}", soft_wrap=True)


def _facts(found: LedgerEndpointDocument) -> Iterable[tuple[str, str]]:
    row, evidence = found.row, found.evidence
    yield "why", why(found)
    if row.route is not None:
        yield "route", row.route
    if row.owner is not None:
        yield "owner", row.owner
    yield "calls", _counts(row)
    if row.first_seen is not None:
        yield "seen", f"{day_text(row.first_seen)} to {day_text(row.last_seen)}; by legacy last {_last_legacy(row)}"
    if row.statuses:
        yield "statuses", statuses_text(row)
    if (row.p95_ms.legacy, row.p95_ms.candidate) != (None, None):
        yield "p95", f"{times_text(row.p95_ms)} ms (legacy / candidate)"
    if row.example:
        yield "example", row.example
    if evidence is not None:
        open_ones = f"{evidence.open_differences:,} open {_plural(evidence.open_differences, 'difference')}"
        yield "evidence", f"{evidence.pairs:,} pairs compared, {evidence.matches:,} match; {open_ones}"
    if found.folded:
        yield "folded", f"its values were words; `strangler ledger unfold` separates them: {', '.join(found.folded)}"
    if row.is_ignored:
        yield "ignored", "hidden, and counts for nothing; `strangler ledger ignore` again shows it"
    yield "source", _SOURCES.get(row.source, row.source)


_SOURCES = {
    "traffic": "first seen in traffic",
    "import": "first seen in an imported file",
    "route": "named by a route, before any call",
}


def _counts(row: LedgerRow) -> str:
    counts = [f"{row.calls.legacy:,} by legacy", f"{row.calls.candidate:,} by the candidate"]
    if row.calls.refused:
        counts.append(f"{row.calls.refused:,} refused, because it has ended")
    if row.probes:
        counts.append(f"{row.probes:,} probes")
    return ", ".join(counts)


def _last_legacy(row: LedgerRow) -> str:
    return "never" if row.last_legacy is None else day_text(row.last_legacy)


def why(found: LedgerEndpointDocument) -> str:
    """Return the reason for the state, and until when it must stay quiet."""
    row = found.row
    at = found.deletable_at
    until = "" if at is None else f"deletable on {at[:10]} if legacy is not called again"
    return {
        "legacy": f"legacy serves it; {until}" if not row.calls.legacy and until else "legacy serves it",
        "shadowed": "legacy serves it, and shadows go to the candidate",
        "splitting": f"the candidate serves a part of its callers; {until}" if until else "a part of its callers moved",
        "cut_over": f"the candidate serves its callers; {until}" if until else "it was never part of legacy",
        "quiet": f"nobody calls it; {until}" if until else "nobody calls it",
        "deletable": "legacy has not served it for as long as `ledger.quiet` asks, all of which was watched",
        "retired": "its route has ended it",
        "probed": "it was only ever refused (400, 401, 403, 404, 405 or a redirect): it may not exist",
    }.get(row.state, until)


def _callers(row: LedgerRow) -> Table:
    made = table("caller", "calls>", "of legacy>", "last by legacy")
    for caller in row.callers:
        name = "… (all others)" if caller.name == "…" else plain_line(caller.name)
        made.add_row(escape(name), f"{caller.calls:,}", f"{caller.legacy:,}", day_text(caller.last_legacy))
    return made


def has_blocks(encoding: str) -> bool:
    """Return True if a terminal of this encoding has the blocks of Unicode."""
    return encoding.lower().replace("-", "").startswith("utf")


def chart_lines(days: Sequence[LedgerDay], today: date, width: int, blocks: bool) -> list[str]:
    """Return the calls by day, one sign a day and one line an arm; the latest days, as many as there is room for."""
    if not days:
        return []
    room = max(_NARROWEST, min(width - _LABEL, MAX_DAYS))
    last = date.fromisoformat(days[-1].day)
    if today > last and (today - last).days < room:
        last = today  # the days without a call are what matters
    first = max(date.fromisoformat(days[0].day), last - timedelta(days=room - 1))
    by_day = {each.day: each for each in days}
    of_days = [by_day.get((first + timedelta(days=at)).isoformat()) for at in range((last - first).days + 1)]
    arms = [("legacy", [0 if day is None else day.legacy for day in of_days])]
    candidate = [0 if day is None else day.candidate for day in of_days]
    if any(candidate):
        arms.append(("candidate", candidate))
    most = max(max(counts) for _, counts in arms)
    if not most:
        return []
    title = f"calls by day (UTC), {first.isoformat()} to {last.isoformat()}; the highest is {most:,}"
    bars = ((name, "".join(_sign(count, most, blocks) for count in counts)) for name, counts in arms)
    return [title, *(f"{name:<{_LABEL}}{signs}" for name, signs in bars)]


def _sign(count: int, most: int, blocks: bool) -> str:
    bars = _BARS if blocks else _PLAIN_BARS
    return bars[min(len(bars) - 1, len(bars) * count // most)] if count else _NONE


def _calls(day: LedgerDay) -> int:
    return day.legacy + day.candidate


def _plural(number: int, noun: str) -> str:
    return noun if number == 1 else f"{noun}s"
