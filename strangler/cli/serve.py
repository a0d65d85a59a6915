"""`strangler serve`: run the proxy."""

import os
from pathlib import Path

import click

from strangler.config.load import load
from strangler.supervisor import SupervisorError, run

_BAD_INPUT = 2


@click.command()
@click.option(
    "-c", "--config", type=click.Path(path_type=Path), default="routes.yaml", show_default=True, help="The routes."
)
def command(config: Path) -> None:
    """Run the proxy until SIGTERM or Ctrl-C.

    routes.yaml is loaded again when it changes, and on SIGHUP; a bad file changes nothing. The first SIGTERM or Ctrl-C
    lets the requests under way finish, the second ends at once.
    """
    loaded = load(config, os.environ)
    if loaded.settings is None:
        for problem in loaded.problems:
            click.echo(str(problem), err=True)
        raise SystemExit(_BAD_INPUT)
    os.umask(0o077)  # what the proxy writes is its user's alone, in a state folder of any mode
    try:
        status = run(config, loaded.settings)
    except SupervisorError as error:
        raise click.ClickException(str(error)) from None
    raise SystemExit(status)
