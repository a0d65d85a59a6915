"""Rules about one upstream, and about upstreams among themselves."""

import re
from collections.abc import Callable
from os.path import normpath

from strangler.config import patterns
from strangler.config.document import Loc
from strangler.config.notes import Notes, Severity
from strangler.config.schema import File
from strangler.config.schema_upstreams import Upstream
from strangler.config.socket_paths import OWN
from strangler.config.urls import is_any, is_loopback
from strangler.core.http.headers import HOP_BY_HOP
from strangler.core.listener_settings import Address
from strangler.core.routing.arm import AGGREGATE
from strangler.core.settings import Url

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_FRAMING = frozenset(name.decode() for name in HOP_BY_HOP) | {"content-length", "trailer", "expect"}
_SERVICE_PORTS = {"http": 80, "https": 443}


def check(file: File, notes: Notes) -> None:
    """Note everything that is wrong with the upstreams."""
    for name, upstream in file.upstreams.by_name.items():
        loc: Loc = ("upstreams", name)
        for rule in _RULES:
            rule(upstream, loc, notes)
        _check_not_itself(file, upstream, loc, notes)
    _check_distinct(file, notes)
    _check_used(file, notes)


def is_name(text: str) -> bool:
    """True for a valid name of an upstream or route: a metric label and a word on the command line."""
    return _NAME.fullmatch(text) is not None


def _check_name(upstream: Upstream, loc: Loc, notes: Notes) -> None:
    name = str(loc[1])
    if not is_name(name):
        notes.error(
            loc, f"the name {name[:60]!r} cannot be a label", "write only letters, digits, '.', '_' and '-'", key=True
        )
    elif name == AGGREGATE:
        notes.error(loc, "this name is reserved for aggregates", "give the upstream another name", key=True)


def _check_has_urls(upstream: Upstream, loc: Loc, notes: Notes) -> None:
    if upstream.url is not None and upstream.urls:
        notes.error((*loc, "urls"), "url and urls are both there", "keep one of them", key=True)
    missing = upstream.url is None and not upstream.urls
    if missing and not notes.is_lost((*loc, "url")) and not notes.has_lost((*loc, "urls")):
        notes.error(loc, "url is missing", "add `url: http://127.0.0.1:8001`", key=True)


def _urls(upstream: Upstream, loc: Loc) -> list[tuple[Loc, Url]]:
    single = [((*loc, "url"), upstream.url)] if upstream.url is not None else []
    return [*single, *(((*loc, "urls", index), url) for index, url in enumerate(upstream.urls))]


def _check_urls(upstream: Upstream, loc: Loc, notes: Notes) -> None:
    seen: set[Url] = set()
    for place, url in _urls(upstream, loc):
        if url.path:
            way_out = f"every request's path is appended to it: {url.path}/…; take it out if that is not intended"
            notes.warning(place, f"{place[2]} has the path '{url.path}'", way_out)
        if url in seen:
            notes.value(place, "the same URL is listed twice; take one out", "warning")
        seen.add(url)


def _check_tls(upstream: Upstream, loc: Loc, notes: Notes) -> None:
    tls, here = upstream.tls, (*loc, "tls")
    if not tls.verify:
        notes.warning(
            (*here, "verify"),
            "tls.verify is false",
            "anyone in between can read and change what is sent; name the right tls.ca instead",
        )
    if tls.key_ is not None and tls.cert is None and not notes.is_lost((*here, "cert")):
        notes.error(
            (*here, "key"), "tls.key is there without tls.cert", "name the certificate that it belongs to", key=True
        )
    urls = _urls(upstream, loc)
    plain = [place for place, url in urls if url.scheme == "http"]
    if urls and notes.is_written(here) and len(plain) == len(urls):
        way_out = "no URL starts with https://; write https:// or take tls out"
        notes.warning(here, "tls has no effect", way_out, key=True)
        return
    _check_tls_effect(upstream, here, notes)
    if tls.cert is not None:
        for place in plain:
            notes.warning(
                place, "tls.cert is not sent to a URL without TLS", "write https://, or name another upstream"
            )


def _check_tls_effect(upstream: Upstream, here: Loc, notes: Notes) -> None:
    """Warn of keys that mean nothing while the upstream's certificate is not checked."""
    if upstream.tls.verify:
        return
    for name in ("ca", "server_name"):
        if getattr(upstream.tls, name) is not None:
            what = f"tls.{name} does not protect" if name == "server_name" else f"tls.{name} has no effect"
            notes.warning((*here, name), what, "the certificate is not checked; write `verify: true`", key=True)


