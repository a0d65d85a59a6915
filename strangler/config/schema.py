"""The keys of routes.yaml: the one place for the type, default, meaning and example of each.

These models are what the user wrote; `strangler.config.build` turns them into `strangler.core.settings`. The JSON
Schema, the reference in docs/configuration.md and `strangler check` all come from them. Rules that join several keys
are in `strangler.config.rules`.
"""

from typing import Annotated, Literal

from strangler.config import types as t
from strangler.config.leaf import leaf
from strangler.config.schema_ledger import Ledger
from strangler.config.schema_listeners import DEFAULT_LISTENERS, Listeners
from strangler.config.schema_routes import Route, RouteDefaults
from strangler.config.schema_tls import ServerTls
from strangler.config.schema_upstreams import UpstreamDefaults, Upstreams
from strangler.config.section import REQUIRED, Section, key
from strangler.config.types import LIST, Switchable, whole, word
from strangler.core.listener_settings import Address


class Admin(Section):
    listen: t.Listen = key(
        Address("127.0.0.1", 8081), "Where probes, metrics, the API and the dashboard are served.", "127.0.0.1:8081"
    )
    token: t.MaybeToken = key(
        None,
        "Bearer token required for all but `/healthz` and `/readyz`. Without it only a loopback address may be bound.",
        '"${STRANGLER_TOKEN:-}"',
    )
    url: t.MaybePageBase = key(
        None,
        "Where people reach the dashboard, as behind a proxy: approval links begin with it. null: made from `listen`,"
        " with this host's name in place of an address that stands for all.",
        "https://ops.example.com/strangler",
    )
    ready_needs_legacy: t.Bool = key(
        False,
        "`true`: `/readyz` returns 503 while legacy cannot be reached; `false`: 200, with `degraded` set.",
        "true",
    )
    users: t.MaybeHeaderName = key(
        None,
        "Header in which a proxy listed in `admin.trusted_proxies` names the user, for the audit; null: none.",
        "X-Forwarded-User",
    )
    trusted_proxies: Annotated[tuple[t.Network, ...], LIST] = key(
        (),
        "Addresses and networks of the proxies in front of this listener, whose X-Forwarded-For, -Host, -Prefix and"
        " `users` fields are trusted.",
        "[10.0.0.0/8]",
    )
    tls: ServerTls | None = key(
        None, "It is served by TLS (https://); null: without.", "{certificates: [{cert: admin.pem, key: admin.key}]}"
    )


class Receiver(Section):
    listen: t.ListenAddress = key(
        Address("127.0.0.1", 8082),
        "Where other proxies send their mirrored requests: host and port, or a unix socket of this user and its group.",
        "0.0.0.0:8082",
    )


class Access(Section):
    sample: t.Share = key(1.0, "Share of requests that get a line, chosen at random.", "10%")
    slow: t.MaybeLonger = key(1.0, "A request that takes at least this long always gets a line.", "500ms")
    errors: Annotated[Literal["always", "sampled"], *word("always", "sampled")] = key(
        "always",
        "Whether a request that ends in a 5xx or a fault, or falls back, always gets a line or is sampled too.",
        "sampled",
    )


class Log(Section):
    level: Annotated[Literal["debug", "info", "warning", "error"], *word("debug", "info", "warning", "error")] = key(
        "info", "The least severe level that is written.", "debug"
    )
    format: Annotated[Literal["auto", "console", "json", "combined"], *word("auto", "console", "json", "combined")] = (
        key(
            "auto",
            "`auto`: `console` on a terminal, else `json`. `combined`: requests in Apache's format, others as JSON.",
            "json",
        )
    )
    access: Annotated[Access | None, Switchable()] = key(
        Access,
        "One line for every request, or for those that `sample`, `slow` and `errors` select; `false`: none.",
        "false",
    )


class Tracing(Section):
    otlp: t.MaybeWebUrl = key(
        None, "OTLP endpoint that spans are sent to; needs `strangler[otel]`.", "http://127.0.0.1:4318"
    )
    sample: t.Share = key(
        0.01, "Share of the traces begun here that get spans; other traces follow their sampled flag.", "5%"
    )


class Kafka(Section):
    bootstrap_servers: t.Text = key(
        REQUIRED, "Brokers to contact first, separated by commas.", '"kafka-1:9092,kafka-2:9092"'
    )
    topic: t.Text = key(REQUIRED, "Topic that events are written to.", "strangler")
    shadow: t.Bool = key(False, "Send every comparison, redacted, to the topic `TOPIC.shadow`.", "true")


class Events(Section):
    webhook: t.MaybeWebUrl = key(
        None,
        "URL to which each event is sent as CloudEvents JSON, by a signed POST.",
        "https://hooks.example.com/strangler",
    )
    kafka: Kafka | None = key(
        None,
        "Send events to Kafka too; needs `strangler[kafka]`. null: off.",
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
        256 << 10, "Largest response head of an upstream, at least 1KiB; beyond it 502.", "64KiB"
    )
    connections: Annotated[int, *whole(1, 10_000_000)] = key(10_000, "Most client connections per worker.", "50_000")
    drain: t.Duration = key(30.0, "How long requests in flight may take to finish after SIGTERM.", "1m")


