"""The clusters that route entries name: what an arm of a route leads to, shared by all routes of the same content.

A candidate with a fallback is a composite: its members are tried in turn, the candidate first and legacy after it.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from strangler.core.routing.arm import LEGACY
from strangler.core.settings import BreakerSettings, RetrySettings, RouteSettings, Settings, TimeoutSettings
from strangler.envoy.extensions import CLUSTER, digest, extension, protocol_options
from strangler.envoy.gates import Gate, candidate_gate, legacy_gate
from strangler.envoy.mirrors import arm_mirrors, arm_share
from strangler.envoy.protection import MANY, circuit_breakers, error_matcher, thresholds
from strangler.envoy.resource_names import LEGACY_READS, composite_cluster, gate_cluster, upstream_cluster
from strangler.envoy.resources import Resource
from strangler.envoy.retrying import at_legacy, has_retries, same_upstream

_HEAD_MARGIN_S = 1.0
"""How much longer than `response` nothing may come: the pause before a head is no idle connection."""


def _no_limits() -> Resource:
    return thresholds(MANY, MANY)


@dataclass(frozen=True, slots=True)
class Composite:
    """One composite: its name and members, and the options of its HTTP, which its members' do not replace."""

    name: str
    members: tuple[str, ...]
    options: dict[str, Any]
    breakers: Resource = field(default_factory=_no_limits)

    def cluster(self) -> Resource:
        """Return its cluster. Its own number of retries limits those; its members' other limits are in force."""
        members = [{"name": member} for member in self.members]
        return {
            "@type": CLUSTER,
            "name": self.name,
            "lb_policy": "CLUSTER_PROVIDED",
            "cluster_type": extension(
                "envoy.clusters.composite", "clusters.composite.v3.ClusterConfig", clusters=members
            ),
            "circuit_breakers": self.breakers,
            "typed_extension_protocol_options": protocol_options(
                explicit_http_config={"http_protocol_options": {}}, **self.options
            ),
        }


def candidate_arm(settings: Settings, route: RouteSettings, *, is_read: bool) -> str:
    """Return the cluster of a route's candidate arm, for GET, HEAD and OPTIONS or for all other methods."""
    composite = candidate_composite(settings, route, is_read=is_read)
    if composite is not None:
        return composite.name
    assert route.candidate is not None
    return _through(route.candidate, candidate_gate(settings, route))


def legacy_arm(settings: Settings, *, is_read: bool) -> str:
    """Return the cluster of legacy, for GET, HEAD and OPTIONS or for all other methods."""
    if is_read and legacy_reads(settings) is not None:
        return LEGACY_READS
    return legacy_member(settings)


def legacy_member(settings: Settings) -> str:
    """Return the cluster that leads to legacy once."""
    return _through(LEGACY, legacy_gate(settings))


def route_timeouts(settings: Settings, route: RouteSettings | None) -> tuple[float | None, float | None]:
    """Return the longest time to the head of a response, and between two bytes, of an entry for a route (None: for
    legacy alone), in seconds; None: no limit.

    An entry has one time for both arms. Behind a gate the candidate has its own, so there the entry has the longer one;
    without a gate it has the candidate's.
    """
    legacy = settings.upstreams[LEGACY].timeouts
    if route is None or route.candidate is None:
        return legacy.response_s, idle_s(legacy)
    candidate = route.timeouts or settings.upstreams[route.candidate].timeouts
    if route.is_passthrough and route.fallback is None:
        return candidate.response_s, idle_s(candidate)
    between_s = _longest([idle_s(legacy), idle_s(candidate)])
    if candidate_gate(settings, route) is None:
        return candidate.response_s, between_s
    return _longest([legacy.response_s, candidate.response_s]), between_s


def idle_s(times: TimeoutSettings) -> float | None:
    """Return the longest time without a byte, which the wait for a head must not end."""
    return stream_idle_s(times.response_s, times.idle_s)


def stream_idle_s(response_s: float | None, between_s: float | None) -> float | None:
    """Return the same from both times of an upstream."""
    if between_s is None or response_s is None:
        return None
    return max(between_s, response_s + _HEAD_MARGIN_S)


