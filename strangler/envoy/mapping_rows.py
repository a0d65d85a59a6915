"""The rows of the table, by the parts of routes.yaml."""

from typing import Final

from strangler.envoy.mapping_row import Exactness, Row

_NEARLY, _NOT = Exactness.NEARLY, Exactness.NOT
_CONTROL: Final = "control's own, as with the built-in engine"
_RECEIVER: Final = "the receiver's in control, which gets the mirrors"
_LOG: Final = "made from Envoy's access records, in the same form"

FILE: Final = (
    Row(("version", "include", "defaults.*"), "read before Envoy is told anything"),
    Row(("engine",), "Envoy in place of the workers"),
    Row(("listen[].address",), "`Listener.address`; `[::]` takes IPv4 too"),
    Row(("listen[].mode",), "`pipe.mode`"),
    Row(
        ("listen[].group",),
        "-",
        _NOT,
        "the socket has the group of the process: start it with that group, or allow others by `mode`",
    ),
    Row(("listen[].tls.*",), "`DownstreamTlsContext`; changed files count from the next handshake"),
    Row(
        ("listen[].proxy_protocol.from",),
        "filter chains by the direct peer",
        _NEARLY,
        "with `required: false` the header of any peer is read, and believed only if the peer is listed;"
        " our own engine takes it from others for a request",
    ),
    Row(("listen[].proxy_protocol.required",), "`proxy_protocol` listener filter"),
    Row(("listen[].redirect",), "`redirect` with 308"),
    Row(("listen[].http2",), "`codec_type: AUTO`, and `h2` by ALPN"),
    Row(("listen[].http3",), "a QUIC listener at the same port, named by Alt-Svc"),
    Row(("admin.*", "receiver.*", "state", "store", "node", "events.*", "evidence.*"), _CONTROL),
    Row(("workers",), "`--concurrency`; another number restarts Envoy without losing a request"),
    Row(("log.level", "log.format"), "lines of Envoy's own log are among ours"),
    Row(("log.access.*",), _LOG),
    Row(("expose_arm",), "`%UPSTREAM_METADATA(strangler:arm)%` of the endpoint that responded"),
    Row(
        ("tracing.otlp", "tracing.sample"),
        "-",
        _NOT,
        "no spans are sent; `traceparent` is passed on, and begun where it is missing",
    ),
    Row(("errors.html",), "`local_reply_config`"),
    Row(
        ("trusted_proxies",),
        "`xff_trusted_cidrs`",
        _NEARLY,
        "an address in X-Forwarded-For that is written as `::ffff:192.0.2.7`, or with a port, is not read as that of"
        " the client: let the proxy in front write plain addresses; over HTTP/3 nobody is trusted",
    ),
    Row(
        ("ambiguous_paths",),
        "a guard in front of all routes",
        _NEARLY,
        "paths that Envoy could read in two ways go to legacy: more than with our own engine, and never fewer;"
        " `reject` does the same, no 400 is sent",
    ),
    Row(
        ("limits.header_bytes", "limits.response_header"),
        "`max_request_headers_kb`, `max_response_headers_kb`",
        _NEARLY,
        "rounded up to whole KiB, 8 MiB at most; a target that is too long gets 431 and not 414",
    ),
    Row(("limits.header_timeout",), "`request_headers_timeout`"),
    Row(("limits.idle_timeout",), "`idle_timeout` of client connections"),
    Row(("limits.request_body",), "`body_size_limit` filter"),
    Row(
        ("limits.connections",),
        "overload manager",
        _NEARLY,
        "all threads together have `workers` times as many; none has a limit of its own",
    ),
    Row(("limits.drain",), "listeners are drained, then Envoy ends"),
    Row(("ledger.*",), "counted from Envoy's access records"),
)

