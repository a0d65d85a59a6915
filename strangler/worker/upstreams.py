# Compiled with mypyc: see docs/hot-path.md.
"""The upstreams of a worker: what survives a reload (breaker, slots, connections) and what is made again."""

import asyncio
from collections.abc import Iterator, Mapping

from strangler.clock import now
from strangler.core.http.upstream_edits import UpstreamEdits
from strangler.core.resilience.admission import Admission
from strangler.core.resilience.breaker import BreakerChanged, BreakerOpening
from strangler.core.resilience.endpoints import EndpointChanged, EndpointKey, Endpoints, EndpointState
from strangler.core.resilience.worker_share import WorkerShare
from strangler.core.settings import Settings, UpstreamSettings
from strangler.http1.exchange import Clocks
from strangler.http1.pool import Pool
from strangler.sockets.dns import HostNames
from strangler.tls.client_context import ClientTlsState
from strangler.worker.upstream_events import UpstreamEvents


class Upstream:
    """One named upstream, owned by `Upstreams`."""

    __slots__ = (
        "_events",
        "_is_retired",
        "_loop",
        "_max_head_bytes",
        "_names",
        "_pools",
        "_tls",
        "admission",
        "clocks",
        "edits",
        "endpoints",
        "settings",
        "unhealthy",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        settings: UpstreamSettings,
        max_head_bytes: int,
        names: HostNames,
        worker_share: WorkerShare,
        events: UpstreamEvents,
        files: Mapping[str, bytes],
    ) -> None:
        self._loop = loop
        self._events = events
        self._max_head_bytes = max_head_bytes
        self._names = names
        self._pools: dict[EndpointState, Pool] = {}
        self._tls = ClientTlsState(settings.tls, files)
        self._is_retired = False
        self.unhealthy: dict[EndpointKey, str] = {}
        """The endpoints that checks found unhealthy, with the reason; kept also for addresses that DNS names later."""
        self.admission = Admission(worker_share.of_upstream(settings), worker_share.workers)
        self.settings = settings
        self.endpoints = Endpoints(self._keys())
        self._apply(settings)

    def _keys(self) -> list[EndpointKey]:
        names = self._names
        return [
            EndpointKey(url, address) for url in self.settings.urls for address in names.addresses(url.connect_host)
        ]

    def _apply(self, settings: UpstreamSettings) -> None:
        self.settings = settings
        self.clocks = Clocks(settings.timeouts)
        self.edits = UpstreamEdits(settings)

    def adopt(
        self,
        settings: UpstreamSettings,
        max_head_bytes: int,
        worker_share: WorkerShare,
        at: float,
        files: Mapping[str, bytes],
    ) -> None:
        """Adopt new settings; what they do not change keeps its state and its connections.

        Connections also outlast a new content of `files`, which counts from the next handshake.
        """
        before = self.settings
        change = self.admission.adopt(worker_share.of_upstream(settings), at, worker_share.workers)
        self._apply(settings)
        self._tls.adopt(settings.tls, files)
        if before.tls != settings.tls:
            self.close()
        is_checked = settings.health is not None
        self.unhealthy = {key: why for key, why in self.unhealthy.items() if is_checked and key.url in settings.urls}
        self._max_head_bytes = max_head_bytes
        for pool in self._pools.values():
            pool.max_head_bytes = max_head_bytes
            pool.keepalive_s = settings.keepalive_s
        self.find_endpoints()
        if change is not None:
            self.publish_breaker(change)

    def find_endpoints(self) -> None:
        """Adopt changed URLs or addresses; endpoints that stay keep their state and their connections."""
        self.endpoints.adopt(self._keys())
        for gone in self._pools.keys() - set(self.endpoints.states):
            self._pools.pop(gone).close()
        at = now()
        for state in self.endpoints.states:
            reason = self.unhealthy.get(state.key)
            self.endpoints.set_health(state.key, reason is None, reason or "no longer checked", at)

    def set_health(self, key: EndpointKey, is_healthy: bool, reason: str) -> None:
        """Record the health of an endpoint by control's checks, whether or not it is known here."""
        if is_healthy:
            self.unhealthy.pop(key, None)
        else:
            self.unhealthy[key] = reason
        self.endpoints.set_health(key, is_healthy, reason, now())

    def endpoint_figures(self, at: float) -> dict[str, int]:
        """Return by URL the worst of its addresses (0 in use, 1 put aside, 2 unhealthy); {} if there is no choice."""
        states = self.endpoints.states
        if len(states) == 1 and self.settings.health is None:
            return {}
        figures: dict[str, int] = {}
        for state in states:
            url = str(state.key.url)
            figure = 0 if state.is_usable(at) else 1 if state.is_healthy else 2
            figures[url] = max(figures.get(url, 0), figure)
        return figures

    def hint(self, endpoint: EndpointState) -> None:
        """Report a failed connect, so that the host name is resolved again soon."""
        self._names.hint(endpoint.key.url.connect_host)

    def publish_breaker(self, change: BreakerChanged) -> None:
        """Log a change of the breaker; send it to control, unless the settings have dropped the upstream."""
        self._events.log_breaker(change)
        if not self._is_retired:
            self._events.send_breaker(change, self.admission.breaker.export())

    def publish_endpoint(self, change: EndpointChanged) -> None:
        """Log a change of an endpoint."""
        self._events.log_endpoint(self.settings.name, change)

    def follow_opening(self, opening: BreakerOpening, at: float) -> None:
        """Open the breaker as another worker did."""
        change = self.admission.breaker.force_open(opening, at)
        if change is not None:
            self._events.log_breaker(change)

    def pool(self, endpoint: EndpointState) -> Pool:
        """Return the connection pool of an endpoint, which is made at its first use."""
        pool = self._pools.get(endpoint)
        if pool is None:
            url, address = endpoint.key
            settings = self.settings
            pool = Pool(self._loop, url, address, self._tls, self._max_head_bytes, settings.keepalive_s)
            self._pools[endpoint] = pool
            if self._is_retired:
                pool.close()
        return pool

    def sweep(self, now: float) -> None:
        for pool in self._pools.values():
            pool.sweep(now)

    def close(self) -> None:
        for pool in self._pools.values():
            pool.close()
        self._pools.clear()

    def retire(self) -> None:
        """Note that the settings no longer have it; requests that still wait for it keep no connection."""
        self._is_retired = True
        self.close()


