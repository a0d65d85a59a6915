"""The batches of workers as they wait to be counted, and the counting of one."""

from collections.abc import Generator

from strangler.core.ledger.rows import CallSum
from strangler.ipc.messages import LedgerBatch, LedgerSum
from strangler.ledger.ledger_state import EndpointSum, LedgerState

MAX_HELD = 200
"""The workers whose batches wait for a store that cannot be read; more than those that run have ended since."""
SUMS_AT_ONCE = 250
"""The sums of a batch that are counted without a pause, which takes 10 ms; a worker sends at most 5,000."""


class HeldBatches:
    """The batches that wait, by worker and number. There is one of each worker, and one more of one that has ended."""

    def __init__(self) -> None:
        self._batches: dict[str, dict[int, LedgerBatch]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._batches.values()))

    def add(self, instance: str, batch: LedgerBatch) -> None:
        """Hold a batch. Without room those of the worker that has waited longest are dropped."""
        self._batches.setdefault(instance, {})[batch.number] = batch
        if len(self._batches) > MAX_HELD:
            del self._batches[next(iter(self._batches))]

    def has(self, instance: str) -> bool:
        """Return whether a batch of a worker waits."""
        return instance in self._batches

    def first(self) -> tuple[str, LedgerBatch] | None:
        """Return the batch to be counted first: each worker's are in their order."""
        for instance, batches in self._batches.items():
            return instance, batches[min(batches)]
        return None

    def all(self) -> list[tuple[str, LedgerBatch]]:
        """Return all batches, each worker's in their order."""
        return [(name, batches[number]) for name, batches in self._batches.items() for number in sorted(batches)]

    def remove(self, instance: str, number: int) -> None:
        """Hold a batch no longer."""
        batches = self._batches.get(instance, {})
        batches.pop(number, None)
        if not batches:
            self._batches.pop(instance, None)

    def clear(self) -> None:
        """Drop all batches."""
        self._batches.clear()


def counting_steps(
    state: LedgerState, instance: str, batch: LedgerBatch, quiet_s: float, now: float
) -> Generator[None, None, None]:
    """Count a batch, unless it was counted before, in steps of some milliseconds. Nothing must be saved before the last
    of them."""
    if state.begin_batch(instance, batch.number, batch.sampled_from, now):
        for at in range(0, len(batch.sums), SUMS_AT_ONCE):
            state.count([_sum(each, now) for each in batch.sums[at : at + SUMS_AT_ONCE]], quiet_s)
            yield


def _sum(each: LedgerSum, now: float) -> EndpointSum:
    at = min(each.at, now)  # a clock that was set back must not keep an endpoint alive
    calls = CallSum(at, each.arm, each.status, each.caller, each.calls, tuple(each.buckets), each.route)
    return EndpointSum(each.method, each.template, each.example, calls)
