"""Facts that all workers share, whoever found them: open breakers, write fences, the health of endpoints.

Control only passes it on. What it keeps is for workers that come later, and is bounded: an opening for each upstream, a
fence of fixed size, a line for each endpoint that was ever found unwell.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from strangler.core.resilience.endpoints import EndpointKey
from strangler.core.resilience.write_fence import WriteFence
from strangler.core.settings import UpstreamSettings, Url
from strangler.ipc.messages import BreakerOpened, EndpointHealth, FenceMarks, Shared, fence_messages


@dataclass(slots=True)
class SharedState:
    """Owned by the links, which carry it. Times are monotonic seconds."""

    _upstreams: Mapping[str, UpstreamSettings] = field(default_factory=dict)
    _since: dict[str, int] = field(default_factory=dict)
    """By upstream: the generation in which it became another, if it did in this control's time."""
    _openings: dict[str, BreakerOpened] = field(default_factory=dict)
    _fence: WriteFence = field(default_factory=WriteFence)
    _health: dict[str, dict[EndpointKey, EndpointHealth]] = field(default_factory=dict)
    """By upstream: each shadow asks for one."""

    def adopt(self, upstreams: Mapping[str, UpstreamSettings], generation: int) -> None:
        """New settings: what was known of an upstream that is another now is forgotten, as every worker forgets it."""
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
        """Take in what a worker says. Returns what the others are to be told, None if it is nothing new."""
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
        """Return whether any address of a URL is well, as far as checks have told."""
        healths = [health.is_healthy for key, health in self._health.get(upstream, {}).items() if key.url == url]
        return not healths or any(healths)

    def forget_endpoint(self, upstream: str, key: EndpointKey) -> None:
        """The name no longer stands for this address."""
        self._health.get(upstream, {}).pop(key, None)

    def everything(self, now: float) -> Iterator[Shared]:
        """For a worker that knows nothing yet."""
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
        """Take over the finding of an earlier control, unless our own checks know better."""
        known = self._health.get(health.upstream, {})
        if EndpointKey(health.url, health.address) in known or health.is_healthy or not self._is_checked(health):
            return False
        self.set_health(health)
        return True

    def _is_checked(self, health: EndpointHealth) -> bool:
        upstream = self._upstreams.get(health.upstream)
        return upstream is not None and upstream.health is not None and health.url in upstream.urls
