# Compiled with mypyc: see docs/hot-path.md.
"""Two counters over the last seconds: all events, and the marked ones among them."""

_SLOTS = 10


class SlidingWindow:
    """A ring of ten time slots, so that memory and cost do not depend on the rate.

    The current slot is included, although it is not over: the window covers from nine tenths to all of its span.
    """

    __slots__ = ("_counts", "_index", "_marks", "_slot", "_slot_ends", "_slot_s")

    def __init__(self, span_s: float) -> None:
        if span_s <= 0:
            raise ValueError(f"a window spans more than 0 s, not {span_s}")
        self._slot_s = span_s / _SLOTS
        self.clear()

    def clear(self) -> None:
        self._counts = [0] * _SLOTS
        self._marks = [0] * _SLOTS
        self._index = 0  # number of the current slot since the clock's zero
        self._slot = 0  # its place in the ring
        self._slot_ends = 0.0

    def add(self, now: float) -> None:
        """Count one event."""
        if now >= self._slot_ends:
            self._advance(now)
        self._counts[self._slot] += 1

    def mark(self, now: float) -> None:
        """Mark one event; it is counted by `add` as well."""
        if now >= self._slot_ends:
            self._advance(now)
        self._marks[self._slot] += 1

    def totals(self, now: float) -> tuple[int, int]:
        """Return the numbers of events and marks within the span that ends now."""
        if now >= self._slot_ends:
            self._advance(now)
        return sum(self._counts), sum(self._marks)

    def _advance(self, now: float) -> None:
        index = int(now / self._slot_s)
        for passed in range(min(index - self._index, _SLOTS)):
            emptied = (index - passed) % _SLOTS
            self._counts[emptied] = self._marks[emptied] = 0
        self._index = index
        self._slot = index % _SLOTS
        self._slot_ends = (index + 1) * self._slot_s
