"""`strangler shadow`: control of the shadows of a route."""

from pathlib import Path
from urllib.parse import quote

import click

from strangler.cli._acting_user import acting_user
from strangler.cli._admin import NamedAdmin, admin_option, find_admin
from strangler.cli._config import config_option, route_of, settings_of
from strangler.core.documents import DoneDocument, ResumeRequest


@click.group()
def command() -> None:
    """Control the shadows of a route."""


@command.command()
@click.argument("route")
@click.option("--why", default="", help="Why it may go on; recorded with your name.")
@config_option
@admin_option
def resume(route: str, why: str, config: Path, admin: NamedAdmin | None) -> None:
    """Resume shadows of ROUTE that have stopped by themselves.

    They stop if a candidate does not confirm a dry run. Before the next write it gets another OPTIONS request.
    Exit code 1: they are not stopped, or no proxy runs.

    \b
    strangler shadow resume orders --why "it confirms dry runs since 1.4.2"
    """
    route_of(config, settings_of(config), route)
    find_admin(config, admin).ask(
        "POST", f"/api/shadows/{quote(route, safe='')}/resume", DoneDocument, ResumeRequest(acting_user(), why)
    )
    click.echo(f"shadowing of route '{route}' goes on")
