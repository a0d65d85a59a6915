"""`strangler record --export`: a recording as HAR, as GoReplay's file, as Hurl, or as a script of curl commands."""

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import IO, Any, TypeVar, cast

import click

from strangler.cli._config import failed
from strangler.recordings.exports.destination import PLACEHOLDER, Destination, DestinationError, destination
from strangler.recordings.exports.export import Exported, Format, export
from strangler.recordings.exports.to_curl import CurlFormat
from strangler.recordings.exports.to_gor import GorFormat
from strangler.recordings.exports.to_har import HarFormat
from strangler.recordings.exports.to_hurl import Asserts, HurlFormat
from strangler.recordings.exports.whole_file import whole_file
from strangler.recordings.recording_reader import Recording, RecordingError, open_recording

_F = TypeVar("_F", bound=Callable[..., Any])
FORMATS = ("har", "gor", "hurl", "curl")


def with_export(command: _F) -> _F:
    """Add `--export` and what goes with it to a command that has `--host`, `--output` and `--force`."""

    @wraps(command)
    def either(
        export_file: Path | None,
        form: str | None,
        asserts: Asserts | None,
        fields: tuple[str, ...],
        **others: Any,
    ) -> None:
        subcommand = click.get_current_context().invoked_subcommand
        given = {name for name, value in others.items() if value}
        if export_file is None and (form or asserts or fields):
            raise click.UsageError("--to, --asserts and --field go with --export FILE")
        if subcommand is not None:
            if export_file is not None or given - {"config"}:
                raise click.UsageError(f"`record {subcommand}` takes its own options, behind its name, and -c")
        elif export_file is None:
            command(**others)
        elif given - {"host", "output", "force"}:
            raise click.UsageError("with --export go --to, --host, -o, --force, --asserts and --field, and no others")
        else:
            _export(export_file, form, asserts, fields, others["host"], others["output"], force=others["force"])

    for option in reversed(_OPTIONS):
        either = option(either)
    return cast(_F, either)


def _export(
    file: Path,
    form: str | None,
    asserts: Asserts | None,
    fields: tuple[str, ...],
    host: str,
    out: Path | None,
    *,
    force: bool,
) -> None:
    if form is None:
        raise click.UsageError(f"--export needs --to, one of {', '.join(FORMATS)}")
    if (asserts or fields) and form != "hurl":
        raise click.UsageError(f"--asserts and --field are for --to hurl; {form} asserts nothing")
    to = _destination(host)
    made = _format(form, to, file.name, asserts or "body", fields)
    with _opened(file) as recording:
        counts = _write(recording, made, to, out, force=force, is_script=form == "curl")
        _report(counts, to, recording, out)


_OPTIONS = (
    click.option(
        "--export",
        "export_file",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        help="Write this recording in another format, without redacted fields.",
    ),
    click.option("--to", "form", type=click.Choice(FORMATS), help="With --export: the format."),
    click.option(
        "--asserts",
        type=click.Choice(["body", "fields", "status"]),
        help="With --to hurl: what of JSON is asserted beside the status: all of it, each of its values, or nothing."
        "  [default: body]",
    ),
    click.option(
        "--field", "fields", multiple=True, metavar="PATH", help="With --to hurl: only these, as '$.items[*].id'."
    ),
)


def _destination(host: str) -> Destination:
    try:
        return destination(host or PLACEHOLDER)
    except DestinationError as error:
        raise failed(f"--host: {error}") from None


def _opened(path: Path) -> Recording:
    try:
        return open_recording(path)
    except RecordingError as error:
        raise failed(str(error)) from None


def _format(form: str, to: Destination, name: str, asserts: Asserts, fields: tuple[str, ...]) -> Format:
    if form == "har":
        return HarFormat(to)
    if form == "gor":
        return GorFormat()
    if form == "curl":
        return CurlFormat(to, name)
    try:
        return HurlFormat(to, name, asserts, fields)
    except ValueError as error:
        raise failed(f"--field: {error}") from None


def _write(
    recording: Recording, made: Format, to: Destination, out: Path | None, *, force: bool, is_script: bool
) -> Exported:
    def export_into(file: IO[bytes]) -> Exported:
        return export(recording, made, to, file.write)

    try:
        if out is None:
            counts = export_into(sys.stdout.buffer)
            sys.stdout.buffer.flush()
            return counts
        with whole_file(out, force=force, is_script=is_script) as file:
            return export_into(file)
    except RecordingError as error:
        raise failed(str(error)) from None
    except FileExistsError:
        raise failed(f"{out} exists: name another file, or replace it with --force") from None
    except OSError as error:
        if out is None:
            raise
        raise failed(f"{out} cannot be written: {error.strerror or error}; nothing was kept of it") from None


def _report(counts: Exported, to: Destination, recording: Recording, out: Path | None) -> None:
    lines = [f"{counts.written:,} requests written" + ("" if out is None else f" to {out}")]
    if not recording.header.redacted:
        kept = "" if out is None else "; only its owner can read the file (mode 0600, a script 0700)"
        lines.append(f"warning: this recording is not redacted: its secrets are in the output{kept}")
    if to.is_placeholder:
        lines.append(f"requests go to {to.base}, which nobody can reach; name a host of yours with --host")
    lines += [f"left out: {count:,} requests, since {reason}" for reason, count in counts.unsendable.most_common()]
    named = [f"{place} {name} ({count:,})" for (place, name), count in counts.fields.most_common()]
    if counts.more_fields:
        named.append(f"others ({counts.more_fields:,})")
    if named:
        total = counts.fields.total() + counts.more_fields
        lines.append(f"left out: {total:,} fields, since their values are redacted: {', '.join(named)}")
    if counts.unwritable:
        lines.append(f"left out: {counts.unwritable:,} header fields that no request can have")
    if counts.unread:
        lines.append(f"{counts.unread:,} lines cannot be read:")
        lines += [f"  line {number}: {bad.reason}" for number, bad in counts.bad_lines]
    for line in lines:
        click.echo("".join(c if c.isprintable() else ascii(c)[1:-1] for c in line), err=True)
