"""The state that a proxy starts with: that of this node's files, or of the store that it shares with other nodes.

What reads a store is imported only for a shared one: this is part of `serve`, whose process stays small.
"""

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, TypeVar

import click

from strangler.core.settings import Settings
from strangler.ipc.start import SUCCESSION_VARIABLE
from strangler.state import rollout_file
from strangler.store.connection import Connection
from strangler.store.stored_kill_switch import StoredTurn, load_turns

WAIT_S: Final = 2.0
"""How long a start waits for a shared store, whatever has become of its server."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Start:
    """The state that a proxy starts with: percents of rollouts, by group, and the last turns of the kill switch."""

    percents: Mapping[str, float]
    turns: Mapping[str, StoredTurn] = field(default_factory=dict)


def starting(settings: Settings, environ: Mapping[str, str] = os.environ) -> Start:
    """Return what to start with; a rollout whose group is not named starts at 0 %.

    The percents of a node that shares its store may be of long ago in its file, so they are not believed: while the
    store is away, all start at 0 %, and control puts the stored percents in force once it is back. Beside a program
    that is being replaced a percent is never above that of its workers, which serve until the new ones do.
    """
    kept = rollout_file.percents(Path(settings.state))
    if settings.store is None:
        return Start(kept)
    found = read_shared(settings, _stored)
    if found is None or SUCCESSION_VARIABLE not in environ:
        return found or Start({})
    return replace(found, percents={group: min(at, kept.get(group, 0.0)) for group, at in found.percents.items()})


def _stored(connection: Connection) -> Start:
    from strangler.store.evidence.stored_rollouts import load_positions

    percents = {group: row.percent for group, row in load_positions(connection).items()}
    return Start(percents, load_turns(connection))


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
    place = location_of(settings).place
    why = problems[0] if problems else f"{place} has not responded within {wait_s:g} s"
    click.echo(
        f"warning: rollouts start at 0 % until the store is back, with the kill switch of this node's file: {why}",
        err=True,
    )
    return None
