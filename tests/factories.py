"""Settings for tests, made short: `settings(routes=[route("orders", prefix="/api/orders", percent=25)])`.

Values here are the tests' own and need not be the defaults of routes.yaml; a test of a default loads a file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal
from urllib.parse import urlsplit

from strangler.core import settings as s
from strangler.core.http.head import RequestHead
from strangler.core.listener_settings import Address, ListenerSettings

_SAFE = ("GET", "HEAD")
_FAULTS = ("connect", "timeout", "open", "full", 502, 503, 504)


def head(
    target: str | bytes = "/",
    method: str = "GET",
    headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
    host: str = "shop.example",
    client_ip: str = "192.0.2.7",
) -> RequestHead:
    """A request's head, as the worker makes it from an origin-form target or an absolute URL."""
    raw_target = target.encode() if isinstance(target, str) else target
    pairs = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
    raw = [(b"Host", host.encode()), *((n.encode(), v.encode()) for n, v in pairs)]
    fields: dict[bytes, bytes] = {}
    values: dict[bytes, list[bytes]] = {}
    for name, value in raw:
        low = name.lower()
        values.setdefault(low, []).append(value)
        joint = b"; " if low == b"cookie" else b", "
        fields[low] = fields[low] + joint + value if low in fields else value
    rest, authority = raw_target, host.encode()
    if b"://" in raw_target and not raw_target.startswith(b"/"):
        after = raw_target.split(b"://", 1)[1]
        cut = min((i for i in (after.find(b"/"), after.find(b"?")) if i >= 0), default=len(after))
        authority, rest = after[:cut], after[cut:]
    path, mark, query = rest.partition(b"?")
    client, own_host = client_ip.encode(), _host_only(authority)
    repeated = {name: tuple(held) for name, held in values.items() if len(held) > 1 and name != b"cookie"}
    return RequestHead(method.encode(), raw_target, path, query if mark else None, own_host, fields, client, repeated)


def _host_only(authority: bytes) -> bytes:
    host, _, port = authority.rpartition(b":")
    return (host if host and port.isdigit() else authority).lower()


def url(text: str) -> s.Url:
    parts = urlsplit(text)
    scheme: Literal["http", "https"] = "https" if parts.scheme == "https" else "http"
    return s.Url(scheme, parts.hostname or "127.0.0.1", parts.port or (443 if scheme == "https" else 80), parts.path)


def upstream(name: str, *urls: str, **changes: Any) -> s.UpstreamSettings:
    """An upstream; every field of `UpstreamSettings` can be changed by name."""
    made = s.UpstreamSettings(
        name=name,
        urls=tuple(url(u) for u in urls) or (url(f"http://{name}.internal:8000"),),
        tls=s.TlsSettings(ca=None, verify=True),
        host="preserve",
        timeouts=s.TimeoutSettings(connect_s=2.0, response_s=60.0, idle_s=60.0),
        bulkhead=s.BulkheadSettings(in_flight=256, waiting=64, wait_s=1.0),
        breaker=None,
        retry=None,
        health=None,
        headers=s.HeaderEdits(set=(), remove=()),
    )
    return replace(made, **changes)


def split(
    percent: float = 0,
    headers: Mapping[str, str] | None = None,
    override: str | None = None,
    sticky: Sequence[str] = ("header:x-user-id",),
    group: str = "default",
) -> s.SplitSettings:
    """`sticky` as in routes.yaml: `header:x-user-id`, `cookie:sid`, `client_ip`."""
    return s.SplitSettings(percent, _lower(headers), override, tuple(map(_source, sticky)), group)


def _source(text: str) -> s.StickySource:
    kind, _, name = text.partition(":")
    if kind == "header":
        return s.StickySource("header", name.lower())
    if kind == "cookie":
        return s.StickySource("cookie", name)
    assert kind == "client_ip"
    return s.StickySource("client_ip", "")


