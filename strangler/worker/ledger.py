# Compiled with mypyc: see docs/hot-path.md.
"""The worker's part of the ledger: calls are counted, summed up between requests, and sent to control in batches."""

from collections.abc import Callable, Iterator

from strangler.ipc.messages import LedgerBatch
from strangler.worker.call import Call
from strangler.worker.control_link import ControlLink
from strangler.worker.ledger_cells import LedgerCells
from strangler.worker.ledger_names import LedgerNames
from strangler.worker.ledger_sums import LedgerSums

CELLS_PER_S = 2400
"""The cells that are summed up in a second, at about 10 µs each: up to so many different calls each is counted."""
MAX_CELLS_AT_ONCE = 240
"""The cells of one tick, however late it is: no request waits longer for it than 2 ms."""
SEND_EVERY_S = 0.25


class Ledger:
    """Counts the calls of a worker. One batch at a time is under way, and is kept until control has stored it."""

    __slots__ = ("_cells", "_is_on", "_is_owed", "_link", "_number", "_send_at", "_sums", "_ticked", "_under_way")

    def __init__(self, link: ControlLink, draw: Callable[[], float]) -> None:
        """`draw` returns a random number from 0 to 1, without 1."""
        self._link = link
        self._is_on = False
        self._cells = LedgerCells(draw)
        self._sums = LedgerSums()
        self._number = 0
        self._under_way: LedgerBatch | None = None
        self._is_owed = False
        """True if the link had no room for the batch under way."""
        self._ticked = 0.0
        self._send_at = 0.0

    def adopt(self, names: LedgerNames | None) -> None:
        """Count by other names from now on; None: not at all, and what has not been sent is dropped."""
        self._cells.adopt(names)
        self._is_on = names is not None
        if names is None:
            self._sums.clear()
            self._under_way = None
            self._is_owed = False

    def count(self, call: Call, route: str, duration_s: float) -> None:
        """Count a call that is over, or an endless one that begins."""
        self._cells.count(call, route, duration_s)

    def tick(self, now: float, unix: float) -> None:
        """Sum up some of the calls, and send a batch if it is time. `now` is monotonic; called many times a second."""
        if not self._is_on:
            return
        most = min(MAX_CELLS_AT_ONCE, int(CELLS_PER_S * (now - self._ticked)) + 1)
        self._ticked = now
        for cell in self._cells.take(most, now):
            self._sums.add(cell, unix)
        if not self._link.is_connected:
            return  # a new connection begins with the batch under way
        if self._under_way is not None:
            if self._is_owed:
                self._offer(self._under_way)
        elif now >= self._send_at and self._sums.count:
            self._send_at = now + SEND_EVERY_S
            self._offer(self._next_batch())

    def stored(self, number: int) -> None:
        """Take note that control has stored the batches up to a number."""
        if self._under_way is not None and number >= self._under_way.number:
            self._under_way = None
            self._is_owed = False

    def knowledge(self) -> Iterator[LedgerBatch]:
        """Yield the batch that a new control may not have."""
        if self._under_way is not None:
            self._is_owed = False
            yield self._under_way

    def finish(self, now: float, unix: float) -> list[LedgerBatch]:
        """Return the batches to send when the worker ends: the one under way again, and one with all later calls."""
        while cells := self._cells.take(MAX_CELLS_AT_ONCE, now):
            for cell in cells:
                self._sums.add(cell, unix)
        batches = [] if self._under_way is None else [self._under_way]
        if self._sums.count:
            batches.append(self._next_batch())
        return batches

    def _next_batch(self) -> LedgerBatch:
        self._number += 1
        estimated, self._cells.estimated = self._cells.estimated, 0
        batch = self._under_way = LedgerBatch(self._number, self._sums.take(), estimated)
        return batch

    def _offer(self, batch: LedgerBatch) -> None:
        self._is_owed = not self._link.offer(batch)
