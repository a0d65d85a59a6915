"""The settings of routes.yaml as frozen values: units fixed, defaults filled in, nothing left to parse.

Only `strangler.config` makes them; its schema is the one place that knows the defaults. Control sends them to the
workers as they are, so every field is plain data. Durations are in seconds, sizes in bytes. `None` is "no limit"
(written `none`), `0` is "none of it"; a part that is switched off (`breaker: false`) is `None`.
"""

from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote

from strangler.core.ledger_settings import LedgerSettings
from strangler.core.listener_settings import UNIX, Address, ListenerSettings, ServerTlsSettings
from strangler.core.retire_settings import RetireSettings
from strangler.core.rollout_settings import RolloutSettings
from strangler.core.source import LIVE_ONLY, Source

HTTP_UNIX = "http+unix://"
"""The beginning of a URL whose host is the percent-encoded path of a unix socket."""


@dataclass(frozen=True, slots=True)
class Url:
    """An upstream's base URL. `path` is a prefix put before every forwarded path, and usually empty."""

    scheme: Literal["http", "https"]
    host: str
    port: int
    path: str
    unix_path: str | None = None
    """The path of the unix socket to connect to. Scheme, host and port are `http`, `localhost` and 80 then."""

    @property
    def authority(self) -> str:
        """Return host and port as in a Host header: without the scheme's default port, and without a final dot."""
        return self._authority(self.server_name)

    @property
    def server_name(self) -> str:
        """Return the host as a certificate and a TLS handshake name it: without a final dot (RFC 6066 section 3), which
        only DNS knows."""
        return self.host.removesuffix(".")

    @property
    def connect_host(self) -> str:
        """Return the host to connect to: a name, an address, or `unix:` and the path of a socket."""
        return self.host if self.unix_path is None else f"{UNIX}{self.unix_path}"

    def _authority(self, host: str) -> str:
        host = f"[{host}]" if ":" in host else host
        return host if self.port == (443 if self.scheme == "https" else 80) else f"{host}:{self.port}"

    def __str__(self) -> str:
        if self.unix_path is None:
            return f"{self.scheme}://{self._authority(self.host)}{self.path}"
        if not self.path:
            return f"{UNIX}{self.unix_path}"
        return f"{HTTP_UNIX}{quote(self.unix_path, safe='')}{self.path}"


@dataclass(frozen=True, slots=True)
class AdminSettings:
    listen: Address
    token: str | None
    ready_needs_legacy: bool = False
    """Whether the proxy is not ready while legacy cannot be reached."""
    users: str | None = None  # name of the header in which a trusted proxy names the person
    trusted_proxies: tuple[str, ...] = ()  # addresses and CIDR networks
    tls: ServerTlsSettings | None = None  # None: plain HTTP
    url: str | None = None  # where people reach the dashboard, without a slash at the end; None: made from `listen`


@dataclass(frozen=True, slots=True)
class AccessSettings:
    """Which requests are logged: a random share of them, and in addition all that were slow or failed."""

    sample: float  # share, 0.0 to 1.0
    slow_s: float | None
    errors: Literal["always", "sampled"]


@dataclass(frozen=True, slots=True)
class LogSettings:
    level: Literal["debug", "info", "warning", "error"]
    format: Literal["auto", "console", "json", "combined"]
    access: AccessSettings | None


@dataclass(frozen=True, slots=True)
class TracingSettings:
    otlp: str | None
    sample: float  # share, 0.0 to 1.0


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    bootstrap_servers: str
    topic: str
    shadow: bool


@dataclass(frozen=True, slots=True)
class EventSettings:
    webhook: str | None
    kafka: KafkaSettings | None


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """The limits on what clients may demand of the proxy."""

    header_bytes: int
    header_timeout_s: float | None
    idle_timeout_s: float | None
    request_body_bytes: int | None
    response_header_bytes: int
    connections: int
    drain_s: float


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """TLS towards an upstream. The files are in `Settings.files`, by these paths."""

    ca: str | None  # file of PEM certificates; None: the system's
    verify: bool
    cert: str | None = None  # file of our own certificate and its chain; None: there is none
    key: str | None = None  # file of its key, which may be `cert`
    server_name: str | None = None  # the name in the handshake and in the upstream's certificate; None: the URL's host


TimeoutSource = Literal["default", "upstream", "route"]


