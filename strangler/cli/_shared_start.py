"""The state that a proxy starts with: that of this node's files, or of the store that it shares with other nodes.

What reads a store is imported only for a shared one: this is part of `serve`, whose process stays small.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path

import click

from strangler.core.settings import Settings
from strangler.ipc.start import SUCCESSION_VARIABLE
from strangler.state import rollout_file
from strangler.store.connection import Connection
from strangler.store.stored_kill_switch import StoredTurn, load_turns


@dataclass(frozen=True, slots=True)
class Start:
    """The state that a proxy starts with: percents of rollouts, by group, and the last turns of the kill switch."""

    percents: Mapping[str, float]
    turns: Mapping[str, StoredTurn] = field(default_factory=dict)


def starting(settings: Settings, environ: Mapping[str, str] = os.environ) -> Start:
    """Return what to start with, after the name of a node whose store is shared was taken in it; a rollout whose group
    is not named starts at 0 %. Raises ClickException if another node has that name, or the driver is missing.

    The percents of a node that shares its store may be of long ago in its file, so they are not believed: while the
    store is away, all start at 0 %, and control puts the stored percents in force once it is back. A program that
    follows another has its name already. Beside the one that is being replaced a percent is never above that of its
    workers, which serve until the new ones do.
    """
    kept = rollout_file.percents(Path(settings.state))
    if settings.store is None:
        return Start(kept)
    from strangler.cli._node_name import take_name
    from strangler.store.schema.opening import NO_DRIVER

    if find_spec("psycopg") is None:
        raise click.ClickException(NO_DRIVER)
    if SUCCESSION_VARIABLE not in environ:
        return take_name(settings, _stored) or Start({})
    found = _read(settings) or Start({})
    return replace(found, percents={group: min(at, kept.get(group, 0.0)) for group, at in found.percents.items()})


def _read(settings: Settings) -> Start | None:
    from strangler.cli._reaching import reach
    from strangler.store.evidence.access import location_of, reader

    def read() -> Start:
        with reader(location_of(settings)) as connection:
            return _stored(connection)

    return reach(settings, read)


def _stored(connection: Connection) -> Start:
    from strangler.store.evidence.stored_rollouts import load_positions

    percents = {group: row.percent for group, row in load_positions(connection).items()}
    return Start(percents, load_turns(connection))
