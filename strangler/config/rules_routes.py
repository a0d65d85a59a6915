"""Rules about one route, and about routes among themselves."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date

from strangler.config import patterns, schema
from strangler.config.defaults import OF_A_MIGRATION, OF_TWO_ARMS
from strangler.config.document import Loc
from strangler.config.notes import Notes
from strangler.config.rules_upstreams import is_name
from strangler.config.scalars import SAFE_METHODS, did_you_mean, words
from strangler.config.urls import is_loopback
from strangler.core.aggregate import METHODS as AGGREGATED
from strangler.core.compare.accept import is_xml_path, read_value
from strangler.core.compare.templates import can_meet
from strangler.core.plan import LEGACY


@dataclass(frozen=True, slots=True)
class _Context:
    """What a rule about a route may need of the rest of the file."""

    file: schema.File
    upstreams: frozenset[str]
    today: date


def check(file: schema.File, notes: Notes, today: date) -> None:
    """Notes all that is wrong with the routes."""
    known = notes.names(("upstreams",)) | set(file.upstreams.by_name)
    context = _Context(file, frozenset(known), today)
    for index, route in enumerate(file.routes):
        loc: Loc = ("routes", index)
        for rule in _RULES:
            rule(route, loc, notes, context)
    _names_differ(file, notes)
    _can_be_reached(file, notes)
    _groups_agree(file, notes)


def _has_a_name(route: schema.Route, loc: Loc, notes: Notes, context: _Context) -> None:
    if not is_name(route.name):
        notes.value(
            (*loc, "name"), "it is a label and a word on the command line; write letters, digits, '.', '_' and '-' only"
        )


def _matches_a_path(route: schema.Route, loc: Loc, notes: Notes, context: _Context) -> None:
    match, here = route.match, (*loc, "match")
    if match.prefix is not None and match.path is not None:
        notes.error(
            (*here, "path"),
            "match.prefix and match.path are both there",
            "keep one: prefix for all below it, path for exactly it",
            key=True,
        )
    for key, path in (("prefix", match.prefix), ("path", match.path)):
        if path is not None:
            notes.complaints((*here, key), patterns.pattern(path))
            notes.complaints((*here, key), patterns.other_syntax(path), "warning")
    if match.prefix is match.path is None and not any(notes.is_written((*here, key)) for key in ("prefix", "path")):
        notes.error(
            here,
            "match.prefix is missing",
            "add `prefix: /api/orders` or `path: /api/orders/{id}`; `prefix: /` is everything",
            key=True,
        )


def _matches_a_part(route: schema.Route, loc: Loc, notes: Notes, context: _Context) -> None:
    match = route.match
    has_conditions = match.host or match.methods or match.headers or match.query
    if match.prefix == "/" and not has_conditions and route.candidate != LEGACY and not notes.has_lost((*loc, "match")):
        notes.warning(
            (*loc, "match", "prefix"),
            "match.prefix is '/', which is the whole monolith",
            "it moves at once and has one verdict; name what the candidate serves, such as /api/orders",
        )


def _matches_a_host(route: schema.Route, loc: Loc, notes: Notes, context: _Context) -> None:
    if route.match.host is not None:
        notes.complaints((*loc, "match", "host"), patterns.host(route.match.host))


def _header_names_differ(route: schema.Route, loc: Loc, notes: Notes, context: _Context) -> None:
    for section, pairs in (("match", route.match.headers), ("split", route.split.headers)):
        seen: set[str] = set()
        for name, _ in pairs:
            place: Loc = (*loc, section, "headers", name)
            if name.lower() in seen:
                notes.error(
                    place, f"{section}.headers has '{name}' twice", "a header's case does not count; keep one", key=True
                )
            if section == "match" and name.lower() == "host":
                notes.error(place, f"match.headers has '{name}'", "write match.host", key=True)
            seen.add(name.lower())


def _goes_somewhere(route: schema.Route, loc: Loc, notes: Notes, context: _Context) -> None:
    ways = [key for key in _WAYS if getattr(route, key) is not None or notes.is_written((*loc, key))]
    if len(ways) > 1:
        notes.error((*loc, ways[1]), f"{' and '.join(ways)} are both there", "keep one of them", key=True)
    if not ways:
        notes.error(
            loc, "candidate is missing", "add `candidate: UPSTREAM`, or `aggregate:` for several services", key=True
        )
    if route.passthrough is not None:
        _passes_through(route.passthrough, loc, notes, context)
    if route.candidate == LEGACY:
        _has_one_arm(OF_TWO_ARMS, "candidate 'legacy'", "take it out, or name a new service", loc, notes)
    elif route.candidate is not None:
        _is_known(route.candidate, (*loc, "candidate"), notes, context)


_WAYS = ("candidate", "passthrough", "aggregate")


def _passes_through(upstream: str, loc: Loc, notes: Notes, context: _Context) -> None:
    if upstream == LEGACY:
        notes.value((*loc, "passthrough"), "that keeps an exception at legacy; write `candidate: legacy`")
        return
    _is_known(upstream, (*loc, "passthrough"), notes, context)
    way_out = "take it out, or write `candidate` if legacy has this, too"
    _has_one_arm(OF_A_MIGRATION, "passthrough", way_out, loc, notes)


def _has_one_arm(keys: Iterable[str], beside: str, way_out: str, loc: Loc, notes: Notes) -> None:
    """All goes one way, and there is nothing to split and nothing to compare."""
    for key in keys:
        if notes.is_written((*loc, key)):
            notes.error((*loc, key), f"{key} has no meaning with {beside}", way_out, key=True)


def _is_known(name: str, loc: Loc, notes: Notes, context: _Context) -> None:
    if name in context.upstreams:
        return
    way_out = (
        did_you_mean(name, context.upstreams)
        or f"add it to upstreams, or take one of {', '.join(sorted(context.upstreams)[:_SOME])}"
    )
    notes.error(loc, f"unknown upstream '{name[:60]}'", way_out)


def _is_put_together(route: schema.Route, loc: Loc, notes: Notes, context: _Context) -> None:
    if route.aggregate is None:
        return
    here = (*loc, "aggregate")
    if not route.aggregate and not notes.has_lost(here):
        notes.error(here, "aggregate has no parts", "add `field: {upstream: …, path: …}` for each service", key=True)
    others = [method for method in route.match.methods if method not in AGGREGATED]
    if others:
        notes.error(
            (*loc, "match", "methods"),
            f"match.methods has {_listed(others)}, and an aggregate answers {_listed(AGGREGATED)}",
            "take it out; what the route does not match goes to legacy",
        )
    known = patterns.names(route.match.path or route.match.prefix or "")
    for name, part in route.aggregate.items():
        _is_known(part.upstream, (*here, name, "upstream"), notes, context)
        notes.complaints((*here, name, "path"), patterns.target(part.path, known, "the match"))
    for key, way_out in (
        ("rewrite", "each part has its own path; take rewrite out"),
        ("timeouts", "give each part its own timeout"),
    ):
        if notes.is_written((*loc, key)):
            notes.error((*loc, key), f"{key} has no meaning with aggregate", way_out, key=True)


def _is_rewritten(route: schema.Route, loc: Loc, notes: Notes, context: _Context) -> None:
    if route.rewrite is None:
        return
    if route.match.path is not None and route.match.prefix is None:
        notes.error(
            (*loc, "rewrite"),
            "rewrite needs match.prefix",
            "it puts one prefix in another's place; write `match: {prefix: …}`",
            key=True,
        )
        return
    known = patterns.names(route.match.prefix or "")
    place = (*loc, "rewrite", "prefix")
    if "?" in route.rewrite.prefix:
        notes.value(place, "a prefix has no '?'")
    notes.complaints(place, patterns.target(route.rewrite.prefix, known, "match.prefix"))


def _shadows_are_safe(route: schema.Route, loc: Loc, notes: Notes, context: _Context) -> None:
    shadow = route.shadow
    if shadow is None:
        return
    here = (*loc, "shadow")
    unsafe = [method for method in shadow.methods if method not in SAFE_METHODS]
    if unsafe and shadow.writes == "skip" and not notes.is_lost((*here, "writes")):
        way_out = "a shadow would run the write twice; take them out, or set shadow.writes to dry_run or sandbox"
        notes.error((*here, "methods"), f"shadow.methods has {', '.join(unsafe)}", way_out)
    if unsafe and shadow.writes != "skip" and shadow.of != "legacy":
        notes.warning(
            (*here, "of"),
            f"shadow.of is {shadow.of} and shadow.methods has {', '.join(unsafe)}",
            "only what legacy answered gets such a shadow: legacy must not run a write twice",
        )
    if shadow.writes == "sandbox" and not notes.is_written((*here, "to")):
        notes.error(
            (*here, "writes"),
            "shadow.writes is 'sandbox' and shadow.to is missing",
            "add `to: UPSTREAM`, a copy whose data may change",
        )
    if shadow.to is not None:
        _sandbox(route, shadow.to, shadow.writes, (*here, "to"), notes, context)


def _sandbox(route: schema.Route, to: str, writes: str, loc: Loc, notes: Notes, context: _Context) -> None:
    if writes != "sandbox":
        notes.error(
            loc,
            f"shadow.to has no meaning with shadow.writes '{writes}'",
            "write `writes: sandbox`, or take it out",
            key=True,
        )
    if to == LEGACY:
        notes.value(loc, "legacy would run every write twice; name a copy whose data may change")
    else:
        _is_known(to, loc, notes, context)
    if to == route.candidate:
        notes.value(
            loc, "that is the candidate itself, so shadows will write to its data; a sandbox is a copy", "warning"
        )


def _accepts_what_can_be(route: schema.Route, loc: Loc, notes: Notes, context: _Context) -> None:
    for index, rule in enumerate(route.compare.accept):
        here: Loc = (*loc, "compare", "accept", index)
        name = notes.key(here)
        subjects = [key for key in _SUBJECTS if notes.is_written((*here, key))]
        if len(subjects) > 1:
            notes.error(here, f"{name} has {' and '.join(subjects)}", f"make {len(subjects)} rules of it")
        if not subjects:
            notes.error(
                here,
                f"{name} has neither path, css, header nor status",
                "add `path: $.field`, `css: main > .price`, `header: name` or `status: [302, 303]`",
            )
        if (rule.from_ is None) is not (rule.to is None) and not notes.has_lost(here):
            has, lacks = ("from", "to") if rule.to is None else ("to", "from")
            notes.error((*here, has), f"{name} has {has} without {lacks}", "a pair of values has both", key=True)
        _status_stands_alone(rule, here, notes)
        _pair_can_differ(rule, here, notes, is_typed=route.compare.numbers == "typed")
        limits = [key for key in ("abs", "rel") if getattr(rule, key) is not None]
        if limits and (rule.path is None or rule.from_ is not None or rule.kind not in {None, "value"}):
            notes.error(
                (*here, limits[0]),
                f"{name} has {limits[0]}",
                "it compares two numbers of a body; write it with path alone",
                key=True,
            )
        if rule.until is not None and date.fromisoformat(rule.until) < context.today:
            notes.warning(
                (*here, "until"),
                f"{name} ended on {rule.until}",
                "it no longer counts; take it out, or agree on a later day",
            )


_SUBJECTS = ("path", "css", "header", "status")


def _names_paths_of_its_own(route: schema.Route, loc: Loc, notes: Notes, context: _Context) -> None:
    """What `fold` and `endpoint` say of other routes' paths has no effect."""
    named = [((*loc, "fold", index), fold) for index, fold in enumerate(route.fold)]
    for index, rule in enumerate(route.compare.accept):
        path = (rule.endpoint or "").partition(" ")[2]
        named += [((*loc, "compare", "accept", index, "endpoint"), path)] if path else []
    for here, path in named:
        if not can_meet(route.match.prefix, route.match.path, path):
            notes.value(
                here, "the route's match takes no such path, so it has no effect; mend it, or take it out", "warning"
            )


