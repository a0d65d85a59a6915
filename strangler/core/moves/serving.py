"""How a request is served, as far as its line in an access log tells: by which arm, how fast, with a shadow."""

from dataclasses import dataclass, field, replace

from strangler.core.http.head import RequestHead
from strangler.core.routing.arm import LEGACY, Arm, Reason
from strangler.core.routing.plan import Plan, shadow_percent
from strangler.core.routing.route import Route
from strangler.core.routing.snapshot import Snapshot
from strangler.core.settings import Settings, StickySource, Url

LOG_FIELDS = frozenset({"host", "user-agent"})
"""The header fields that a log has. The ledger has none."""


@dataclass(frozen=True, slots=True)
class Serving:
    """How a request is served. Where a log lacks what decides, a percent is that of such requests."""

    route: str | None
    percent: float
    """The requests that go to the candidate, 0 to 100."""
    upstream: str
    """The candidate's name, or those of an aggregate's parts; empty at 0 percent."""
    candidate_urls: tuple[str, ...]
    """Empty at 0 percent."""
    legacy_urls: tuple[str, ...]
    """Empty at 100 percent."""
    rewrite: str
    """`/orders to /v2/orders`; empty if the candidate gets the client's path, or nothing."""
    shadow_percent: float
    shadow_to: str
    """The other arm's upstream; empty without shadows."""
    timeouts_s: tuple[float | None, ...]
    """How long a response may take to begin, each value once; empty if it is not known."""
    refused: int | None
    """The status of a response of the proxy's own; None if the request is forwarded."""
    sunset: int | None
    """Unix time."""
    shuffle: tuple[str, ...]
    """The group and the sticky keys that decide; empty if all such requests go the same way."""
    unknown_keys: tuple[str, ...]
    """The sticky keys of the split that the log does not have: `cookie:sid`."""
    unknown_fields: tuple[str, ...]
    """The header fields that may send a request to another arm."""

    @property
    def text(self) -> str:
        """Return `legacy`, `orders`, `orders 25 %` or `refused with 410`."""
        if self.refused is not None:
            return f"refused with {self.refused}"
        if not self.percent:
            return LEGACY
        return self.upstream if self.percent == 100 else f"{self.upstream} {self.percent:g} %"


@dataclass(slots=True)
class ServingsState:
    """How a snapshot serves requests; what is alike is computed once.

    `now`: Unix time, for routes that end. `known_fields`: the header fields that requests are known by.
    """

    snapshot: Snapshot
    now: float
    known_fields: frozenset[str] = LOG_FIELDS
    remembered: dict[tuple[str, Arm, Reason, bytes, int | None], Serving] = field(default_factory=dict)
    values: dict[Serving, Serving] = field(default_factory=dict)
    """Each value once, so that equal ones are one object."""

    def serving_of(self, head: RequestHead) -> Serving:
        """Return how a request is served while the kill switch is off, by the plan that a worker makes.

        Equal ones are one object.
        """
        plan = self.snapshot.plan(head, _middle, False, lambda: self.now)
        route = "" if plan.route is None else plan.route.name
        status = None if plan.refusal is None else plan.refusal.status
        method = head.method if _has_shadows(plan.route, head.method) else b""  # so there are few, whatever the log has
        key = (route, plan.arm, plan.reason, method, status)
        found = self.remembered.get(key)
        if found is None:
            made = _serving(self.snapshot.settings, plan, head.method, self.known_fields)
            found = self.remembered[key] = self.values.setdefault(made, made)
        return found


def served_without_proxy(settings: Settings) -> Serving:
    """Return how a request is served where nothing stands before legacy: within which time is not known."""
    return replace(_served_by_legacy(settings), timeouts_s=())


def _served_by_legacy(settings: Settings) -> Serving:
    legacy = settings.upstreams[LEGACY]
    urls, timeouts = tuple(map(_url_text, legacy.urls)), (legacy.timeouts.response_s,)
    return Serving(None, 0.0, "", (), urls, "", 0.0, "", timeouts, None, None, (), (), ())


def _has_shadows(route: Route | None, method: bytes) -> bool:
    shadow = None if route is None else route.shadow
    return shadow is not None and (method in shadow.of_legacy or method in shadow.of_candidate)


def _middle() -> float:
    return 0.5


