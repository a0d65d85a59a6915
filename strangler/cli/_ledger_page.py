"""The ledger in the report: how far the migration is, and the endpoints by state."""

from collections.abc import Sequence
from html import escape

from strangler.core.documents import LedgerCaller, LedgerDocument, LedgerRow
from strangler.core.gate import cut_percent
from strangler.core.ledger_text import STATES, meaning_of, quiet_text, state_title
from strangler.core.plain import plain_line
from strangler.ledger.ledger_queries import SHARE_DAYS

_FIRST = ("deletable", "quiet")
"""States in which something can be done, before the others."""


def ledger_section(ledger: LedgerDocument | None) -> str:
    """Return the section, empty without a ledger. Everything that came from outside is escaped."""
    if ledger is None:
        return ""
    quiet = quiet_text(ledger.quiet_s)
    parts = [
        "<section id=ledger><h2>Ledger: what legacy still serves</h2>",
        f"<p><b>{cut_percent(ledger.share):g} %</b> of the requests of the last {SHARE_DAYS} days were served by"
        f" candidates. {_watched(ledger)}</p>",
        _states(ledger, quiet),
    ]
    ordered = [*_FIRST, *(state for state in STATES if state not in _FIRST)]
    parts += [_endpoints(state, ledger) for state in ordered]
    return "\n".join([*parts, "</section>"])


def _watched(ledger: LedgerDocument) -> str:
    if ledger.watched_since is None:
        return "No call has been watched yet."
    text = f"Calls are watched since {_time(ledger.watched_since)} UTC, {ledger.watched_s / 86400:.1f} days in all."
    return text + (f" {ledger.left_out:,} calls had no room for a row." if ledger.left_out else "")


def _states(ledger: LedgerDocument, quiet: str) -> str:
    rows = "".join(
        f"<tr><td>{state_title(state)}</td><td class=number>{ledger.states.get(state, 0):,}</td>"
        f"<td>{escape(meaning_of(state, quiet))}</td></tr>"
        for state in STATES
    )
    return (
        "<table><thead><tr><th>state</th><th class=number>endpoints</th><th>meaning</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>"
    )


def _endpoints(state: str, ledger: LedgerDocument) -> str:
    rows = [row for row in ledger.rows if row.state == state]
    if not rows:
        return ""
    total = max(len(rows), ledger.states.get(state, 0))
    bound = f", the {len(rows):,} most called" if len(rows) < total else ""
    return (
        f"<h3>{state_title(state).capitalize()}: {total:,}{bound}</h3><div class=wide><table><thead><tr>"
        "<th>endpoint</th><th>route</th><th>owner</th><th class=number>legacy</th><th class=number>candidate</th>"
        "<th>last at legacy</th><th>who still calls legacy</th></tr></thead>"
        f"<tbody>{''.join(map(_row, rows))}</tbody></table></div>"
    )


def _row(row: LedgerRow) -> str:
    return (
        f"<tr><td><code>{_text(row.endpoint)}</code></td><td>{_text(row.route or '')}</td>"
        f"<td>{_text(row.owner or '')}</td>"
        f"<td class=number>{row.calls.legacy:,}</td><td class=number>{row.calls.candidate:,}</td>"
        f"<td>{_time(row.last_legacy)}</td><td>{_callers(row.callers)}</td></tr>"
    )


def _callers(callers: Sequence[LedgerCaller]) -> str:
    return ", ".join(f"{_text(caller.name)} <span class=dim>{_time(caller.last_legacy)}</span>" for caller in callers)


def _text(text: str) -> str:
    line = plain_line(text)
    return escape(line if len(line) <= 200 else f"{line[:199]}…")


def _time(time: str | None) -> str:
    return "-" if time is None else time[:16].replace("T", " ")
