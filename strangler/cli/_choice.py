"""The choice of the differences that an action is about: by ids, by filters, or all that are open."""

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from strangler.cli._config import failed
from strangler.cli._evidence import Evidence
from strangler.cli._inbox import SHORT_ID, where
from strangler.cli._terminal import plain
from strangler.core.compare import Severity
from strangler.core.documents import SignatureRow
from strangler.core.source import SOURCES, Source
from strangler.store.evidence.reading import Filters
from strangler.store.evidence.reviews import OPEN_STATES
from strangler.store.evidence.writing import STATES

_F = TypeVar("_F", bound=Callable[..., Any])

MAX_LISTED = 20
"""Most rows that are listed one by one; the others are only counted."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The differences that the command line names: by ids or by filters, never both."""

    names: tuple[str, ...] = ()
    route: str | None = None
    endpoint: str | None = None
    severity: str | None = None
    state: str | None = None
    source: Source | None = None
    is_noise: bool = False
    is_all: bool = False

    @property
    def has_filters(self) -> bool:
        return self.is_all or self.is_noise or any((self.route, self.endpoint, self.severity, self.state, self.source))

    @property
    def filters(self) -> Filters:
        """The filters among these that the inbox itself supports."""
        return Filters(self.route, self.severity, self.state, source=self.source)

    def takes(self, row: SignatureRow) -> bool:
        """True for a row that the filters select; without a state, only for rows that still count."""
        if self.state is None and row.state not in OPEN_STATES:
            return False
        return self.endpoint in (None, row.endpoint) and (not self.is_noise or row.is_noise)


def choice_options(command: _F) -> _F:
    """Add the options and the argument that name differences."""
    for option in (
        click.option("-y", "--yes", "is_sure", is_flag=True, help="Do not ask for confirmation."),
        click.option("--all", "is_all", is_flag=True, help="All that are open."),
        click.option("--noise", "is_noise", is_flag=True, help="All where legacy differs from itself."),
        click.option("--state", type=click.Choice(STATES), help="All in this state; by default those that are open."),
        click.option("--source", type=click.Choice(SOURCES), help="All that shadows (live) or replays have shown."),
        click.option(
            "--severity", type=click.Choice([str(severity) for severity in Severity]), help="All of this severity."
        ),
        click.option("--endpoint", help="All of this endpoint, as the inbox names it: 'GET /api/orders/{}'."),
        click.option("--route", help="All of this route."),
        click.argument("names", metavar="[ID]...", nargs=-1),
    ):
        command = option(command)
    return command


def chosen(evidence: Evidence, choice: Choice) -> list[SignatureRow]:
    """Return the chosen rows. End the program, with nothing done, if the choice is not clear."""

    def inbox(filters: Filters) -> list[SignatureRow]:
        return list(evidence.inbox(filters).signatures)

    if choice.names and choice.has_filters:
        raise failed("name ids or filters, not both")
    if not choice.names and not choice.has_filters:
        raise failed(
            "no difference is named; give ids, or --route, --endpoint, --severity, --state, --source, --noise or --all"
        )
    if not choice.names:
        return [row for row in inbox(choice.filters) if choice.takes(row)]
    rows = inbox(Filters())
    found = [_named(evidence, rows, name) for name in choice.names]
    return list({row.id: row for row in found}.values())


def _named(evidence: Evidence, rows: Iterable[SignatureRow], name: str) -> SignatureRow:
    """Return the row whose id begins with `name`, of the current release or of an earlier one."""
    found = [row for row in rows if row.id.startswith(name)]
    earlier = evidence.detail(name) if name and not found else None
    found += [] if earlier is None else [earlier]
    if len(found) != 1:
        what = "several begin with it" if found else "none begins with it"
        raise failed(
            f"the id {plain(name)} does not name one difference: {what}; nothing was changed, see `strangler diffs`"
        )
    return found[0]


def confirm(choice: Choice, is_sure: bool, what: str) -> None:
    """Ask for confirmation if filters chose the rows. End the program if it is refused, or there is no terminal."""
    if choice.names or is_sure:
        return
    if not sys.stdin.isatty():
        raise failed(f"{what}: nothing was changed, for there is no terminal to confirm at; add --yes")
    if not click.confirm(f"{what}?", default=False):
        raise SystemExit(1)


def print_rows(rows: Sequence[SignatureRow], say: Callable[[SignatureRow], str], *, err: bool = False) -> None:
    """Print a line for each row, and how many more there are."""
    for row in rows[:MAX_LISTED]:
        click.echo(plain(say(row)), err=err)
    if len(rows) > MAX_LISTED:
        click.echo(f"… and {len(rows) - MAX_LISTED:,} more", err=err)


def named(row: SignatureRow) -> str:
    """Return `9f2c1a77 GET /api/orders/{} $.price type`."""
    return f"{row.id[:SHORT_ID]} {row.endpoint} {where(row)} {row.kind}"
