"""The receiving side of the links to workers: which workers are admitted, and where each message goes."""

import time
from dataclasses import dataclass
from typing import Protocol

import structlog

from strangler.control.links import WorkerConnection, WorkerLinks, WorkerState
from strangler.control.own_metrics import OwnMetrics
from strangler.ipc.messages import (
    BreakerChanged,
    BreakerOpened,
    Bye,
    Captured,
    EndpointHealth,
    EngineState,
    FenceMarks,
    Hello,
    LedgerBatch,
    LoadedGeneration,
    Report,
    RolloutBatch,
    Shared,
    Spans,
    ToControl,
)

MAX_UNHEARD = 1000
"""The most workers that are remembered although they have not connected."""

log = structlog.get_logger()


class CaptureListener(Protocol):
    """The receiver of captures, which also grants further ones."""

    def take(self, captured: Captured) -> None: ...
    def grant_credits(self, *routes: str) -> None: ...


class BreakerListener(Protocol):
    """The receiver of the changes of workers' breakers."""

    def breaker_changed(self, change: BreakerChanged) -> None: ...


class SpanListener(Protocol):
    """The receiver of the spans of sampled requests."""

    def take(self, spans: Spans) -> None: ...


class LedgerListener(Protocol):
    """The receiver of the calls that workers have counted. It calls `WorkerLinks.ledger_stored` once they are kept."""

    def take(self, instance: str, batch: LedgerBatch) -> None: ...


class RecordingListener(Protocol):
    """The receiver of captures for the recording under way, which follows the workers, too."""

    def joined(self, instance: str) -> None: ...
    def left(self, instance: str) -> None: ...
    def take(self, instance: str, captured: Captured) -> None: ...


class RolloutListener(Protocol):
    """The receiver of what moves rollouts: counted requests, and breakers that a worker has opened."""

    def take(self, batch: RolloutBatch) -> None: ...
    def breaker_opened(self, upstream: str) -> None: ...


@dataclass(frozen=True, slots=True)
class LinkListeners:
    """The receivers of all messages that are not for the links themselves."""

    captures: CaptureListener
    breakers: BreakerListener
    spans: SpanListener
    ledger: LedgerListener | None = None
    """None: nobody keeps the calls, and workers go on adding them up."""
    rollouts: RolloutListener | None = None
    """None: there are no rollouts to be moved."""
    recordings: RecordingListener | None = None
    """None: nothing is recorded."""


class LinkServer:
    """Admits workers, and passes on what they send. The totals get their reports, and learn which workers have gone."""

    def __init__(self, links: WorkerLinks, own: OwnMetrics, listeners: LinkListeners) -> None:
        self._links = links
        self._state = links.state
        self._own = own.instance
        self._listeners = listeners
        self._living: frozenset[str] = frozenset()
        self._unheard: dict[str, None] = {}
        """The workers that have not connected yet, in the order of their start, also those that have ended since."""

    def accept(self) -> WorkerConnection:
        """Return the protocol for a new connection."""
        return WorkerConnection(self._state, self)

    def set_living(self, instances: frozenset[str]) -> None:
        """Take note of the worker instances that live, as the supervisor reports them."""
        self._unheard |= dict.fromkeys(sorted(instances - self._living))
        for instance in list(self._unheard)[:-MAX_UNHEARD]:
            del self._unheard[instance]
        self._living = instances
        self._retire_dead()

    def admits(self, hello: Hello) -> bool:
        """Return whether a worker is known. A worker of a killed supervisor never is; a new one tries again.

        One that has ended is, too, if it was never heard: it connects for its farewell where control started late.
        """
        return hello.instance in self._living or hello.instance in self._unheard

    def joined(self, connection: WorkerConnection, hello: Hello) -> None:
        log.debug("worker.connected", index=hello.index, child_pid=hello.pid, generation=hello.generation)
        self._unheard.pop(hello.instance, None)
        self._links.add(connection, hello)
        self._listeners.captures.grant_credits()
        if self._listeners.recordings is not None:
            self._listeners.recordings.joined(hello.instance)

    def left(self, connection: WorkerConnection, hello: Hello) -> None:
        self._links.remove(connection, hello)
        self._state.totals.silence(hello.instance)
        if self._listeners.recordings is not None:
            self._listeners.recordings.left(hello.instance)
        self._retire_dead()

    def heard(self, connection: WorkerConnection, hello: Hello, message: ToControl) -> None:
        worker = self._state.workers[hello.instance]
        worker.heard = time.monotonic()
        match message:
            case Report():
                self._state.totals.take(hello.instance, message)
            case LoadedGeneration() | EngineState():
                self._note(worker, message)
            case BreakerChanged(upstream, _, _, reason):
                self._state.breaker_reasons[upstream] = reason
                self._listeners.breakers.breaker_changed(message)
            case BreakerOpened() | FenceMarks() | EndpointHealth():
                self._share(connection, message)
            case Captured():
                self._take(hello.instance, worker, message)
            case Spans():
                self._listeners.spans.take(message)
            case LedgerBatch():
                if self._listeners.ledger is not None:
                    self._listeners.ledger.take(hello.instance, message)
            case RolloutBatch():
                if self._listeners.rollouts is not None:
                    self._listeners.rollouts.take(message)
            case Hello() | Bye():
                pass

    def _note(self, worker: WorkerState, message: LoadedGeneration | EngineState) -> None:
        if isinstance(message, LoadedGeneration):
            worker.generation = message.generation
        else:
            self._state.engine = message

    def _share(self, connection: WorkerConnection, message: Shared) -> None:
        events = self._state.shared.learn(message, time.monotonic())
        if events is None:
            return
        self._links.broadcast(events, but=connection)
        if isinstance(events, BreakerOpened) and self._listeners.rollouts is not None:
            self._listeners.rollouts.breaker_opened(events.upstream)

    def _take(self, instance: str, worker: WorkerState, captured: Captured) -> None:
        if captured.recording and self._listeners.recordings is not None:
            self._listeners.recordings.take(instance, captured)
        if not captured.is_for_shadow:
            return
        is_low = worker.use(captured.route)
        self._listeners.captures.take(captured)
        if is_low:
            self._listeners.captures.grant_credits(captured.route)

    def _retire_dead(self) -> None:
        gone = self._state.totals.instances - self._living - self._state.workers.keys() - {self._own}
        for instance in gone:
            self._state.totals.retire(instance)