def _serving(settings: Settings, plan: Plan, method: bytes, known_fields: frozenset[str]) -> Serving:
    legacy = _served_by_legacy(settings)
    route = plan.route
    if plan.refusal is not None:
        nobody = replace(legacy, legacy_urls=(), timeouts_s=(), refused=plan.refusal.status)
        return nobody if route is None else replace(nobody, route=route.name)
    if route is None:
        return legacy
    sunset = None if route.settings.retire is None else route.settings.retire.sunset
    if plan.reason is Reason.DISABLED:
        return replace(legacy, route=route.name, sunset=sunset)
    percent, keys = _percent(route, plan, known_fields)
    found = _shared(settings, legacy, route, method, percent, keys, sunset)
    return replace(found, unknown_fields=tuple(name for name in found.unknown_fields if name not in known_fields))


def _percent(route: Route, plan: Plan, known_fields: frozenset[str]) -> tuple[float, tuple[str, ...]]:
    """Return the percent that the candidate gets, and the sticky keys on which that depends and the log lacks."""
    split = route.settings.split
    if plan.reason is Reason.CHANCE:
        return split.percent, tuple(map(_source, split.sticky))
    missing = _missing(split.sticky, known_fields)
    if plan.bucket is not None and missing:
        return split.percent, missing
    return (100.0 if plan.arm is Arm.CANDIDATE else 0.0), ()


def _missing(sources: tuple[StickySource, ...], known_fields: frozenset[str]) -> tuple[str, ...]:
    """Return the sticky keys before the first one that is known: any of them may decide."""
    found = []
    for source in sources:
        if source.kind == "header" and source.name in known_fields:
            break
        found.append(_source(source))
    return tuple(found)


def _source(source: StickySource) -> str:
    return source.kind if source.kind == "client_ip" else f"{source.kind}:{source.name}"


def _shared(
    settings: Settings,
    legacy: Serving,
    route: Route,
    method: bytes,
    percent: float,
    keys: tuple[str, ...],
    sunset: int | None,
) -> Serving:
    """Return how a route serves requests of which its candidate gets a percent."""
    split = route.settings.split
    share = percent / 100
    names = _names(route)
    of_candidate = percent > 0
    shadows = (1 - share) * shadow_percent(route, method, Arm.LEGACY) + share * shadow_percent(
        route, method, Arm.CANDIDATE
    )
    timeouts = [*(_timeouts(settings, route) if of_candidate else ()), *(legacy.timeouts_s if percent < 100 else ())]
    fields = {split.override, *(name for name, _ in split.headers)} - {None}
    is_split = 0 < percent < 100
    return Serving(
        route=route.name,
        percent=percent,
        upstream=" + ".join(names) if of_candidate else "",
        candidate_urls=_urls(settings, route) if of_candidate else (),
        legacy_urls=legacy.legacy_urls if percent < 100 else (),
        rewrite=_rewrite(route) if of_candidate or shadows else "",
        shadow_percent=round(shadows, 4),
        shadow_to=" + ".join(names) if shadows else "",
        timeouts_s=tuple(dict.fromkeys(timeouts)),
        refused=None,
        sunset=sunset,
        shuffle=(split.group, *map(_source, split.sticky)) if is_split else (),
        unknown_keys=keys if is_split else (),
        unknown_fields=tuple(sorted(name for name in fields if name is not None)),
    )


def _names(route: Route) -> list[str]:
    if route.settings.aggregate is None:
        return [route.upstream]
    return list(dict.fromkeys(part.upstream for part in route.settings.aggregate))


def _urls(settings: Settings, route: Route) -> tuple[str, ...]:
    """Return where the candidate lies, and for an aggregate also the paths that its parts ask for."""
    urls = [_url_text(url) for name in _names(route) for url in settings.upstreams[name].urls]
    paths = [f"{part.upstream} {part.path}" for part in route.settings.aggregate or ()]
    return (*urls, *paths)


def _url_text(url: Url) -> str:
    return f"{url.scheme}://{url.unix_path or url.host}:{url.port}{url.path}"


def _rewrite(route: Route) -> str:
    match, to = route.settings.match, route.settings.rewrite_prefix
    return "" if to is None else f"{match.prefix or match.path or '/'} to {to}"


def _timeouts(settings: Settings, route: Route) -> list[float | None]:
    """Return the response timeouts of the candidate: the route's own, else its upstreams'."""
    if route.settings.timeouts is not None:
        return [route.settings.timeouts.response_s]
    return [settings.upstreams[name].timeouts.response_s for name in _names(route)]
