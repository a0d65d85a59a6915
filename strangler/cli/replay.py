"""`strangler replay`: the requests of a recording sent again, and the responses compared."""

from pathlib import Path
from typing import Any

import click

from strangler.cli._admin import NamedAdmin, admin_option
from strangler.cli._completion import routes_of_file, upstreams_of_file
from strangler.cli._config import config_option

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("recording", metavar="FILE", type=_FILE)
@config_option
@admin_option
@click.option(
    "--to",
    metavar="UPSTREAM|proxy",
    shell_complete=upstreams_of_file,
    help="An upstream of routes.yaml, or its first listener.  [default: the candidate of the route that matches]",
)
@click.option(
    "--against",
    type=click.Choice(["recorded", "legacy"]),
    help="What responses are compared with: what was recorded, or what legacy responds at the same time."
    "  [default: recorded]",
)
@click.option(
    "--route", "routes", multiple=True, shell_complete=routes_of_file, help="Only requests of this route; repeatable."
)
@click.option(
    "--speed",
    metavar="PACE",
    default="recorded",
    show_default=True,
    help="recorded, x2 (twice as fast), 50/s (requests a second) or max.",
)
@click.option(
    "--callers-at-once",
    type=click.IntRange(1, 10_000),
    default=64,
    show_default=True,
    help="Callers whose requests are under way; those of one caller go one after the other.",
)
@click.option("--self", "is_self", is_flag=True, help="Compare legacy with itself, and propose accept rules.")
@click.option(
    "--writes",
    type=click.Choice(["sandbox", "dry_run"]),
    help="Send writes, too, to the sandbox of shadow.to or as dry runs.  [default: as shadow.writes of the route says]",
)
@click.option(
    "--header", "headers", multiple=True, metavar="'K: V'", help="Set this field in all requests; repeatable."
)
@click.option(
    "--callers",
    type=_FILE,
    help="YAML with fields, or secrets by place, of callers: '*': {X-Tenant: a, body:password: b}.",
)
@click.option(
    "--fail-on",
    type=click.Choice(["gate", "difference"]),
    help="Exit with 1 if a gate is not met, or only if something differs that no rule accepts.  [default: gate]",
)
@click.option("--no-inbox", is_flag=True, help="Put nothing into the inbox of `strangler diffs`.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--junit", type=_FILE, help="Write the result into this file as JUnit XML, too.")
def command(recording: Path, config: Path, admin: NamedAdmin | None, as_json: bool, **options: Any) -> None:
    """Send a recording again, and compare the responses.

    routes.yaml says where a request goes, never the recording. Requests are marked as shadows; writes are left out
    unless the route has a way for them. Before the first request it says what is sent where. Ctrl-C ends it with what
    was found.

    Exit code 0: each route that was replayed meets its gate (without min_age). 1: one does not, nothing was sent, or
    it was stopped. 2: bad input.

    \b
    strangler replay traffic.rec --speed max
    strangler replay traffic.rec --route orders --against legacy
    strangler replay traffic.rec --fail-on difference --no-inbox --junit replay.xml
    strangler replay traffic.rec --self
    """
    from strangler.cli._replay_actions import replay
    from strangler.cli._replay_options import GivenOptions

    replay(recording, config, admin, GivenOptions(**options), as_json=as_json)
