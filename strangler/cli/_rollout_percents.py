"""The percents that rollouts have reached, where commands find them: routes.yaml has the plan alone."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click
import msgspec

from strangler.core.rollout_percents import with_percents
from strangler.core.settings import Settings

ROLLOUTS: Final = "rollout.json"


@dataclass(frozen=True, slots=True)
class _Kept:
    percent: float


def stored_percents(folder: Path) -> dict[str, float]:
    """Return the percents that the state folder keeps, by group; none if it has no file that can be read.

    Raises PermissionError if this user may not read it.
    """
    try:
        kept = msgspec.json.decode((folder / ROLLOUTS).read_bytes(), type=dict[str, _Kept])
    except PermissionError:
        raise
    except (OSError, msgspec.DecodeError):
        return {}
    return {group: each.percent for group, each in kept.items()}


def with_stored_percents(settings: Settings) -> Settings:
    """Return the settings with the percents that a proxy of their state folder has in force, or would start with."""
    if all(route.rollout is None for route in settings.routes):
        return settings
    folder = Path(settings.state)
    try:
        return with_percents(settings, stored_percents(folder))
    except PermissionError:
        click.echo(
            f"the positions of rollouts in {folder} cannot be read by this user, so this assumes 0 %;"
            " run this as the user of the proxy",
            err=True,
        )
        return settings
