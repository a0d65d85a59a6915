"""The keys of routes.yaml: each with its type, its default, its meaning and an example, once.

These models are what the user wrote; `strangler.config.build` turns them into `strangler.core.settings`. The JSON
Schema, the reference in docs/configuration.md and `strangler check` all come from them. Rules that join several keys
are in `strangler.config.rules`.
"""

from typing import Annotated, Literal

from strangler.config import types as t
from strangler.config.leaf import leaf
from strangler.config.schema_listeners import DEFAULT_LISTENERS, Listeners
from strangler.config.schema_routes import Route, RouteDefaults
from strangler.config.schema_upstreams import UpstreamDefaults, Upstreams
from strangler.config.section import REQUIRED, Section, key
from strangler.config.types import LIST, Switchable, whole, word
from strangler.core.settings import Address


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
    """The values that `strangler.config.defaults` writes into the tree before it is validated."""

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
    listen: Listeners = key(
        DEFAULT_LISTENERS,
        "The addresses where clients connect; a restart puts other addresses in force.",
        "0.0.0.0:8080",
    )
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
