"""What may be written in routes.yaml: every key with its type, its default, its meaning and an example, once.

These models are what the user wrote; `strangler.config.build` turns them into `strangler.core.settings`. The JSON
Schema, the reference in docs/configuration.md and `strangler check` all come from here. Rules that join several keys
are in `strangler.config.rules`.
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.fields import FieldInfo

from strangler.config import scalars
from strangler.config import types as t
from strangler.config.types import LIST, OR_SHARE, Switchable, Unwritten, leaf, whole, word
from strangler.core.aggregate import METHODS as AGGREGATED
from strangler.core.settings import Address

REQUIRED: Any = ...
KINDS = ("missing", "extra", "type", "value", "order", "length")


class Section(BaseModel):
    """A mapping with fixed keys. A key with nothing under it is an empty section."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _nothing_is_empty(cls, value: Any) -> Any:
        return {} if value is None else value


def key(default: Any, meaning: str, example: str, *, name: str | None = None) -> Any:
    """One key. `default` may be `REQUIRED`, or a section's class: then all of that section's defaults. `name`: how the
    key is written, where that is no name in Python."""
    if isinstance(default, type) and issubclass(default, Section):
        return Field(default_factory=_shared(default), description=meaning, examples=[example])
    return Field(default=default, alias=name, description=meaning, examples=[example])