class Upstreams:
    """All upstreams of the settings in force, as the worker with this `index` uses them."""

    def __init__(self, loop: asyncio.AbstractEventLoop, events: UpstreamEvents, index: int = 0) -> None:
        self._loop = loop
        self._events = events
        self._index = index
        self._by_name: dict[str, Upstream] = {}
        self.names = HostNames(loop, self._find_endpoints)

    def __getitem__(self, name: str) -> Upstream:
        return self._by_name[name]

    def __iter__(self) -> Iterator[Upstream]:
        return iter(self._by_name.values())

    def get(self, name: str) -> Upstream | None:
        return self._by_name.get(name)

    def adopt(self, settings: Settings) -> None:
        """Adopt new settings. A request under way keeps its upstream."""
        at = now()
        wanted, max_head_bytes = settings.upstreams, settings.limits.response_header_bytes
        worker_share = WorkerShare(self._index, settings.workers)
        for name in [name for name in self._by_name if name not in wanted]:
            self._by_name.pop(name).retire()
        for name, upstream in wanted.items():
            known = self._by_name.get(name)
            if known is not None:
                known.adopt(upstream, max_head_bytes, worker_share, at, settings.files)
                continue
            self._by_name[name] = Upstream(
                self._loop, upstream, max_head_bytes, self.names, worker_share, self._events, settings.files
            )
        self.names.watch(url.connect_host for upstream in wanted.values() for url in upstream.urls)

    def sweep(self, at: float) -> None:
        self.names.sweep(at)
        for upstream in self._by_name.values():
            upstream.sweep(at)

    def close(self) -> None:
        for upstream in self._by_name.values():
            upstream.close()

    def _find_endpoints(self, host: str) -> None:
        """Adopt the changed addresses of a host name."""
        for upstream in self._by_name.values():
            if any(url.connect_host == host for url in upstream.settings.urls):
                upstream.find_endpoints()
