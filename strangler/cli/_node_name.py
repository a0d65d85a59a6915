"""The name of a node, which no other node of the store may have while both run."""

import os
import threading
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import click

from strangler.core.settings import Settings
from strangler.ipc.start import SUCCESSION_VARIABLE
from strangler.state.node_id import node_id
from strangler.store.errors import DatabaseError
from strangler.store.evidence.access import location_of
from strangler.store.location import StoreLocation
from strangler.store.nodes import ABSENT_S, claim_name, name_taken
from strangler.store.schema.opening import NO_DRIVER, node_of, writer

_REACH_S: Final = 2.0
"""How long the store may take; a node whose store is away starts without it."""
_LOOK_EVERY_S: Final = 0.5


def take_name(settings: Settings) -> None:
    """Take the name of this node, whose store is shared. A former node of that name, in another state folder, is
    waited for until it counts as ended.

    Raises ClickException if that node goes on, or the driver of the store is missing. A store that is away is no reason
    not to start, and a program that follows another has its name already.
    """
    if find_spec("psycopg") is None:
        raise click.ClickException(NO_DRIVER)
    if SUCCESSION_VARIABLE in os.environ:
        return
    folder, node, location = Path(settings.state), node_of(settings), location_of(settings)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = node_id(folder)
    except OSError:  # the supervisor says what is wrong with the folder
        return
    wait_for_name(node, lambda: _claim(location, node, owner))


def wait_for_name(
    node: str,
    claim: Callable[[], float | None],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> None:
    """Wait until `claim` has taken a name: it returns None then, and otherwise when the node that has it was heard.

    Raises ClickException once that node was heard again.
    """
    deadline, before = clock() + 2 * ABSENT_S, None
    while (heard := claim()) is not None:
        if before is None:
            click.echo(f"waits up to {ABSENT_S} s: another node called {node!r} was heard just now", err=True)
        elif heard != before or clock() >= deadline:
            raise click.ClickException(name_taken(node))
        before = heard
        sleep(_LOOK_EVERY_S)


def _claim(location: StoreLocation, node: str, owner: str) -> float | None:
    """Try to take the name. A store that hangs is left to itself after a while."""
    found: list[float | None] = [None]

    def claim() -> None:
        try:
            with writer(location, _REACH_S) as connection:
                found[0] = claim_name(connection, node, owner)
        except (DatabaseError, OSError):  # control tries again, and reports it
            return

    thread = threading.Thread(target=claim, daemon=True)
    thread.start()
    thread.join(_REACH_S)
    return found[0]