def _pair_can_differ(rule: schema.Accept, here: Loc, notes: Notes, *, is_typed: bool) -> None:
    if rule.from_ is None or rule.to is None or rule.status is not None:
        return
    if rule.kind not in {None, "value", "type"}:
        notes.error(
            (*here, "kind"),
            f"{notes.key(here)} has from, to and kind {rule.kind}",
            "a pair of values is about two that are both there; take kind out",
            key=True,
        )
    is_json = rule.path is not None and not is_xml_path(rule.path)
    values = [read_value(text, is_typed=is_typed) if is_json else text for text in (rule.from_, rule.to)]
    if values[0] == values[1]:
        notes.value((*here, "to"), "from is the same, which is no difference")


def _status_stands_alone(rule: schema.Accept, here: Loc, notes: Notes) -> None:
    if rule.status is None:
        return
    for key, value in (("kind", rule.kind), ("from", rule.from_), ("to", rule.to)):
        if value is not None:
            notes.error((*here, key), f"{notes.key(here)} has status and {key}", f"take {key} out", key=True)
    legacy, candidate = rule.status
    if legacy == candidate:
        notes.value((*here, "status"), "both are the same, which is no difference")
    elif candidate >= 500 or legacy >= 500:
        notes.value((*here, "status"), "a 5xx is a failure, which no client can agree to; mend it")


