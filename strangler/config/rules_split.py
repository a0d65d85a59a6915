"""Checks of how a route divides its callers, alone and together with the routes of its group."""

import re

from strangler.config.document import Loc
from strangler.config.notes import Notes
from strangler.config.rules_context import RouteContext
from strangler.config.scalars import did_you_mean, words
from strangler.config.schema import File
from strangler.config.schema_routes import Route, Split
from strangler.config.urls import is_loopback

_EACH_REQUEST = words(
    "x-request-id x-correlation-id traceparent tracestate x-amzn-trace-id content-length content-md5 if-none-match"
    " if-modified-since referer cookie range"
)
_NEVER_SENT = words("set-cookie server etag location www-authenticate retry-after vary age last-modified x-powered-by")
_SHARED = words(
    "user-agent accept accept-encoding accept-language content-type host origin connection cache-control pragma"
)
_LIKELY = ("authorization", "x-user-id", "x-forwarded-for", "x-session-id", "x-api-key", "x-client-id", "x-tenant-id")


def check_percent(route: Route, loc: Loc, notes: Notes, context: RouteContext) -> None:
    """A percent below 1 may be meant as a share: 0.05 for 5 %."""
    places: tuple[Loc, ...] = ((*loc, "split", "percent"), (*loc, "shadow", "percent"))
    for place in places:
        text = notes.text(place)
        if re.fullmatch(r"0\.[0-9]+", text) and float(text):
            notes.warning(
                place,
                f"{notes.key(place)} is {text}, which means {text} %",
                f"write {text}% if that is intended, or {float(text) * 100:g} for {float(text) * 100:g} %",
            )


def check_split(route: Route, loc: Loc, notes: Notes, context: RouteContext) -> None:
    """The sticky keys, the override and the percent probably do what their author wants."""
    split, here = route.split, (*loc, "split")
    if not route.enabled:
        return
    if 0 < split.percent < 100 or (route.rollout is not None and split.sticky):
        _check_sticky(split, here, notes, context)
    if split.override is not None and not all(is_loopback(listener.address) for listener in context.file.listen):
        notes.warning(
            (*here, "override"),
            f"any client can choose its arm with {split.override}",
            "remove that header from outside requests in front of the proxy, or take override out",
        )
    compared = route.shadow is not None and route.shadow.percent > 0 and route.shadow.of != "legacy"
    if split.percent == 100 and not compared and not notes.is_lost((*loc, "shadow")):
        way_out = "nothing would show a regression; add `shadow: {percent: 1, of: candidate}`"
        notes.warning(
            (*here, "percent"), "split.percent is 100 and no response of the candidate gets a shadow", way_out
        )


def _check_sticky(split: Split, here: Loc, notes: Notes, context: RouteContext) -> None:
    if notes.is_lost((*here, "sticky")):
        return
    if not split.sticky:
        notes.warning(
            (*here, "percent"),
            "split.sticky is empty",
            'chance decides each request, so callers change arms; add `sticky: ["cookie:sid", client_ip]`',
        )
        return
    kinds = [source.kind for source in split.sticky]
    if kinds[0] == "client_ip" and not context.file.trusted_proxies:
        notes.warning(
            (*here, "sticky"),
            "split.sticky has client_ip and trusted_proxies is empty",
            "behind a load balancer all callers have its address; list it there, or put a header or cookie first",
        )
    if "client_ip" in kinds[:-1]:
        notes.warning(
            (*here, "sticky"),
            "split.sticky has client_ip before others",
            "every request has an address, so what follows is never used; put it last",
        )
    for index, source in enumerate(split.sticky):
        complaint = _unlikely(source.kind, source.name)
        if complaint:
            notes.value((*here, "sticky", index), complaint, "warning")


def _unlikely(kind: str, name: str) -> str:
    if kind == "cookie":
        return (
            "cookies named __utm… and _ga… are analytics cookies and come and go; use the session's"
            if re.match("__utm|_ga", name)
            else ""
        )
    if kind != "header":
        return ""
    if name in _EACH_REQUEST:
        return "it differs from request to request, so callers change arms; use what identifies the caller"
    if name in _NEVER_SENT:
        return "servers send it, callers do not; use what identifies the caller"
    if name in _SHARED:
        return "many callers share one value and move at once; use what identifies the caller"
    near = did_you_mean(name, _LIKELY) if name not in _LIKELY else ""
    return f"is that the right name? {near}" if near and _is_a_slip(name) else ""


def _is_a_slip(name: str) -> bool:
    """True if a likely name has one letter lost, doubled, swapped or changed: `x-usr-id`, and not `x-user-name`."""
    return any(_distance_is_one(name, known) for known in _LIKELY)


def _distance_is_one(left: str, right: str) -> bool:
    start = next((i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))
    a, b = left[start:], right[start:]
    return a[1:] == b or a == b[1:] or a[1:] == b[1:] or (a[:2] == b[:2][::-1] and a[2:] == b[2:])


def check_groups(file: File, notes: Notes) -> None:
    """Routes of one group identify callers in the same way."""
    first: dict[str, int] = {}
    alone = {route.name: index for index, route in enumerate(file.routes) if route.split.group is None}
    for index, route in enumerate(file.routes):
        if route.split.group is None:
            continue
        if route.split.group in alone:
            line = notes.line(("routes", alone[route.split.group], "name"))
            notes.warning(
                ("routes", index, "split", "group"),
                f"split.group is '{route.split.group[:60]}', the name of the route on {line}, which has no group",
                "callers move together with that route; give it the same group if that is intended, else name another",
            )
        other = first.setdefault(route.split.group, index)
        if route.split.sticky != file.routes[other].split.sticky and not notes.has_lost(("routes", index, "split")):
            name = file.routes[other].name
            way_out = f"a caller may be on different arms of the group; copy that of route '{name}'"
            notes.warning(
                ("routes", index, "split", "group"),
                f"split.sticky differs from that of route '{name}', which is in the same group",
                way_out,
            )
