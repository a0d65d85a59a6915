"""The name of a node, which no other node of the store may have while both run."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import click

from strangler.cli._reaching import WAIT_S, reach
from strangler.core.settings import Settings
from strangler.state.node_id import node_id
from strangler.store.connection import Connection
from strangler.store.evidence.access import location_of
from strangler.store.location import StoreLocation
from strangler.store.nodes import ABSENT_S, claim_name, name_taken
from strangler.store.schema.opening import node_of, writer

_LOOK_EVERY_S: Final = 0.5

_T = TypeVar("_T")


def take_name(settings: Settings, work: Callable[[Connection], _T]) -> _T | None:
    """Take the name of this node, whose store is shared, and return what `work` reads there by the same transaction. A
    former node of that name, in another state folder, is waited for until it counts as ended.

    Raises ClickException if that node goes on. A store that is away is no reason not to start: None is returned then.
    """
    folder, node, location = Path(settings.state), node_of(settings), location_of(settings)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = node_id(folder)
    except OSError:  # the supervisor says what is wrong with the folder
        return None
    read: list[_T | None] = [None]

    def claim() -> float | None:
        heard, read[0] = reach(settings, lambda: _claim(location, node, owner, work)) or (None, None)
        return heard

    wait_for_name(node, claim)
    return read[0]


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


def _claim(
    location: StoreLocation, node: str, owner: str, work: Callable[[Connection], _T]
) -> tuple[float | None, _T | None]:
    """Take the name, and read. Return when another node of that name was heard, and nothing that was read, if one has
    it."""
    with writer(location, WAIT_S) as connection:
        heard = claim_name(connection, node, owner)
        read = work(connection) if heard is None else None
    return heard, read
