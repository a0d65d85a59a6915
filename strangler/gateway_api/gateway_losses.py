"""The keys of one configuration that HTTPRoutes do not say, or not exactly."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from strangler.core.loss import Loss
from strangler.core.routing.arm import BUCKETS, LEGACY
from strangler.core.routing.split import hundredths
from strangler.core.settings import RouteSettings, Settings, ShadowSettings, UpstreamSettings
from strangler.gateway_api.route_rules import METHODS, can_match, can_rewrite, has_names

_NOT: Final = "is not kept by Gateway API"
_NEARLY: Final = "is kept only nearly by Gateway API"
_GATEWAYS_OWN: Final = "the Gateway has settings of its own for it"


@dataclass(frozen=True, slots=True)
class _Finding:
    """A loss in a route or an upstream: the path of the key there."""

    path: tuple[str | int, ...]
    what: str
    instead: str
    counts_unwritten: bool = False


def losses_with(*, has_receiver: bool) -> Callable[[Settings], list[Loss]]:
    """Return the function that lists all losses. `has_receiver`: shadows have a Service to go to."""

    def losses(settings: Settings) -> list[Loss]:
        found = list(_of_file(settings))
        for upstream in settings.upstreams.values():
            found += [_loss(("upstreams", upstream.name), each) for each in _of_upstream(upstream)]
        for index, route in enumerate(settings.routes):
            found += [_loss(("routes", index), each) for each in _of_route(settings, route, has_receiver)]
        return found

    return losses


def _loss(base: tuple[str | int, ...], finding: _Finding) -> Loss:
    key = ".".join(each for each in finding.path if isinstance(each, str))
    return Loss((*base, *finding.path), key, finding.what, finding.instead, finding.counts_unwritten)


def _of_file(settings: Settings) -> Iterator[Loss]:
    for key in ("listen", "limits", "log", "tracing", "trusted_proxies", "errors"):
        yield Loss((key,), key, _NOT, _GATEWAYS_OWN)
    yield Loss(("expose_arm",), "expose_arm", _NOT, "responses do not say which arm served them")
    yield Loss(
        ("ambiguous_paths",),
        "ambiguous_paths",
        _NOT,
        "paths with `..`, `//` or `%2F` are read as the Gateway reads them, and may reach a candidate",
        counts_unwritten=True,
    )
    if settings.ledger is not None:
        yield Loss(("ledger",), "ledger", _NOT, "nobody counts the calls; `strangler ledger import` reads access logs")


def _of_upstream(upstream: UpstreamSettings) -> Iterator[_Finding]:
    if any(url.scheme == "https" for url in upstream.urls):
        key = "url" if len(upstream.urls) == 1 else "urls"
        yield _Finding((key,), _NEARLY, "https:// needs a BackendTLSPolicy for the Service; write one")
    if upstream.http2:
        yield _Finding(("http2",), _NOT, "write `appProtocol: kubernetes.io/h2c` at the Service's port")
    for key in ("timeouts", "bulkhead", "breaker", "retry", "health", "keepalive", "tls"):
        yield _Finding((key,), _NOT, "no HTTPRoute has it; many Gateways have a policy of their own for it")
    if upstream.headers.set or upstream.headers.remove or upstream.host == "upstream":
        key = "host" if upstream.host == "upstream" else "headers"
        yield _Finding((key,), _NEARLY, _PER_ARM)


_PER_ARM: Final = "filters of one backend are an extension that not all Gateways have"


def _of_route(settings: Settings, route: RouteSettings, has_receiver: bool) -> Iterator[_Finding]:
    if route.aggregate is not None or route.candidate is None:
        yield _Finding(("aggregate",), _NOT, "legacy serves the route: no Gateway joins responses")
        return
    yield from _of_match(route)
    yield from _of_split(route)
    yield from _of_moves(settings, route)
    if route.fallback is not None and route.candidate != LEGACY:
        instead = "requests that fail at the candidate fail; nothing falls back to legacy"
        yield _Finding(("fallback",), _NOT, instead, counts_unwritten=True)
    if route.shadow is not None and not route.shadow.is_only_received and route.shadow.percent:
        yield from _of_shadow(route.shadow, route, has_receiver)


def _of_match(route: RouteSettings) -> Iterator[_Finding]:
    match = route.match
    if not can_match(match):
        yield _Finding(("match",), _NOT, "no HTTPRoute can say it, so that legacy serves the route")
        return
    foreign = [each for each in match.methods if each not in METHODS]
    if foreign:
        yield _Finding(("match", "methods"), _NEARLY, f"{', '.join(foreign)} cannot be matched, and goes to legacy")
    if has_names(match):
        key = "path" if match.path is not None else "prefix"
        instead = "`{name}` is a regular expression, which not all Gateways have, and whose rank is each one's own"
        yield _Finding(("match", key), _NEARLY, instead)


def _of_split(route: RouteSettings) -> Iterator[_Finding]:
    split = route.split
    if 0 < hundredths(split.percent) < BUCKETS or route.rollout is not None:
        for place in range(min(1, len(split.sticky))):
            instead = "weights are by chance: a caller changes between both arms from request to request"
            yield _Finding(("split", "sticky", place), _NOT, instead)
        yield _Finding(("split", "group"), _NOT, "weights are by chance: routes of a group do not go together")
    if route.rollout is not None:
        yield _Finding(("rollout",), _NOT, "the candidate gets nothing; write `split.percent` for each step")


def _of_moves(settings: Settings, route: RouteSettings) -> Iterator[_Finding]:
    candidate = settings.upstreams[route.candidate or LEGACY]
    if route.retire is not None:
        yield _Finding(("retire",), _NOT, "the route is served after its sunset, and nothing announces it")
    if not can_rewrite(route, candidate):
        yield _Finding(
            ("rewrite",), _NOT, "a prefix with `{name}` cannot be rewritten, so that legacy serves the route"
        )
    elif route.rewrite_prefix is not None:
        yield _Finding(("rewrite", "prefix"), _NEARLY, f"Location is not rewritten back; {_PER_ARM}")
    times = route.timeouts
    if times is not None and times.sources[1] == "route":
        yield _Finding(("timeouts", "response"), _NEARLY, "it ends responses that are not whole by then, and streams")
    for place, key in ((0, "connect"), (2, "idle")):
        if times is not None and times.sources[place] == "route":
            yield _Finding(("timeouts", key), _NOT, "no HTTPRoute has it")


def _of_shadow(shadow: ShadowSettings, route: RouteSettings, has_receiver: bool) -> Iterator[_Finding]:
    if not has_receiver:
        yield _Finding(("shadow",), _NOT, "nothing is mirrored; name the receiver's Service with --receiver-service")
        return
    if shadow.percent < BUCKETS / 100:
        instead = (
            f"the Gateway mirrors {shadow.percent:g} %, and the receiver takes `shadow.percent` of what comes:"
            " give the receiver a file with 100"
        )
        yield _Finding(("shadow", "percent"), _NEARLY, instead)
    yield _Finding(("shadow", "of"), _NEARLY, "requests are mirrored whichever arm serves them")
    if not route.match.methods:
        instead = "all methods are mirrored; the receiver compares reads alone"
        yield _Finding(("shadow", "methods"), _NEARLY, instead)
    if shadow.writes != "skip":
        yield _Finding(("shadow", "writes"), _NOT, "the receiver compares reads alone")
