"""The options of `strangler diffs` that say where to look, before or after the name of a subcommand."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from strangler.cli._admin import NamedAdmin, admin_option
from strangler.cli._evidence import Evidence, find_evidence
from strangler.core.settings import Settings

_F = TypeVar("_F", bound=Callable[..., Any])


def where_options(command: _F) -> _F:
    """Add the options that say where to look."""
    config = click.option(
        "-c", "--config", type=click.Path(path_type=Path), help="The file with the routes.  [default: routes.yaml]"
    )
    return config(admin_option(command))


def config_of(ctx: click.Context, config: Path | None) -> Path:
    """Return the file: `diffs -c FILE show ID` and `diffs show ID -c FILE` mean the same."""
    above = ctx.parent.params.get("config") if ctx.parent is not None else None
    return config or above or Path("routes.yaml")


def evidence_of(
    ctx: click.Context, config: Path | None, admin: NamedAdmin | None, settings: Settings | None = None
) -> Evidence:
    return find_evidence(config_of(ctx, config), admin, settings)
