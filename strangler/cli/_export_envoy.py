"""`strangler export envoy`: a configuration for an Envoy that somebody else runs."""

import time
from pathlib import Path
from typing import Final

import click

from strangler.cli._config import config_option, failed
from strangler.cli._export_options import (
    compared,
    end,
    loaded_with,
    name_losses,
    read_or_fail,
    report,
    strict_option,
)
from strangler.core.settings import Settings
from strangler.engine.living import numbered
from strangler.engine.written_files import put
from strangler.envoy.comparison import differences, static_differences
from strangler.envoy.losses import losses as losses_of
from strangler.envoy.lying_place import place_of_files, place_of_static
from strangler.envoy.place import EnvoyPlace, Switches
from strangler.envoy.render import render
from strangler.envoy.resources import BOOTSTRAP, CLUSTERS, LISTENERS, ROUTES, EnvoyResources

_IN_ORDER: Final = (CLUSTERS, LISTENERS, ROUTES, BOOTSTRAP)
"""The files that refer to others, each after those that it refers to."""

_VERSION: Final = "export"
_GENERATION: Final = 1


@click.command("envoy")
@config_option
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="The folder to write into; with --static the file, else standard output.",
)
@click.option("--static", "is_static", is_flag=True, help="One file with everything in it, which follows no others.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Where Envoy will find the files, if that is not the folder they are written into.",
)
@click.option(
    "--check",
    "checked",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Write nothing, but say whether a folder or static file still is what routes.yaml says.",
)
@strict_option
def envoy(
    config: Path, output: Path | None, is_static: bool, folder: Path | None, checked: Path | None, is_strict: bool
) -> None:
    """Write routes.yaml as Envoy's files.

    The folder gets bootstrap.json, which Envoy is started with, and the files that it follows. The kill switch is off
    in it, and a route with a rollout is at 0 %: those are no part of routes.yaml.

    With --check: exit code 1 if what lies at PATH differs, and the first differences. PATH may also be the folder
    `envoy` in the state folder of a running proxy.

    \b
    strangler export envoy -o /etc/envoy/strangler
    strangler export envoy --static -o envoy.json
    strangler export envoy --check .strangler/envoy
    """
    settings, losses = loaded_with(config, losses_of)
    if checked is not None:
        if output is not None or is_static or folder is not None:
            raise click.UsageError("--check writes nothing; leave -o, --static and --folder out")
        report(checked, config, _differences(settings, checked))
        end(losses, is_strict)
        return
    if output is None and not is_static:
        raise click.UsageError("name the folder to write into with -o, or write --static for one file")
    name_losses(losses)
    if is_static:
        _write_static(_rendered(settings, _usual(settings, folder or Path.cwd())), output)
    elif output is not None:
        _write_files(_rendered(settings, _usual(settings, folder or output.absolute())), output)
    end(losses, is_strict)


def _usual(settings: Settings, folder: Path) -> EnvoyPlace:
    """Return the place of an Envoy that is started in a folder: its sockets are there."""
    return EnvoyPlace(
        str(folder), "admin.sock", "telemetry.sock", str(Path(settings.state).absolute() / "receiver.sock")
    )


def _rendered(settings: Settings, place: EnvoyPlace) -> EnvoyResources:
    return render(settings, place, _GENERATION, Switches(), time.time())


def _write_static(resources: EnvoyResources, file: Path | None) -> None:
    content = resources.static_twin() + b"\n"
    if file is None:
        click.echo(content, nl=False)
        return
    _write(file, content)


def _write_files(resources: EnvoyResources, folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise failed(f"{folder}: the folder cannot be made: {error.strerror}") from None
    files = resources.files(_VERSION)
    for name in (*sorted(files.keys() - set(_IN_ORDER)), *_IN_ORDER):
        _write(folder / name, files[name])


def _write(file: Path, content: bytes) -> None:
    """Put a file in place whole: an Envoy that follows it must not read a half."""
    try:
        put(file.parent, file.name, content)
    except OSError as error:
        raise failed(f"{file}: it cannot be written: {error.strerror}") from None


def _differences(settings: Settings, place: Path) -> list[str]:
    moving = {route.name for route in settings.routes if route.rollout is not None}
    named = _named_files(settings)
    if place.is_file():
        content = read_or_fail(place)

        def static() -> list[str]:
            lies = place_of_static(content, _usual(settings, Path.cwd()), named)
            return static_differences(content, _rendered(settings, lies).static_twin(), moving)

        return compared(place, static)
    folder = _newest(place)
    names = {*_IN_ORDER, *(each.name for each in folder.glob("[!.]*.json"))}
    files = {name: read_or_fail(folder / name) for name in sorted(names)}

    def followed() -> list[str]:
        lies = place_of_files(files, _usual(settings, folder), named)
        return differences(files, _rendered(settings, lies).files(_VERSION), moving)

    return compared(place, followed)


def _newest(folder: Path) -> Path:
    """Return the folder itself, or that of the newest Envoy in it."""
    if (folder / BOOTSTRAP).exists() or not folder.is_dir():
        return folder
    return next((each for _, each in reversed(numbered(folder)) if (each / BOOTSTRAP).exists()), folder)


def _named_files(settings: Settings) -> set[str]:
    """Return the files with authorities that the settings name themselves."""
    upstreams = {each.tls.ca for each in settings.upstreams.values()}
    listeners = {each.tls.client_ca for each in settings.listeners if each.tls is not None}
    return {path for path in (*upstreams, *listeners) if path is not None}
