"""`strangler demo`: see it work before writing any routes.yaml."""

import asyncio
import shutil
import sys
from pathlib import Path

import click

from strangler.cli._times import Duration
from strangler.demo.children import ChildDiedError
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
def command(duration_s: float | None, keep: bool, rollout: bool, hold_s: float | None) -> None:
    """Run a sample shop, the proxy in front of it, and visitors.

    A second service is the candidate for the shop's orders. Commands to try are printed; no routes.yaml is needed.
    """
    if hold_s is not None and not rollout:
        raise click.UsageError("--hold is the time on a step of a rollout: add --rollout")
    if hold_s is not None and hold_s < MIN_HOLD_S:
        raise click.UsageError(f"--hold: a rollout moves once a second; write {MIN_HOLD_S:g}s or more")
    options = DemoOptions(strangler=_as_typed(), duration_s=duration_s, keep=keep)
    play = rollout_play(options, hold_s or DEFAULT_HOLD_S) if rollout else shop_play(options)
    try:
        asyncio.run(perform(options, play, say=click.echo))
    except ChildDiedError as error:
        raise click.ClickException(str(error)) from None


def _as_typed() -> str:
    """Return how the user can call `strangler` from the same folder."""
    program = Path(sys.argv[0])
    if program.name == "__main__.py":
        return f"{sys.executable} -m strangler"
    found = shutil.which(program.name)
    return program.name if found and Path(found).samefile(program) else str(program)
