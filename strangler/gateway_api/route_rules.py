"""The rules of one route: which requests they take, and where these go."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from strangler.core.routing.arm import BUCKETS, LEGACY
from strangler.core.routing.split import hundredths
from strangler.core.settings import MatchSettings, RouteSettings, Settings, UpstreamSettings
from strangler.gateway_api.services import Service

Rule = dict[str, Any]

METHODS: Final[tuple[str, ...]] = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")
"""The methods of routes that an HTTPRoute can match. A rule may have a match for each: 8 at most in old versions."""

READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_FIELD: Final = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_`|~]{1,256}")
_SAFE: Final = "-._~!$&'()*+,;=:@/%"
_MOST_CONDITIONS: Final = 16
_LONGEST_PATH: Final = 1024
_HUNDRED: Final = 100
_MOST_HOURS: Final = 99_999


@dataclass(frozen=True, slots=True)
class Target:
    """The Services of a configuration, and the receiver's; None: nothing is mirrored."""

    services: Mapping[str, Service]
    receiver: Service | None


def can_match(match: MatchSettings) -> bool:
    """Return whether an HTTPRoute can say what a route matches. What it cannot, legacy serves."""
    fields = [*match.headers, *match.query]
    return (
        all(_FIELD.fullmatch(name) and value for name, value in fields)
        and max(len(match.headers), len(match.query)) < _MOST_CONDITIONS
        and (not match.methods or bool(set(match.methods) & set(METHODS)))
        and len(path_of(match)["value"]) <= _LONGEST_PATH
    )


def can_rewrite(route: RouteSettings, upstream: UpstreamSettings) -> bool:
    """Return whether an HTTPRoute can change the path as the route and the upstream's URL want it."""
    moved = route.rewrite_prefix is not None or any(url.path for url in upstream.urls)
    return not moved or not (has_names(route.match) or "{" in (route.rewrite_prefix or ""))


def has_names(match: MatchSettings) -> bool:
    """Return whether the path of a match has segments that stand for any one."""
    return "{" in (match.path or match.prefix or "")


def path_of(match: MatchSettings) -> dict[str, str]:
    """Return the condition on the path."""
    text = match.path if match.path is not None else (match.prefix or "/")
    if not has_names(match):
        kind = "Exact" if match.path is not None else "PathPrefix"
        return {"type": kind, "value": quote(text, safe=_SAFE)}
    parts = [("[^/]+" if part.startswith("{") else re.escape(quote(part, safe=_SAFE))) for part in text.split("/")]
    end = "" if match.path is not None else "(/.*)?"
    return {"type": "RegularExpression", "value": "/".join(parts).rstrip("/" if end else "") + end}


def rules_of(settings: Settings, route: RouteSettings, target: Target) -> list[Rule]:
    """Return the rules of a route in the order in which they count: override, split headers, the rest."""
    return list(_rules(settings, route, target))


def _rules(settings: Settings, route: RouteSettings, target: Target) -> Iterator[Rule]:
    assert route.candidate is not None
    split = route.split
    if not route.enabled or not can_rewrite(route, settings.upstreams[route.candidate]):
        yield from _matched(settings, route, target, 0, None)
        return
    if split.override is not None:
        yield from _matched(settings, route, target, 0, (split.override, "legacy"))
        yield from _matched(settings, route, target, BUCKETS, (split.override, "candidate"))
    for name, value in split.headers:
        yield from _matched(settings, route, target, BUCKETS, (name, value))
    yield from _matched(settings, route, target, hundredths(split.percent), None)


def _matched(
    settings: Settings, route: RouteSettings, target: Target, share: int, field: tuple[str, str] | None
) -> Iterator[Rule]:
    """Yield the rules for requests of which one more field has a value: of reads, and of other methods."""
    headers = dict(route.match.headers)
    if field is not None:
        if headers.get(field[0], field[1]) != field[1] or not field[1]:
            return  # no request has both values
        headers[field[0]] = field[1]
    base: Rule = {"path": path_of(route.match)}
    if headers:
        base["headers"] = [{"type": "Exact", "name": name, "value": value} for name, value in headers.items()]
    if route.match.query:
        base["queryParams"] = [{"type": "Exact", "name": n, "value": v} for n, v in route.match.query]
    for methods, is_mirrored in _by_mirror(route):
        matches = [{**base, "method": method} for method in methods] or [base]
        rule = {
            "backendRefs": _weighted(settings, route, target, share),
            **_filters(route, target, is_mirrored=is_mirrored),
            **_timeouts(route),
        }
        if _changes_path(settings, route, share):
            yield from ({"matches": [match], **rule} for match in matches)  # it may have one match only
        else:
            yield {"matches": matches, **rule}


