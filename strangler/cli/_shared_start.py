"""The state that a proxy starts with: percents and kill switch of the store that it shares, or of its own files alone.

What reads a store is imported only for a shared one: this is part of `serve`, whose process stays small.
"""

import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TypeVar

import click

from strangler.core.settings import Settings
from strangler.ipc.start import SUCCESSION_VARIABLE
from strangler.state import rollout_file
from strangler.store.connection import Connection

WAIT_S: Final = 2.0
"""How long a start waits for a shared store, whatever has become of its server."""

_T = TypeVar("_T")


def starting_percents(settings: Settings, environ: Mapping[str, str] = os.environ) -> Mapping[str, float]:
    """Return the percents of rollouts to start with, by group; one that is not named starts at 0 %.

    The file of a node that shares its store may be of long ago, so it is not believed: while the store is away, all
    start at 0 %, and control puts the stored percents in force once it is back. Beside a program that is being replaced
    a percent is never above that of its workers, which serve until the new ones do.

    The kill switch of all nodes becomes that of this node's file, which its workers read.
    """
    folder = Path(settings.state)
    kept = rollout_file.percents(folder)
    if settings.store is None:
        return kept
    percents = read_shared(settings, lambda connection: _taken(connection, folder))
    if percents is None:
        return {}
    if SUCCESSION_VARIABLE not in environ:
        return percents
    return {group: min(percent, kept.get(group, 0.0)) for group, percent in percents.items()}


def _taken(connection: Connection, folder: Path) -> dict[str, float]:
    from strangler.state.starting_switch import take_turns
    from strangler.store.evidence.stored_rollouts import load_positions
    from strangler.store.stored_kill_switch import load_turns

    take_turns(folder, load_turns(connection))
    return {group: row.percent for group, row in load_positions(connection).items()}


def read_shared(settings: Settings, work: Callable[[Connection], _T], wait_s: float = WAIT_S) -> _T | None:
    """Return what `work` reads from the shared store; None, with a line on standard error, if that takes too long.

    The thread that reads may go on: it ends with the process, which has nothing else to do.
    """
    from strangler.store.evidence.access import NoEvidenceError, location_of, reader

    found: list[_T] = []
    problems: list[str] = []

    def read() -> None:
        try:
            with reader(location_of(settings)) as connection:
                found.append(work(connection))
        except NoEvidenceError as error:
            problems.append(str(error))

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(wait_s)
    if found:
        return found[0]
    why = problems[0] if problems else f"{location_of(settings).place} has not responded within {wait_s:g} s"
    click.echo(
        f"warning: until the store is back, rollouts start at 0 %, with the kill switch of this node alone: {why}",
        err=True,
    )
    return None
