"""`strangler demo`: see it work before writing any routes.yaml."""

import asyncio
import os
import shutil
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import click

from strangler.cli._times import Duration
from strangler.demo.children import ChildDiedError
from strangler.demo.fleet_play import perform_fleet
from strangler.demo.postgres_server import NoPostgresError, prepare_postgres
from strangler.demo.rollout_play import DEFAULT_HOLD_S, MIN_HOLD_S, rollout_play
from strangler.demo.shop_play import shop_play
from strangler.demo.stage import DemoOptions, perform


@click.command()
@click.option("--duration", "duration_s", type=Duration(), help="Stop after this time, e.g. 20s.")
@click.option("--keep", is_flag=True, help="Keep the folder with routes, state and logs.")
@click.option("--rollout", is_flag=True, help="Have the orders climb by themselves to 100 %; keys break the candidate.")
@click.option(
    "--hold",
    "hold_s",
    type=Duration(),
    help=f"With --rollout: the least time on each step, e.g. 5s. Default: {DEFAULT_HOLD_S:g}s.",
)
@click.option("--fleet", is_flag=True, help="Run three nodes that share a PostgreSQL, and kill the one that leads.")
def command(duration_s: float | None, keep: bool, rollout: bool, hold_s: float | None, fleet: bool) -> None:
    """Run a sample shop, the proxy in front of it, and visitors.

    A second service is the candidate for the shop's orders. Commands to try are printed; no routes.yaml is needed.
    """
    if hold_s is not None and not rollout:
        raise click.UsageError("--hold is the time on a step of a rollout: add --rollout")
    if hold_s is not None and hold_s < MIN_HOLD_S:
        raise click.UsageError(f"--hold: a rollout moves once a second; write {MIN_HOLD_S:g}s or more")
    if fleet and rollout:
        raise click.UsageError("--fleet and --rollout are two demos: leave one out")
    options = DemoOptions(strangler=_as_typed(), duration_s=duration_s, keep=keep)
    try:
        asyncio.run(_performance(options, fleet, rollout, hold_s or DEFAULT_HOLD_S))
    except (ChildDiedError, NoPostgresError) as error:
        raise click.ClickException(str(error)) from None


def _performance(options: DemoOptions, fleet: bool, rollout: bool, hold_s: float) -> Coroutine[Any, Any, None]:
    """Return the demo that the options name. Raises NoPostgresError."""
    if fleet:
        return perform_fleet(options, prepare_postgres(os.environ.get("PATH", "")), say=click.echo)
    play = rollout_play(options, hold_s) if rollout else shop_play(options)
    return perform(options, play, say=click.echo)


def _as_typed() -> str:
    """Return how the user can call `strangler` from the same folder."""
    program = Path(sys.argv[0])
    if program.name == "__main__.py":
        return f"{sys.executable} -m strangler"
    found = shutil.which(program.name)
    return program.name if found and Path(found).samefile(program) else str(program)
