"""The way of a start to the store that nodes share, which it never waits long for."""

import threading
from collections.abc import Callable
from typing import Final, TypeVar

import click

from strangler.core.settings import Settings
from strangler.store.errors import DatabaseError
from strangler.store.evidence.access import NoEvidenceError, location_of

WAIT_S: Final = 2.0
"""How long a start waits for a shared store, whatever has become of its server."""

_T = TypeVar("_T")


def reach(settings: Settings, work: Callable[[], _T]) -> _T | None:
    """Return what `work` finds in the shared store; None, with a line on standard error, if that takes too long.

    The thread that works may go on: it ends with the process, which has nothing else to do.
    """
    found: list[_T] = []
    problems: list[str] = []

    def run() -> None:
        try:
            found.append(work())
        except (NoEvidenceError, DatabaseError, OSError) as error:
            problems.append(str(error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(WAIT_S)
    if found:
        return found[0]
    place = location_of(settings).place
    why = problems[0] if problems else f"{place} has not responded within {WAIT_S:g} s"
    click.echo(
        f"warning: rollouts start at 0 % until the store is back, with the kill switch of this node's file: {why}",
        err=True,
    )
    return None