def composites(settings: Settings) -> tuple[Composite, ...]:
    """Return all composites of a configuration, each once, in the order of their names."""
    found: dict[str, Composite] = {}
    for route in settings.routes:
        if route.candidate is None:
            continue
        for is_read in (True, False):
            composite = candidate_composite(settings, route, is_read=is_read)
            if composite is not None:
                found.setdefault(composite.name, composite)
    reads = legacy_reads(settings)
    if reads is not None:
        found[reads.name] = reads
    return tuple(found[name] for name in sorted(found))


def candidate_composite(settings: Settings, route: RouteSettings, *, is_read: bool) -> Composite | None:
    """Return the composite of a route's candidate arm; None if the arm is the upstream or its gate alone."""
    if route.candidate is None:
        return None
    gate = candidate_gate(settings, route)
    upstream = settings.upstreams[route.candidate]
    members = [_through(upstream.name, gate)]
    retry = None
    if route.fallback is not None:
        members += [legacy_member(settings)] * _legacy_tries(settings, is_gated=gate is not None)
    elif is_read and gate is None and has_retries(upstream.retry):
        retry = upstream.retry
        members *= retry.attempts
    return _composite(
        _Content(
            upstream.name,
            tuple(members),
            None if route.fallback is None else route.fallback.when,
            retry,
            upstream.breaker if gate is None else None,
            arm_share(route) if is_read else None,
            is_read,
            gate is not None,
        )
    )


@dataclass(frozen=True, slots=True)
class _Content:
    """All that a composite follows from: routes of which that is the same share one. `when`: None without fallback;
    `retry`: that of the candidate, if it is retried here; `share`: of requests that are mirrored; None: no mirror."""

    candidate: str
    members: tuple[str, ...]
    when: tuple[str | int, ...] | None
    retry: RetrySettings | None
    breaker: BreakerSettings | None
    share: int | None
    is_read: bool
    is_gated: bool


@lru_cache(maxsize=4096)
def _composite(content: _Content) -> Composite | None:
    """Return the composite of a content, which most routes have in common; None if it would change nothing."""
    options: dict[str, Any] = {}
    if content.share is not None:
        options["request_mirror_policies"] = arm_mirrors(content.share)
    if content.when is not None:
        options["retry_policy"] = at_legacy(
            content.when, is_read=content.is_read, is_gated=content.is_gated, members=len(content.members)
        )
    elif content.retry is not None:
        options["retry_policy"] = same_upstream(content.retry, may_repeat=True)
    if not options:
        return None
    options |= _matcher(content.breaker)
    name = composite_cluster(content.candidate, digest([content.members, options]))
    return Composite(name, content.members, options)


def legacy_reads(settings: Settings) -> Composite | None:
    """Return the composite for reads of legacy, which retries more than writes may; None if it retries nothing, or in
    its gate."""
    retry = settings.upstreams[LEGACY].retry
    if legacy_gate(settings) is not None or not has_retries(retry):
        return None
    policy = same_upstream(retry, may_repeat=True)
    options: dict[str, Any] = {"retry_policy": policy, **_matcher(settings.upstreams[LEGACY].breaker)}
    return Composite(LEGACY_READS, (legacy_member(settings),) * retry.attempts, options, circuit_breakers(None, retry))


def _matcher(breaker: BreakerSettings | None) -> dict[str, Any]:
    """Return the option that says which responses count for the breaker; none if Envoy's own choice is right."""
    matcher = error_matcher(breaker)
    return {} if matcher is None else {"outlier_detection": matcher}


def _legacy_tries(settings: Settings, *, is_gated: bool) -> int:
    """Return how often legacy may be tried after a candidate: its own gate retries by itself."""
    retry = settings.upstreams[LEGACY].retry
    if not is_gated or legacy_gate(settings) is not None or not has_retries(retry):
        return 1
    return retry.attempts


def _through(upstream: str, gate: Gate | None) -> str:
    """Return the cluster that leads to an upstream, through its gate if it has one."""
    return upstream_cluster(upstream) if gate is None else gate_cluster(gate.name)


def _longest(times: list[float | None]) -> float | None:
    known = [each for each in times if each is not None]
    return max(known) if len(known) == len(times) else None
