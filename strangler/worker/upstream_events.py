"""The events of upstreams: changes of breakers and endpoints go to the log, those of breakers also to control."""

import structlog

from strangler.core.resilience.breaker import OPEN, BreakerChanged, BreakerOpening
from strangler.core.resilience.endpoints import EndpointChanged
from strangler.ipc.messages import BreakerChanged as BreakerChangedMessage
from strangler.ipc.messages import BreakerOpened
from strangler.worker.control_link import ControlLink
from strangler.worker.policies import Policies


class UpstreamEvents:
    """Logs changes of an upstream, and sends control those that it and the other workers need."""

    def __init__(self, policies: Policies, link: ControlLink) -> None:
        self._policies = policies
        self._link = link
        self._log = structlog.get_logger()

    def log_breaker(self, change: BreakerChanged) -> None:
        """Log a change of a breaker, whether it began in this worker or in another."""
        self._log.warning(
            "breaker.changed",
            upstream=change.upstream,
            before=change.before.value,
            after=change.after.value,
            reason=change.reason,
        )

    def send_breaker(self, change: BreakerChanged, opening: BreakerOpening | None) -> None:
        """Send control a change that began in this worker, and for the other workers how long the breaker is open."""
        self._link.offer(BreakerChangedMessage(change.upstream, change.before.value, change.after.value, change.reason))
        if change.after is OPEN and opening is not None:
            self._link.offer(BreakerOpened(change.upstream, self._policies.snapshot.generation, *opening))

    def log_endpoint(self, upstream: str, change: EndpointChanged) -> None:
        """Log a change of an endpoint."""
        self._log.warning(
            "endpoint.changed",
            upstream=upstream,
            endpoint=str(change.endpoint),
            usable=change.is_usable,
            reason=change.reason,
        )