@dataclass(frozen=True, slots=True)
class TimeoutSettings:
    """The timeouts of an upstream.

    connect: TCP and TLS together. response: from request fully sent to response head. idle: between two bytes.
    """

    connect_s: float | None
    response_s: float | None
    idle_s: float | None
    sources: tuple[TimeoutSource, TimeoutSource, TimeoutSource] = field(
        default=("default", "default", "default"), compare=False
    )
    """Where connect, response and idle come from, for display only."""


@dataclass(frozen=True, slots=True)
class BulkheadSettings:
    in_flight: int
    waiting: int
    wait_s: float
    streams: int | None = None  # tunnels and endless responses, which are not in flight any more


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    failure_rate: float | None  # share, 0.0 to 1.0
    min_requests: int
    window_s: float
    consecutive: int | None
    slow_call_s: float | None
    cooldown_s: float
    max_cooldown_s: float
    trials: int
    counts: tuple[str | int, ...]  # names of faults and statuses


@dataclass(frozen=True, slots=True)
class RetrySettings:
    attempts: int  # all tries, the first included
    when: tuple[str | int, ...]
    backoff_s: float
    max_backoff_s: float
    budget: float  # share of live requests, 0.0 to 1.0


@dataclass(frozen=True, slots=True)
class HealthSettings:
    path: str
    interval_s: float
    timeout_s: float
    fall: int
    rise: int
    host: str | None = None
    """The Host header of a check; None: that of the URL."""


@dataclass(frozen=True, slots=True)
class HeaderEdits:
    """Applied to requests for this upstream, after the proxy's own fields are set."""

    set: tuple[tuple[str, str], ...]
    remove: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UpstreamSettings:
    name: str
    urls: tuple[Url, ...]
    tls: TlsSettings
    host: Literal["preserve", "upstream"]
    timeouts: TimeoutSettings
    bulkhead: BulkheadSettings | None
    breaker: BreakerSettings | None
    retry: RetrySettings | None
    health: HealthSettings | None
    headers: HeaderEdits
    keepalive_s: float = 30.0  # how long an idle connection may be reused
    http2: bool = False  # speaks HTTP/2, which the engine Envoy alone can


@dataclass(frozen=True, slots=True)
class MatchSettings:
    """Conditions that must all hold. Exactly one of `prefix` and `path` is set."""

    prefix: str | None
    path: str | None
    methods: tuple[str, ...]  # empty: any
    host: str | None  # exact, or `*.example.com`
    headers: tuple[tuple[str, str], ...]  # lower-case name, exact value
    query: tuple[tuple[str, str], ...]  # decoded name, exact decoded value


@dataclass(frozen=True, slots=True)
class StickySource:
    kind: Literal["header", "cookie", "client_ip"]
    name: str  # header (lower-case) or cookie; empty for client_ip


@dataclass(frozen=True, slots=True)
class SplitSettings:
    percent: float  # 0.00 to 100.00, two decimals; that of a rollout's position for a route that has one
    headers: tuple[tuple[str, str], ...]  # lower-case name, exact value; any match sends the request to the candidate
    override: str | None  # lower-case header name
    sticky: tuple[StickySource, ...]
    group: str


@dataclass(frozen=True, slots=True)
class FallbackSettings:
    when: tuple[str | int, ...]
    fence_s: float
    is_when_written: bool = field(default=False, compare=False)
    """Whether the file has a `when`, for which Envoy goes further than for the default."""


@dataclass(frozen=True, slots=True)
class BaselineSettings:
    """Which shadows repeat their request at both arms, so that legacy can be compared with itself."""

    share: float  # share, 0.0 to 1.0
    credentials: bool  # requests with Cookie, Authorization and the like too


@dataclass(frozen=True, slots=True)
class ShadowSettings:
    percent: float  # 0.00 to 100.00
    methods: tuple[str, ...]
    of: Literal["legacy", "candidate", "any"]
    max_body_bytes: int
    timeout_s: float
    in_flight: int
    recheck_s: float
    baseline: BaselineSettings
    writes: Literal["skip", "dry_run", "sandbox"]
    to: str | None  # the sandbox's upstream
    is_only_received: bool = False
    """Whether the file has no `shadow` for the route: mirrored requests alone are compared."""


