"""The upstreams as a worker knows them: what survives a reload (breaker, slots, connections) and what is made anew."""

import asyncio
from collections.abc import Iterator, Mapping

from strangler.core.admission import Admission
from strangler.core.breaker import BreakerChanged
from strangler.core.endpoints import EndpointKey, Endpoints, EndpointState
from strangler.core.headers import DROPPED, DROPPED_TRUSTED
from strangler.core.settings import UpstreamSettings
from strangler.core.share import WHOLE, Share
from strangler.wire.clock import now
from strangler.wire.exchange import Clocks
from strangler.wire.names import Names
from strangler.wire.pool import Pool


class Upstream:
    """One named upstream. Its owner is `Upstreams`."""

    __slots__ = (
        "_is_retired",
        "_loop",
        "_max_head_bytes",
        "_names",
        "_pools",
        "added_lines",
        "admission",
        "clocks",
        "dropped",
        "dropped_from_trusted",
        "endpoints",
        "sends_own_host",
        "settings",
        "unhealthy",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        settings: UpstreamSettings,
        max_head_bytes: int,
        names: Names,
        share: Share,
    ) -> None:
        self._loop = loop
        self._max_head_bytes = max_head_bytes
        self._names = names
        self._pools: dict[EndpointState, Pool] = {}
        self._is_retired = False
        self.unhealthy: dict[EndpointKey, str] = {}
        """What control's checks found unwell, and why; kept for addresses that DNS tells us of later, too."""
        self.admission = Admission(share.of_upstream(settings), share.workers)
        self.settings = settings
        self.endpoints = Endpoints(self._keys())
        self._apply(settings)

    def _keys(self) -> list[EndpointKey]:
        return [EndpointKey(url, address) for url in self.settings.urls for address in self._names.addresses(url.host)]

    def _apply(self, settings: UpstreamSettings) -> None:
        self.settings = settings
        self.clocks = Clocks(settings.timeouts)
        self.sends_own_host = settings.host == "upstream"
        edits = settings.headers
        self.added_lines = b"".join(f"{name}: {value}\r\n".encode() for name, value in edits.set)
        names = [*edits.remove, *(name for name, _ in edits.set)]
        removed = frozenset(name.lower().encode() for name in names)
        # Remembered sections keep these as keys: where nothing is removed, reloads leave no copies there.
        self.dropped = DROPPED | removed if removed else DROPPED
        self.dropped_from_trusted = DROPPED_TRUSTED | removed if removed else DROPPED_TRUSTED

    def adopt(self, settings: UpstreamSettings, max_head_bytes: int, share: Share, at: float) -> BreakerChanged | None:
        """Take over new settings; what they leave as it was keeps its state and its connections."""
        before = self.settings
        change = self.admission.adopt(share.of_upstream(settings), at, share.workers)
        self._apply(settings)
        if before.tls != settings.tls:
            self.close()
        is_checked = settings.health is not None
        self.unhealthy = {key: why for key, why in self.unhealthy.items() if is_checked and key.url in settings.urls}
        self._max_head_bytes = max_head_bytes
        for pool in self._pools.values():
            pool.max_head_bytes = max_head_bytes
            pool.keepalive_s = settings.keepalive_s
        self.find_endpoints()
        return change

    def find_endpoints(self) -> None:
        """The URLs or their addresses may have changed; endpoints that stay keep their state and their connections."""
        self.endpoints.adopt(self._keys())
        for gone in self._pools.keys() - set(self.endpoints.states):
            self._pools.pop(gone).close()
        at = now()
        for state in self.endpoints.states:
            reason = self.unhealthy.get(state.key)
            self.endpoints.set_health(state.key, reason is None, reason or "no longer checked", at)

    def set_health(self, key: EndpointKey, is_healthy: bool, reason: str) -> None:
        """What control's checks say of an endpoint, whether or not it is known here."""
        if is_healthy:
            self.unhealthy.pop(key, None)
        else:
            self.unhealthy[key] = reason
        self.endpoints.set_health(key, is_healthy, reason, now())

    def endpoint_figures(self, at: float) -> dict[str, int]:
        """By URL: 0 in use, 1 put aside, 2 unhealthy; the worst of its addresses. Empty if there is no choice."""
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
        """It could not be connected to."""
        self._names.hint(endpoint.key.url.host)

    def pool(self, endpoint: EndpointState) -> Pool:
        """The connections to an endpoint; made when first asked for."""
        pool = self._pools.get(endpoint)
        if pool is None:
            url, address = endpoint.key
            settings = self.settings
            pool = Pool(self._loop, url, address, settings.tls, self._max_head_bytes, settings.keepalive_s)
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
        """It is gone from the settings; requests that still wait for it keep no connection."""
        self._is_retired = True
        self.close()


class Upstreams:
    """All upstreams of the settings in force."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._by_name: dict[str, Upstream] = {}
        self.names = Names(loop, self._find_endpoints)

    def __getitem__(self, name: str) -> Upstream:
        return self._by_name[name]

    def __iter__(self) -> Iterator[Upstream]:
        return iter(self._by_name.values())

    def get(self, name: str) -> Upstream | None:
        return self._by_name.get(name)

    def adopt(
        self, settings: Mapping[str, UpstreamSettings], max_head_bytes: int, at: float, share: Share = WHOLE
    ) -> list[BreakerChanged]:
        """Become what new settings say. A request under way keeps the upstream that it has."""
        changes = []
        for name in [name for name in self._by_name if name not in settings]:
            self._by_name.pop(name).retire()
        for name, upstream in settings.items():
            known = self._by_name.get(name)
            if known is None:
                self._by_name[name] = Upstream(self._loop, upstream, max_head_bytes, self.names, share)
                continue
            change = known.adopt(upstream, max_head_bytes, share, at)
            if change is not None:
                changes.append(change)
        self.names.watch(url.host for upstream in settings.values() for url in upstream.urls)
        return changes

    def sweep(self, at: float) -> None:
        self.names.sweep(at)
        for upstream in self._by_name.values():
            upstream.sweep(at)

    def close(self) -> None:
        for upstream in self._by_name.values():
            upstream.close()

    def _find_endpoints(self, host: str) -> None:
        """A name stands for other addresses than before."""
        for upstream in self._by_name.values():
            if any(url.host == host for url in upstream.settings.urls):
                upstream.find_endpoints()
