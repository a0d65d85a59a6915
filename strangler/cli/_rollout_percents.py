"""The percents that rollouts have reached, for commands that read routes.yaml, which has the plan alone."""

from pathlib import Path

import click

from strangler.core.rollout_percents import with_percents
from strangler.core.settings import Settings
from strangler.state import rollout_file


def with_stored_percents(settings: Settings) -> Settings:
    """Return the settings with the percents that a proxy of their state folder has in force, or would start with."""
    if all(route.rollout is None for route in settings.routes):
        return settings
    folder = Path(settings.state)
    if not rollout_file.may_read(folder):
        click.echo(
            f"the percents of rollouts in {folder} cannot be read by this user, so this assumes 0 %;"
            " run this as the user of the proxy",
            err=True,
        )
    return with_percents(settings, rollout_file.percents(folder))
