"""`strangler kill-switch`: traffic to legacy, now: all of it, or that of one route."""

from pathlib import Path
from typing import Literal

import click

from strangler.cli._acting_user import acting_user
from strangler.cli._admin import Admin, NamedAdmin, admin_option, find_admin
from strangler.cli._config import config_option
from strangler.core.documents import KillSwitchRequest, KillSwitchStatus
from strangler.core.kill_switch_text import node_only_text, route_turned_text, turned_text


@click.command()
@click.argument("turn", type=click.Choice(["on", "off"]))
@click.option("--route", metavar="ROUTE", help="Only the requests of this route. Default: those of all routes.")
@click.option("--all", "with_routes", is_flag=True, help="With off: also for each route that it is on for by itself.")
@click.option("--reason", default="", help="Why; shown in the log and by `strangler status`.")
@config_option
@admin_option
def command(
    turn: Literal["on", "off"],
    route: str | None,
    with_routes: bool,
    reason: str,
    config: Path,
    admin: NamedAdmin | None,
) -> None:
    """Send all traffic to legacy (on), or follow the routes (off).

    It takes effect at once in every worker, needs no valid routes.yaml, and stays on over restarts until it is turned
    off. With --route it is turned for that route alone, and no file is edited. `off` without --route leaves the routes
    as they are that it is on for by themselves, and names them; `off --all` turns it off for them, too.

    \b
    strangler kill-switch on --route orders --reason 'orders responds with nonsense'
    """
    if with_routes and (turn == "on" or route is not None):
        raise click.UsageError("--all goes with `off`, and not with --route")
    proxy = find_admin(config, admin)
    state = _turn(proxy, turn == "on", reason, route)
    for name in list(state.routes) if with_routes else ():
        state = _turn(proxy, False, reason, name)
        click.echo(f"kill switch off for route '{name}'")
    click.echo(turned_text(state) if route is None else route_turned_text(route, state))
    limits = node_only_text(state)
    if limits is not None:
        click.echo(limits)


def _turn(proxy: Admin, on: bool, reason: str, route: str | None) -> KillSwitchStatus:
    turn = KillSwitchRequest(on, reason, acting_user(), route)
    return proxy.ask("POST", "/api/kill-switch", KillSwitchStatus, turn)
