"""`strangler record`: recordings of requests with their responses."""

from pathlib import Path

import click

from strangler.cli._record_differences import export
from strangler.cli._record_export import with_export


@click.group(invoke_without_command=True)
@with_export
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A .gor of GoReplay, a HAR or an access log.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="The file to write.")
@click.option(
    "--host",
    default="",
    help="With --from: the host whose requests count, in a HAR or a log with several. With --export: the URL that"
    " requests go to, such as http://127.0.0.1:8080, never a host of the recording."
    "  [default: http://placeholder.invalid, which nobody can reach]",
)
@click.option("--no-redact", is_flag=True, help="Keep secrets as they were sent.")
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
@click.option("--show", type=click.Path(path_type=Path, dir_okay=False), help="Say what is in a recording instead.")
@click.option(
    "-c",
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="routes.yaml: its `redact` rules, and the key in its state folder.  [default: routes.yaml if there is one]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the account as JSON.")
def command(
    source: Path | None,
    output: Path | None,
    host: str,
    no_redact: bool,
    force: bool,
    show: Path | None,
    config: Path | None,
    as_json: bool,
) -> None:
    """Make a recording of a file, export one, or show it.

    Secrets become keyed hashes where they stand, all bytes around them stay. What could not be read is counted, with
    the first places of each kind. Recording what a running proxy serves is not there yet.

    Exit code 0; 1 if nothing could be read, or lines of a recording that is shown cannot be.

    \b
    strangler record --from traffic.gor -o traffic.rec
    strangler record --show traffic.rec
    strangler record --export traffic.rec --to har -o traffic.har
    strangler record export --signatures new -o differences
    """
    from strangler.cli._record_actions import record_from, show_recording

    if show is not None:
        if source is not None or output is not None or host or no_redact or force or config is not None:
            raise click.UsageError("--show says what is in a recording; of the other options it takes --json only")
        show_recording(show, as_json=as_json)
        return
    if source is None:
        raise click.UsageError("name a file with --from, or a recording with --show or --export")
    if output is None:
        raise click.UsageError("name the recording to write with -o")
    if no_redact and config is not None:
        raise click.UsageError("--no-redact needs no -c: nothing is redacted")
    record_from(source, output, config, host=host, no_redact=no_redact, force=force, as_json=as_json)


command.add_command(export)
