"""`strangler demo`: see it work before writing any routes.yaml."""

import asyncio
import shutil
import sys
from pathlib import Path

import click

from strangler.cli._times import Duration
from strangler.demo.children import ChildDiedError
from strangler.demo.stage import DemoOptions, perform


@click.command()
@click.option("--duration", "duration_s", type=Duration(), help="Stop after this time, e.g. 20s.")
@click.option("--keep", is_flag=True, help="Keep the folder with routes, state and logs.")
def command(duration_s: float | None, keep: bool) -> None:
    """Run a sample shop, the proxy in front of it, and visitors.

    A second service is the candidate for the shop's orders. Commands to try are printed; no routes.yaml is needed.
    """
    options = DemoOptions(strangler=_as_typed(), duration_s=duration_s, keep=keep)
    try:
        asyncio.run(perform(options, say=click.echo))
    except ChildDiedError as error:
        raise click.ClickException(str(error)) from None


def _as_typed() -> str:
    """Return how the user can call `strangler` from the same folder."""
    program = Path(sys.argv[0])
    if program.name == "__main__.py":
        return f"{sys.executable} -m strangler"
    found = shutil.which(program.name)
    return program.name if found and Path(found).samefile(program) else str(program)
