"""The result of a replay, as people read it."""

from collections.abc import Iterator, Mapping

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from strangler.cli import _inbox
from strangler.cli._moves_document import counted
from strangler.cli._terminal import console as terminal
from strangler.core.documents import BadLines, ReplayDocument, ReplayedRoute, SignatureRow, UnsentEndpoint
from strangler.core.routing.arm import LEGACY
from strangler.replay.destination import A_WRITE
from strangler.replay.replay_settings import PROXY

MAX_ROWS = 20
"""The differences that are printed; all are in the inbox and in `--json`."""
MAX_UNSENT = 10
"""The endpoints with requests that were not sent that are printed."""
_AGAINST = {"recorded": "what was recorded", "legacy": "legacy", "self": "itself"}


def print_result(document: ReplayDocument) -> None:
    """Print the routes with their verdicts, the differences, and the account of what was not compared."""
    console = terminal()
    console.print(_head(document), soft_wrap=True)
    if document.routes:
        console.print()
        console.print(_routes(document.routes))
    for route in document.routes:
        console.print("\n".join(_reasons(route)), soft_wrap=True)
    print_differences(console, document.differences)
    for line in account_lines(document):
        console.print(line, markup=False, soft_wrap=True)
    console.print(_verdict(document), soft_wrap=True)


def _head(document: ReplayDocument) -> str:
    to = "" if document.to is None else f" at {document.to}"
    return (
        f"{escape(document.recording)}{escape(to)} against {_AGAINST[document.against]}:"
        f" {counted(document.read, 'pair')} read, {document.sent:,} sent in {document.seconds:,.1f} s"
    )


def _verdict(document: ReplayDocument) -> str:
    if document.passed:
        return "[bold green]passed[/]"
    return "\n".join(f"[bold red]failed[/]: {escape(reason)}" for reason in document.reasons)


def _routes(routes: list[ReplayedRoute]) -> Table:
    made = _table("route", "verdict", figures=("pairs", "matches", "accepted", "mismatches"))
    made.add_column("not comparable", overflow="fold")
    for route in routes:
        made.add_row(escape(route.verdict.route), _verdict_of(route), *_figures(route))
    return made


def _verdict_of(route: ReplayedRoute) -> str:
    verdict = route.verdict.verdict
    return f"[{_VERDICT_STYLES[verdict]}]{verdict}[/]"


_VERDICT_STYLES = {"ready": "green", "not ready": "bold red", "not enough evidence": "yellow"}


def _figures(route: ReplayedRoute) -> tuple[str, ...]:
    numbers = (route.matches, route.accepted, route.mismatches)
    return (f"{sum(numbers):,}", *(f"{number:,}" for number in numbers), by_count(route.verdict.not_comparable))


def _reasons(route: ReplayedRoute) -> Iterator[str]:
    for reason in route.verdict.reasons:
        yield f"  {escape(route.verdict.route)}: {escape(reason)}"
    for note in route.verdict.notes:
        yield f"  [dim]{escape(route.verdict.route)}: {escape(note)}[/]"


def print_differences(console: Console, rows: list[SignatureRow]) -> None:
    """Print the most frequent differences that no rule accepts."""
    still = [row for row in rows if row.state != "accepted"]
    if not still:
        return
    console.print()
    console.print(_differences(still[:MAX_ROWS]))
    if len(still) > MAX_ROWS:
        console.print(f"[dim]{len(still) - MAX_ROWS:,} more: --json has all[/]")
    console.print()


def _differences(rows: list[SignatureRow]) -> Table:
    made = _table("id", "severity", "route", "endpoint", "where", "kind", figures=("count", "share"))
    for row in rows:
        severity = f"[{_inbox.SEVERITY_STYLES[row.severity]}]{row.severity}[/]"
        place = (escape(row.route), escape(row.endpoint), escape(_inbox.where(row)))
        made.add_row(row.id[: _inbox.SHORT_ID], severity, *place, row.kind, f"{row.count:,}", _inbox.share(row.share))
    return made


def _table(*texts: str, figures: tuple[str, ...]) -> Table:
    made = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for name in texts:
        made.add_column(name, overflow="fold")
    for name in figures:
        made.add_column(name, justify="right", no_wrap=True)
    return made


def account_lines(document: ReplayDocument) -> Iterator[str]:
    """Yield what was not sent, not read or not stored, and what was learned, a line each."""
    if document.left_out:
        yield f"{counted(sum(document.left_out.values()), 'request')} not sent: {by_count(document.left_out)}"
        yield from _unsent_lines(document.unsent)
        if A_WRITE in document.left_out:
            yield f"  later requests may need these writes; {_way_of_writes(document)}"
    if document.faults:
        yield f"{counted(sum(document.faults.values()), 'request')} without a response: {by_count(document.faults)}"
    for route, why in document.refusals.items():
        yield f"route '{route}': no more dry runs: {why}"
    if document.sent_again:
        yield f"{counted(document.sent_again, 'request')} sent twice, since an idle connection had been closed"
    if document.arms:
        yield f"served by: {by_count(document.arms)}"
    if document.fields_left_out:
        yield f"left out of requests, since their values are redacted: {by_count(document.fields_left_out)}"
        yield f'  --callers gives them by these names: "*": {{"{next(iter(document.fields_left_out))}": "…"}}'
    if document.learned:
        yield f"{counted(document.learned, 'value')} learned for later requests"
    if document.by_candidate:
        yield f"{counted(document.by_candidate, 'pair')} had a recorded response of the candidate: not for the inbox"
    yield from (_bad(lines) for lines in document.bad_lines)
    yield from _inbox_lines(document)


def _way_of_writes(document: ReplayDocument) -> str:
    if document.against == "self" or document.to in (LEGACY, PROXY):
        return "without them, --callers gives a session that is there already"
    return "--writes sandbox, where nothing real is behind, or --writes dry_run sends them"


def _unsent_lines(rows: list[UnsentEndpoint]) -> Iterator[str]:
    for row in rows[:MAX_UNSENT]:
        yield f"  {row.route}: {row.endpoint}: {by_count(row.reasons)}"
    if len(rows) > MAX_UNSENT:
        yield f"  {counted(len(rows) - MAX_UNSENT, 'more endpoint')}: --json has all"


def by_count(counts: Mapping[str, int]) -> str:
    """Return `a write 20, a secret in its path 4`."""
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _bad(lines: BadLines) -> str:
    more = ", …" if lines.count > len(lines.first) else ""
    places = ", ".join(map(str, lines.first)) + more
    return f"{counted(lines.count, 'line')} of the recording cannot be read: {lines.why} ({places})"


def _inbox_lines(document: ReplayDocument) -> Iterator[str]:
    inbox = document.inbox
    if inbox is None:
        return
    if inbox.stored:
        yield f"{counted(inbox.stored, 'finding')} put into the inbox; `strangler diffs show ID` shows both responses"
    if inbox.not_stored:
        yield f"{counted(inbox.not_stored, 'finding')} not put into the inbox: {inbox.why}"
