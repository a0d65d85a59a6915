"""Facts that all workers share, whichever process found them: open breakers, write fences, health of endpoints.

Control passes them on, and keeps them for workers that connect later. They are bounded: an opening for each upstream, a
fence of fixed size, an entry for each endpoint that was ever found unhealthy.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from strangler.core.resilience.endpoints import EndpointKey
from strangler.core.resilience.write_fence import WriteFence
from strangler.core.settings import UpstreamSettings, Url
from strangler.ipc.messages import BreakerOpened, EndpointHealth, FenceMarks, Shared, fence_messages


@dataclass(slots=True)
class SharedState:
    """The facts that control keeps for workers. Times are monotonic seconds."""

    _upstreams: Mapping[str, UpstreamSettings] = field(default_factory=dict)
    _since: dict[str, int] = field(default_factory=dict)
    """By upstream: the generation in which its settings last changed since control started."""
    _openings: dict[str, BreakerOpened] = field(default_factory=dict)
    _fence: WriteFence = field(default_factory=WriteFence)
    _health: dict[str, dict[EndpointKey, EndpointHealth]] = field(default_factory=dict)
    """By upstream, since each shadow looks up one upstream."""

    def adopt(self, upstreams: Mapping[str, UpstreamSettings], generation: int) -> None:
        """Follow new settings: forget the facts about changed upstreams, as every worker does."""
        for name, before in self._upstreams.items():
            after = upstreams.get(name)
            if after is None or (before.breaker, before.urls, before.tls) != (after.breaker, after.urls, after.tls):
                self._openings.pop(name, None)
                self._since[name] = generation
        self._upstreams = upstreams
        self._health = {
            name: {key: health for key, health in of.items() if self._is_checked(health)}
            for name, of in self._health.items()
            if name in upstreams
        }

    def learn(self, message: Shared, now: float) -> Shared | None:
        """Take in a fact from a worker. Return what the other workers must know, or None if it is known already."""
        match message:
            case BreakerOpened():
                return self._learn_opening(message, now)
            case FenceMarks(marks):
                events = [mark for mark in marks if self._fence.merge(mark, now)]
                return FenceMarks(events) if events else None
            case EndpointHealth():
                return message if self._learn_health(message) else None

    def set_health(self, health: EndpointHealth) -> None:
        """Record the result of one of control's own checks."""
        self._health.setdefault(health.upstream, {})[EndpointKey(health.url, health.address)] = health

    def is_healthy(self, upstream: str, key: EndpointKey) -> bool:
        health = self._health.get(upstream, {}).get(key)
        return health is None or health.is_healthy

    def is_url_healthy(self, upstream: str, url: Url) -> bool:
        """Return whether any address of a URL is healthy, as far as it was checked."""
        healths = [health.is_healthy for key, health in self._health.get(upstream, {}).items() if key.url == url]
        return not healths or any(healths)

    def forget_endpoint(self, upstream: str, key: EndpointKey) -> None:
        """Forget an address that its name no longer resolves to."""
        self._health.get(upstream, {}).pop(key, None)

    def everything(self, now: float) -> Iterator[Shared]:
        """Yield all facts, for a worker that knows none yet."""
        for opening in self._openings.values():
            if opening.until > now:
                yield opening
        yield from fence_messages(self._fence.marks(now))
        for of in self._health.values():
            yield from of.values()

    def _learn_opening(self, opening: BreakerOpened, now: float) -> BreakerOpened | None:
        name = opening.upstream
        known = self._openings.get(name)
        if opening.until <= max(now, known.until if known is not None else 0.0):
            return None
        if name not in self._upstreams or opening.generation < self._since.get(name, 0):
            return None
        self._openings[name] = opening
        return opening

    def _learn_health(self, health: EndpointHealth) -> bool:
        """Take over the result of an earlier control, unless our own checks have one."""
        known = self._health.get(health.upstream, {})
        if EndpointKey(health.url, health.address) in known or health.is_healthy or not self._is_checked(health):
            return False
        self.set_health(health)
        return True

    def _is_checked(self, health: EndpointHealth) -> bool:
        upstream = self._upstreams.get(health.upstream)
        return upstream is not None and upstream.health is not None and health.url in upstream.urls
