"""`strangler plan`: which calls would a new routes.yaml send elsewhere? Offline: two files and an access log decide."""

import time
from dataclasses import dataclass, field
from pathlib import Path

import click
from click.core import ParameterSource

from strangler.cli._config import failed, settings_of
from strangler.cli._json import json_text
from strangler.cli._moves_document import FAILURES, Span, document_of
from strangler.cli._moves_text import markdown, print_text
from strangler.cli._terminal import console as terminal
from strangler.cli._terminal import plain
from strangler.core.documents.moves import LogDocument
from strangler.core.moves.calls import CallCountsState
from strangler.core.moves.changes import moves_of
from strangler.imports.log_reading import CallsState, parsed_fields
from strangler.imports.recognise import opened
from strangler.imports.values import ImportOptions, ImportRefusedError

_STDIN = "-"


@click.command()
@click.argument("new", type=click.Path(path_type=Path))
@click.option(
    "--against",
    "logs",
    multiple=True,
    metavar="LOG",
    help="An access log (required), also compressed with gzip or zstd; - is standard input; repeatable.",
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
) -> None:
    """Say which calls a new routes.yaml would send elsewhere.

    Each call of an access log is planned under both files, by the function that the proxy uses. Nothing is sent, and no
    proxy needs to run: without a routes.yaml of today, legacy serves everything. The kill switch counts as off.

    Exit code 0, whatever moves; 1 if --fail-on finds something; 2 for a file that cannot be read.

    \b
    strangler plan new.yaml --against access.log.gz
    """
    if not logs:
        raise click.UsageError("--against is missing; it takes an access log: --against access.log.gz")
    is_default = ctx.get_parameter_source("config") is ParameterSource.DEFAULT
    if from_nothing and not is_default:
        raise click.UsageError("-c names a file in force, and --from-nothing says that there is none; keep one of them")
    _check_standard_input(new, config, logs)
    from_nothing = from_nothing or (is_default and not config.exists())
    before = None if from_nothing else settings_of(config)
    after = settings_of(new)
    counts = CallCountsState(before, after, time.time(), host)
    reading = _ReadingState(counts)
    try:
        options = ImportOptions(parsed_fields(fields), host)
        for log in logs:
            reading.read(log, options)
    except ImportRefusedError as error:
        raise failed(plain(str(error))) from None
    document = document_of(moves_of(counts, after), reading.span, reading.logs, fail_on)
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


def _check_standard_input(new: Path, config: Path, logs: tuple[str, ...]) -> None:
    if [str(new), str(config), *logs].count(_STDIN) > 1:
        raise click.UsageError("standard input (-) can be read once: NEW, -c or --against")


@dataclass(slots=True)
class _ReadingState:
    """The logs that were read, and the time that they cover."""

    counts: CallCountsState
    span: Span = field(default_factory=lambda: Span(None, None))
    logs: list[LogDocument] = field(default_factory=list)
    digests: set[str] = field(default_factory=set)

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
        firsts = [at for at in (self.span.first_at, first_at) if at is not None]
        lasts = [at for at in (self.span.last_at, last_at) if at is not None]
        self.span = Span(min(firsts, default=None), max(lasts, default=None))
