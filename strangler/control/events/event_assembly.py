"""The assembly of the parts of events: each takes parts made before it."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from strangler.control.events.certificates import CertificateWatch
from strangler.control.events.changes import ChangeEvents
from strangler.control.events.comparisons import ComparisonTopic
from strangler.control.events.gates import GateWatch
from strangler.control.events.publisher import EventPublisher
from strangler.control.events.retire import RetireWatch
from strangler.control.events.shadow_events import READY_EVERY_S, ReadyWatch
from strangler.control.events.sinks import EventSinks
from strangler.control.events.slow import SlowWatch
from strangler.control.events.webhook import Decorate
from strangler.control.fleet.leadership import Leadership
from strangler.control.links import LinksState
from strangler.control.own_metrics import OwnMetrics
from strangler.control.reload import Follower, InForce
from strangler.core.documents import EventsStatus, QueueStatus
from strangler.core.settings import Settings
from strangler.store.events.event import source_of
from strangler.store.store import Store, StoreError


@dataclass(frozen=True, slots=True)
class EventParts:
    """The parts of events that others in control use."""

    sinks: EventSinks
    comparisons: ComparisonTopic
    publisher: EventPublisher
    changes: ChangeEvents
    gates: GateWatch
    ready: ReadyWatch
    slow: SlowWatch
    certificates: CertificateWatch
    retire: RetireWatch

    @property
    def followers(self) -> Sequence[Follower]:
        """All parts that follow the settings. The event that `changes` publishes makes new sinks known to the store."""
        first = self.sinks, self.comparisons, self.changes
        return *first, self.gates, self.ready, self.slow, self.certificates, self.retire

    async def restore(self, in_force: InForce) -> None:
        """Restore the state that an earlier control left in the state folder."""
        self.sinks.adopt(in_force)
        self.comparisons.adopt(in_force)
        try:
            await self.changes.restore()
        except StoreError:  # logged by the store itself
            pass
        else:
            await self.publisher.write()
        await self.slow.restore()
        await self.certificates.restore()
        await self.retire.restore()

    async def close(self) -> None:
        """End the deliveries, and store unsent events: they are sent after the next start."""
        await asyncio.gather(self.sinks.close(), self.comparisons.close())
        await self.publisher.write()

    def status(self) -> EventsStatus:
        """Return how much waits to be sent, by sink and of the comparisons."""
        backlog = self.comparisons.backlog
        return EventsStatus(
            unwritten=self.publisher.unwritten,
            sinks=self.sinks.status(),
            comparisons=None if backlog is None else QueueStatus(backlog),
        )


def assemble_events(
    run: str,
    settings: Settings,
    store: Store,
    environ: Mapping[str, str],
    own: OwnMetrics,
    links: LinksState,
    decorate: Decorate | None = None,
    leadership: Leadership | None = None,
    node: str = "",
    check_keys: Callable[[], object] = lambda: None,
) -> EventParts:
    """Make all parts of events. Nothing runs yet, and nothing is read or written. `decorate`: as the webhook has it.

    `leadership`: None if no other node has the store. `node`: the name of this node among several, or empty.
    `check_keys` raises OSError while the keys in the state folder are not to be used.
    """
    source = source_of(node or settings.node)
    sinks = EventSinks(store, environ, own, decorate, leadership, check_keys)
    publisher = EventPublisher(store, sinks, own, run, source, leadership)
    return EventParts(
        sinks=sinks,
        comparisons=ComparisonTopic(source, own),
        publisher=publisher,
        changes=ChangeEvents(publisher, store, run, settings, leadership),
        gates=GateWatch(store, publisher, settings, leadership),
        ready=ReadyWatch(store, publisher, settings, READY_EVERY_S, leadership),
        slow=SlowWatch(store, publisher, settings, node),
        certificates=CertificateWatch(store, publisher, settings, node),
        retire=RetireWatch(store, publisher, settings, links, leadership, node),
    )
