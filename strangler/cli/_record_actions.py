"""Making a recording of a file, and saying what is in one."""

from pathlib import Path

import click

from strangler import __version__
from strangler.cli._config import failed, settings_of
from strangler.cli._json import json_text
from strangler.cli._record_text import passed_lines, secrets_text, summary_lines
from strangler.cli._shared_redaction import shared_redaction_key
from strangler.cli._terminal import plain
from strangler.imports.values import ImportRefusedError
from strangler.recordings.convert import NothingReadError, Redaction, convert
from strangler.recordings.recording_reader import BadLine, RecordingError, open_recording
from strangler.recordings.summary import CountsState, RecordingSummary


def record_from(
    path: Path, out: Path, config: Path | None, *, host: str, no_redact: bool, force: bool, as_json: bool
) -> None:
    """Make a recording of a file, and say so."""
    redaction = None if no_redact else _redaction(config)
    try:
        done = convert(path, out, f"strangler {__version__}", redaction, host=host, force=force)
    except (ImportRefusedError, RecordingError) as error:
        raise click.ClickException(plain(str(error))) from None
    except NothingReadError as error:
        _say_passed(error.summary, "entry" if error.summary.header.source == "har" else "line")
        raise click.ClickException(plain(f"{path}: no request could be read; {out} was not written")) from None
    if redaction is None:
        click.echo(plain(secrets_text(out)), err=True)
    for note in done.notes:
        click.echo(plain(f"{path.name}: {note}"), err=True)
    _print(done.summary, as_json, None if redaction is None else redaction.is_kept)


def show_recording(path: Path, *, as_json: bool) -> None:
    """Say what is in a recording; exit with 1 if a line of it cannot be read."""
    counts = CountsState()
    try:
        with open_recording(path) as recording:
            for number, item in recording:
                if isinstance(item, BadLine):
                    counts.skip(str(item.reason), number)
                else:
                    counts.count(item)
            summary = counts.summary(str(path), recording.header)
    except RecordingError as error:
        raise click.ClickException(plain(str(error))) from None
    _print(summary, as_json)
    if summary.passed_over:
        raise SystemExit(1)


def _print(summary: RecordingSummary, as_json: bool, is_key_kept: bool | None = None) -> None:
    if as_json:
        click.echo(json_text(summary))
        return
    for line in summary_lines(summary):
        click.echo(plain(line))
    if is_key_kept is False:
        click.echo("the key was made for this file and is forgotten: there was none in a state folder")


def _say_passed(summary: RecordingSummary, unit: str) -> None:
    for line in passed_lines(summary, unit):
        click.echo(plain(line), err=True)


def _redaction(config: Path | None) -> Redaction:
    """Return the redaction by the key and the rules of routes.yaml; without that file, by a key of its own."""
    file = config or Path("routes.yaml")
    if config is None and not file.exists():
        return Redaction.of(None)
    settings = settings_of(file)
    if settings.evidence.values == "hashed":
        text = "`evidence: {values: hashed}` lets no value be kept, and a recording is made of values"
        raise failed(plain(f"{file}: {text}; to keep them all the same: --no-redact"))
    rules = {rule for route in settings.routes for rule in route.compare.redact}
    shared = shared_redaction_key(settings)
    if shared is not None:
        return Redaction.by(shared, sorted(rules))
    try:
        return Redaction.of(Path(settings.state), sorted(rules))
    except OSError as error:
        raise failed(plain(f"{settings.state}: the redaction key cannot be read: {error.strerror or error}")) from None