@dataclass(frozen=True, slots=True)
class AcceptRule:
    """A declared difference that is allowed. Exactly one of `path`, `css`, `header` and `status` is set."""

    path: str | None = None
    css: str | None = None
    header: str | None = None
    status: tuple[int, int] | None = None  # legacy's, the candidate's
    endpoint: str | None = None  # `POST /api/orders/{}`; None: the whole route
    kind: str | None = None
    abs: str | None = None  # decimal text: compared exactly
    rel: str | None = None  # decimal text of a share: `1%` is written 0.01
    from_: str | None = None  # legacy's value: JSON where it reads as JSON, else a text
    to: str | None = None  # the candidate's value; set if and only if `from_` is
    owner: str | None = None
    until: str | None = None  # ISO date, that day included
    why: str | None = None


@dataclass(frozen=True, slots=True)
class UnorderedRule:
    path: str
    key: str | None


@dataclass(frozen=True, slots=True)
class CompareSettings:
    headers: tuple[str, ...]
    accept: tuple[AcceptRule, ...]
    unordered: tuple[UnorderedRule, ...]
    redact: tuple[str, ...]
    numbers: Literal["decimal", "typed"]  # typed: 5 and 5.0 differ


@dataclass(frozen=True, slots=True)
class GateSettings:
    min_pairs: int
    min_match: float  # share, 0.0 to 1.0
    max_breaking: int
    max_latency_ratio: float
    min_age_s: float
    sources: tuple[Source, ...] = LIVE_ONLY
    """The sources of evidence that count, `from` in routes.yaml."""


@dataclass(frozen=True, slots=True)
class AggregatePart:
    name: str
    upstream: str
    path: str
    required: bool
    timeout_s: float | None


@dataclass(frozen=True, slots=True)
class RouteSettings:
    """Exactly one of `candidate` and `aggregate` is set."""

    name: str
    match: MatchSettings
    candidate: str | None
    aggregate: tuple[AggregatePart, ...] | None
    enabled: bool
    split: SplitSettings
    rewrite_prefix: str | None
    timeouts: TimeoutSettings | None  # the candidate's, complete: those that the route leaves out are its upstream's
    fallback: FallbackSettings | None
    shadow: ShadowSettings | None
    compare: CompareSettings
    gate: GateSettings
    release_header: str | None  # lower-case name of the candidate's response header; None: named by command
    fold: tuple[str, ...]  # path templates whose `{}` are folded in endpoints
    is_gated: bool = field(compare=False)
    """Whether the file has a `gate` for the route, even an empty one."""
    owner: str | None = None
    """The owner of the route."""
    is_passthrough: bool = False
    """Whether `candidate` was never part of legacy: it gets all requests, even while the kill switch is on."""
    retire: RetireSettings | None = None
    """When and how the route ends; None: it stays."""
    rollout: RolloutSettings | None = None
    """The plan by which its percent climbs; None: the file says its percent."""


@dataclass(frozen=True, slots=True)
class EvidenceSettings:
    values: Literal["shown", "hashed"]  # hashed: types, lengths and keyed hashes are kept, but no value


@dataclass(frozen=True, slots=True)
class ReceiverSettings:
    """The listener that takes mirrored requests of other proxies."""

    listen: Address


@dataclass(frozen=True, slots=True)
class ErrorSettings:
    """The page that browsers get for the proxy's own 502, 503 and 504."""

    html_file: str | None  # relative to the folder of routes.yaml
    html: str | None  # the file's content; None: the built-in page


@dataclass(frozen=True, slots=True)
class Settings:
    listeners: tuple[ListenerSettings, ...]  # none where there are no workers
    admin: AdminSettings
    workers: int  # 0: only the receiver runs
    state: str
    log: LogSettings
    expose_arm: bool
    tracing: TracingSettings
    events: EventSettings
    evidence: EvidenceSettings
    errors: ErrorSettings
    trusted_proxies: tuple[str, ...]  # addresses and CIDR networks
    ambiguous_paths: Literal["legacy", "reject"]
    limits: LimitSettings
    upstreams: dict[str, UpstreamSettings]
    routes: tuple[RouteSettings, ...]
    files: dict[str, bytes] = field(default_factory=dict, repr=False)
    """The content of the files with certificates and keys that the settings name, by absolute path."""
    ledger: LedgerSettings | None = field(default_factory=LedgerSettings)
    """The settings of the ledger; None: there is none."""
    receiver: ReceiverSettings | None = None
    """The settings of the receiver of mirrored requests; None: there is none."""
    store: str | None = None
    """The URL of the PostgreSQL that several nodes share, without a password; None: SQLite in the state folder."""
    node: str = ""
    """The name of this node among those that share the store; empty: the host's name."""
    engine: Literal["builtin", "envoy"] = "builtin"
    """The part that forwards requests: our own workers, or Envoy."""
