"""`strangler kill-switch`: all traffic to legacy, now."""

from pathlib import Path
from typing import Literal

import click

from strangler.cli._acting_user import acting_user
from strangler.cli._admin import NamedAdmin, admin_option, find_admin
from strangler.cli._config import config_option
from strangler.core.documents import KillSwitchRequest, KillSwitchStatus


@click.command()
@click.argument("turn", type=click.Choice(["on", "off"]))
@click.option("--reason", default="", help="Why; shown in the log and by `strangler status`.")
@config_option
@admin_option
def command(turn: Literal["on", "off"], reason: str, config: Path, admin: NamedAdmin | None) -> None:
    """Send all traffic to legacy (on), or follow the routes (off).

    It takes effect at once in every worker, needs no valid routes.yaml, and stays on over restarts until it is turned
    off.
    """
    state = find_admin(config, admin).ask(
        "POST", "/api/kill-switch", KillSwitchStatus, KillSwitchRequest(turn == "on", reason, acting_user())
    )
    click.echo("kill switch on: all traffic goes to legacy" if state.on else "kill switch off: the routes decide")
