"""The workers: how many there should be, which of them leave, and whether all accept."""

import signal

import structlog

from strangler.ipc.messages import ProcessInfo
from strangler.supervisor.places import PlaceState
from strangler.supervisor.worker_pipes import WorkerPipes

log = structlog.get_logger()


class Workers:
    """The owner of the workers' places. Several may have the same index: draining ones, and their successor."""

    def __init__(self, count: int, pipes: WorkerPipes, *, has_envoy: bool = False) -> None:
        """`has_envoy`: one process that runs Envoy is in place of them all; `count` is Envoy's concern then."""
        self._has_envoy = has_envoy
        self._role = "envoy" if has_envoy else "worker"
        self.places = [PlaceState(self._role, index) for index in range(self._processes(count))]
        self.pipes = pipes

    @property
    def all_accept(self) -> bool:
        """True if every worker accepts connections."""
        return self.pipes.counts.accepting(len(self.places))

    def infos(self) -> list[ProcessInfo]:
        """Return the facts about the running workers."""
        return [info for place in self.places for info in place.infos()]

    def fit(self, count: int) -> None:
        """Change the number of workers to `count`: start more, or let those with the highest indices leave."""
        count = self._processes(count)
        staying = sorted((place for place in self.places if not place.is_leaving), key=lambda place: place.index)
        self.places += [PlaceState(self._role, index) for index in range(len(staying), count)]
        for place in staying[count:]:
            if place.process is None:
                self.places.remove(place)
            place.dismiss()

    def replace(self, instances: list[str]) -> None:
        """Start other workers for those that were signalled to drain, without waiting for their end."""
        for place in [place for place in self.places if place.instance in instances and not place.is_leaving]:
            log.info(f"{self._role}.leaving", index=place.index)
            place.is_leaving = place.has_successor = True
            self.places.append(PlaceState(self._role, place.index, restarts=place.restarts + 1))

    def on_death(self, place: PlaceState) -> None:
        """Stop counting the connections of a dead worker, so that the others do not hold back for it."""
        if not place.has_successor:
            self.pipes.counts.publish(place.index, None)

    def _processes(self, count: int) -> int:
        return min(count, 1) if self._has_envoy else count

    def remove(self, place: PlaceState) -> None:
        """Remove a place, if it is a worker's."""
        if place in self.places:
            self.places.remove(place)

    def remove_unfilled(self) -> None:
        """Remove the places without a process: none is started any more."""
        self.places = [place for place in self.places if place.process is not None]

    def drain(self) -> None:
        """Let all workers finish what they have accepted, and end."""
        self.pipes.cut_lifeline()  # first: it tells them that no other process will accept what waits
        for place in self.places:
            place.signal(signal.SIGTERM)
