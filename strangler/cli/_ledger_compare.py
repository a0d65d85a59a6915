"""`strangler ledger compare`: what is called and not described, and what is described and not called."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from rich.markup import escape

from strangler.cli._admin import NamedAdmin
from strangler.cli._config import failed
from strangler.cli._diffs_where import config_of, where_options
from strangler.cli._json import json_text
from strangler.cli._ledger_source import find_ledger
from strangler.cli._ledger_table import day_text
from strangler.cli._moves_document import counted
from strangler.cli._tables import table
from strangler.cli._terminal import console as terminal
from strangler.cli._terminal import plain
from strangler.cli._times import SinceDay
from strangler.core.documents import CalledEndpoint, DescribedEndpoint, LedgerComparisonDocument, LedgerRow
from strangler.core.ledger.named_templates import NamedTemplates, named_segments
from strangler.core.ledger.segments import HOLE, REST, joined_segments, split_segments
from strangler.core.ledger.word_classes import OVERFLOW
from strangler.core.plain import plain_line
from strangler.imports.recognise import Listing, opened
from strangler.imports.values import ImportRefusedError, ListedEndpoint
from strangler.ledger.ledger_queries import Filters

_TOP = 2
"""The callers that are named."""
_ANY = "*"
"""The method of endpoints that a list has without one, and the key of all rows."""
FAILURES = ("called", "described")
"""The words that `--fail-on` takes."""


@click.command()
@click.argument("description", metavar="OPENAPI")
@where_options
@click.option("--since", type=SinceDay(), help="Only calls since then count: 30d or 2027-02-01.")
@click.option(
    "--fail-on",
    multiple=True,
    type=click.Choice(FAILURES),
    help="Exit with 1 if there are endpoints that are only called, or only described; repeatable.",
)
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@click.pass_context
def compare(
    ctx: click.Context,
    description: str,
    config: Path | None,
    admin: NamedAdmin | None,
    since: str | None,
    fail_on: tuple[str, ...],
    as_json: bool,
) -> None:
    """Compare a description of the API with the calls.

    It says what is called and not described, and what is described and not called. OPENAPI is a description of the API,
    or any other list of endpoints that `ledger import` reads; - is standard input.
    Probes are no calls, and ignored endpoints are left out.

    Exit code 0, whatever differs; 1 if --fail-on finds something; 2 for a file that cannot be read.

    \b
    strangler ledger compare openapi.yaml --fail-on called
    """
    listing = _listing(description)
    rows = find_ledger(config_of(ctx, config), admin).document(Filters(since=since)).rows
    found = comparison(listing, [row for row in rows if _calls(row) and row.path != OVERFLOW])
    if as_json:
        click.echo(json_text(found))
    else:
        _print(found)
    if ("called" in fail_on and found.called) or ("described" in fail_on and found.described):
        raise SystemExit(1)


def _listing(name: str) -> Listing:
    try:
        with opened(name) as found:
            if isinstance(found, Listing):
                for sentence in found.summary.sentences():
                    click.echo(plain(f"{Path(name).name}: {sentence}"), err=True)
                return found
            raise ImportRefusedError(f"{name} is a log ({found.format}); `strangler ledger import` reads it")
    except ImportRefusedError as error:
        raise failed(plain(str(error))) from None


def _calls(row: LedgerRow) -> int:
    return row.calls.legacy + row.calls.candidate + row.calls.refused


def comparison(listing: Listing, rows: Sequence[LedgerRow]) -> LedgerComparisonDocument:
    """Return what is in one of the two alone. A description of GET covers HEAD; one of any method covers OPTIONS."""
    described = _Described.of(listing.endpoints)
    undescribed = [row for row in rows if not described.has(row.method, row.path)]
    uncalled = _uncalled(listing.endpoints, rows)
    return LedgerComparisonDocument(
        format=listing.summary.format,
        both=len(rows) - len(undescribed),
        called=[CalledEndpoint(row.endpoint, _calls(row), row.last_seen, row.callers) for row in undescribed],
        described=[DescribedEndpoint(f"{each.method} {each.template}", each.line or None) for each in uncalled],
    )


@dataclass(frozen=True, slots=True)
class _Described:
    """The templates of a description by method; those of `*` are every method's."""

    names: dict[str, NamedTemplates]

    @classmethod
    def of(cls, endpoints: Iterable[ListedEndpoint]) -> "_Described":
        names: dict[str, NamedTemplates] = {}
        for endpoint in endpoints:
            method = endpoint.method.upper()
            for each in (method, *(("HEAD",) if method == "GET" else ()), "OPTIONS"):
                names.setdefault(each, NamedTemplates()).add(endpoint.template)
        return cls(names)

    def has(self, method: str, template: str) -> bool:
        """Return True if a template of the description covers an endpoint."""
        segments = _path_segments(template)
        return any(
            each is not None and each.resolved(segments) is not segments
            for each in (self.names.get(method), self.names.get(_ANY))
        )


def _uncalled(endpoints: Iterable[ListedEndpoint], rows: Sequence[LedgerRow]) -> list[ListedEndpoint]:
    """Return the endpoints of a description that no row can be."""
    called: dict[str, list[list[str]]] = {}
    for row in rows:
        segments = _path_segments(row.path)
        for method in {row.method, _ANY}:
            called.setdefault(method, []).append(segments)
    return [each for each in endpoints if not _is_called(each, called)]


def _is_called(endpoint: ListedEndpoint, called: Mapping[str, Sequence[Sequence[str]]]) -> bool:
    described = _path_segments(endpoint.template)
    return any(_may_be(own, described) for own in called.get(endpoint.method.upper(), ()))


def _path_segments(template: str) -> list[str]:
    """Return the segments of the path, without a value that splits it (`?action=list`)."""
    path = [text for text in split_segments(template) if text[:1] not in ("?", "&", "#")]
    return named_segments(joined_segments(path))


def _may_be(called: Sequence[str], described: Sequence[str]) -> bool:
    """Return True if calls of one template may be calls of the other: `/users/{}` and `/users/me`, both ways."""
    for at, (first, second) in enumerate(zip(called, described, strict=False)):
        if REST in (first, second):
            return True
        if first != second and not _fits(first, second) and not _fits(second, first):
            return False
        if at + 1 == len(called) == len(described):
            return True
    longer = max(called, described, key=len)
    return REST in longer[min(len(called), len(described)) :][:1]


def _fits(holed: str, segment: str) -> bool:
    head, hole, tail = holed.partition(HOLE)
    return bool(hole) and len(segment) >= len(head) + len(tail) and segment.startswith(head) and segment.endswith(tail)


def _print(found: LedgerComparisonDocument) -> None:
    console = terminal()
    console.print(
        f"[bold]{counted(len(found.called), 'endpoint')}[/] called and not described,"
        f" [bold]{len(found.described):,}[/] described and not called, {found.both:,} both",
        soft_wrap=True,
    )
    if found.called:
        made = table("called, not described", "calls>", "last seen", "callers")
        for each in found.called:
            callers = ", ".join(caller.name for caller in each.callers[:_TOP])
            cells = (each.endpoint, f"{each.calls:,}", day_text(each.last_seen), callers)
            made.add_row(*(escape(plain_line(cell)) for cell in cells))
        console.print()
        console.print(made)
    if found.described:
        made = table("described, not called", "line>")
        for described in found.described:
            line = "" if described.line is None else str(described.line)
            made.add_row(escape(plain_line(described.endpoint)), line)
        console.print()
        console.print(made)
    if found.called and found.described and not found.both:
        console.print("\nnothing is both: do the paths lack the base path under which they are called?")