def _latency_can_be_judged(route: schema.Route, loc: Loc, notes: Notes, context: _Context) -> None:
    """Both arms are timed where a baseline asks them alike and at once, and nowhere else."""
    if route.shadow is None or not notes.is_written((*loc, "gate", "max_latency_ratio")):
        return
    if not route.shadow.baseline.share:
        notes.warning(
            (*loc, "gate", "max_latency_ratio"),
            "gate.max_latency_ratio is there and shadow.baseline is 0",
            "nothing times both arms then, so that it is left out of the verdict; set baseline, or take it out",
        )


def _gate_can_be_met(route: schema.Route, loc: Loc, notes: Notes, context: _Context) -> None:
    """A verdict needs pairs."""
    has_shadow = route.shadow is not None and route.shadow.percent > 0
    if has_shadow or not notes.is_written((*loc, "gate")) or notes.has_lost((*loc, "shadow")):
        return
    notes.warning(
        (*loc, "gate"),
        "gate is there and nothing is compared",
        "the route never becomes ready, so that no shift passes without --force; add `shadow: {percent: 5}`",
        key=True,
    )


def _percent_is_meant(route: schema.Route, loc: Loc, notes: Notes, context: _Context) -> None:
    """Whoever thinks in shares writes 0.05 for 5 %."""
    places: tuple[Loc, ...] = ((*loc, "split", "percent"), (*loc, "shadow", "percent"))
    for place in places:
        text = notes.text(place)
        if re.fullmatch(r"0\.[0-9]+", text) and float(text):
            notes.warning(
                place,
                f"{notes.key(place)} is {text}, which is {text} of a hundred",
                f"write {text}% if that is meant, and {float(text) * 100:g} for {float(text) * 100:g} %",
            )


