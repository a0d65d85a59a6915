"""The keys of an upstream."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict

from strangler.config import types as t
from strangler.config.section import REQUIRED, Section, key
from strangler.config.types import LIST, Switchable, whole, word


class Tls(Section):
    ca: t.MaybeText = key(None, "File of PEM certificates to trust; null: the system's.", "/etc/ssl/internal-ca.pem")
    verify: t.Bool = key(True, "Check the upstream's certificate.", "false")
    cert: t.MaybeText = key(
        None,
        "PEM file of the proxy's own certificate, followed by its chain, for upstreams that ask for one; null: none.",
        "client.pem",
    )
    key_: t.MaybeText = key(
        None, "PEM file of its key, without a passphrase; null: it is in `cert`.", "client.key", name="key"
    )
    server_name: t.MaybeServerName = key(
        None,
        "Name that is sent in the handshake and expected in the certificate; null: the URL's host.",
        "orders.internal",
    )


class Timeouts(Section):
    connect: t.MaybeLonger = key(2.0, "Longest wait for a connection, name lookup and TLS included.", "500ms")
    response: t.MaybeLonger = key(10.0, "Longest time from the end of the request to the response head.", "30s")
    idle: t.MaybeLonger = key(60.0, "Longest pause between two bytes, either way.", "5m")


class LegacyTimeouts(Timeouts):
    """The monolith's reports may take long, and no other upstream can stand in for it."""

    response: t.MaybeLonger = key(60.0, "Longest time from the end of the request to the response head.", "10s")


class Bulkhead(Section):
    in_flight: Annotated[int, *whole(1, 1_000_000)] = key(
        256, "Most requests in flight at once; workers share them equally.", "100"
    )
    waiting: Annotated[int, *whole(0, 1_000_000)] = key(
        64, "Most requests that wait for a place; workers share them too.", "0"
    )
    wait: t.Duration = key(1.0, "Longest wait for a place; then the fault is `full`.", "200ms")
    streams: Annotated[int | None, *whole(1, 1_000_000, none=True)] = key(
        None,
        "Most websockets, event streams and other endless responses, which are not in flight once established.",
        "1000",
    )


class Breaker(Section):
    failure_rate: t.MaybeShare = key(0.5, "Share of failures in the window that opens it.", "25%")
    min_requests: Annotated[int, *whole(1, 1_000_000)] = key(
        20, "Fewest requests in the window before the share counts.", "50"
    )
    window: t.LongerDuration = key(30.0, "How far back requests count.", "1m")
    consecutive: Annotated[int | None, *whole(1, 1_000_000, none=True)] = key(
        5, "Failures in a row that open it.", "10"
    )
    slow_call: t.MaybeLonger = key(None, "A response head that takes longer counts as a failure.", "3s")
    cooldown: t.LongerDuration = key(10.0, "How long it stays open; doubled each time a trial fails.", "5s")
    max_cooldown: t.LongerDuration = key(300.0, "Longest time that it stays open.", "1m")
    trials: Annotated[int, *whole(1, 1_000_000)] = key(
        5, "Most requests at a time while it is half open, and successes that close it; workers share them.", "3"
    )
    counts: Annotated[tuple[t.UpstreamReason, ...], LIST] = key(
        ("connect", "reset", "timeout", "bad_response", 500, 502, 503, 504),
        "What counts as a failure.",
        "[connect, timeout, 503]",
    )


class LegacyBreaker(Breaker):
    """One broken endpoint of the monolith must not cut off all the others, so fewer things count."""

    counts: Annotated[tuple[t.UpstreamReason, ...], LIST] = key(
        ("connect", "timeout"), "What counts as a failure.", "[connect, timeout, 503]"
    )


class Retry(Section):
    attempts: Annotated[int, *whole(1, 10)] = key(2, "Number of attempts, the first included.", "3")
    when: Annotated[tuple[t.AttemptReason, ...], LIST] = key(
        ("connect", "reset"), "What is retried, for idempotent methods.", "[connect, reset, 503]"
    )
    backoff: t.Duration = key(0.025, "Pause before the second attempt; doubled for each further one.", "50ms")
    max_backoff: t.Duration = key(0.25, "Longest pause.", "1s")
    budget: t.Share = key(
        0.2, "Most retries, as a share of the upstream's requests; 3 per second are always allowed.", "10%"
    )


