"""A rest for the garbage collector, for work that makes very many objects, has no cycles and soon ends."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """Each collection looks through all that lives; among hundreds of thousands of new objects that is the most of the
    work. Two threads may pause at once: the one that came first ends the pause."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
