"""The share of an upstream's limits that one worker may use.

`in_flight` and `trials` are promises about the upstream, and the workers do not ask each other before a request: each
gets an equal share, and one at least. What the shares add up to is what routes.yaml says, unless there are more workers
than it allows requests.
"""

from dataclasses import dataclass, replace

from strangler.core.settings import UpstreamSettings


@dataclass(frozen=True, slots=True)
class WorkerShare:
    """Worker number `index` of `workers`."""

    index: int
    workers: int

    def of(self, total: int) -> int:
        """This worker's part of a number that all of them share; 0 only of 0."""
        part, rest = divmod(total, self.workers)
        return max(part + (self.index % self.workers < rest), min(total, 1))

    def of_upstream(self, settings: UpstreamSettings) -> UpstreamSettings:
        """The settings that this worker keeps to."""
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
