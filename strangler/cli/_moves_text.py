"""The moves of a new routes.yaml as a table for a terminal, and as Markdown for a pull request."""

import re
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.markup import escape

from strangler.cli._moves_document import figure
from strangler.cli._tables import table
from strangler.core.documents.moves import CallerCalls, ChangeDocument, MovesDocument
from strangler.core.plain import plain

_TOP = 3
"""The callers that are named."""
_MEANINGFUL = re.compile(r"[\\`*_{}\[\]<>#!|~&@$]")


def print_text(console: Console, document: MovesDocument, limit: int) -> None:
    """Print the summary, the table, and what it rests on. `limit`: the most rows; 0: all."""
    first, *notes = document.notes
    console.print(f"[bold]{escape(first)}[/]", soft_wrap=True)
    rows = _rows(document, limit)
    if rows:
        has_reasons = any(change.why for change in rows)
        title = "calls>" if document.days is None else "calls a day>"
        made = table("endpoint", "route", "from", "to", title, "callers", *(("also",) if has_reasons else ()))
        for change in rows:
            made.add_row(*map(escape, _cells(change, has_reasons)))
        console.print()
        console.print(made)
        console.print()
    for note in [*_left_out(document, rows), *notes]:
        console.print(f"- {escape(note)}", soft_wrap=True)


def markdown(document: MovesDocument, limit: int) -> str:
    """Return the same as Markdown. Nothing of the log can make a link, a mention or a tag."""
    first, *notes = document.notes
    lines = [f"**{escaped(first)}**", ""]
    rows = _rows(document, limit)
    if rows:
        has_reasons = any(change.why for change in rows)
        calls = "calls" if document.days is None else "calls a day"
        titles = ["endpoint", "route", "from", "to", calls, "callers", *(["also"] if has_reasons else [])]
        lines += [_row(titles), "|---|---|---|---|---:|---|" + ("---|" if has_reasons else "")]
        lines += [_markdown_row(change, has_reasons) for change in rows]
        lines.append("")
    lines += [f"- {escaped(note)}" for note in [*_left_out(document, rows), *notes]]
    return "\n".join(lines)


def escaped(text: str) -> str:
    """Return a text with the characters that mean something in Markdown as references, which no dialect reads."""
    return _MEANINGFUL.sub(lambda found: f"&#{ord(found[0])};", plain(text).replace("\n", " "))


def _markdown_row(change: ChangeDocument, has_reasons: bool) -> str:
    endpoint, route, before, after, calls, _, *also = _cells(change, has_reasons)
    callers = _callers(change.callers, _code)
    return _row([_code(endpoint), _code(route), escaped(before), escaped(after), calls, callers, *map(escaped, also)])


def _code(text: str) -> str:
    """Return a text as code, in which nothing but the end of the cell and of the code has a meaning."""
    return f"`{plain(text).replace('`', chr(39)).replace('|', chr(92) + '|')}`"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _rows(document: MovesDocument, limit: int) -> list[ChangeDocument]:
    return document.changes[:limit] if limit else document.changes


def _left_out(document: MovesDocument, rows: list[ChangeDocument]) -> list[str]:
    left = len(document.changes) - len(rows)
    return [f"{left:,} more rows are left out; --limit 0 shows all"] if left else []


def _cells(change: ChangeDocument, has_reasons: bool) -> list[str]:
    calls = change.affected_calls if change.calls_per_day is None else change.calls_per_day
    also = ["; ".join(change.why)] if has_reasons else []
    return [
        change.endpoint,
        change.route or "none",
        change.from_,
        change.to,
        figure(calls),
        _callers(change.callers),
        *also,
    ]


def _callers(callers: list[CallerCalls], write: Callable[[str], str] = str) -> str:
    """Return the three that call most, and how many more there are."""
    names = ", ".join(write(caller.name) for caller in callers[:_TOP])
    more = len(callers) - _TOP
    return f"{names} and {more} more" if more > 0 else names
