"""The requests of this node that the store does not have yet: what its workers have counted, and which breakers opened.

All of them go to the leader through the store, also those of the leader itself: so none is lost or counted twice when
another node leads.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import msgspec

from strangler.control.rollout.climb import ClimbState
from strangler.control.rollout.requested import COUNTS, MAX_PAIRS, CountedStep, CountsRequest
from strangler.core.rollout.evidence import StepCounts
from strangler.store.connection import Connection
from strangler.store.numbered_batches import is_new_batch
from strangler.store.requests import ask_leader
from strangler.store.store import Store


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A request that waits for the store. `at`: Unix time of the store's clock."""

    kind: str
    name: str
    content: bytes
    at: float


@dataclass(slots=True)
class _TimedPairs:
    """The times of requests at both arms, at the position that began at a time."""

    since: float
    pairs: list[tuple[float, float]]


class RolloutRequests:
    """Owns the requests of `node`. `run` is another one in each process; `now` returns the store's time.

    A batch whose transaction failed is repeated as it was, since it may have been committed all the same.
    """

    def __init__(self, store: Store, node: str, run: str, now: Callable[[], float]) -> None:
        self._store = store
        self._node = node
        self._run = run
        self._now = now
        self._urgent: list[_Waiting] = []
        self._pairs: dict[str, _TimedPairs] = {}
        self._batch: Sequence[_Waiting] = ()
        self._number = 1

    def add(self, kind: str, name: str, content: msgspec.Struct) -> None:
        """Ask the leader with the next `send`, and have it look at once."""
        self._urgent.append(_Waiting(kind, name, msgspec.json.encode(content), self._now()))

    def has(self, name: str) -> bool:
        """Return whether the request of a name may not be in the store yet."""
        return any(waiting.name == name for waiting in (*self._batch, *self._urgent))

    def observe(self, group: str, since: float, legacy_s: float, candidate_s: float) -> None:
        """Note how long the same request took at both arms, at the position that began at `since`."""
        found = self._pairs.get(group)
        if found is None or found.since != since:
            found = self._pairs[group] = _TimedPairs(since, [])
        if len(found.pairs) < MAX_PAIRS:
            found.pairs.append((legacy_s, candidate_s))

    async def send(self, climbs: Sequence[ClimbState]) -> None:
        """Put all requests into the store, with the counts of these rollouts. Raises StoreError; they are kept then."""
        while True:
            self._batch = self._batch or self._collected(climbs)
            if not self._batch:
                return
            await self._store.call(partial(self._write, self._number, self._batch, self._now()))
            self._batch, self._number = (), self._number + 1

    def _write(self, number: int, batch: Sequence[_Waiting], now: float, connection: Connection) -> None:
        if not is_new_batch(connection, f"{self._node} rollouts", self._run, number, now):
            return
        for waiting in batch:
            is_urgent = waiting.kind != COUNTS
            ask_leader(
                connection, self._node, waiting.kind, waiting.name, waiting.content, waiting.at, is_urgent=is_urgent
            )

    def _collected(self, climbs: Sequence[ClimbState]) -> Sequence[_Waiting]:
        batch, self._urgent = self._urgent, []
        counted = {climb.group: step for climb in climbs if (step := self._counted(climb)) is not None}
        if counted:
            batch.append(_Waiting(COUNTS, "", msgspec.json.encode(CountsRequest(counted)), self._now()))
        return batch

    def _counted(self, climb: ClimbState) -> CountedStep | None:
        """Return what was counted at the position of a rollout; nothing where this node has another percent."""
        counts, climb.counts = climb.counts, StepCounts()
        since, timed = climb.position.since, self._pairs.pop(climb.group, None)
        pairs = tuple(timed.pairs) if timed is not None and timed.since == since else ()
        if climb.is_provisional or climb.cap is not None or (counts == StepCounts() and not pairs):
            return None
        return CountedStep(since, counts, pairs)