def keys_of(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields of a model by the names that the file has for them."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _shared(section: type[Section]) -> Callable[[], Section]:
    """One value for all who write nothing: sections are frozen, and 10,000 routes have many of them."""
    made: list[Section] = []

    def make() -> Section:
        if not made:
            made.append(section())
        return made[0]

    return make


class Admin(Section):
    listen: t.Listen = key(
        Address("127.0.0.1", 8081), "Where probes, metrics, the API and the dashboard are served.", "127.0.0.1:8081"
    )
    token: t.MaybeToken = key(
        None,
        "Bearer token that all but `/healthz` and `/readyz` need. Without one only a loopback address may be bound.",
        '"${STRANGLER_TOKEN:-}"',
    )
    ready_needs_legacy: t.Bool = key(
        False, "`/readyz` answers 503 while legacy cannot be reached; else it says `degraded` and stays 200.", "true"
    )
    users: t.MaybeHeaderName = key(
        None,
        "Header in which a proxy of `admin.trusted_proxies` names the person, for the audit; null: none.",
        "X-Forwarded-User",
    )
    trusted_proxies: Annotated[tuple[t.Network, ...], LIST] = key(
        (),
        "Addresses and networks of the proxies in front of this listener, whose X-Forwarded-For, -Host, -Prefix and"
        " `users` are believed.",
        "[10.0.0.0/8]",
    )


class Access(Section):
    sample: t.Share = key(1.0, "Share of requests that have a line, by chance.", "10%")
    slow: t.MaybeLonger = key(1.0, "A request that takes as long as this always has one.", "500ms")
    errors: Annotated[Literal["always", "sampled"], *word("always", "sampled")] = key(
        "always",
        "A request that ends in a 5xx or a fault, or falls back, always has one; or is sampled too.",
        "sampled",
    )


class Log(Section):
    level: Annotated[Literal["debug", "info", "warning", "error"], *word("debug", "info", "warning", "error")] = key(
        "info", "The least severe line that is written.", "debug"
    )
    format: Annotated[Literal["auto", "console", "json", "combined"], *word("auto", "console", "json", "combined")] = (
        key(
            "auto",
            "`auto`: `console` on a terminal, else `json`. `combined`: requests as Apache tells them, others as JSON.",
            "json",
        )
    )
    access: Annotated[Access | None, Switchable()] = key(
        Access,
        "One line for every request, or for those that `sample`, `slow` and `errors` say; `false`: none.",
        "false",
    )


class Tracing(Section):
    otlp: t.MaybeWebUrl = key(
        None, "OTLP endpoint that spans are sent to; needs `strangler[otel]`.", "http://127.0.0.1:4318"
    )
    sample: t.Share = key(
        0.01, "Share of the traces beginning here that get spans; for others their sampled flag decides.", "5%"
    )


class Kafka(Section):
    bootstrap_servers: t.Text = key(
        REQUIRED, "Brokers to ask first, separated by commas.", '"kafka-1:9092,kafka-2:9092"'
    )
    topic: t.Text = key(REQUIRED, "Topic that events are written to.", "strangler")
    shadow: t.Bool = key(False, "Every comparison, redacted, goes to the topic `TOPIC.shadow`.", "true")


class Events(Section):
    webhook: t.MaybeWebUrl = key(
        None, "URL that gets each event as CloudEvents JSON by POST, signed.", "https://hooks.example.com/strangler"
    )
    kafka: Kafka | None = key(
        None,
        "Events go to Kafka too; needs `strangler[kafka]`. null: they do not.",
        '{bootstrap_servers: "kafka-1:9092", topic: strangler}',
    )


class Limits(Section):
    header_bytes: t.Size = key(
        32 << 10, "Largest request head, at least 1KiB; beyond it 431, or 414 if the target alone is larger.", "16KiB"
    )
    header_timeout: t.MaybeLonger = key(10.0, "Time for a request head to arrive; then 408.", "5s")
    idle_timeout: t.MaybeLonger = key(75.0, "How long a client's idle connection is kept.", "2m")
    request_body: t.MaybeSize = key(None, "Largest request body; beyond it 413.", "10MiB")
    response_header: t.Size = key(
        256 << 10, "Largest head of an upstream's answer, at least 1KiB; beyond it 502.", "64KiB"
    )
    connections: Annotated[int, *whole(1, 10_000_000)] = key(10_000, "Most client connections at one worker.", "50_000")
    drain: t.Duration = key(30.0, "How long requests in flight may take to finish after SIGTERM.", "1m")


class Tls(Section):
    ca: t.MaybeText = key(None, "File of PEM certificates to trust; null: the system's.", "/etc/ssl/internal-ca.pem")
    verify: t.Bool = key(True, "Check the upstream's certificate.", "false")


class Timeouts(Section):
    connect: t.MaybeLonger = key(2.0, "Longest wait for a connection, name lookup and TLS included.", "500ms")
    response: t.MaybeLonger = key(10.0, "From the request fully sent to the head of the answer.", "30s")
    idle: t.MaybeLonger = key(60.0, "Longest pause between two bytes, either way.", "5m")


class LegacyTimeouts(Timeouts):
    """Reports of the monolith may take long, and nobody stands in for it."""

    response: t.MaybeLonger = key(60.0, "From the request fully sent to the head of the answer.", "10s")


_OfUpstream = Annotated[t.MaybeLonger, Unwritten("the upstream's")]


class RouteTimeouts(Section):
    """As `Timeouts`, but a key that is not written leaves what the candidate's upstream has."""

    connect: _OfUpstream = key(None, "As in an upstream's `timeouts`.", "500ms")
    response: _OfUpstream = key(None, "As in an upstream's `timeouts`.", "5s")
    idle: _OfUpstream = key(None, "As in an upstream's `timeouts`.", "5m")


class Bulkhead(Section):
    in_flight: Annotated[int, *whole(1, 1_000_000)] = key(
        256, "Most requests in flight at once; workers share them equally.", "100"
    )
    waiting: Annotated[int, *whole(0, 1_000_000)] = key(
        64, "Most requests that wait for a place; shared likewise.", "0"
    )
    wait: t.Duration = key(1.0, "Longest wait for a place; then the fault is `full`.", "200ms")
    streams: Annotated[int | None, *whole(1, 1_000_000, none=True)] = key(
        None,
        "Most websockets, event streams and other responses without an end, which are not in flight once they stand.",
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
    max_cooldown: t.LongerDuration = key(300.0, "Longest that it stays open.", "1m")
    trials: Annotated[int, *whole(1, 1_000_000)] = key(
        5, "Most requests at a time while it is half open, and successes that close it; shared likewise.", "3"
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
    attempts: Annotated[int, *whole(1, 10)] = key(2, "All tries at the upstream, the first included.", "3")
    when: Annotated[tuple[t.AttemptReason, ...], LIST] = key(
        ("connect", "reset"), "What is tried again, for idempotent methods.", "[connect, reset, 503]"
    )
    backoff: t.Duration = key(0.025, "Pause before the second try; doubled for each further one.", "50ms")
    max_backoff: t.Duration = key(0.25, "Longest pause.", "1s")
    budget: t.Share = key(0.2, "Most retries, as a share of the upstream's requests; 3 a second in any case.", "10%")


class Health(Section):
    path: t.Text = key(
        "/healthz", "Path that is asked, behind that of the URL; a status below 400 is good.", "/health/ready"
    )
    host: t.MaybeHost = key(
        None,
        "Host header that checks send; null: that of the URL, whatever the upstream's `host` says.",
        "shop.internal",
    )
    interval: t.LongerDuration = key(10.0, "Time between two checks.", "5s")
    timeout: t.LongerDuration = key(1.0, "Longest wait for the answer.", "500ms")
    fall: Annotated[int, *whole(1, 1000)] = key(3, "Failures in a row that take a URL out.", "2")
    rise: Annotated[int, *whole(1, 1000)] = key(1, "Successes in a row that bring it back.", "2")


class HeaderEdit(Section):
    set: t.HeaderPairs = key(
        (), "Fields that requests to this upstream get, in place of any of that name.", "{X-Tenant: shop}"
    )
    remove: Annotated[tuple[t.HeaderName, ...], LIST] = key(
        (), "Fields that requests to this upstream lose.", "[X-Debug]"
    )


_BREAKER = "Stops sending to an upstream that fails; `false` switches it off."


class UpstreamUrls(Section):
    """Where one upstream is."""

    url: t.MaybeBaseUrl = key(
        None, "Base URL of the service; one of `url` and `urls` is required.", "http://127.0.0.1:8001"
    )
    urls: Annotated[tuple[t.BaseUrl, ...], LIST] = key(
        (), "Several base URLs of one service.", "[http://10.0.0.1:8001, http://10.0.0.2:8001]"
    )


class UpstreamDefaults(Section):
    """What upstreams may have in common."""

    tls: Tls = key(Tls, "For https:// URLs.", "{ca: /etc/ssl/internal-ca.pem}")
    host: Annotated[Literal["preserve", "upstream"], *word("preserve", "upstream")] = key(
        "preserve", "Host header sent: the client's, or that of the upstream's URL.", "upstream"
    )
    timeouts: Timeouts = key(Timeouts, "How long each phase of an attempt may take.", "{response: 10s}")
    bulkhead: Annotated[Bulkhead | None, Switchable()] = key(
        Bulkhead, "Most requests in flight at the upstream; `false` switches it off.", "{in_flight: 100}"
    )
    breaker: Annotated[Breaker | None, Switchable()] = key(Breaker, _BREAKER, "{consecutive: 10}")
    retry: Annotated[Retry | None, Switchable()] = key(
        Retry, "Tries idempotent requests again; `false` switches it off.", "{attempts: 3}"
    )
    health: Annotated[Health | None, Switchable()] = key(
        None, "Asks each URL whether it is well; off until it is written.", "{path: /healthz}"
    )
    headers: HeaderEdit = key(HeaderEdit, "Changes to the headers of requests to this upstream.", "{remove: [X-Debug]}")
    keepalive: t.Duration = key(
        30.0,
        "How long an idle connection is used again; a shorter `Keep-Alive: timeout` of the upstream holds. 0: never.",
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
        REQUIRED, "The monolith. It takes all that no route sends elsewhere.", "{url: http://127.0.0.1:8000}"
    )

    @property
    def by_name(self) -> dict[str, Upstream]:
        """All of them, `legacy` first."""
        return {"legacy": self.legacy, **(self.__pydantic_extra__ or {})}


class Match(Section):
    prefix: t.MaybeText = key(
        None,
        "Path prefix, on whole segments; `{name}` matches one segment. One of `prefix` and `path` is required.",
        "/api/orders",
    )
    path: t.MaybeText = key(None, "The whole path; `{name}` matches one segment.", '"/users/{id}/orders"')
    methods: Annotated[tuple[t.Method, ...], LIST] = key((), "Methods that match; empty: any.", "[GET, HEAD]")
    host: t.MaybeText = key(None, "Host that matches, exact or `*.example.com`; null: any.", "shop.example.com")
    headers: t.HeaderPairs = key((), "Header fields that must be there with exactly this value.", '{X-Version: "2"}')
    query: t.TextPairs = key((), "Query parameters that must be there with exactly this value.", "{format: json}")


class Split(Section):
    percent: t.Percent = key(0.0, "Share of callers for the candidate, 0 to 100, two decimals.", "25")
    headers: t.HeaderPairs = key((), "Any of these header fields sends a request to the candidate.", '{X-Beta: "1"}')
    override: t.MaybeHeaderName = key(
        None, "Header whose value `legacy` or `candidate` names the arm; null: none does.", "X-Strangler-Arm"
    )
    sticky: Annotated[tuple[t.Sticky, ...], LIST] = key(
        (),
        "What keeps a caller on its arm: the first of these that is present. None present: by chance.",
        '["header:X-User-Id", "cookie:sid", client_ip]',
    )
    group: t.MaybeText = key(None, "Routes of one group move a caller together; null: the route's name.", "orders")


class Rewrite(Section):
    prefix: t.Text = key(
        REQUIRED, "What the candidate sees in place of `match.prefix`; Location is rewritten back.", "/v2/orders"
    )


class Fallback(Section):
    when: Annotated[tuple[t.AttemptReason, ...], LIST] = key(
        ("connect", "timeout", "open", "full", 500, 502, 503, 504),
        "What makes legacy answer instead.",
        "[connect, open, full]",
    )
    fence: t.Duration = key(
        60.0, "After the candidate took a caller's write, how long that caller's reads do not fall back.", "5m"
    )


class Baseline(Section):
    share: t.Share = key(0.02, "Share of shadows that ask both arms once more.", "5%")
    credentials: t.Bool = key(
        False, "Requests with Cookie, Authorization or another secret are asked twice, too.", "true"
    )


def _share_alone(value: Any) -> Any:
    """`baseline: 2%` is `baseline: {share: 2%}`."""
    return Baseline.model_construct(share=scalars.share(value)) if isinstance(value, str) else value


class Shadow(Section):
    percent: t.Percent = key(REQUIRED, "Share of requests that get a shadow.", "10")
    methods: Annotated[tuple[t.Method, ...], LIST] = key(
        ("GET", "HEAD"), "Methods that get a shadow; other than GET, HEAD and OPTIONS only with `writes`.", "[GET]"
    )
    of: Annotated[Literal["legacy", "candidate", "any"], *word("legacy", "candidate", "any")] = key(
        "legacy", "Whose answers get a shadow at the other arm.", "any"
    )
    max_body: t.Size = key(256 << 10, "Largest body that is compared.", "1MiB")
    timeout: t.LongerDuration = key(5.0, "Longest wait for the shadow's answer.", "2s")
    in_flight: Annotated[int, *whole(1, 100_000)] = key(32, "Most shadows of the route at once; more are dropped.", "8")
    recheck: t.Duration = key(2.0, "Pause before a mismatch is looked at again; 0: no second look.", "0")
    baseline: Annotated[Baseline, BeforeValidator(_share_alone), OR_SHARE] = key(
        Baseline, "Which shadows ask legacy twice, to learn what differs anyway; a percent alone is `share`.", "5%"
    )
    writes: Annotated[Literal["skip", "dry_run", "sandbox"], *word("skip", "dry_run", "sandbox")] = key(
        "skip", "Unsafe methods get no shadow, a dry run at the candidate, or a copy to a sandbox.", "dry_run"
    )
    to: t.MaybeText = key(None, "The sandbox's upstream; required with `writes: sandbox`.", "orders-sandbox")


class Accept(Section):
    path: t.MaybeBodyPath = key(
        None,
        "The node that may differ, with all below it. One of `path`, `css`, `header` and `status` is required.",
        '"$.generated_at"',
    )
    css: t.MaybeSelector = key(
        None,
        "The elements of an HTML page that may differ, with all in them; with `::text` only their own text, with"
        " `::attr(name)` only this attribute.",
        '"main > .price::text"',
    )
    header: t.MaybeHeaderName = key(None, "Header that may differ.", "cache-control")
    status: t.MaybeStatuses = key(None, "Legacy's status, and the candidate's that may stand for it.", "[302, 303]")
    endpoint: t.MaybeEndpoint = key(
        None, "Only this method and path, a segment that varies as `{}`; null: the whole route.", '"POST /api/orders"'
    )
    kind: Annotated[str | None, *word(*KINDS, nullable=True)] = key(
        None, "Only this kind of difference; null: any.", "value"
    )
    abs: t.Tolerance = key(None, "Largest difference of two numbers, inclusive.", "0.01")
    rel: t.RelativeTolerance = key(None, "Largest difference of two numbers as a share, inclusive.", "1%")
    from_: t.RuleValue = key(None, "Only where this is legacy's value: JSON, or a text.", "EUR", name="from")
    to: t.RuleValue = key(None, "Only where this is the candidate's value; goes with `from`.", "eur")
    owner: t.MaybeText = key(None, "Who agreed to it.", "ana")
    until: t.Day = key(None, "Last day on which the rule counts.", "2027-01-31")
    why: t.MaybeText = key(None, "Why it is allowed.", '"new field, agreed"')


class Unordered(Section):
    path: t.JsonPath = key(REQUIRED, "An array whose order does not count.", '"$.items"')
    key: t.MaybeText = key(None, "Field that pairs its elements; null: as a multiset.", "id")


class Compare(Section):
    headers: Annotated[tuple[t.HeaderName, ...], LIST] = key(
        ("content-type", "location", "cache-control"), "Headers that are compared.", "[content-type, location]"
    )
    accept: Annotated[tuple[Accept, ...], LIST] = key((), "Differences that are allowed.", '[{path: "$.generated_at"}]')
    unordered: Annotated[tuple[Unordered, ...], LIST] = key(
        (), "Arrays whose order does not count.", '[{path: "$.items", key: id}]'
    )
    redact: Annotated[tuple[t.Redaction, ...], LIST] = key(
        (), "What is stored only as a keyed hash, beside what is built in.", '["$..email", "header:x-tenant"]'
    )
    numbers: Annotated[Literal["decimal", "typed"], *word("decimal", "typed")] = key(
        "decimal", "JSON numbers are equal by value, or also by type: then 5 and 5.0 differ.", "typed"
    )


class Gate(Section):
    min_pairs: Annotated[int, *whole(0, 1_000_000_000)] = key(3000, "Fewest comparisons.", "500")
    min_match: t.Share = key(0.999, "Least share of matches.", "99.5%")
    max_breaking: Annotated[int, *whole(0, 1_000_000_000)] = key(0, "Most breaking differences.", "2")
    max_latency_ratio: t.Ratio = key(1.1, "The candidate's time against legacy's, at most.", "1.5")
    min_age: t.Duration = key(
        86400.0, "Shortest time since the first comparison, or since the last mark of a fix.", "72h"
    )


class Release(Section):
    header: t.HeaderName = key(REQUIRED, "Response header in which the candidate names its release.", "X-Release")


class Part(Section):
    upstream: t.Text = key(REQUIRED, "Upstream that is asked.", "orders")
    path: t.Text = key(REQUIRED, "Path that is asked; `{name}` is filled in from the match.", '"/v2/orders/{id}"')
    required: t.Bool = key(True, "Without its answer the whole request fails.", "false")
    timeout: t.MaybeLonger = key(None, "Longest wait for this part; its upstream's timeouts hold too.", "500ms")


class RouteDefaults(Section):
    """What routes may have in common."""

    split: Split = key(Split, "Which requests go to the candidate.", "{percent: 25}")
    timeouts: RouteTimeouts | None = key(
        None, "In place of the upstream's, for the candidate of this route.", "{response: 5s}"
    )
    fallback: Annotated[Fallback | None, Switchable()] = key(
        Fallback, "Legacy answers in place of a candidate that failed, when that is safe; `false`: never.", "false"
    )
    shadow: Shadow | None = key(
        None, "Copies of requests to the other arm, to compare the answers; null: none.", "{percent: 10}"
    )
    compare: Compare = key(Compare, "How answers are compared.", '{redact: ["$..email"]}')
    gate: Gate = key(Gate, "What comparisons must show before the route is called ready.", "{min_pairs: 500}")
    release: Release | None = key(
        None,
        "How the candidate's release is known, to which evidence belongs; null: `strangler release` names it.",
        "{header: X-Release}",
    )


class RoutePlace(Section):
    """Which requests one route is about, and where it leads."""

    name: t.Text = key(REQUIRED, "Name in logs, metrics and commands; unique.", "orders")
    match: Match = key(REQUIRED, "Conditions that must all hold.", "{prefix: /api/orders}")
    candidate: t.MaybeText = key(
        None,
        "Upstream of the new service; one of `candidate`, `passthrough` and `aggregate` is required. `legacy` keeps"
        " an exception.",
        "orders",
    )
    passthrough: t.MaybeText = key(
        None,
        "In place of `candidate`: the upstream that serves all of it and always has, beside the monolith. There is"
        " nothing to move and nothing to compare, and the kill switch leaves it alone.",
        "chat",
    )
    aggregate: dict[str, Part] | None = key(
        None,
        "Several services answer what was one endpoint, each a field of the answer.",
        '{order: {upstream: orders, path: "/v2/orders/{id}"}}',
    )
    owner: t.MaybeText = key(
        None, "Who answers for the route; an included file has one for all of its routes.", "payments"
    )
    enabled: t.Bool = key(True, "`false`: all to legacy, whatever else is said.", "false")
    rewrite: Rewrite | None = key(None, "Path that the candidate sees; null: as received.", "{prefix: /v2/orders}")
    fold: Annotated[tuple[t.PathTemplate, ...], LIST] = key(
        (),
        "Paths whose `{}` segments are values, where that cannot be told by looking.",
        '["/shops/{}", "/wiki/{...}"]',
    )


class Route(RouteDefaults, RoutePlace):
    """All keys of a route."""

    @property
    def methods(self) -> tuple[str, ...]:
        """Those that match; empty: any. An aggregate only answers some, and leaves the others to legacy."""
        return AGGREGATED if self.aggregate is not None and not self.match.methods else self.match.methods


class Evidence(Section):
    values: Annotated[Literal["shown", "hashed"], *word("shown", "hashed")] = key(
        "shown", "Values are kept with their secrets hashed; or of all values only type, length and hash.", "hashed"
    )


class Errors(Section):
    html: t.MaybeText = key(
        None,
        "File with the page that browsers get for the proxy's own 502, 503 and 504; null: the built-in one."
        " `{{status}}`, `{{title}}` and `{{request_id}}` in it are filled in.",
        "sorry.html",
    )


class Defaults(Section):
    """What `strangler.config.defaults` writes into the tree before it is validated."""

    upstreams: UpstreamDefaults = key(
        UpstreamDefaults,
        "What upstreams other than legacy have that do not say it: any key of `upstreams.NAME` but `url` and `urls`.",
        "{keepalive: 4s}",
    )
    routes: RouteDefaults = key(
        RouteDefaults,
        "What routes have that do not say it: `split`, `timeouts`, `fallback`, `shadow`, `compare`, `gate`, `release`.",
        '{split: {sticky: ["cookie:sid"]}}',
    )


def _version(text: str) -> int:
    if text not in {"1", "1.0"}:
        raise ValueError("this program knows version 1")
    return 1


class File(Section):
    """routes.yaml as a whole."""

    version: Annotated[Literal[1], *leaf(_version, "`1`", "write 1", {"enum": [1]})] = key(
        REQUIRED, "Version of this format.", "1"
    )
    listen: t.Listen = key(Address("127.0.0.1", 8080), "Where clients connect.", "0.0.0.0:8080")
    admin: Admin = key(Admin, "Listener for probes, metrics, the API and the dashboard.", "{listen: 127.0.0.1:8081}")
    workers: t.Workers = key(
        1, "Processes that forward requests; `auto`: one for each CPU that the proxy may use.", "auto"
    )
    state: t.Text = key(".strangler", "Folder for the SQLite store and shadow-diffs.jsonl.", "/var/lib/strangler")
    log: Log = key(Log, "Log lines, on standard output.", "{format: json}")
    expose_arm: t.Bool = key(True, "Tell clients which arm answered, in X-Strangler-Arm.", "false")
    tracing: Tracing = key(Tracing, "Spans for OpenTelemetry.", "{otlp: http://127.0.0.1:4318}")
    events: Events = key(Events, "Where events are sent.", "{webhook: https://hooks.example.com/strangler}")
    evidence: Evidence = key(Evidence, "What is kept of comparisons.", "{values: hashed}")
    errors: Errors = key(Errors, "The proxy's own answers.", "{html: sorry.html}")
    trusted_proxies: Annotated[tuple[t.Network, ...], LIST] = key(
        (), "Addresses and networks whose X-Forwarded-* is believed.", "[10.0.0.0/8]"
    )
    ambiguous_paths: Annotated[Literal["legacy", "reject"], *word("legacy", "reject")] = key(
        "legacy", "A path that can be read in two ways goes to legacy, or is answered with 400.", "reject"
    )
    limits: Limits = key(Limits, "What one client may ask of a worker.", "{request_body: 10MiB}")
    defaults: Defaults = key(
        Defaults, "What upstreams and routes have that do not say it themselves.", "{upstreams: {keepalive: 4s}}"
    )
    include: Annotated[tuple[t.Text, ...], LIST] = key(
        (),
        "Files whose `owner`, `upstreams` and `routes` belong to this one: paths or patterns, from this file's folder.",
        '["teams/*.yaml"]',
    )
    upstreams: Upstreams = key(
        REQUIRED, "Services by name; `legacy` is required.", "{legacy: {url: http://127.0.0.1:8000}}"
    )
    routes: Annotated[tuple[Route, ...], LIST] = key(
        (),
        "What goes elsewhere than legacy. The most specific match wins, whatever the order.",
        "[{name: orders, match: {prefix: /api/orders}, candidate: orders}]",
    )
