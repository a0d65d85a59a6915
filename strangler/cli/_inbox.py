"""The inbox as a table: one row for each signature."""

from collections.abc import Iterable
from datetime import UTC, datetime

from rich.markup import escape
from rich.table import Table

from strangler.core.documents import ComparedDifference, SignatureRow
from strangler.core.source import LIVE, REPLAY
from strangler.store.evidence.side_by_side import value_text

SEVERITY_STYLES = {"breaking": "bold red", "risky": "yellow", "additive": "cyan", "value": "blue"}
STATE_STYLES = {"new": "bold", "regressed": "bold red", "known": "", "accepted": "dim", "fixed": "dim"}
SHORT_ID = 8
_ROOM_FOR_ALL = 130
"""The columns of a terminal that shows all columns of the table."""


def table(rows: Iterable[SignatureRow], width: int) -> Table:
    """Return the rows as a table. On a narrow terminal a row has its place below its endpoint, and no times."""
    is_narrow = width < _ROOM_FOR_ALL
    made = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("id", "severity", "state"):
        made.add_column(name, no_wrap=True)
    for name in ("route", "endpoint, where") if is_narrow else ("route", "endpoint", "where", "kind"):
        made.add_column(name, overflow="fold")
    made.add_column("count", justify="right", no_wrap=True)
    made.add_column("share", justify="right", no_wrap=True)
    if not is_narrow:
        for name in ("first seen", "last seen", "owner"):
            made.add_column(name, overflow="fold")
    for row in rows:
        made.add_row(*(_few_cells(row) if is_narrow else _cells(row)))
    return made


def _cells(row: SignatureRow) -> tuple[str, ...]:
    return (
        *_named(row),
        escape(row.endpoint),
        escape(where(row)),
        row.kind,
        *_figures(row),
        moment(row.first_seen),
        moment(row.last_seen),
        escape(row.owner or ""),
    )


def _few_cells(row: SignatureRow) -> tuple[str, ...]:
    return (*_named(row), f"{escape(row.endpoint)}\n{escape(where(row))} {row.kind}", *_figures(row))


def _named(row: SignatureRow) -> tuple[str, str, str, str]:
    severity, state = row.severity, row.state
    style = STATE_STYLES.get(state, "")
    return (
        row.id[:SHORT_ID],
        f"[{SEVERITY_STYLES[severity]}]{severity}[/]",
        (f"[{style}]{state}[/]" if style else state)
        + (" [dim](noise)[/]" if row.is_noise else "")
        + (" [dim](replay)[/]" if is_replayed_only(row) else ""),
        escape(row.route),
    )


def _figures(row: SignatureRow) -> tuple[str, str]:
    return f"{row.count:,}", share(row.share)


def is_replayed_only(row: SignatureRow) -> bool:
    """Return whether only replays have shown a difference."""
    return REPLAY in row.sources and LIVE not in row.sources


def by_source(row: SignatureRow) -> str:
    """Return `12 live, 3 replay`; empty if only shadows have shown it."""
    return ", ".join(f"{count:,} {source}" for source, count in row.sources.items()) if REPLAY in row.sources else ""


def where(row: SignatureRow | ComparedDifference) -> str:
    """Return `$.items[*].price`, `header location` or `status`."""
    if row.in_ == "status":
        return "status"
    return f"header {row.path}" if row.in_ == "header" else str(row.path)


def share(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.1%}" if value >= 0.001 else f"{value:.3%}"


def moment(at: float) -> str:
    """Return a time in UTC as `11-23 08:00:12`."""
    return datetime.fromtimestamp(at, UTC).strftime("%m-%d %H:%M:%S")


def follow_line(row: SignatureRow, before: int) -> str:
    """Return one line for `--follow`: how often it was seen since the last line, and an example."""
    values = f"{_short(value_text(row, 'legacy'))} → {_short(value_text(row, 'candidate'))}"
    return (
        f"{moment(row.last_seen)}  +{row.count - before:<4} {row.id[:SHORT_ID]}  {row.severity:<8} "
        f"{row.state:<9} {row.route}  {row.endpoint}  {where(row)} {row.kind}  {values}"
    )


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"
