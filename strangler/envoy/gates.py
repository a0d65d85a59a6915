"""Gates: internal listeners in front of an upstream, which apply what is that upstream's alone.

A request on a route may go to the candidate and then to legacy, or to either by its caller. What a route entry of
Envoy changes (path, Host, headers, timeouts), it changes for both. So an upstream with changes of its own has a gate,
which is a hop inside the same process. A gate says in a field how the attempt ended, so that each reason for a fallback
is one of its own.

A gate costs about as much as all else of a request. What the file leaves at its default makes none.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from strangler.core.fault import Fault
from strangler.core.routing.arm import LEGACY
from strangler.core.routing.rewrite import Rewrite
from strangler.core.settings import RouteSettings, Settings, TimeoutSettings, UpstreamSettings
from strangler.envoy.extensions import digest


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate: the upstream behind it, its timeouts in seconds (None: none), and the public prefix with the one that
    the upstream sees in place of it."""

    upstream: str
    response_s: float | None
    idle_s: float | None
    public: str | None = None
    own: str | None = None

    @property
    def name(self) -> str:
        """Return the name, which is another for any other content: two of them can be there while one takes over."""
        return _name(self)

    @property
    def rewrite(self) -> Rewrite | None:
        """Return how the path changes, if the prefix does."""
        return None if self.public is None or self.own is None else Rewrite.between(self.public, self.own)


def candidate_gate(settings: Settings, route: RouteSettings) -> Gate | None:
    """Return the gate of a route's candidate; None if it needs none."""
    if route.candidate is None:
        return None
    upstream = settings.upstreams[route.candidate]
    times = route.timeouts or upstream.timeouts
    if not _needs_gate(settings, route, upstream, times):
        return None
    public = None
    if route.rewrite_prefix is not None:
        public = route.match.prefix or route.match.path or "/"
    return Gate(upstream.name, times.response_s, times.idle_s, public, route.rewrite_prefix)


def legacy_gate(settings: Settings) -> Gate | None:
    """Return the gate of legacy; None if it gets requests as they are."""
    legacy = settings.upstreams[LEGACY]
    if not _has_edits(legacy):
        return None
    return Gate(LEGACY, legacy.timeouts.response_s, legacy.timeouts.idle_s)


def all_gates(settings: Settings) -> tuple[Gate, ...]:
    """Return each gate of a configuration once, in the order of their names."""
    gates = {gate for route in settings.routes if (gate := candidate_gate(settings, route)) is not None}
    legacy = legacy_gate(settings)
    if legacy is not None:
        gates.add(legacy)
    return tuple(sorted(gates, key=_name))


@lru_cache(maxsize=4096)
def _name(gate: Gate) -> str:
    return f"{gate.upstream}/{digest([gate.response_s, gate.idle_s, gate.public, gate.own])}"


def _needs_gate(settings: Settings, route: RouteSettings, upstream: UpstreamSettings, times: TimeoutSettings) -> bool:
    if route.rewrite_prefix is not None or _has_edits(upstream):
        return True
    if route.is_passthrough and route.fallback is None:
        return False  # nothing else shares its entry
    if _has_own_times(times, settings.upstreams[LEGACY].timeouts):
        return True
    return (
        route.fallback is not None and route.fallback.is_when_written and _needs_reasons(route.fallback.when, upstream)
    )


def _has_own_times(candidate: TimeoutSettings, legacy: TimeoutSettings) -> bool:
    """Return whether both arms have timeouts that differ, and one of them is written."""
    if (candidate.response_s, candidate.idle_s) == (legacy.response_s, legacy.idle_s):
        return False
    return any(source != "default" for source in (*candidate.sources[1:], *legacy.sources[1:]))


def _needs_reasons(when: Iterable[str | int], upstream: UpstreamSettings) -> bool:
    """Return whether only a gate can say why an attempt failed: a full bulkhead, or one of two reasons that Envoy has
    one condition for."""
    listed = set(when)
    is_half = (Fault.RESET in listed) != (Fault.TIMEOUT in listed)
    return (Fault.FULL in listed and upstream.bulkhead is not None) or is_half or Fault.OPEN not in listed


def _has_edits(upstream: UpstreamSettings) -> bool:
    """Return whether an upstream gets another path, Host or header section than the client has sent."""
    has_base = any(url.path.rstrip("/") for url in upstream.urls)
    return has_base or upstream.host == "upstream" or bool(upstream.headers.set or upstream.headers.remove)
