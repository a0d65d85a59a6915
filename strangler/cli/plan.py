"""`strangler plan`: which calls would a new routes.yaml send elsewhere?

Offline: two files decide, and an access log or what the ledger has counted.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click
from click.core import ParameterSource

from strangler.cli._admin import NamedAdmin, admin_option, find_admin
from strangler.cli._config import failed, settings_of
from strangler.cli._json import json_text
from strangler.cli._ledger_source import find_ledger
from strangler.cli._moves_document import FAILURES, Span, counted, document_of
from strangler.cli._moves_text import markdown, print_text
from strangler.cli._rollout_changes import rollout_notes
from strangler.cli._rollout_percents import with_stored_percents
from strangler.cli._terminal import console as terminal
from strangler.cli._terminal import plain
from strangler.core.documents import RolloutDocument
from strangler.core.documents.moves import LogDocument
from strangler.core.ledger.word_classes import OVERFLOW
from strangler.core.moves.calls import CallCountsState
from strangler.core.moves.changes import moves_of
from strangler.core.rollout_percents import rollout_groups, taken_over, with_percents
from strangler.core.settings import Settings
from strangler.imports.log_reading import CallsState, parsed_fields
from strangler.imports.recognise import opened
from strangler.imports.values import ImportOptions, ImportRefusedError
from strangler.ledger.ledger_queries import Filters

_STDIN = "-"
_LEDGER = "ledger"
"""The word that `--against` takes instead of a log; a log of this name is `./ledger`."""


@click.command()
@click.argument("new", type=click.Path(path_type=Path))
@click.option(
    "--against",
    "logs",
    multiple=True,
    metavar="LOG|ledger",
    help="An access log, also compressed with gzip or zstd; - is standard input; repeatable. Or the word ledger: the"
    " calls that the proxy has counted. Required.",
)
@click.option(
    "-c",
    "--config",
    type=click.Path(path_type=Path),
    default="routes.yaml",
    show_default=True,
    help="The file in force. If there is no routes.yaml, everything goes to legacy today.",
)
@click.option("--from-nothing", is_flag=True, help="Everything goes to legacy today, whatever routes.yaml says.")
@click.option(
    "--fields", default="", metavar="WHAT=NAME,…", help="The fields of JSON lines, as in docs/ledger-imports.md."
)
@click.option("--host", default="", help="The host whose calls count; also for lines that name none.")
@click.option(
    "--format", "form", type=click.Choice(["text", "markdown", "json"]), default="text", show_default=True,
    help="Markdown is for a pull request.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option(
    "--limit", type=click.IntRange(min=0), default=50, show_default=True, help="The most rows of a table; 0: all."
)
@click.option(
    "--fail-on", multiple=True, type=click.Choice(FAILURES), help="Exit with 1 if there are such; repeatable."
)
@admin_option
@click.pass_context
def command(
    ctx: click.Context,
    new: Path,
    logs: tuple[str, ...],
    config: Path,
    from_nothing: bool,
    fields: str,
    host: str,
    form: str,
    as_json: bool,
    limit: int,
    fail_on: tuple[str, ...],
    admin: NamedAdmin | None,
) -> None:
    """Say which calls a new routes.yaml would send elsewhere.

    Each call of an access log is planned under both files, by the function that the proxy uses. Nothing is sent, and no
    proxy needs to run: without a routes.yaml of today, legacy serves everything. The kill switch counts as off. The
    percents of rollouts are those of the state folder; what the new file changes about rollouts is said.

    With --against ledger, the endpoints, calls and callers are those of `strangler ledger`.

    Exit code 0, whatever moves; 1 if --fail-on finds something; 2 for a file that cannot be read.

    \b
    strangler plan new.yaml --against access.log.gz
    strangler plan new.yaml --against ledger
    """
    is_ledger = _is_ledger(logs, fields, admin)
    is_default = ctx.get_parameter_source("config") is ParameterSource.DEFAULT
    if from_nothing and not is_default:
        raise click.UsageError("-c names a file in force, and --from-nothing says that there is none; keep one of them")
    _check_standard_input(new, config, logs)
    from_nothing = from_nothing or (is_default and not config.exists())
    before = None if from_nothing else _in_force(settings_of(config), config, admin)
    after = settings_of(new)
    after = with_percents(after, {}) if before is None else taken_over(before, after)
    counts = CallCountsState(before, after, time.time(), host, has_rows_alone=is_ledger)
    reading = _ReadingState(counts)
    if is_ledger:
        reading.read_ledger(config, admin, before)
    else:
        reading.read_all(logs, fields)
    notes = rollout_notes(before, after)
    document = document_of(moves_of(counts, after), reading.span, reading.logs, fail_on, notes)
    for log_document in reading.logs:
        for sentence in log_document.skipped:
            click.echo(plain(f"{log_document.name}: {sentence}"), err=True)
    if as_json or form == "json":
        click.echo(json_text(document))
    elif form == "markdown":
        click.echo(markdown(document, limit))
    else:
        print_text(terminal(), document, limit)
    for name, found in document.failed.items():
        for line in found:
            click.echo(plain(f"{name}: {line}"), err=True)
    if document.failed:
        raise SystemExit(1)


def _in_force(settings: Settings, config: Path, admin: NamedAdmin | None) -> Settings:
    """Return the settings with the percents of rollouts: those of the proxy that --admin names, else as stored."""
    if admin is None or not rollout_groups(settings):
        return with_stored_percents(settings)
    found = find_admin(config, admin).ask("GET", "/api/rollout", RolloutDocument).routes
    groups = rollout_groups(settings).items()
    known = {group: [found[route.name].percent for route in routes if route.name in found] for group, routes in groups}
    return with_percents(settings, {group: max(percents) for group, percents in known.items() if percents})


def _is_ledger(logs: tuple[str, ...], fields: str, admin: NamedAdmin | None) -> bool:
    """Return whether `--against` is the ledger. Raises UsageError for what does not go with it, or with a log."""
    if not logs:
        raise click.UsageError("--against is missing; it takes an access log (access.log.gz), or the word ledger")
    is_ledger = _LEDGER in logs
    if is_ledger and len(logs) > 1:
        raise click.UsageError("--against ledger stands alone: calls of a log would count twice")
    if is_ledger and fields:
        raise click.UsageError("--fields is for a log; the ledger needs none. A log of that name is ./ledger")
    if admin is not None and not is_ledger:
        raise click.UsageError("--admin goes with --against ledger; a log needs no proxy")
    return is_ledger


def _check_standard_input(new: Path, config: Path, logs: tuple[str, ...]) -> None:
    if [str(new), str(config), *logs].count(_STDIN) > 1:
        raise click.UsageError("standard input (-) can be read once: NEW, -c or --against")


@dataclass(slots=True)
class _ReadingState:
    """The logs that were read, and the time that they cover."""

    counts: CallCountsState
    span: Span = field(default_factory=lambda: Span(None))
    logs: list[LogDocument] = field(default_factory=list)
    digests: set[str] = field(default_factory=set)
    first_at: float | None = None
    last_at: float | None = None

    def read_all(self, names: Sequence[str], fields: str) -> None:
        """Count the calls of logs. End the program if one cannot be read."""
        try:
            options = ImportOptions(parsed_fields(fields), self.counts.host)
            for name in names:
                self.read(name, options)
        except ImportRefusedError as error:
            raise failed(plain(str(error))) from None

    def read_ledger(self, config: Path, admin: NamedAdmin | None, settings: Settings | None) -> None:
        """Count what the ledger has. End the program if it has nothing."""
        document = find_ledger(config, admin, settings).document(Filters(with_hidden=True))
        rows = [row for row in document.rows if row.calls.legacy + row.calls.candidate]
        known = [row for row in rows if row.path != OVERFLOW]
        if not known:
            raise failed(
                "the ledger has no calls yet; `strangler serve` counts them, and `strangler ledger import` reads logs"
            )
        self.counts.count_rows(
            (
                row.method,
                row.path,
                row.calls.legacy + row.calls.candidate,
                {caller.name: caller.calls for caller in row.callers},
            )
            for row in known
        )
        self.span = Span(min(document.watched_s, document.keep_s), _LEDGER)
        left_out = sum(row.calls.legacy + row.calls.candidate for row in rows) - self.counts.calls
        about = [f"{counted(left_out, 'call')} of endpoints that the ledger has no room for are not planned"]
        self.logs.append(LogDocument(_LEDGER, _LEDGER, self.counts.calls, about if left_out else []))

    def read(self, name: str, options: ImportOptions) -> None:
        """Count the calls of a log. Raises ImportRefusedError."""
        title = "standard input" if name == _STDIN else name
        with opened(name, options) as calls:
            if not isinstance(calls, CallsState):
                raise ImportRefusedError(f"{title} is no access log ({calls.summary.format}); --against takes one")
            count = self.counts.count
            for call in calls:
                count(call.method, call.path, call.query, call.host, call.caller, call.status)
            summary = calls.summary
        if summary.digest in self.digests:
            raise ImportRefusedError(f"{title} has the same content as another --against; name it once")
        if not summary.read:
            why = f": {'; '.join(summary.sentences())}" if summary.skipped else ""
            raise ImportRefusedError(f"{title} has no call that counts{why}")
        self.digests.add(summary.digest)
        self.logs.append(LogDocument(title, summary.format, summary.read, summary.sentences()))
        self._stretch(summary.first_at, summary.last_at)

    def _stretch(self, first_at: float | None, last_at: float | None) -> None:
        self.first_at = min((at for at in (self.first_at, first_at) if at is not None), default=None)
        self.last_at = max((at for at in (self.last_at, last_at) if at is not None), default=None)
        self.span = Span.between(self.first_at, self.last_at)
