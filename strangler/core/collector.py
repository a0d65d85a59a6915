"""Pausing the garbage collector during short work that makes very many objects and no cycles."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """Pause the collector, since each collection visits all live objects: with hundreds of thousands of new ones, that
    takes longer than the work itself. Two threads may pause it at once: the one that began first ends the pause."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
