"""The keys of one configuration that Envoy does not keep, or only nearly: what `strangler check` warns of."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from strangler.core.loss import Loss
from strangler.core.routing.arm import LEGACY
from strangler.core.settings import BreakerSettings, BulkheadSettings, RouteSettings, Settings
from strangler.envoy.gates import candidate_gate
from strangler.envoy.mapping import row_of
from strangler.envoy.mapping_row import Exactness
from strangler.envoy.matching import READS

Loc = tuple[str | int, ...]
_Uses = Callable[[Settings], Iterator[Loc]]

_FAULTS: Final[frozenset[str | int]] = frozenset({"connect", "reset", "timeout", "bad_response"})
_WHAT: Final = {Exactness.NOT: "is not kept by Envoy", Exactness.NEARLY: "is kept only nearly by Envoy"}


def losses(settings: Settings) -> list[Loss]:
    """Return all losses, in the order of the table."""
    return [_loss(key, loc) for key, uses in LOSSES.items() for loc in uses(settings)]


def _loss(key: str, loc: Loc) -> Loss:
    row = row_of(key)
    short = key.rpartition("[].")[2].removeprefix("upstreams.NAME.")
    return Loss(loc, short, _WHAT[row.exactness], row.instead, counts_unwritten=key in _BY_DEFAULT)


def _groups(settings: Settings) -> Iterator[Loc]:
    for index, listener in enumerate(settings.listeners):
        if listener.group is not None:
            yield "listen", index, "group"


def _balancers(settings: Settings) -> Iterator[Loc]:
    for index, listener in enumerate(settings.listeners):
        if listener.proxy_protocol is not None and not listener.proxy_protocol.is_required:
            yield "listen", index, "proxy_protocol", "required"


def _tracing(settings: Settings) -> Iterator[Loc]:
    if settings.tracing.otlp is not None:
        yield "tracing", "otlp"


def _forwarded(settings: Settings) -> Iterator[Loc]:
    if settings.trusted_proxies:
        yield ("trusted_proxies",)


def _rejected(settings: Settings) -> Iterator[Loc]:
    if settings.ambiguous_paths == "reject":
        yield ("ambiguous_paths",)


def _shared_response_timeout(settings: Settings) -> Iterator[Loc]:
    """Yield legacy's timeout if it is another on routes where it shares an entry with a candidate."""
    legacy = settings.upstreams[LEGACY].timeouts.response_s
    for route in settings.routes:
        if route.candidate is None or route.is_passthrough or not route.enabled:
            continue
        times = route.timeouts or settings.upstreams[route.candidate].timeouts
        if candidate_gate(settings, route) is None and times.response_s != legacy:
            yield "upstreams", LEGACY, "timeouts", "response"
            return


def _bulkhead(name: str, is_used: Callable[[BulkheadSettings], bool]) -> _Uses:
    def uses(settings: Settings) -> Iterator[Loc]:
        for upstream in settings.upstreams.values():
            if upstream.bulkhead is not None and is_used(upstream.bulkhead):
                yield "upstreams", upstream.name, "bulkhead", name

    return uses


def _breaker(name: str, is_used: Callable[[BreakerSettings], bool]) -> _Uses:
    def uses(settings: Settings) -> Iterator[Loc]:
        for upstream in settings.upstreams.values():
            if upstream.breaker is not None and is_used(upstream.breaker):
                yield "upstreams", upstream.name, "breaker", name

    return uses


def _attempts(settings: Settings) -> Iterator[Loc]:
    """Yield the attempts at candidates that legacy takes over after the first."""
    falls_back = {
        route.candidate
        for route in settings.routes
        if route.candidate is not None and route.fallback is not None and candidate_gate(settings, route) is None
    }
    for upstream in settings.upstreams.values():
        if upstream.name in falls_back and upstream.retry is not None and upstream.retry.attempts > 1:
            yield "upstreams", upstream.name, "retry", "attempts"


def _budget(settings: Settings) -> Iterator[Loc]:
    for upstream in settings.upstreams.values():
        if upstream.retry is not None and upstream.retry.attempts > 1:
            yield "upstreams", upstream.name, "retry", "budget"


def _keepalive(settings: Settings) -> Iterator[Loc]:
    for upstream in settings.upstreams.values():
        if upstream.keepalive_s:
            yield "upstreams", upstream.name, "keepalive"


def _route(path: Loc, is_used: Callable[[RouteSettings], bool]) -> _Uses:
    def uses(settings: Settings) -> Iterator[Loc]:
        for index, route in enumerate(settings.routes):
            if is_used(route):
                yield "routes", index, *path

    return uses