def _check_times(upstream: Upstream, loc: Loc, notes: Notes) -> None:
    for section, short, long, severity, way_out in _IN_ORDER:
        part = getattr(upstream, section)
        if part is not None and getattr(part, short) > getattr(part, long):
            what = f"{section}.{short} is longer than {section}.{long}"
            tell = notes.error if severity == "error" else notes.warning
            tell((*loc, section), what, way_out, key=True)


_IN_ORDER: tuple[tuple[str, str, str, Severity, str], ...] = (
    ("breaker", "cooldown", "max_cooldown", "error", "raise max_cooldown or lower cooldown"),
    ("retry", "backoff", "max_backoff", "error", "raise max_backoff or lower backoff"),
    ("health", "timeout", "interval", "warning", "a check that hangs delays the next one; raise the interval"),
)


def _check_breaker(upstream: Upstream, loc: Loc, notes: Notes) -> None:
    breaker = upstream.breaker
    if breaker is None or notes.is_lost((*loc, "breaker")):
        return
    if breaker.failure_rate is None and breaker.consecutive is None:
        notes.warning(
            (*loc, "breaker"),
            "the breaker never opens",
            "set failure_rate or consecutive, or write `breaker: false`",
            key=True,
        )
    if not breaker.counts and breaker.slow_call is None:
        notes.warning(
            (*loc, "breaker"),
            "the breaker never opens: counts is empty",
            "list what counts as a failure, or write `breaker: false`",
            key=True,
        )


def _health_path(upstream: Upstream, loc: Loc, notes: Notes) -> None:
    if upstream.health is not None:
        notes.complaints((*loc, "health", "path"), patterns.target(upstream.health.path, [], "a health check"))


def _header_edits(upstream: Upstream, loc: Loc, notes: Notes) -> None:
    edits, seen = upstream.headers, set()
    for name, _ in edits.set:
        place: Loc = (*loc, "headers", "set", name)
        _check_edit(name, place, notes)
        if name.lower() in seen:
            notes.error(place, f"headers.set has '{name}' twice", "case is ignored in header names; keep one", key=True)
        seen.add(name.lower())
    for index, name in enumerate(edits.remove):
        place = (*loc, "headers", "remove", index)
        _check_edit(name, place, notes)
        if name.lower() in seen:
            notes.error(place, f"headers.set and headers.remove both have '{name}'", "keep one of them")


def _check_edit(name: str, place: Loc, notes: Notes) -> None:
    key = "headers.set" if "set" in place else "headers.remove"
    if name.lower() in _FRAMING:
        notes.error(
            place,
            f"{key} has '{name}'",
            "the proxy itself controls framing and connections; take it out",
            key=True,
        )
    elif name.lower() == "host":
        notes.error(place, f"{key} has '{name}'", "write `host: upstream` or `host: preserve` instead", key=True)


def _check_not_itself(file: File, upstream: Upstream, loc: Loc, notes: Notes) -> None:
    for place, url in _urls(upstream, loc):
        own = [("listen", listener.address) for listener in file.listen]
        receiver = [] if file.receiver is None else [("receiver.listen", file.receiver.listen)]
        for listener, at in (*own, ("admin.listen", file.admin.listen), *receiver):
            if _leads_to(url, at):
                notes.value(place, OWN.format(listener=listener))


def _leads_to(url: Url, at: Address) -> bool:
    if url.unix_path is not None or at.unix_path is not None:
        return normpath(url.unix_path or "/") == normpath(at.unix_path or "/")
    here = Address(url.server_name, url.port)
    is_local = is_loopback(here) and (is_any(at) or is_loopback(at))
    return url.port == at.port and (is_local or here.host == at.host)


def _check_distinct(file: File, notes: Notes) -> None:
    first: dict[Url, str] = {}
    for name, upstream in file.upstreams.by_name.items():
        for place, url in _urls(upstream, ("upstreams", name)):
            other = first.setdefault(url, name)
            if other != name:
                notes.value(place, f"upstream '{other}' has the same URL; is one of the two wrong?", "warning")


def _check_used(file: File, notes: Notes) -> None:
    used = {"legacy"} | {route.candidate for route in file.routes} | {route.passthrough for route in file.routes}
    used |= {part.upstream for route in file.routes for part in (route.aggregate or {}).values()}
    used |= {route.shadow.to for route in file.routes if route.shadow is not None}
    if notes.has_lost(("routes",)):
        return
    for name in file.upstreams.by_name:
        if name not in used:
            notes.warning(
                ("upstreams", name), "no route uses it", "name it as a route's candidate, or take it out", key=True
            )


_RULES: tuple[Callable[[Upstream, Loc, Notes], None], ...] = (
    _check_name,
    _check_has_urls,
    _check_urls,
    _check_tls,
    _check_times,
    _check_breaker,
    _health_path,
    _header_edits,
)
