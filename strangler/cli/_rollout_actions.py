"""`strangler rollout start`, `pause`, `resume`, `approve` and `back`: the commands of a person."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import click

from strangler.cli._acting_user import acting_user
from strangler.cli._admin import NamedAdmin, admin_option, find_admin
from strangler.cli._completion import rollouts_of_file
from strangler.cli._config import config_option
from strangler.cli._json import json_text
from strangler.cli._percent import Percent
from strangler.cli._rollout_source import known_unit
from strangler.cli._rollout_units import RolloutUnit
from strangler.cli._terminal import plain
from strangler.core.documents import RolloutRequest, RolloutStatus
from strangler.core.rollout_text import next_percent

_F = TypeVar("_F", bound=Callable[..., Any])


def _command_options(command: _F) -> _F:
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print the rollout as it is then, as JSON."),
        click.option("--why", default="", help="Why; recorded with your name."),
        admin_option,
        config_option,
    ):
        command = option(command)
    return command


_route_argument = click.argument("route", shell_complete=rollouts_of_file)


@click.command()
@_route_argument
@_command_options
def start(route: str, **options: Any) -> None:
    """Start the rollout of ROUTE, and of its group.

    Writing `rollout` in routes.yaml starts nothing. A rollout that has taken over a percent goes on from there.

    \b
    strangler rollout start orders
    """
    _command("start", route, **options)


@click.command()
@_route_argument
@_command_options
def pause(route: str, **options: Any) -> None:
    """Keep the percent of ROUTE as it is, until `resume`.

    Breakers and the kill switch still work.

    \b
    strangler rollout pause orders --why "a holiday"
    """
    _command("pause", route, **options)


@click.command()
@_route_argument
@_command_options
def resume(route: str, **options: Any) -> None:
    """Let a rollout that is paused go on.

    Its evidence begins anew, and earlier falls are forgotten.

    \b
    strangler rollout resume orders --why "fixed in 1.4.2"
    """
    _command("resume", route, **options)


@click.command()
@_route_argument
@click.argument("percent", type=Percent(), required=False)
@_command_options
def approve(route: str, percent: float | None, **options: Any) -> None:
    """Allow a rollout to enter its next step.

    For the percents that `rollout.approve` names. With PERCENT it is refused unless that percent is next. The step is
    entered once the evidence, the hold, the gate and the window allow it.

    \b
    strangler rollout approve orders 50
    """
    _command("approve", route, percent, **options)


@click.command()
@_route_argument
@_command_options
def back(route: str, **options: Any) -> None:
    """Take ROUTE down to 0 %, step by step, and pause.

    Each step down lasts `rollout.back.hold`, so that a legacy gone cold is not hit at once. What must be at once is
    `strangler kill-switch on`.

    \b
    strangler rollout back orders --why "complaints"
    """
    _command("back", route, **options)


def _command(
    name: str,
    route: str,
    percent: float | None = None,
    *,
    why: str,
    config: Path,
    admin: NamedAdmin | None,
    as_json: bool,
) -> None:
    proxy = find_admin(config, admin)
    before = known_unit(proxy, route)
    request = RolloutRequest(percent, acting_user(), why)
    after = proxy.ask("POST", f"/api/rollouts/{quote(route, safe='')}/{name}", RolloutStatus, request)
    if as_json:
        click.echo(json_text(after))
        return
    for line in _outcome(name, before, after, percent):
        click.echo(plain(line))


def _outcome(name: str, before: RolloutUnit, after: RolloutStatus, percent: float | None) -> Iterator[str]:
    """Yield what was done, why the rollout waits now, and what its operator should know."""
    percent = next_percent(before.status.steps, before.status.percent) if percent is None else percent
    done = {
        "start": "started",
        "pause": "paused",
        "resume": "resumed",
        "approve": f"{percent:g} % is approved" if percent is not None else "approved",
        "back": "goes back to 0 % by steps",
    }[name]
    yield f"rollout of {before.subject}: {done}; {after.state} at {after.percent:g} %"
    if after.why:
        yield after.why
    yield from (f"note: {note}" for note in after.notes)
