"""`strangler evidence`: begin the evidence of a route again."""

from pathlib import Path

import click

from strangler.cli._acting_user import acting_user
from strangler.cli._admin import NamedAdmin, admin_option
from strangler.cli._config import config_option, failed, route_of, settings_of
from strangler.cli._evidence import find_evidence
from strangler.cli._json import json_text


@click.group()
def command() -> None:
    """Manage the evidence of a route."""


@command.command()
@click.argument("route")
@click.option("--why", required=True, help="Why; recorded with your name.")
@config_option
@admin_option
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
def reset(route: str, why: str, config: Path, admin: NamedAdmin | None, as_json: bool) -> None:
    """Set aside everything compared so far on ROUTE, and begin again.

    It stays readable as release NAME@TIME: `strangler ready ROUTE --release NAME@TIME`. Pairs, differences and their
    reviews, fixes that wait for proof and noise begin again. Accept rules stay: they are in routes.yaml.

    \b
    strangler evidence reset orders --why "the candidate read another database"
    """
    settings = settings_of(config)
    route_of(config, settings, route)
    if not why.strip():
        raise failed("--why is empty; give a reason: it is recorded")
    done = find_evidence(config, admin, settings).reset(route, acting_user(), why)
    if as_json:
        click.echo(json_text(done))
        return
    if not done.set_aside:
        click.echo(f"route '{route}': nothing was compared so far, so nothing was set aside")
        return
    click.echo(f"route '{route}' begins again; what was compared so far is readable with --release:")
    for name in done.set_aside:
        click.echo(f"  {name}")
