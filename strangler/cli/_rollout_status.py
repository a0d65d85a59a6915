"""`strangler rollout status`: all rollouts, or all about one."""

from pathlib import Path

import click
import msgspec
from rich.console import RenderableType
from rich.text import Text

from strangler.cli._admin import Admin, NamedAdmin, admin_option, find_admin
from strangler.cli._completion import rollouts_of_file
from strangler.cli._config import config_option
from strangler.cli._json import json_text
from strangler.cli._rollout_show import unit_lines
from strangler.cli._rollout_source import NOTHING, known_unit, read_rollouts
from strangler.cli._rollout_table import next_lines, units_table
from strangler.cli._rollout_units import unit_of, units_of
from strangler.cli._terminal import console as terminal
from strangler.cli._times import Duration
from strangler.cli._watch import watch
from strangler.core.documents import RolloutsDocument

_CLOCK_LINES = 2
"""The lines of the clock below a screen."""


@click.command()
@click.argument("route", required=False, shell_complete=rollouts_of_file)
@config_option
@admin_option
@click.option("--watch", "is_watching", is_flag=True, help="Keep running, and update in place, until Ctrl-C.")
@click.option("--interval", type=Duration(), default="1s", show_default=True, help="How often, with --watch.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON, with --watch one line each time.")
def status(
    route: str | None, config: Path, admin: NamedAdmin | None, is_watching: bool, interval: float, as_json: bool
) -> None:
    """Show all rollouts, or all about that of ROUTE.

    Without ROUTE there is one row for the routes of a group: they climb as one, and their numbers are the sum. Times
    are in UTC.

    Exit code 1: ROUTE has no rollout, or no proxy runs.

    \b
    strangler rollout status
    strangler rollout status orders --watch
    """
    proxy = find_admin(config, admin)
    screen = _RolloutScreen(route)
    if route is not None:
        known_unit(proxy, route)  # raises with the way out
    found = screen.ask(proxy)
    console = terminal()
    if is_watching:
        watch(console, lambda: find_admin(config, admin), screen, interval, as_json=as_json)
    elif as_json:
        click.echo(json_text(screen.document(found)))
    else:
        for part in screen.parts(found, console.width, None):
            console.print(part, soft_wrap=isinstance(part, Text))


class _RolloutScreen:
    """The rollouts of all routes, or that of one."""

    def __init__(self, route: str | None) -> None:
        self._route = route

    def ask(self, admin: Admin) -> RolloutsDocument:
        return read_rollouts(admin)

    def document(self, found: RolloutsDocument) -> msgspec.Struct | None:
        """Return the document of `--json`; None for a route whose rollout was taken out of the file meanwhile."""
        if self._route is None:
            return found
        unit = unit_of(found, self._route)
        return None if unit is None else unit.status

    def draw(self, found: RolloutsDocument, width: int, height: int, absence: Text | None) -> list[RenderableType]:
        head: list[RenderableType] = [] if absence is None else [absence, Text()]
        taken = _CLOCK_LINES + (0 if absence is None else absence.plain.count("\n") + 2)
        return [*head, *self.parts(found, width, height - taken)]

    def parts(self, found: RolloutsDocument, width: int, room: int | None) -> list[RenderableType]:
        """Return what is printed, one after the other. `room`: the lines of a screen; None: no bound."""
        if self._route is not None:
            unit = unit_of(found, self._route)
            return (
                [Text(f"route '{self._route}' has no rollout now")] if unit is None else unit_lines(unit, width, room)
            )
        units = units_of(found)
        if not units:
            return [Text(NOTHING)]
        needed = [Text.from_markup(line) for line in next_lines(units)]
        return [units_table(units, width), *([Text(), *needed] if needed else [])]