def _by_mirror(route: RouteSettings) -> list[tuple[list[str], bool]]:
    """Return the methods of a route in parts, each with whether it is mirrored. A route for all methods is one part:
    a method would make it more specific than it is."""
    shadow = route.shadow
    has_shadow = shadow is not None and not shadow.is_only_received and bool(shadow.percent)
    methods = [each for each in METHODS if each in route.match.methods]
    if not has_shadow or shadow is None or not methods:
        return [(methods, has_shadow)]
    mirrored = [each for each in methods if each in READS & set(shadow.methods)]
    others = [each for each in methods if each not in mirrored]
    return [(part, is_mirrored) for part, is_mirrored in ((mirrored, True), (others, False)) if part]


def _filters(route: RouteSettings, target: Target, *, is_mirrored: bool) -> Rule:
    """Return the filters for both arms: the mirror to the receiver."""
    if not is_mirrored or target.receiver is None or route.shadow is None:
        return {}
    share = hundredths(route.shadow.percent)
    mirror: Rule = {"backendRef": target.receiver.reference()}
    if share % _HUNDRED:
        mirror["fraction"] = {"numerator": share, "denominator": BUCKETS}
    elif share != BUCKETS:
        mirror["percent"] = share // _HUNDRED
    return {"filters": [{"type": "RequestMirror", "requestMirror": mirror}]}


def _weighted(settings: Settings, route: RouteSettings, target: Target, share: int) -> list[Rule]:
    candidate = route.candidate or LEGACY
    parts = ((candidate, share), (LEGACY, BUCKETS - share)) if candidate != LEGACY else ((LEGACY, BUCKETS),)
    return [
        {**target.services[name].reference(), "weight": weight, **_changes(settings, route, name)}
        for name, weight in parts
        if weight
    ]


def legacy_service(settings: Settings, target: Target) -> Rule:
    """Return legacy for requests that no route takes."""
    upstream = settings.upstreams[LEGACY]
    return {**target.services[LEGACY].reference(), **_filters_of_arm(upstream, _base_path(upstream, "", "/"))}


def _changes(settings: Settings, route: RouteSettings, name: str) -> Rule:
    upstream = settings.upstreams[name]
    return _filters_of_arm(upstream, _new_path(route, upstream))


def _changes_path(settings: Settings, route: RouteSettings, share: int) -> bool:
    names = {route.candidate if share else LEGACY, LEGACY if share < BUCKETS else route.candidate}
    return any(_new_path(route, settings.upstreams[name or LEGACY]) is not None for name in names)


def _new_path(route: RouteSettings, upstream: UpstreamSettings) -> Rule | None:
    """Return how the path changes on its way to an upstream; None if it does not."""
    match = route.match
    prefix = route.rewrite_prefix if upstream.name == route.candidate else None
    if match.path is not None:
        base = upstream.urls[0].path.rstrip("/")
        return {"type": "ReplaceFullPath", "replaceFullPath": f"{base}{match.path}"} if base else None
    return _base_path(upstream, prefix, match.prefix or "/")


def _base_path(upstream: UpstreamSettings, prefix: str | None, public: str) -> Rule | None:
    base = upstream.urls[0].path.rstrip("/")
    if not base and not prefix:
        return None
    whole = f"{base}{public if prefix is None else prefix}"
    return {"type": "ReplacePrefixMatch", "replacePrefixMatch": quote(whole, safe=_SAFE)}


def _filters_of_arm(upstream: UpstreamSettings, path: Rule | None) -> Rule:
    """Return the filters for one arm alone: another path, another Host, other header fields."""
    filters: list[Rule] = []
    rewrite: Rule = {} if path is None else {"path": path}
    if upstream.host == "upstream":
        rewrite["hostname"] = upstream.urls[0].host
    if rewrite:
        filters.append({"type": "URLRewrite", "urlRewrite": rewrite})
    edits: Rule = {}
    if upstream.headers.set:
        edits["set"] = [{"name": name, "value": value} for name, value in upstream.headers.set]
    if upstream.headers.remove:
        edits["remove"] = list(upstream.headers.remove)
    if edits:
        filters.append({"type": "RequestHeaderModifier", "requestHeaderModifier": edits})
    return {"filters": filters} if filters else {}


def _timeouts(route: RouteSettings) -> Rule:
    """Return the timeout that a route has written itself."""
    times = route.timeouts
    if times is None or times.response_s is None or times.sources[1] != "route":
        return {}
    return {"timeouts": {"backendRequest": _duration(times.response_s)}}


def _duration(seconds: float) -> str:
    """Return a duration in the form of Gateway API (GEP-2257): each number has five digits at most."""
    whole, milliseconds = divmod(max(1, round(seconds * 1000)), 1000)
    hours, rest = divmod(whole, 3600)
    parts = ((min(hours, _MOST_HOURS), "h"), (rest, "s"), (milliseconds, "ms"))
    return "".join(f"{number}{unit}" for number, unit in parts if number)
