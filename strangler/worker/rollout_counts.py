# Compiled with mypyc: see docs/hot-path.md.
"""The worker's part of rollouts: what both arms served is counted by route, and sent to control about once a second.

While control is away, or does not read, the counts are summed up. They are bounded, whatever comes.
"""

from typing import Final

from strangler.core.routing.route import Route
from strangler.ipc.messages import RolloutBatch, RolloutCounts
from strangler.worker.call import Call
from strangler.worker.control_link import ControlLink
from strangler.worker.rollout_sums import RolloutSums, has_outcome, is_drawn

SEND_EVERY_S: Final = 1.0
MAX_IN_BATCH: Final = 50
"""The routes of one batch, one batch in a tick: no request waits longer for it than 2 ms."""
MAX_SUMS: Final = 4000
"""The most sums that wait, and as many that are being sent: each 26 MB, if all have had many callers. Beyond them,
requests of further routes are not counted, at either arm."""


class RolloutCounting:
    """Counts requests of routes that have a rollout, if chance decided on their arm and an arm had its say."""

    __slots__ = ("_kept_from", "_leaving", "_link", "_send_at", "_sums")

    def __init__(self, link: ControlLink) -> None:
        self._link = link
        self._sums: dict[Route, RolloutSums] = {}
        """By the route of one snapshot, so that those of two generations are two."""
        self._leaving: list[RolloutSums] = []
        """Sums that take no more requests."""
        self._kept_from = 0
        """The generation before which sums have been dropped for lack of room."""
        self._send_at = 0.0

    def count(self, call: Call, route: Route, duration_s: float) -> None:
        """Count a request that is over, or an endless one that begins."""
        if not is_drawn(call.plan) or not has_outcome(call):
            return
        sums = self._sums.get(route)
        if sums is None:
            generation = call.snapshot.generation
            if len(self._sums) >= MAX_SUMS and not self._try_make_room(generation):
                return
            sums = self._sums[route] = RolloutSums(route.name, generation)
        sums.add(call, route, duration_s)

    def tick(self, now: float) -> None:
        """Send a batch if it is time. `now` is monotonic; called many times a second."""
        if now < self._send_at or not self._link.is_connected:
            return
        leaving = self._leaving
        if not leaving:
            leaving = self._leaving = list(self._sums.values())
            self._sums = {}
        if not leaving:
            return
        is_sent = self._link.offer(_batch(leaving[-MAX_IN_BATCH:]))
        if is_sent:
            del leaving[-MAX_IN_BATCH:]
        if not is_sent or not leaving:
            self._send_at = now + SEND_EVERY_S

    def finish(self) -> list[RolloutBatch]:
        """Return the batches to send when the worker ends, with all that has not been sent."""
        rest = [*self._leaving, *self._sums.values()]
        self._leaving = []
        self._sums = {}
        return [_batch(rest[start : start + MAX_IN_BATCH]) for start in range(0, len(rest), MAX_IN_BATCH)]

    def _try_make_room(self, generation: int) -> bool:
        """Drop the sums of earlier generations, once for each; return False if there is no room all the same."""
        if generation > self._kept_from:
            self._kept_from = generation
            self._sums = {route: sums for route, sums in self._sums.items() if sums.generation >= generation}
        return len(self._sums) < MAX_SUMS


def _batch(some: list[RolloutSums]) -> RolloutBatch:
    counts: list[RolloutCounts] = [sums.counts() for sums in some]
    return RolloutBatch(counts)
