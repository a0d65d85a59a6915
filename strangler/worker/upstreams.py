"""The upstreams as a worker knows them: what survives a reload (breaker, slots, connections) and what is made anew."""

import asyncio
from collections.abc import Iterator, Mapping

from strangler.core.admission import Admission
from strangler.core.breaker import BreakerChanged
from strangler.core.endpoints import EndpointKey, Endpoints, EndpointState
from strangler.core.headers import DROPPED, DROPPED_TRUSTED
from strangler.core.settings import UpstreamSettings
from strangler.wire.exchange import Clocks
from strangler.wire.pool import Pool


class Upstream:
    """One named upstream. Its owner is `Upstreams`."""

    __slots__ = (
        "_loop",
        "_max_head_bytes",
        "_pools",
        "added_lines",
        "admission",
        "clocks",
        "dropped",
        "dropped_from_trusted",
        "endpoints",
        "sends_own_host",
        "settings",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, settings: UpstreamSettings, max_head_bytes: int) -> None:
        self._loop = loop
        self._max_head_bytes = max_head_bytes
        self._pools: dict[EndpointKey, Pool] = {}
        self.admission = Admission(settings)
        self.endpoints = Endpoints(_keys(settings))
        self._apply(settings)

    def _apply(self, settings: UpstreamSettings) -> None:
        self.settings = settings
        self.clocks = Clocks(settings.timeouts)
        self.sends_own_host = settings.host == "upstream"
        edits = settings.headers
        self.added_lines = b"".join(f"{name}: {value}\r\n".encode() for name, value in edits.set)
        names = [*edits.remove, *(name for name, _ in edits.set)]
        removed = frozenset(name.lower().encode() for name in names)
        self.dropped = DROPPED | removed
        self.dropped_from_trusted = DROPPED_TRUSTED | removed

    def adopt(self, settings: UpstreamSettings, max_head_bytes: int, now: float) -> BreakerChanged | None:
        """Take over new settings; what they leave as it was keeps its state and its connections."""
        before = self.settings
        change = self.admission.adopt(settings, now)
        if (before.urls, before.tls) != (settings.urls, settings.tls):
            self.endpoints.adopt(_keys(settings))
        self._max_head_bytes = max_head_bytes
        kept = set(_keys(settings)) if before.tls == settings.tls else set()
        for key in [key for key in self._pools if key not in kept]:
            self._pools.pop(key).close()
        for pool in self._pools.values():
            pool.max_head_bytes = max_head_bytes
        self._apply(settings)
        return change

    def pool(self, endpoint: EndpointState) -> Pool:
        """The connections to an endpoint; made when first asked for."""
        pool = self._pools.get(endpoint.key)
        if pool is None:
            url, address = endpoint.key
            pool = Pool(self._loop, url, address, self.settings.tls, self._max_head_bytes)
            self._pools[endpoint.key] = pool
        return pool

    def sweep(self, now: float) -> None:
        for pool in self._pools.values():
            pool.sweep(now)

    def close(self) -> None:
        for pool in self._pools.values():
            pool.close()
        self._pools.clear()


class Upstreams:
    """All upstreams of the settings in force."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._by_name: dict[str, Upstream] = {}

    def __getitem__(self, name: str) -> Upstream:
        return self._by_name[name]

    def __iter__(self) -> Iterator[Upstream]:
        return iter(self._by_name.values())

    def get(self, name: str) -> Upstream | None:
        return self._by_name.get(name)

    def adopt(self, settings: Mapping[str, UpstreamSettings], max_head_bytes: int, now: float) -> list[BreakerChanged]:
        """Become what new settings say. A request under way keeps the upstream that it has."""
        changes = []
        for name in [name for name in self._by_name if name not in settings]:
            self._by_name.pop(name).close()
        for name, upstream in settings.items():
            known = self._by_name.get(name)
            if known is None:
                self._by_name[name] = Upstream(self._loop, upstream, max_head_bytes)
                continue
            change = known.adopt(upstream, max_head_bytes, now)
            if change is not None:
                changes.append(change)
        return changes

    def sweep(self, now: float) -> None:
        for upstream in self._by_name.values():
            upstream.sweep(now)

    def close(self) -> None:
        for upstream in self._by_name.values():
            upstream.close()


def _keys(settings: UpstreamSettings) -> list[EndpointKey]:
    return [EndpointKey(url, url.host) for url in settings.urls]
