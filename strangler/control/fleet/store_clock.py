"""The clock that all nodes of a store share: the database's."""

import time
from collections.abc import Callable


class StoreClock:
    """Tells Unix time as the database has it; before the first `set`, and without a shared store, as this host has it.

    `monotonic` returns seconds that no one sets.
    """

    def __init__(
        self, wall_clock: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._wall_clock = wall_clock
        self._monotonic = monotonic
        self._base: float | None = None

    def set(self, now: float, read_at: float | None = None) -> None:
        """Set the clock: `now` is the Unix time of the database, read at the monotonic time `read_at`, or just now."""
        self._base = now - (self._monotonic() if read_at is None else read_at)

    @property
    def is_set(self) -> bool:
        """Whether the database's clock is known."""
        return self._base is not None

    def now(self) -> float:
        """Return Unix time, in seconds."""
        return self._wall_clock() if self._base is None else self._base + self._monotonic()

    @property
    def ahead_s(self) -> float:
        """How far the database's clock is ahead of this host's, in seconds."""
        return self.now() - self._wall_clock()
