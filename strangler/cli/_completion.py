"""Names for shell completion: those of the file that the command line names."""

import os
from pathlib import Path

import click

from strangler.config.edit import route_names
from strangler.config.source_files import read_files


def routes_of_file(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the routes, even of a file that has problems."""
    try:
        files = read_files(_file(ctx), os.environ)
    except (OSError, ValueError):
        return []
    return [name for name in route_names(files) if name.startswith(incomplete)]


def rollouts_of_file(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the routes with a rollout; all routes of a file that has problems: the proxy may run an earlier one."""
    from strangler.config.load import load

    settings = load(_file(ctx), os.environ).settings
    if settings is None:
        return routes_of_file(ctx, param, incomplete)
    return [route.name for route in settings.routes if route.rollout is not None and route.name.startswith(incomplete)]


def upstreams_of_file(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the upstreams and `proxy`, for an option that names either; none of a file with problems."""
    from strangler.config.load import load
    from strangler.replay.replay_settings import PROXY

    settings = load(_file(ctx), os.environ).settings
    return [] if settings is None else [name for name in (*settings.upstreams, PROXY) if name.startswith(incomplete)]


def _file(ctx: click.Context) -> Path:
    return Path(ctx.params.get("config") or "routes.yaml")
