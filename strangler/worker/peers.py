"""The facts that all workers share, by way of control: open breakers, unhealthy endpoints, write fences."""

from collections.abc import Iterator

from strangler.clock import now
from strangler.core.resilience.breaker import BreakerOpening
from strangler.core.resilience.endpoints import EndpointKey
from strangler.ipc.messages import BreakerOpened, EndpointHealth, FenceMarks, Shared, fence_messages
from strangler.worker.control_link import ControlLink
from strangler.worker.policies import Policies
from strangler.worker.upstreams import Upstreams


class Peers:
    """Takes in the facts of the other workers, and sends them this worker's write fences."""

    def __init__(self, policies: Policies, upstreams: Upstreams, link: ControlLink) -> None:
        self._policies = policies
        self._upstreams = upstreams
        self._link = link

    def learn(self, message: Shared) -> None:
        """Take in what another worker, or control, has found out."""
        if isinstance(message, FenceMarks):
            self._policies.fences.merge(message.marks)
            return
        upstream = self._upstreams.get(message.upstream)
        if upstream is None:
            return
        if isinstance(message, EndpointHealth):
            upstream.set_health(EndpointKey(message.url, message.address), message.is_healthy, message.reason)
            return
        upstream.follow_opening(BreakerOpening(message.until, message.streak, message.reason), now())

    def share_marks(self) -> None:
        """Send control the new write fences; called many times a second."""
        fences = self._policies.fences
        marks = fences.take_new_marks()
        if not self._link.is_connected:
            return  # a new connection begins with all that this worker knows
        for message in fence_messages(marks):
            if not self._link.offer(message):
                fences.put_back(message.marks)

    def knowledge(self) -> Iterator[Shared]:
        """Yield all the facts of this worker that a new control needs."""
        generation = self._policies.snapshot.generation
        for upstream in self._upstreams:
            opening = upstream.admission.breaker.export()
            if opening is not None:
                yield BreakerOpened(upstream.settings.name, generation, *opening)
            for key, reason in upstream.unhealthy.items():
                yield EndpointHealth(upstream.settings.name, key.url, key.address, False, reason)
        yield from fence_messages(self._policies.fences.marks())
