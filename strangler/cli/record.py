"""`strangler record`: recordings of requests with their responses."""

from pathlib import Path

import click


@click.command()
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A .gor of GoReplay, a HAR or an access log.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="The recording to write.")
@click.option("--host", default="", help="The host whose requests count, in a HAR or a log with several.")
@click.option("--no-redact", is_flag=True, help="Keep secrets as they were sent.")
@click.option("--force", is_flag=True, help="Replace the recording if it exists.")
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
    """Make a recording of a file, or say what is in one.

    Secrets become keyed hashes where they stand, all bytes around them stay. What could not be read is counted, with
    the first places of each kind. Recording what a running proxy serves is not there yet.

    Exit code 0; 1 if nothing could be read, or lines of a recording that is shown cannot be.

    \b
    strangler record --from traffic.gor -o traffic.rec
    strangler record --show traffic.rec
    """
    from strangler.cli._record_actions import record_from, show_recording

    if show is not None:
        if source is not None or output is not None or host or no_redact or force or config is not None:
            raise click.UsageError("--show says what is in a recording; of the other options it takes --json only")
        show_recording(show, as_json=as_json)
        return
    if source is None:
        raise click.UsageError("name a file with --from, or a recording with --show")
    if output is None:
        raise click.UsageError("name the recording to write with -o")
    if no_redact and config is not None:
        raise click.UsageError("--no-redact needs no -c: nothing is redacted")
    record_from(source, output, config, host=host, no_redact=no_redact, force=force, as_json=as_json)