class Evidence(Section):
    values: Annotated[Literal["shown", "hashed"], *word("shown", "hashed")] = key(
        "shown",
        "`shown`: values with their secrets hashed; `hashed`: only the type, length and hash of each value.",
        "hashed",
    )


class Errors(Section):
    html: t.MaybeText = key(
        None,
        "File with the page that browsers get for the proxy's own 502, 503 and 504; null: the built-in page."
        " `{{status}}`, `{{title}}` and `{{request_id}}` are filled in.",
        "sorry.html",
    )


class Defaults(Section):
    """The values that `strangler.config.defaults` writes into the tree before it is validated."""

    upstreams: UpstreamDefaults = key(
        UpstreamDefaults,
        "Defaults for all upstreams but legacy: any key of `upstreams.NAME` but `url` and `urls`.",
        "{keepalive: 4s}",
    )
    routes: RouteDefaults = key(
        RouteDefaults,
        "Defaults for all routes: `split`, `timeouts`, `fallback`, `shadow`, `compare`, `gate`, `release`.",
        '{split: {sticky: ["cookie:sid"]}}',
    )


def _version(text: str) -> int:
    if text not in {"1", "1.0"}:
        raise ValueError("only version 1 is supported")
    return 1


class File(Section):
    """routes.yaml as a whole."""

    version: Annotated[Literal[1], *leaf(_version, "`1`", "write 1", {"enum": [1]})] = key(
        REQUIRED, "Version of this format.", "1"
    )
    listen: Listeners = key(
        DEFAULT_LISTENERS,
        "The addresses where clients connect; a restart puts other addresses in force.",
        "0.0.0.0:8080",
    )
    admin: Admin = key(Admin, "Listener for probes, metrics, the API and the dashboard.", "{listen: 127.0.0.1:8081}")
    receiver: Receiver | None = key(
        None,
        "Listener for the mirrored requests of a proxy that you keep: both arms are asked, and compared. A route"
        " without `shadow` counts as one with `{percent: 100}` there. null: none.",
        "{listen: 127.0.0.1:8082}",
    )
    engine: Annotated[Literal["builtin", "envoy"], *word("builtin", "envoy")] = key(
        "builtin",
        "What forwards requests: the proxy's own workers, or an Envoy that it runs; needs `strangler[envoy]`. Another"
        " one counts once the proxy was stopped and started again.",
        "envoy",
    )
    workers: t.Workers = key(
        1,
        "Processes that forward requests, or threads of Envoy; `auto`: one for each CPU that the proxy may use.",
        "auto",
    )
    state: t.Text = key(".strangler", "Folder for the SQLite store and shadow-diffs.jsonl.", "/var/lib/strangler")
    store: t.StorePlace = key(
        None,
        "Where evidence, reviews, audit, events, ledger, rollouts and the kill switch are kept: `sqlite`, in the state"
        " folder of this one node, or the URL of a PostgreSQL that several nodes share, without a password (PGPASSWORD"
        " or PGPASSFILE has it). A restart puts another one in force.",
        "postgresql://strangler@db.internal/strangler",
    )
    node: t.MaybeText = key(
        None,
        "Name of this node among those that share a store; empty: the host's name. A restart puts another in force.",
        '"${HOSTNAME:-}"',
    )
    log: Log = key(Log, "Log lines, on standard output.", "{format: json}")
    expose_arm: t.Bool = key(True, "Tell clients which arm served the request, in X-Strangler-Arm.", "false")
    tracing: Tracing = key(Tracing, "Spans for OpenTelemetry.", "{otlp: http://127.0.0.1:4318}")
    events: Events = key(Events, "Where events are sent.", "{webhook: https://hooks.example.com/strangler}")
    evidence: Evidence = key(Evidence, "What is stored about comparisons.", "{values: hashed}")
    errors: Errors = key(Errors, "The proxy's own error responses.", "{html: sorry.html}")
    trusted_proxies: Annotated[tuple[t.Network, ...], LIST] = key(
        (), "Addresses and networks whose X-Forwarded-* fields are trusted.", "[10.0.0.0/8]"
    )
    ambiguous_paths: Annotated[Literal["legacy", "reject"], *word("legacy", "reject")] = key(
        "legacy", "A path that can be read in two ways goes to legacy, or is rejected with 400.", "reject"
    )
    limits: Limits = key(Limits, "Limits of requests and client connections.", "{request_body: 10MiB}")
    ledger: Annotated[Ledger | None, Switchable()] = key(
        Ledger,
        "Counts of all calls by endpoint, arm and caller: what may be moved, and what may be deleted; `false`: none.",
        "{quiet: 14d}",
    )
    defaults: Defaults = key(
        Defaults, "Values for the keys that upstreams and routes leave out.", "{upstreams: {keepalive: 4s}}"
    )
    include: Annotated[tuple[t.Text, ...], LIST] = key(
        (),
        "Files that add `upstreams` and `routes`, with an `owner`: paths or patterns, relative to this file's folder.",
        '["teams/*.yaml"]',
    )
    upstreams: Upstreams = key(
        REQUIRED, "Services by name; `legacy` is required.", "{legacy: {url: http://127.0.0.1:8000}}"
    )
    routes: Annotated[tuple[Route, ...], LIST] = key(
        (),
        "Which requests go elsewhere than to legacy. The most specific match wins, whatever the order.",
        "[{name: orders, match: {prefix: /api/orders}, candidate: orders}]",
    )
