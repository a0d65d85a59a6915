"""`strangler record`: recordings of requests with their responses."""

from pathlib import Path

import click
from msgspec.structs import replace

from strangler.cli._acting_user import acting_user
from strangler.cli._admin import NamedAdmin, admin_option, find_admin
from strangler.cli._record_differences import export
from strangler.cli._record_export import with_export
from strangler.cli._record_group import RecordGroup
from strangler.cli._record_units import LimitedDuration, ShareOfCallers, Size
from strangler.core.documents import LONGEST_RECORDING_S, MAX_RECORDED_BODY, RecordingRequest


@click.group(cls=RecordGroup, invoke_without_command=True)
@with_export
@click.argument("routes", nargs=-1, metavar="[ROUTE]...")
@click.option("--all", "with_all", is_flag=True, help="Record all routes of the running proxy, and what matches none.")
@click.option("--share", type=ShareOfCallers(), help="Record so many of the callers.  [default: 100%]")
@click.option("--for", "for_s", type=LimitedDuration(LONGEST_RECORDING_S), help="Record for so long.  [default: 1h]")
@click.option(
    "--max", "max_bytes", type=Size(1 << 20, 1 << 40), help="Record so much, before compression.  [default: 1GiB]"
)
@click.option(
    "--max-body", type=Size(0, MAX_RECORDED_BODY), help="Of longer bodies keep the length only.  [default: 1MiB]"
)
@admin_option
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
    with_all: bool,
    share: float | None,
    for_s: float | None,
    max_bytes: int | None,
    max_body: int | None,
    admin: NamedAdmin | None,
    source: Path | None,
    output: Path | None,
    host: str,
    no_redact: bool,
    force: bool,
    show: Path | None,
    config: Path | None,
    as_json: bool,
    routes: tuple[str, ...] = (),
) -> None:
    """Record a running proxy, and import, export or show recordings.

    With ROUTE… or --all, the running proxy is recorded until the time or the size is reached, or until Ctrl-C. A
    connection that breaks is made again. A route called `export` is named behind `--`.

    Secrets become keyed hashes where they stand, all bytes around them stay. What could not be read is counted, with
    the first places of each kind.

    Exit code 0; 1 if nothing could be recorded or read, or lines of a recording that is shown cannot be.

    \b
    strangler record orders --share 10% --for 30m -o orders.rec
    strangler record --from traffic.gor -o traffic.rec
    strangler record --show traffic.rec
    strangler record --export traffic.rec --to har -o traffic.har
    strangler record export --signatures new -o differences
    """
    from strangler.cli._record_actions import record_from, show_recording

    limits = {"share": share, "for_s": for_s, "max_bytes": max_bytes, "max_body": max_body}
    given = {name: value for name, value in limits.items() if value is not None}
    if routes or with_all:
        if source is not None or show is not None or host:
            raise click.UsageError("routes and --all are of a running proxy; --from, --show and --host are not")
        if routes and with_all:
            raise click.UsageError("--all has all routes; name routes, or --all, and not both")
        out = _named(output)
        _record_proxy(routes, given, out, config, admin, no_redact=no_redact, force=force, as_json=as_json)
        return
    if given or admin is not None:
        raise click.UsageError("--share, --for, --max, --max-body and --admin go with ROUTE… or --all")
    if show is not None:
        if source is not None or output is not None or host or no_redact or force or config is not None:
            raise click.UsageError("--show says what is in a recording; of the other options it takes --json only")
        show_recording(show, as_json=as_json)
        return
    if source is None:
        raise click.UsageError(
            "name routes of the running proxy, or --all, or a file with --from, or a recording with --show or --export"
        )
    out = _named(output)
    if no_redact and config is not None:
        raise click.UsageError("--no-redact needs no -c: nothing is redacted")
    record_from(source, out, config, host=host, no_redact=no_redact, force=force, as_json=as_json)


def _named(output: Path | None) -> Path:
    if output is None:
        raise click.UsageError("name the recording to write with -o")
    return output


def _record_proxy(
    routes: tuple[str, ...],
    limits: dict[str, float],
    out: Path,
    config: Path | None,
    admin: NamedAdmin | None,
    *,
    no_redact: bool,
    force: bool,
    as_json: bool,
) -> None:
    from strangler.cli._record_live import record_live

    names = list(dict.fromkeys(routes))
    unlimited = RecordingRequest(routes=names, all=not names, redact=not no_redact, who=acting_user())
    wanted = replace(unlimited, **limits)
    file = config or Path("routes.yaml")
    record_live(lambda: find_admin(file, admin), wanted, out, force=force, as_json=as_json)


command.add_command(export)