def _release_can_be_read(route: schema.Route, loc: Loc, notes: Notes, context: _Context) -> None:
    if route.release is not None and route.aggregate is not None:
        notes.error(
            (*loc, "release"),
            "release.header has no meaning with aggregate: several services answer",
            "take it out, and name releases by `strangler release`",
            key=True,
        )


def _is_told_by_callers(route: schema.Route, loc: Loc, notes: Notes, context: _Context) -> None:
    """Sticky keys, the override and a percent that hardly do what their author wants."""
    split, here = route.split, (*loc, "split")
    if not route.enabled:
        return
    if 0 < split.percent < 100:
        _sticks(split, here, notes, context)
    if split.override is not None and not is_loopback(context.file.listen):
        notes.warning(
            (*here, "override"),
            f"any client can choose its arm with {split.override}",
            "take that header from outside requests in front of the proxy, or take override out",
        )
    compared = route.shadow is not None and route.shadow.percent > 0 and route.shadow.of != "legacy"
    if split.percent == 100 and not compared and not notes.is_lost((*loc, "shadow")):
        way_out = "nothing shows a regression any more; add `shadow: {percent: 1, of: candidate}`"
        notes.warning((*here, "percent"), "split.percent is 100 and no answer of the candidate gets a shadow", way_out)


def _sticks(split: schema.Split, here: Loc, notes: Notes, context: _Context) -> None:
    if notes.is_lost((*here, "sticky")):
        return
    if not split.sticky:
        notes.warning(
            (*here, "percent"),
            "split.sticky is empty",
            'each request is decided by chance, so that callers change arms; add `sticky: ["cookie:sid", client_ip]`',
        )
        return
    kinds = [source.kind for source in split.sticky]
    if kinds[0] == "client_ip" and not context.file.trusted_proxies:
        notes.warning(
            (*here, "sticky"),
            "split.sticky has client_ip and trusted_proxies is empty",
            "behind a load balancer all callers have its address; name it there, or put a header or cookie first",
        )
    if "client_ip" in kinds[:-1]:
        notes.warning(
            (*here, "sticky"),
            "split.sticky has client_ip before others",
            "every request has an address, so that what follows is never looked at; put it last",
        )
    for index, source in enumerate(split.sticky):
        complaint = _unlikely(source.kind, source.name)
        if complaint:
            notes.value((*here, "sticky", index), complaint, "warning")


_SOME = 10
_EACH_REQUEST = words(
    "x-request-id x-correlation-id traceparent tracestate x-amzn-trace-id content-length content-md5 if-none-match"
    " if-modified-since referer cookie range"
)
_NEVER_SENT = words("set-cookie server etag location www-authenticate retry-after vary age last-modified x-powered-by")
_SHARED = words(
    "user-agent accept accept-encoding accept-language content-type host origin connection cache-control pragma"
)
_LIKELY = ("authorization", "x-user-id", "x-forwarded-for", "x-session-id", "x-api-key", "x-client-id", "x-tenant-id")