UPSTREAMS: Final = (
    Row(
        ("upstreams.NAME.url", "upstreams.NAME.urls"),
        "a cluster, `LEAST_REQUEST` among several; names are looked up each 30 s",
    ),
    Row(("upstreams.NAME.tls.*",), "`UpstreamTlsContext`"),
    Row(("upstreams.NAME.host",), "a gate"),
    Row(("upstreams.NAME.http2",), "`http2_protocol_options`"),
    Row(("upstreams.NAME.timeouts.connect",), "`connect_timeout`"),
    Row(
        ("upstreams.NAME.timeouts.response", "upstreams.legacy.timeouts.response"),
        "`per_try_timeout`; a gate, if it is written and differs from legacy's",
        _NEARLY,
        "left at its default, legacy has that of the candidate on routes with a split (10s and not 60s):"
        " write legacy's `timeouts: {response: 60s}`, which costs a gate",
    ),
    Row(
        ("upstreams.NAME.timeouts.idle",),
        "`idle_timeout` of the route",
        _NEARLY,
        "never shorter than `response` and a second; without a gate both arms have the longer one",
    ),
    Row(("upstreams.NAME.bulkhead.in_flight",), "`max_requests`"),
    Row(
        ("upstreams.NAME.bulkhead.waiting", "upstreams.NAME.bulkhead.wait"),
        "-",
        _NOT,
        "nothing waits: what is beyond `in_flight` is `full` at once; raise `in_flight`, or write `waiting: 0`",
    ),
    Row(
        ("upstreams.NAME.bulkhead.streams",),
        "`max_requests` of the priority HIGH",
        _NEARLY,
        "only websockets and other upgrades leave `in_flight`; event streams do so behind a gate alone",
    ),
    Row(
        ("upstreams.NAME.breaker.failure_rate", "upstreams.NAME.breaker.min_requests", "upstreams.NAME.breaker.window"),
        "`failure_percentage_*`, `interval`",
        _NEARLY,
        "the window does not slide: it is judged at its end, and begins anew; it is never longer than `cooldown`",
    ),
    Row(
        ("upstreams.NAME.breaker.consecutive",),
        "`consecutive_5xx`",
        _NEARLY,
        "each URL has a breaker of its own; that of legacy only prefers other URLs, since nothing could stand in",
    ),
    Row(
        ("upstreams.NAME.breaker.slow_call",),
        "-",
        _NOT,
        "slow responses do not open the breaker; lower `timeouts.response`, so that they count as timeouts",
    ),
    Row(
        ("upstreams.NAME.breaker.cooldown", "upstreams.NAME.breaker.max_cooldown"),
        "`base_ejection_time`, `max_ejection_time`",
        _NEARLY,
        "it grows by `cooldown` each time and is not doubled; it ends up to `cooldown` later",
    ),
    Row(
        ("upstreams.NAME.breaker.trials",),
        "-",
        _NOT,
        "no trials: all requests return to the upstream as soon as the cooldown is over",
    ),
    Row(
        ("upstreams.NAME.breaker.counts", "upstreams.legacy.breaker.counts"),
        "`error_matcher` for statuses",
        _NEARLY,
        "connect, reset, timeout and bad_response always count; statuses as listed",
    ),
    Row(
        ("upstreams.NAME.retry.attempts",),
        "`num_retries`",
        _NEARLY,
        "on a route with a fallback and without a gate the second attempt is already legacy's",
    ),
    Row(
        ("upstreams.NAME.retry.when",),
        "`retry_on`, `retriable_status_codes`",
        _NEARLY,
        "reset stands for timeout too, and timeout for reset",
    ),
    Row(
        ("upstreams.NAME.retry.backoff", "upstreams.NAME.retry.max_backoff"),
        "`retry_back_off`, which is random up to this",
    ),
    Row(
        ("upstreams.NAME.retry.budget",),
        "`retry_budget`",
        _NEARLY,
        "a share of the requests that are under way, not of those of the last seconds; three at once are always"
        " allowed, and those to legacy after a candidate do not count",
    ),
    Row(("upstreams.NAME.health.*",), "`health_checks`, by each Envoy"),
    Row(("upstreams.NAME.headers.*",), "a gate"),
    Row(
        ("upstreams.NAME.keepalive",),
        "`idle_timeout` of the cluster's connections",
        _NEARLY,
        "a shorter `Keep-Alive: timeout` of the upstream is not read: write a `keepalive` below it",
    ),
)

