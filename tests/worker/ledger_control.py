"""A control that keeps the ledger's batches, in place of the link of a worker in a test."""

from collections import Counter

from strangler.ipc.messages import LedgerBatch, LedgerSum, ToControl
from tests.worker.plane import RunningPlane

Calls = Counter[tuple[str, str, str, str, int, str]]
"""Calls by method, template, route, arm, status and caller."""


class KeepingControl:
    """A link whose other end keeps each batch, and says so when it is asked for what it has counted."""

    def __init__(self) -> None:
        self.is_connected = True
        self.has_room = True
        self.batches: list[LedgerBatch] = []

    def offer(self, message: ToControl) -> bool:
        if self.has_room and isinstance(message, LedgerBatch):
            self.batches.append(message)
        return self.has_room

    @property
    def sums(self) -> list[LedgerSum]:
        return [each for batch in self.batches for each in batch.sums]

    async def counted(self, running: RunningPlane, calls: int) -> Calls:
        """The calls that the worker has sent, once there are so many."""

        def has_all() -> bool:
            if self.batches:
                running.context.ledger.stored(self.batches[-1].number)
            return sum(each.calls for each in self.sums) >= calls

        await running.until(has_all)
        return summed(self.sums)


def summed(sums: list[LedgerSum]) -> Calls:
    """All calls by what tells them apart."""
    found: Calls = Counter()
    for each in sums:
        found[each.method, each.template, each.route, each.arm, each.status, each.caller] += each.calls
    return found