def _unlikely(kind: str, name: str) -> str:
    if kind == "cookie":
        return (
            "cookies named __utm… and _ga… belong to others and come and go; take the session's"
            if re.match("__utm|_ga", name)
            else ""
        )
    if kind != "header":
        return ""
    if name in _EACH_REQUEST:
        return "it differs from request to request, so that callers change arms; take what names the caller"
    if name in _NEVER_SENT:
        return "servers send it, callers do not; take what names the caller"
    if name in _SHARED:
        return "many callers share one value and move at once; take what names the caller"
    near = did_you_mean(name, _LIKELY) if name not in _LIKELY else ""
    return f"is that its name? {near}" if near and _is_a_slip(name) else ""


def _is_a_slip(name: str) -> bool:
    """One letter lost, doubled, swapped or changed: `x-usr-id`, and not `x-user-name`."""
    return any(_distance_is_one(name, known) for known in _LIKELY)


def _distance_is_one(left: str, right: str) -> bool:
    start = next((i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))
    a, b = left[start:], right[start:]
    return a[1:] == b or a == b[1:] or a[1:] == b[1:] or (a[:2] == b[:2][::-1] and a[2:] == b[2:])


_RULES: tuple[Callable[[schema.Route, Loc, Notes, _Context], None], ...] = (
    _has_a_name,
    _matches_a_path,
    _matches_a_part,
    _matches_a_host,
    _header_names_differ,
    _goes_somewhere,
    _is_put_together,
    _is_rewritten,
    _shadows_are_safe,
    _accepts_what_can_be,
    _names_paths_of_its_own,
    _latency_can_be_judged,
    _gate_can_be_met,
    _percent_is_meant,
    _release_can_be_read,
    _is_told_by_callers,
)


def _names_differ(file: schema.File, notes: Notes) -> None:
    first: dict[str, int] = {}
    for index, route in enumerate(file.routes):
        other = first.setdefault(route.name.lower(), index)
        if other != index:
            line = notes.line(("routes", other, "name"))
            notes.error(
                ("routes", index, "name"),
                f"the name is taken by the route on {line}",
                "give each its own; case does not count",
            )


Group = tuple[object, ...]


def _can_be_reached(file: schema.File, notes: Notes) -> None:
    """A route is never reached if routes that come first take all that it matches.

    By the order of precedence (host, path, having methods, number of headers, number of query parameters, place in the
    file) a route that comes first and asks for no more can only be one that asks for the same host, path, headers and
    query, says methods if the other does, and is earlier in the file. So it is enough to look inside such groups.
    """
    groups: dict[Group, list[int]] = {}
    for index, route in enumerate(file.routes):
        groups.setdefault(_group(route, index, notes), []).append(index)
    for indices in groups.values():
        taken: dict[str, int] = {}
        for index in indices:
            methods = file.routes[index].methods
            wanted = methods or ("",)
            if all(method in taken for method in wanted):
                _unreachable(file, index, sorted({taken[method] for method in wanted}), notes)
            for method in wanted:
                taken.setdefault(method, index)


def _group(route: schema.Route, index: int, notes: Notes) -> Group:
    match = route.match
    if notes.has_lost(("routes", index, "match")):
        return (index,)
    return (
        (match.host or "").lower(),
        _canonical(match),
        frozenset((name.lower(), value) for name, value in match.headers),
        frozenset(match.query),
        bool(route.methods),
    )


def _canonical(match: schema.Match) -> tuple[bool, str]:
    text = match.path if match.path is not None else (match.prefix or "").rstrip("/")
    return match.path is not None, re.sub(r"\{[^/]*\}", "{}", text)


def _unreachable(file: schema.File, index: int, others: list[int], notes: Notes) -> None:
    names = " and ".join(f"route '{file.routes[other].name}' ({notes.line(('routes', other))})" for other in others)
    own, loc = set(file.routes[index].methods), ("routes", index, "match")
    if len(others) == 1 and set(file.routes[others[0]].methods) == own:
        notes.error(
            loc, f"it matches exactly what {names} matches", "take one of them out, or add a condition", key=True
        )
        return
    takes = "takes" if len(others) == 1 else "take"
    notes.error(
        loc,
        f"it can never be reached: {names} {takes} {_listed(own)} first",
        "take it out, or add a condition",
        key=True,
    )


def _listed(methods: Iterable[str]) -> str:
    return ", ".join(sorted(methods))


def _groups_agree(file: schema.File, notes: Notes) -> None:
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
                "callers move together with that route; give it the same group if that is meant, else name another",
            )
        other = first.setdefault(route.split.group, index)
        if route.split.sticky != file.routes[other].split.sticky and not notes.has_lost(("routes", index, "split")):
            name = file.routes[other].name
            way_out = f"a caller may be on different arms of the group; write what route '{name}' has"
            notes.warning(
                ("routes", index, "split", "group"),
                f"split.sticky is not that of route '{name}', which is of the same group",
                way_out,
            )
