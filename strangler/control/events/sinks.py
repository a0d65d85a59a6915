"""The sinks that routes.yaml names, each with the task that delivers events to it."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

from strangler.control.events.delivery import Delivery, Sink
from strangler.control.events.ending import EndingTasks, log_crash
from strangler.control.events.webhook import VARIABLE, Decorate, SecretError, Webhook, webhook_secret
from strangler.control.fleet.leadership import Leadership
from strangler.control.own_metrics import OwnMetrics
from strangler.control.reload import InForce
from strangler.core.documents import SinkStatus
from strangler.core.settings import EventSettings
from strangler.store.events.outbox import Standing
from strangler.store.store import Store

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Served:
    delivery: Delivery
    task: asyncio.Task[None]


class EventSinks:
    """Owns the deliveries. The store keeps events that a sink has not taken."""

    def __init__(
        self,
        store: Store,
        environ: Mapping[str, str],
        own: OwnMetrics,
        decorate: Decorate | None = None,
        leadership: Leadership | None = None,
        check_keys: Callable[[], object] = lambda: None,
    ) -> None:
        """`check_keys` raises OSError while the secret in the state folder is not to be used."""
        self._check_keys = check_keys
        self.problem: str | None = None
        """Why a sink that routes.yaml names is not served."""
        self._store = store
        self._environ = environ
        self._own = own
        self._decorate = decorate
        self._leadership = leadership
        self._settings: EventSettings | None = None
        self._served: dict[str, _Served] = {}
        self._ending = EndingTasks()
        self._standings: dict[str, Standing] = {}

    @property
    def names(self) -> list[str]:
        """The sinks that routes.yaml names. Events are kept even for a sink that cannot be served."""
        events = self._settings
        if events is None:
            return []
        return [name for name, setting in (("webhook", events.webhook), ("kafka", events.kafka)) if setting is not None]

    def adopt(self, in_force: InForce) -> None:
        """Send to the sinks that these settings name from now on."""
        settings = in_force.settings.events
        if settings == self._settings:
            return
        self._settings = settings
        self.problem = None
        self._end_all()
        self._served = {sink.name: self._serve(sink) for sink in self._sinks(settings)}

    def _sinks(self, settings: EventSettings) -> list[Sink]:
        sinks: list[Sink] = []
        if settings.webhook is not None:
            try:
                secret = self._webhook_secret()
                sinks.append(Webhook(settings.webhook, secret, decorate=self._decorate))
            except SecretError as error:
                self._fail(str(error))
        if settings.kafka is not None:
            from strangler.control.events import kafka  # 30 ms of libraries, only if it is used

            if kafka.MISSING is None:
                sinks.append(kafka.Kafka(settings.kafka))
            else:
                self._fail(kafka.MISSING)
        return sinks

    def _webhook_secret(self) -> bytes:
        """Return the secret. Raises SecretError."""
        if not self._environ.get(VARIABLE):
            try:
                self._check_keys()
            except OSError as error:
                raise SecretError(f"the secret of the webhook cannot be used: {error.strerror}") from error
        return webhook_secret(self._store.folder, self._environ)

    async def take_key(self) -> None:
        """Begin the deliveries anew, since another secret may be in the state folder."""
        if self._settings is not None:
            self.problem = None
            self._end_all()
            self._served = {sink.name: self._serve(sink) for sink in self._sinks(self._settings)}

    def _serve(self, sink: Sink) -> _Served:
        delivery = Delivery(sink, self._store, self.on_standings, self._leadership)
        task = asyncio.create_task(delivery.run())
        task.add_done_callback(log_crash)
        return _Served(delivery, task)

    def _end_all(self) -> None:
        for served in self._served.values():
            self._ending.end(served.task, served.delivery.sink.close)
        self._served = {}

    def _fail(self, problem: str) -> None:
        log.error("events.halted", reason=problem)
        self.problem = problem

    def hint(self) -> None:
        """Let all sinks look for new events."""
        for served in self._served.values():
            served.delivery.hint()

    def on_standings(self, standings: dict[str, Standing]) -> None:
        """Take note of the standings of all sinks."""
        for gone in self._standings.keys() - standings.keys():
            self._own.gauge("strangler_events_backlog", gone).set(0)
        self._standings = standings
        for name, standing in standings.items():
            self._own.gauge("strangler_events_backlog", name).set(standing.backlog)
            self._own.gauge("strangler_events_dead", name).set(standing.dead)

    async def close(self) -> None:
        """End the deliveries: unsent events are sent after the next start."""
        self._end_all()
        await self._ending.wait()

    def status(self) -> dict[str, SinkStatus]:
        """Return the status of each sink, by its name."""
        return {name: self._sink_status(name, standing) for name, standing in self._standings.items()}

    def _sink_status(self, name: str, standing: Standing) -> SinkStatus:
        served = self._served.get(name)
        return SinkStatus(
            backlog=standing.backlog,
            delivered=standing.delivered,
            dead=standing.dead,
            lost=standing.lost,
            last_dead=standing.last_dead,
            problem=self.problem if served is None else served.delivery.problem,
        )
