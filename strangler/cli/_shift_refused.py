"""The way out for `shift` on a route with a rollout: the commands that move it, and how to move it by hand."""

import shlex
from pathlib import Path
from urllib.parse import quote

import click

from strangler.cli._admin import NamedAdmin, find_admin, running_admin
from strangler.cli._rollout_percents import with_stored_percents
from strangler.config.edit import HasRolloutError, find_route
from strangler.core.documents import RolloutStatus
from strangler.core.rollout.machine import COMMANDS


def way_out(config: Path, admin: NamedAdmin | None, percent: float, error: HasRolloutError) -> list[str]:
    """Return the lines to print. The running proxy says where the rollout stands, else the state folder."""
    name, status = shlex.quote(error.route), _status(config, admin, error)
    lines = [f"{config}: nothing was changed: route '{error.route}' has a rollout, which moves its percent"]
    if status is not None:
        lines.append(f"it is {status.state} at {status.percent:g} %: {status.why}")
    elif admin is None:
        split = find_route(with_stored_percents(error.settings), error.route).split
        lines.append(f"it is at {split.percent:g} %, by the state folder; no proxy runs")
    possible = [str(command) for command in COMMANDS] if status is None else status.commands
    lines += [f"  strangler rollout {command} {name}" for command in ("status", *possible)]
    if error.line is None:
        leave = f"write `split: {{percent: {percent:g}}}` into the route: that of `defaults` is not for it then"
    else:
        leave = f"replace its `rollout` on {error.line} by `split: {{percent: {percent:g}}}`"
    return [*lines, f"to move it by hand, {leave}"]


def _status(config: Path, admin: NamedAdmin | None, error: HasRolloutError) -> RolloutStatus | None:
    """Return where the running proxy has the rollout; None if none runs, or it does not say."""
    try:
        proxy = running_admin(error.settings) if admin is None else find_admin(config, admin)
        return None if proxy is None else proxy.find(f"/api/rollouts/{quote(error.route, safe='')}", RolloutStatus)
    except click.ClickException:
        return None