class Health(Section):
    path: t.Text = key(
        "/healthz", "Path of the check, appended to that of the URL; a status below 400 is healthy.", "/health/ready"
    )
    host: t.MaybeHost = key(
        None,
        "Host header that checks send; null: that of the URL, whatever the upstream's `host` says.",
        "shop.internal",
    )
    interval: t.LongerDuration = key(10.0, "Time between two checks.", "5s")
    timeout: t.LongerDuration = key(1.0, "Longest wait for the response.", "500ms")
    fall: Annotated[int, *whole(1, 1000)] = key(3, "Failures in a row that take a URL out of use.", "2")
    rise: Annotated[int, *whole(1, 1000)] = key(1, "Successes in a row that bring it back.", "2")


class HeaderEdit(Section):
    set: t.HeaderPairs = key(
        (), "Fields added to requests to this upstream, in place of any with that name.", "{X-Tenant: shop}"
    )
    remove: Annotated[tuple[t.HeaderName, ...], LIST] = key(
        (), "Fields removed from requests to this upstream.", "[X-Debug]"
    )


_BREAKER = "Stops sending to an upstream that fails; `false` switches it off."


class UpstreamUrls(Section):
    """The URLs of one upstream."""

    url: t.MaybeBaseUrl = key(
        None,
        "Base URL of the service, or `unix:PATH` of its socket; one of `url` and `urls` is required.",
        "http://127.0.0.1:8001",
    )
    urls: Annotated[tuple[t.BaseUrl, ...], LIST] = key(
        (), "Several base URLs of one service.", "[http://10.0.0.1:8001, http://10.0.0.2:8001]"
    )


class UpstreamDefaults(Section):
    """The keys that upstreams may have in common."""

    tls: Tls = key(Tls, "TLS of https:// URLs; new files count from the next handshake.", "{ca: internal-ca.pem}")
    host: Annotated[Literal["preserve", "upstream"], *word("preserve", "upstream")] = key(
        "preserve", "Host header that is sent: the client's, or that of the upstream's URL.", "upstream"
    )
    timeouts: Timeouts = key(Timeouts, "How long each phase of an attempt may take.", "{response: 10s}")
    bulkhead: Annotated[Bulkhead | None, Switchable()] = key(
        Bulkhead, "Most requests in flight at the upstream; `false` switches it off.", "{in_flight: 100}"
    )
    breaker: Annotated[Breaker | None, Switchable()] = key(Breaker, _BREAKER, "{consecutive: 10}")
    retry: Annotated[Retry | None, Switchable()] = key(
        Retry, "Retries idempotent requests; `false` switches it off.", "{attempts: 3}"
    )
    health: Annotated[Health | None, Switchable()] = key(
        None, "Actively checks each URL; off unless written.", "{path: /healthz}"
    )
    headers: HeaderEdit = key(HeaderEdit, "Changes to the headers of requests to this upstream.", "{remove: [X-Debug]}")
    http2: t.Bool = key(
        False,
        "It speaks HTTP/2, as gRPC needs: in clear with prior knowledge, or by TLS; needs `engine: envoy`.",
        "true",
    )
    keepalive: t.Duration = key(
        30.0,
        "How long an idle connection is kept for reuse; a shorter `Keep-Alive: timeout` from it wins. 0: never.",
        "4s",
    )


class Upstream(UpstreamDefaults, UpstreamUrls):
    """All keys of an upstream."""


class Legacy(Upstream):
    """The upstream named legacy differs in the defaults of its breaker and of its timeouts."""

    timeouts: LegacyTimeouts = key(LegacyTimeouts, "How long each phase of an attempt may take.", "{response: 10s}")
    breaker: Annotated[LegacyBreaker | None, Switchable()] = key(LegacyBreaker, _BREAKER, "{consecutive: 10}")


class Upstreams(BaseModel):
    """Upstreams by name; `legacy` must be among them."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, Upstream]
    legacy: Legacy = key(
        REQUIRED, "The monolith. It gets every request that no route sends elsewhere.", "{url: http://127.0.0.1:8000}"
    )

    @property
    def by_name(self) -> dict[str, Upstream]:
        """Return all upstreams, `legacy` first."""
        return {"legacy": self.legacy, **(self.__pydantic_extra__ or {})}
