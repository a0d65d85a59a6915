"""Finding and loading routes.yaml. What loading it needs (yaml, pydantic: 15 MB) is imported only then."""

import os
from datetime import UTC, datetime
from pathlib import Path

import click

from strangler.core.settings import RouteSettings, Settings

BAD_INPUT = 2
"""The exit code."""

config_option = click.option(
    "-c",
    "--config",
    type=click.Path(path_type=Path),
    default="routes.yaml",
    show_default=True,
    help="The file with the routes; - is standard input.",
)


def failed(message: str) -> SystemExit:
    """Return the error to raise: its message is printed, and the exit code says bad input."""
    click.echo(message, err=True)
    return SystemExit(BAD_INPUT)


def only_a_file(config: Path) -> None:
    """End the program if routes.yaml is standard input, for a command that writes it or reads it again later."""
    if str(config) == "-":  # load.STANDARD_INPUT; importing that takes 15 MB
        raise failed("-: this command needs a file of its own, not standard input; name it with -c")


def settings_of(config: Path, *, with_certificates: bool = False) -> Settings:
    """Return the settings of a file; end the program with all its problems if it has any.

    Certificate files are read only where that is asked for: they belong to the proxy's user.
    """
    from strangler.config.load import load
    from strangler.config.pem_files import PemSource

    loaded = load(config, os.environ, PemSource(datetime.now(UTC)) if with_certificates else None)
    if loaded.settings is None:
        raise failed("\n".join(map(str, loaded.problems)))
    return loaded.settings


def route_of(config: Path, settings: Settings, name: str) -> RouteSettings:
    """Return the route of that name. End the program if there is none."""
    from strangler.config.edit import unknown_route

    for route in settings.routes:
        if route.name == name:
            return route
    raise failed(f"{config}: {unknown_route(name, [route.name for route in settings.routes])}")
