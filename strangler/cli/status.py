"""`strangler status`: what the running proxy does now."""

import json
from pathlib import Path

import click

from strangler.cli import _tables
from strangler.cli._admin import admin_option, config_option, find_admin
from strangler.cli._terminal import console as terminal
from strangler.cli._watch import watch
from strangler.config.scalars import duration


class _Duration(click.ParamType[float]):
    """`500ms`, `2s`."""

    name = "duration"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        try:
            return duration(value, zero=False)
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)


@click.command()
@config_option
@admin_option
@click.option("--watch", "is_watching", is_flag=True, help="Go on, and show in place what changes, until Ctrl-C.")
@click.option("--interval", type=_Duration(), default="1s", show_default=True, help="How often, with --watch.")
@click.option("--json", "as_json", is_flag=True, help="Print all of it as JSON, with --watch one line each time.")
def command(config: Path, admin: str | None, is_watching: bool, interval: float, as_json: bool) -> None:
    """Show routes, arms, breakers and problems of the running proxy.

    Exit status 1 if no proxy runs. With --watch it may be away later: then that is shown until it is back.
    """
    status = find_admin(config, admin).ask("GET", "/api/status")
    console = terminal()
    if is_watching:
        watch(console, lambda: find_admin(config, admin), interval, as_json=as_json)
    elif as_json:
        click.echo(json.dumps(status, ensure_ascii=False))
    else:
        for line in _tables.notices(status):
            console.print(line, soft_wrap=True)
        console.print(_tables.routes(status["routes"], status["unrouted"]))
        console.print(_tables.upstreams(status["upstreams"]))