ROUTES: Final = (
    Row(("routes[].name", "routes[].candidate", "routes[].passthrough"), "entries, whose metadata name the route"),
    Row(
        ("routes[].match.prefix", "routes[].match.path", "routes[].match.methods", "routes[].match.host"),
        "a tree of matchers in our own order; `{name}` by an expression",
    ),
    Row(("routes[].match.headers",), "header matchers, repeated fields joined"),
    Row(
        ("routes[].match.query",),
        "an expression for each value",
        _NEARLY,
        "a request whose query has an encoded name goes to legacy",
    ),
    Row(
        ("routes[].aggregate.*",),
        "-",
        _NOT,
        "legacy serves the route: Envoy cannot join responses; keep it on a proxy with the built-in engine",
    ),
    Row(("routes[].owner", "routes[].fold"), _CONTROL),
    Row(("routes[].enabled",), "the entries lead to legacy"),
    Row(("routes[].retire.*",), "direct responses and header fields; files are written anew at each of its times"),
    Row(("routes[].rewrite.prefix",), "`regex_rewrite` in a gate, and a script that rewrites Location back"),
    Row(("routes[].split.percent", "routes[].split.group"), "weights of 10,000 buckets in the group's order"),
    Row(("routes[].split.headers", "routes[].split.override"), "entries in front of the split"),
    Row(
        ("routes[].split.sticky",),
        "`hash_policy`",
        _NEARLY,
        "`client_ip` is the whole IPv6 address and not its network of 64 bits, so a device that changes its address may"
        " change its arm: put a header or a cookie first",
    ),
    Row(("routes[].rollout.*",), "counted from Envoy's access records, led by control"),
    Row(
        ("routes[].timeouts.connect",),
        "-",
        _NOT,
        "that of the upstream counts: write it there",
    ),
    Row(("routes[].timeouts.response",), "`per_try_timeout` in a gate"),
    Row(("routes[].timeouts.idle",), "`idle_timeout` in a gate", _NEARLY, "never shorter than `response` and a second"),
    Row(
        ("routes[].fallback.when",),
        "a composite cluster of candidate and legacy",
        _NEARLY,
        "left at its default, a full candidate is 503 and no reason to fall back: write `when`, which costs a gate",
    ),
    Row(
        ("routes[].fallback.fence",),
        "-",
        _NOT,
        "a read may fall back to legacy right after its caller's write at the candidate, and not see it:"
        " write `fence: 0s` if that may be, else `fallback: false`",
    ),
    Row(
        ("routes[].shadow.percent", "routes[].shadow.of"),
        "`request_mirror_policies` to the receiver in control",
        _NEARLY,
        "the receiver asks both arms itself, so each shadow is one further request at each arm",
    ),
    Row(
        ("routes[].shadow.methods", "routes[].shadow.writes", "routes[].shadow.to"),
        "mirrors of reads",
        _NEARLY,
        "GET, HEAD and OPTIONS alone get a shadow, whatever `writes` says",
    ),
    Row(
        ("routes[].shadow.in_flight", "routes[].shadow.timeout"),
        "circuit breakers and `max_stream_duration` of the mirrors, with the largest of all routes; the receiver has"
        " each route's own",
    ),
    Row(
        ("routes[].shadow.max_body", "routes[].shadow.recheck", "routes[].shadow.baseline.*"),
        _RECEIVER,
    ),
    Row(("routes[].compare.*", "routes[].gate.*", "routes[].release.*"), _RECEIVER),
)
