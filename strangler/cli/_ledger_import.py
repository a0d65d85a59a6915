"""`strangler ledger import`: endpoints that are listed somewhere, and calls of the time before the proxy."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, cast

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from strangler.cli._acting_user import acting_user
from strangler.cli._admin import NamedAdmin
from strangler.cli._config import BAD_INPUT, failed, settings_of
from strangler.cli._diffs_where import config_of, where_options
from strangler.cli._ledger_reading import FileReader, PreviewState, ReadFile
from strangler.cli._ledger_source import LedgerSource, find_ledger
from strangler.cli._moves_document import counted
from strangler.cli._terminal import plain
from strangler.core.documents import LedgerImportedDocument
from strangler.core.settings import Settings
from strangler.imports.log_reading import parsed_fields
from strangler.imports.values import ImportOptions, ImportRefusedError
from strangler.ledger.ledger_queries import Filters


@click.command("import")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@where_options
@click.option(
    "--fields", default="", metavar="WHAT=NAME,…", help="The fields of JSON lines, as in docs/ledger-imports.md."
)
@click.option("--host", default="", help="The host whose calls count; calls whose line names none do, too.")
@click.option("--dry-run", is_flag=True, help="Say what is in the files and leave the ledger as it is.")
@click.pass_context
def import_files(
    ctx: click.Context,
    files: tuple[str, ...],
    config: Path | None,
    admin: NamedAdmin | None,
    fields: str,
    host: str,
    dry_run: bool,
) -> None:
    """Read lists of endpoints, and access logs.

    A list makes rows before anything is called: OpenAPI, or what a framework prints of its routes. The calls of a log
    of the time before the proxy are legacy's, and count on their days. Files may be compressed with gzip or zstd; - is
    standard input. What a file is, its content tells. A file that was imported before is refused.

    Exit code 0; 1 if a file was refused, 2 if one cannot be read. The others are imported all the same.

    \b
    strangler ledger import openapi.yaml access.log*.gz
    """
    file = config_of(ctx, config)
    if [*files, str(file)].count("-") > 1:
        raise click.UsageError("standard input (-) can be read once: FILE or -c")
    try:
        options = ImportOptions(parsed_fields(fields), host)
    except ImportRefusedError as error:
        raise failed(plain(str(error))) from None
    settings = _settings(file, admin)
    ledger = find_ledger(file, admin, settings)
    rows = ledger.document(Filters(with_hidden=True)).rows
    reader = FileReader(options, settings, rows, acting_user(), time.time())
    preview = PreviewState(reader) if dry_run else None
    worst = 0
    for name in files:
        worst = max(worst, _import(ledger, reader, name, preview))
    if worst:
        raise SystemExit(worst)


def _settings(config: Path, admin: NamedAdmin | None) -> Settings | None:
    """Return the settings, for the names that they give; None if they are not needed, and cannot be loaded."""
    if admin is None:
        return settings_of(config)
    from strangler.config.load import load

    return None if str(config) == "-" else load(config, os.environ).settings


def _import(ledger: LedgerSource, reader: FileReader, name: str, preview: PreviewState | None) -> int:
    """Import a file and say so; return the exit code."""
    try:
        with _progress(name) as wrap:
            found = reader.read(name, wrap)
    except ImportRefusedError as error:
        click.echo(plain(str(error)), err=True)
        return BAD_INPUT
    for note in found.notes:
        click.echo(plain(f"{found.name}: {note}"), err=True)
    if preview is not None:
        new = counted(preview.new_endpoints(found.request), "new endpoint")
        click.echo(plain(f"{found.what}; about {new} (nothing was changed: --dry-run)"))
        return 0
    try:
        done = ledger.take_import(found.request)
    except click.ClickException as error:
        click.echo(plain(f"{found.name}: {error.format_message()}"), err=True)
        return 1
    click.echo(plain(_done(found, done)))
    return 0


def _done(found: ReadFile, done: LedgerImportedDocument) -> str:
    return f"{found.what}; {counted(done.new_endpoints, 'new endpoint')}, {done.endpoints:,} in all"


@contextmanager
def _progress(name: str) -> "Iterator[_Wrap]":
    """Show how much of a file is read, on a terminal."""
    console = Console(stderr=True)
    if name == "-" or not console.is_terminal:
        yield _Wrap(None)
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        yield _Wrap(progress)


class _Wrap:
    """Wraps an open file so that the progress shows what is read of it."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress

    def __call__(self, file: IO[bytes]) -> IO[bytes]:
        if self._progress is None:
            return file
        size = os.fstat(file.fileno()).st_size
        name = plain(Path(str(file.name)).name)
        return self._progress.wrap_file(cast(BinaryIO, file), total=size, description=name)
