"""The share of an upstream's limits that one worker may use.

`in_flight` and `trials` are promises about the upstream, and the workers do not coordinate before a request: each gets
an equal share, and at least one. The shares add up to the number in routes.yaml, unless there are more workers than
that.
"""

from dataclasses import dataclass, replace

from strangler.core.settings import UpstreamSettings


@dataclass(frozen=True, slots=True)
class WorkerShare:
    """Worker number `index` of `workers`."""

    index: int
    workers: int

    def of(self, total: int) -> int:
        """Return this worker's part of a number that all workers share; 0 only if the number is 0."""
        part, rest = divmod(total, self.workers)
        return max(part + (self.index % self.workers < rest), min(total, 1))

    def of_upstream(self, settings: UpstreamSettings) -> UpstreamSettings:
        """Return the upstream's settings with this worker's share of the limits."""
        bulkhead, breaker = settings.bulkhead, settings.breaker
        if bulkhead is not None:
            streams = None if bulkhead.streams is None else self.of(bulkhead.streams)
            bulkhead = replace(
                bulkhead, in_flight=self.of(bulkhead.in_flight), waiting=self.of(bulkhead.waiting), streams=streams
            )
        if breaker is not None:
            breaker = replace(breaker, trials=self.of(breaker.trials))
        return replace(settings, bulkhead=bulkhead, breaker=breaker)


WHOLE = WorkerShare(0, 1)
