"""The kill switch that workers start with, where several nodes share a store."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from strangler.state import kill_switch
from strangler.state.lock import FolderError, is_held, locked
from strangler.state.switch_merge import merge
from strangler.store.stored_kill_switch import StoredTurn


def take_turns(folder: Path, stored: Mapping[str, StoredTurn]) -> None:
    """Put the turns of the store that are later into the file of a state folder, before any worker reads it.

    A proxy that uses the folder does so itself, and a file that cannot be read stays, since it counts as on. Whoever
    cannot write the folder cannot start either, and is told why by that.
    """
    if is_held(folder):
        return
    with suppress(OSError, FolderError), locked(folder, "try again"):
        local = kill_switch.read(folder)
        state = local if local.is_unreadable else merge(local, stored).state
        if state != local:
            kill_switch.write(folder, state)
