"""`strangler status`: what the running proxy does now."""

from pathlib import Path

import click

from strangler.cli import _tables
from strangler.cli._admin import NamedAdmin, admin_option, find_admin
from strangler.cli._config import config_option
from strangler.cli._json import json_text
from strangler.cli._status_screen import StatusScreen
from strangler.cli._terminal import console as terminal
from strangler.cli._times import Duration
from strangler.cli._watch import watch
from strangler.core.documents import StatusDocument


@click.command()
@config_option
@admin_option
@click.option("--watch", "is_watching", is_flag=True, help="Keep running, and update in place, until Ctrl-C.")
@click.option("--interval", type=Duration(), default="1s", show_default=True, help="How often, with --watch.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON, with --watch one line each time.")
def command(config: Path, admin: NamedAdmin | None, is_watching: bool, interval: float, as_json: bool) -> None:
    """Show what a running proxy does: processes, upstreams, routes.

    It names the other nodes that share its store. Exit code 1 if no proxy runs. With --watch, a proxy that goes away
    later is shown as away until it is back.
    """
    status = find_admin(config, admin).ask("GET", "/api/status", StatusDocument)
    console = terminal()
    if is_watching:
        watch(console, lambda: find_admin(config, admin), StatusScreen(), interval, as_json=as_json)
    elif as_json:
        click.echo(json_text(status))
    else:
        for line in _tables.notices(status):
            console.print(line, soft_wrap=True)
        if len(status.nodes) > 1:
            console.print()
            console.print(_tables.nodes(status.nodes))
        console.print()
        console.print(_tables.routes(status.routes, status.unrouted))
        console.print()
        console.print(_tables.upstreams(status.upstreams))