def _lower(pairs: Mapping[str, str] | None) -> tuple[tuple[str, str], ...]:
    return tuple((name.lower(), value) for name, value in (pairs or {}).items())


def shadow(percent: float = 100, **changes: Any) -> s.ShadowSettings:
    made = s.ShadowSettings(
        percent=percent,
        methods=_SAFE,
        of="legacy",
        max_body_bytes=256 * 1024,
        timeout_s=5.0,
        in_flight=32,
        recheck_s=2.0,
        baseline=s.BaselineSettings(0.02, False),
        writes="skip",
        to=None,
    )
    return replace(made, **changes)


def route(
    name: str = "orders",
    prefix: str | None = None,
    path: str | None = None,
    candidate: str | None = "orders",
    percent: float = 100,
    *,
    methods: Sequence[str] = (),
    host: str | None = None,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    split_headers: Mapping[str, str] | None = None,
    override: str | None = None,
    sticky: Sequence[str] = ("header:x-user-id",),
    group: str | None = None,
    rewrite: str | None = None,
    **changes: Any,
) -> s.RouteSettings:
    """A route. `headers` and `query` are conditions of the match; `changes` are fields of `RouteSettings`."""
    if prefix is None and path is None:
        prefix = f"/{name}"
    made = s.RouteSettings(
        name=name,
        match=s.MatchSettings(
            prefix=prefix,
            path=path,
            methods=tuple(methods),
            host=host,
            headers=_lower(headers),
            query=tuple((query or {}).items()),
        ),
        candidate=candidate,
        aggregate=None,
        enabled=True,
        split=split(percent, split_headers, override and override.lower(), sticky, group or name),
        rewrite_prefix=rewrite,
        timeouts=None,
        fallback=s.FallbackSettings(when=_FAULTS, fence_s=60.0),
        shadow=None,
        compare=s.CompareSettings(headers=(), accept=(), unordered=(), redact=(), numbers="decimal"),
        gate=s.GateSettings(3000, 0.999, 0, 1.1, 86400.0),
        release_header=None,
        fold=(),
        is_gated=False,
    )
    return replace(made, **changes)


def settings(
    routes: Sequence[s.RouteSettings] = (),
    upstreams: Sequence[s.UpstreamSettings] | None = None,
    **changes: Any,
) -> s.Settings:
    """Settings with `legacy` and every upstream that the routes name, unless `upstreams` gives them."""
    if upstreams is None:
        names = dict.fromkeys(["legacy", *(r.candidate for r in routes if r.candidate is not None)])
        names |= dict.fromkeys(part.upstream for r in routes for part in r.aggregate or ())
        upstreams = [upstream(name) for name in names]
    made = s.Settings(
        listeners=(ListenerSettings(Address("127.0.0.1", 0)),),
        admin=s.AdminSettings(Address("127.0.0.1", 0), None),
        workers=1,
        state=".strangler",
        log=s.LogSettings("info", "auto", s.AccessSettings(1.0, None, "always")),
        expose_arm=True,
        tracing=s.TracingSettings(None, 0.01),
        events=s.EventSettings(None, None),
        evidence=s.EvidenceSettings("shown"),
        errors=s.ErrorSettings(None, None),
        trusted_proxies=(),
        ambiguous_paths="legacy",
        limits=s.LimitSettings(32 * 1024, 10.0, 75.0, None, 256 * 1024, 10000, 30.0),
        upstreams={each_upstream.name: each_upstream for each_upstream in upstreams},
        routes=tuple(routes),
    )
    return replace(made, **changes)


def breaker(**changes: Any) -> s.BreakerSettings:
    """Opens after one failure, for a minute."""
    made = s.BreakerSettings(
        failure_rate=None,
        min_requests=20,
        window_s=30.0,
        consecutive=1,
        slow_call_s=None,
        cooldown_s=60.0,
        max_cooldown_s=60.0,
        trials=1,
        counts=("connect", "reset", "timeout", "bad_response", 500, 502, 503, 504),
    )
    return replace(made, **changes)
