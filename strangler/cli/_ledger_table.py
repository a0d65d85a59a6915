"""The rows of the ledger as a table for people, and as CSV for spreadsheets."""

import csv
import io
from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from strangler.cli._tables import table
from strangler.core.documents import LedgerDocument, LedgerRow, LedgerTimes
from strangler.core.plain import plain_line

STYLES = {
    "legacy": "",
    "shadowed": "cyan",
    "splitting": "cyan",
    "cut_over": "green",
    "quiet": "yellow",
    "deletable": "bold green",
    "retired": "dim",
    "probed": "dim",
}
"""How each state is shown, in the order in which an endpoint has them."""
_TOP = 2
"""The callers that are named."""
_WIDE = 150
_MEDIUM = 100
"""The columns of a terminal that have room for all figures, and for most of them."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""The signs that make a spreadsheet take a cell for a formula."""
_STATUSES = ("2xx", "3xx", "4xx", "5xx", "other")
_CSV_TITLES = (
    *("endpoint", "method", "path", "state", "route", "legacy", "candidate", "refused", *_STATUSES, "probes"),
    *("first_seen", "last_seen", "last_legacy", "callers", "p95_legacy_ms", "p95_candidate_ms", "example", "source"),
    *("owner", "is_ignored"),
)


def notices(document: LedgerDocument) -> list[str]:
    """Return lines of markup: how far the migration is, and what the figures rest on."""
    states = {name: document.states.get(name, 0) for name in STYLES}
    hidden = states.pop("probed")
    found = ", ".join(f"{count:,} {name}" for name, count in states.items() if count)
    total = sum(states.values())
    lines = [
        f"[bold]candidates serve {share_text(document.share)} of the requests[/] (last 7 days)",
        f"{total:,} {'endpoint' if total == 1 else 'endpoints'}" + (f": {found}" if found else ""),
    ]
    if hidden:
        lines[1] += f"; {hidden:,} more {'was' if hidden == 1 else 'were'} only probed (--all)"
    if document.watched_since is not None:
        lines.append(f"watched since {document.watched_since[:10]}, for {days_text(document.watched_s)} of that time")
    if document.since is not None:
        lines.append(f"calls are those since {document.since[:10]}")
    if document.left_out:
        lines.append(f"[yellow]{document.left_out:,} calls[/] count under …: no row had room for their endpoints")
    if document.sampled:
        lines.append(f"[yellow]{document.sampled:,} calls[/] are an estimate: there were too many at a time")
    return lines


def share_text(share: float) -> str:
    """Return a share as a percentage that is never rounded to none or to all."""
    percent = 100 * share
    if 0 < percent < 0.1:
        return "<0.1 %"
    if 99.9 < percent < 100:
        return ">99.9 %"
    return f"{percent:.3g} %"


def days_text(seconds: float) -> str:
    """Return a time in days, or in hours where that says more."""
    days = seconds / 86_400
    if days < 2:
        return f"{seconds / 3600:.1f} hours"
    return f"{days:.1f} days" if days < 10 else f"{days:.0f} days"


def rows_table(rows: Sequence[LedgerRow], width: int) -> Table:
    """Return the table; a narrow terminal has fewer columns."""
    has_route, has_owner = any(row.route for row in rows), any(row.owner for row in rows)
    has_refused = any(row.calls.refused for row in rows)
    is_medium, is_wide = width >= _MEDIUM, width >= _WIDE
    made = table(
        "endpoint",
        "state",
        *(("route",) if has_route else ()),
        *(("owner",) if has_owner else ()),
        "legacy>",
        "candidate>",
        *(("refused>",) if has_refused else ()),
        *(("statuses",) if is_wide else ()),
        *(("callers",) if is_medium else ()),
        *(("last seen",) if is_medium else ()),
        "last legacy",
        *(("p95 ms>",) if is_wide else ()),
    )
    for row in rows:
        made.add_row(
            escape(plain_line(row.endpoint)) + (" [dim](ignored)[/]" if row.is_ignored else ""),
            state_text(row.state),
            *((escape(row.route or ""),) if has_route else ()),
            *((escape(plain_line(row.owner or "")),) if has_owner else ()),
            f"{row.calls.legacy:,}",
            f"{row.calls.candidate:,}",
            *((f"{row.calls.refused:,}",) if has_refused else ()),
            *((statuses_text(row),) if is_wide else ()),
            *((escape(plain_line(callers_text(row))),) if is_medium else ()),
            *((day_text(row.last_seen),) if is_medium else ()),
            day_text(row.last_legacy),
            *((times_text(row.p95_ms),) if is_wide else ()),
        )
    return made


def state_text(state: str) -> str:
    style = STYLES.get(state, "")
    return f"[{style}]{state}[/]" if style else state


def statuses_text(row: LedgerRow) -> str:
    """Return `2xx`, or the share of each class where there are several."""
    total = sum(row.statuses.values())
    if len(row.statuses) < 2:
        return "".join(row.statuses)
    return ", ".join(f"{name} {share_text(calls / total)}" for name, calls in sorted(row.statuses.items()) if calls)


def callers_text(row: LedgerRow) -> str:
    """Return the callers that call most, and how many more there are."""
    names = ", ".join(caller.name for caller in row.callers[:_TOP])
    more = len(row.callers) - _TOP
    return f"{names} and {more} more" if more > 0 else names


def day_text(at: str | None) -> str:
    return "-" if at is None else at[:10]


def times_text(times: LedgerTimes) -> str:
    """Return `120 / 85`: the times of legacy and of the candidate."""
    if times.legacy is None and times.candidate is None:
        return "-"
    return " / ".join("-" if value is None else f"{value:,.0f}" for value in (times.legacy, times.candidate))


def csv_text(rows: Sequence[LedgerRow]) -> str:
    """Return a line for each row, below the titles. No cell is a formula, whatever was called."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(_CSV_TITLES)
    for row in rows:
        writer.writerow([_cell(value) for value in _cells(row)])
    return written.getvalue()


def _cells(row: LedgerRow) -> list[str | int | float | None]:
    return [
        *(row.endpoint, row.method, row.path, row.state, row.route),
        *(row.calls.legacy, row.calls.candidate, row.calls.refused),
        *(row.statuses.get(name, 0) for name in _STATUSES),
        *(row.probes, row.first_seen, row.last_seen, row.last_legacy),
        "; ".join(f"{caller.name}: {caller.calls}" for caller in row.callers),
        *(row.p95_ms.legacy, row.p95_ms.candidate, row.example, row.source, row.owner),
        "yes" if row.is_ignored else "no",
    ]


def _cell(value: str | int | float | None) -> str | int | float:
    if not isinstance(value, str):
        return "" if value is None else value
    text = plain_line(value)
    return f"'{text}" if value.startswith(_FORMULA) else text