def _full(settings: Settings) -> Iterator[Loc]:
    """Yield the default of `fallback.when` where only a gate could tell a full candidate."""
    for index, route in enumerate(settings.routes):
        fallback = route.fallback
        if route.candidate is None or fallback is None or "full" not in fallback.when or fallback.is_when_written:
            continue
        if settings.upstreams[route.candidate].bulkhead is not None and candidate_gate(settings, route) is None:
            yield "routes", index, "fallback", "when"


def _networks(settings: Settings) -> Iterator[Loc]:
    """Yield client_ip among sticky keys, where clients may have addresses of IPv6."""
    if not _has_ipv6(settings):
        return
    for index, route in enumerate(settings.routes):
        for place, source in enumerate(route.split.sticky):
            if source.kind == "client_ip":
                yield "routes", index, "split", "sticky", place


def _has_ipv6(settings: Settings) -> bool:
    """Return whether an address of a client may be one of IPv6: that of a connection, or one that a proxy names."""
    return bool(settings.trusted_proxies) or any(
        ":" in listener.address.host or listener.proxy_protocol is not None for listener in settings.listeners
    )


def _has_connect_of_its_own(route: RouteSettings) -> bool:
    return route.timeouts is not None and route.timeouts.sources[0] == "route"


def _is_shadowed(route: RouteSettings) -> bool:
    return route.shadow is not None and not route.shadow.is_only_received and bool(route.shadow.percent)


def _has_shadows_of_writes(route: RouteSettings) -> bool:
    return _is_shadowed(route) and route.shadow is not None and not set(route.shadow.methods) <= set(READS)


def _has_fence(route: RouteSettings) -> bool:
    return route.candidate is not None and route.fallback is not None and bool(route.fallback.fence_s)


LOSSES: Final[Mapping[str, _Uses]] = {
    "listen[].group": _groups,
    "listen[].proxy_protocol.from": _balancers,
    "tracing.otlp": _tracing,
    "trusted_proxies": _forwarded,
    "ambiguous_paths": _rejected,
    "upstreams.legacy.timeouts.response": _shared_response_timeout,
    "upstreams.NAME.bulkhead.waiting": _bulkhead("waiting", lambda each: bool(each.waiting and each.wait_s)),
    "upstreams.NAME.bulkhead.wait": _bulkhead("wait", lambda each: bool(each.waiting and each.wait_s)),
    "upstreams.NAME.bulkhead.streams": _bulkhead("streams", lambda each: each.streams is not None),
    "upstreams.NAME.breaker.window": _breaker("window", lambda each: bool(each.failure_rate)),
    "upstreams.NAME.breaker.slow_call": _breaker("slow_call", lambda each: each.slow_call_s is not None),
    "upstreams.NAME.breaker.cooldown": _breaker("cooldown", lambda each: each.max_cooldown_s > each.cooldown_s),
    "upstreams.NAME.breaker.max_cooldown": _breaker("max_cooldown", lambda each: each.max_cooldown_s > each.cooldown_s),
    "upstreams.NAME.breaker.trials": _breaker("trials", lambda each: True),
    "upstreams.NAME.breaker.counts": _breaker("counts", lambda each: bool(_FAULTS - set(each.counts))),
    "upstreams.NAME.retry.attempts": _attempts,
    "upstreams.NAME.retry.budget": _budget,
    "upstreams.NAME.keepalive": _keepalive,
    "routes[].match.query": _route(("match", "query"), lambda route: bool(route.match.query)),
    "routes[].aggregate": _route(("aggregate",), lambda route: route.aggregate is not None),
    "routes[].split.sticky": _networks,
    "routes[].timeouts.connect": _route(("timeouts", "connect"), _has_connect_of_its_own),
    "routes[].fallback.when": _full,
    "routes[].fallback.fence": _route(("fallback", "fence"), _has_fence),
    "routes[].shadow.percent": _route(("shadow", "percent"), _is_shadowed),
    "routes[].shadow.methods": _route(("shadow", "methods"), _has_shadows_of_writes),
}
"""By key of the table: the places in a configuration where the loss is one."""

_BY_DEFAULT: Final = frozenset(
    {
        "upstreams.legacy.timeouts.response",
        "upstreams.NAME.bulkhead.waiting",
        "routes[].fallback.when",
        "routes[].fallback.fence",
    }
)
"""The keys whose loss may cost a client its response, or show it stale data, also where nobody has written them."""
