"""The state of a running proxy: `/api/status`, `strangler status`, the dashboard's overview, and `/readyz`."""

from typing import Annotated, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType, field

Time: TypeAlias = Annotated[str, Meta(description="UTC, in RFC 3339: `2026-11-23T08:00:00.123Z`.")]


class ReadyChecks(Struct, frozen=True):
    """The checks behind `/readyz`."""

    workers: Annotated[bool, Meta(description="A worker is connected.")]
    legacy: Annotated[bool, Meta(description="Legacy accepts connections.")]
    not_draining: bool


class ReadyDocument(Struct, frozen=True):
    """Whether the proxy is ready for traffic."""

    ready: bool
    degraded: Annotated[bool, Meta(description="Legacy cannot be reached.")]
    checks: ReadyChecks
    generation: Annotated[int, Meta(description="The generation of routes.yaml in force.")]
    is_rejected: Annotated[bool, Meta(description="The latest routes.yaml has problems and is not in force.")]
    problems: Annotated[
        list[str] | UnsetType,
        Meta(
            description="The problems of the latest routes.yaml. They may quote it: a set token is needed to see them."
        ),
    ] = UNSET


class RouteKillSwitch(Struct, frozen=True):
    """The kill switch of a single route, which is on."""

    reason: str
    since: Annotated[str | None, Meta(description="When it was turned on.")]


class KillSwitchStatus(Struct, frozen=True):
    """The kill switch. While it is on, all traffic goes to legacy."""

    on: Annotated[bool, Meta(description="Whether it is on for all routes.")]
    reason: str
    since: Annotated[str | None, Meta(description="When it was last turned.")]
    routes: Annotated[dict[str, RouteKillSwitch], Meta(description="The routes that it is on for by themselves.")] = {}
    node_only: Annotated[
        str | UnsetType,
        Meta(
            description="Why the last turns hold for this node only, while they do: the store has not taken them. The"
            " other nodes follow once it has."
        ),
    ] = UNSET
    node_only_routes: Annotated[
        list[str] | UnsetType, Meta(description="The routes of these turns; an empty text is for all routes.")
    ] = UNSET


class ProcessIds(Struct, frozen=True, kw_only=True):
    """The ids of the processes."""

    supervisor: int | UnsetType = UNSET
    control: int | UnsetType = UNSET
    workers: list[int]
    leaving: Annotated[
        list[int] | UnsetType, Meta(description="Workers of the proxy before a restart, which drain.")
    ] = UNSET


class WorkerStatus(Struct, frozen=True):
    """One worker process."""

    index: int
    pid: int
    restarts: Annotated[int, Meta(description="How often its process was replaced.")]
    is_connected: bool
    generation: Annotated[int | None, Meta(description="The generation of routes.yaml that it uses.")]
    silent_s: Annotated[float | None, Meta(description="Seconds since its last message.")]


class EngineStatus(Struct, frozen=True):
    """The engine, which takes the requests of clients."""

    name: Annotated[Literal["builtin", "envoy"], Meta(description="The key `engine` of routes.yaml.")] = "builtin"
    version: Annotated[str | None, Meta(description="Of Envoy; null if none has been heard, or with `builtin`.")] = None
    pid: Annotated[
        int | None, Meta(description="Of Envoy; null if it does not run, if somebody else runs it, or with `builtin`.")
    ] = None
    problem: Annotated[
        str | None, Meta(description="Why Envoy does not have the routes.yaml in force; null if it has.")
    ] = None


class ConfigStatus(Struct, frozen=True):
    """The routes.yaml in force, and the problems of the latest one."""

    generation: int
    since: Time
    problems: Annotated[list[str], Meta(description="Why the latest file is rejected; empty if it is in force.")]
    warnings: list[str]
    needs_restart: Annotated[list[str], Meta(description="Keys whose change only takes effect at the next start.")]


class UpstreamStatus(Struct, frozen=True):
    """One upstream."""

    name: str
    urls: list[str]
    endpoints: Annotated[dict[str, str], Meta(description="State by URL: `in_use`, `put_aside` or `unhealthy`.")]
    breaker: Annotated[str, Meta(extra_json_schema={"enum": ["closed", "half_open", "open", "disabled"]})]
    breaker_reason: Annotated[str | None, Meta(description="Why it is not closed.")]
    in_flight: Annotated[int, Meta(description="Requests in its bulkhead.")]
    streams: Annotated[int, Meta(description="Websockets, event streams and long responses.")]
    waiting: Annotated[int, Meta(description="Requests that wait for a place in the bulkhead.")]


class ArmsRequests(Struct, frozen=True):
    """Requests since the proxy started, by arm."""

    legacy: int
    candidate: int


class RecentFigures(Struct, frozen=True):
    """The recent figures of an arm."""

    rate: Annotated[float, Meta(description="Requests per second over the last 10 seconds.")]
    errors: Annotated[float | None, Meta(description="Share of 5xx in the last minute, 0 to 1; null without requests.")]
    p95_ms: Annotated[float | None, Meta(description="95th percentile of the duration in the last minute.")]


class ArmsRecent(Struct, frozen=True):
    """The recent figures of both arms."""

    legacy: RecentFigures
    candidate: RecentFigures


class ShadowComparisons(Struct, frozen=True):
    """Comparisons by outcome, as judged when they were made."""

    match: int
    accepted: int
    mismatch: int
    not_comparable: int


class ShadowStatus(Struct, frozen=True):
    """The shadows of a route."""

    percent: float
    of: Annotated[str, Meta(description="Whose requests get a shadow: `legacy`, `candidate` or `both`.")]
    stopped: Annotated[str | None, Meta(description="Why they have stopped by themselves; null if they have not.")]
    open: Annotated[int, Meta(description="Shadows in progress.")]
    breakers: Annotated[dict[str, str], Meta(description="The breakers of shadows, by upstream.")]
    comparisons: ShadowComparisons


class MatchFigures(Struct, frozen=True):
    """The pairs of a route's current release that count, as judged now."""

    release: Annotated[str | None, Meta(description="Null: the unnamed release.")]
    pairs: int
    matches: int
    share: Annotated[float | None, Meta(description="The share that matches, 0 to 1; null without pairs.")]


class BrownoutStatus(Struct, frozen=True):
    """An announced window in which a route is off."""

    from_: Time = field(name="from")
    to: Time


class RetireStatus(Struct, frozen=True):
    """How a route ends."""

    sunset: Time
    deprecated: Annotated[str | None, Meta(description="Since when it is deprecated, in RFC 3339.")]
    link: Annotated[str | None, Meta(description="The page for those who still call.")]
    status: Annotated[int, Meta(description="The status after the sunset.")]
    brownouts: Annotated[list[BrownoutStatus], Meta(description="As they take place: joined, and before the sunset.")]
    in_force: Annotated[
        str,
        Meta(
            description="`announced`: it is served; `suspended`: it is served although it is to be off, since it is"
            " disabled or the kill switch is on.",
            extra_json_schema={"enum": ["announced", "brownout", "retired", "suspended"]},
        ),
    ]
    refused: Annotated[int, Meta(description="Requests refused in brownouts and after the sunset, since the start.")]


class RolloutShort(Struct, frozen=True):
    """A route's rollout in short; `/api/rollouts/ROUTE` has all of it."""

    state: Annotated[str, Meta(extra_json_schema={"enum": ["waiting", "running", "paused", "done", "backing"]})]
    step: Annotated[int, Meta(description="The number of the step that is reached: 0 before the first.")]
    steps: list[float]
    waits_for: Annotated[str | None, Meta(description="As in `/api/rollouts`.")]
    group: Annotated[str, Meta(description="Routes of one group climb as one.")]


class RouteStatus(Struct, frozen=True):
    """One route."""

    name: str
    match: Annotated[str, Meta(description="`GET,HEAD shop.example.com/api/orders/*`")]
    candidate: Annotated[str | None, Meta(description="Its upstream; null for an aggregate.")]
    parts: Annotated[list[str] | None, Meta(description="The upstreams of an aggregate's parts.")]
    owner: Annotated[str | None, Meta(description="Who is responsible for it.")]
    passthrough: bool
    enabled: bool
    percent: Annotated[float, Meta(description="Percent of the callers that go to the candidate.")]
    requests: ArmsRequests
    recent: ArmsRecent
    shadow: Annotated[ShadowStatus | None, Meta(description="Null for a route without shadows.")]
    judged: Annotated[MatchFigures | None, Meta(description="Null if nothing was ever compared.")]
    retire: Annotated[RetireStatus | None, Meta(description="Null for a route that stays.")] = None
    rollout: Annotated[RolloutShort | None, Meta(description="Null for a route without `rollout`.")] = None
    killed: Annotated[bool, Meta(description="Whether the kill switch is on for this route by itself.")] = False


class LegacyRequests(Struct, frozen=True):
    """Requests since the proxy started that legacy served."""

    legacy: int


class LegacyRecent(Struct, frozen=True):
    """The recent figures of legacy."""

    legacy: RecentFigures


class UnroutedStatus(Struct, frozen=True):
    """Requests that no route matches."""

    requests: LegacyRequests
    recent: LegacyRecent


class SinkStatus(Struct, frozen=True):
    """The standing of one sink of events."""

    backlog: Annotated[int, Meta(description="Events that wait for it.")]
    delivered: int
    dead: Annotated[int, Meta(description="Events that it refused for good.")]
    lost: Annotated[int, Meta(description="Events that were deleted before it could take them.")]
    last_dead: Annotated[str | None, Meta(description="Why the last refused event was refused.")]
    problem: Annotated[str | None, Meta(description="Why nothing is delivered at the moment.")]


class QueueStatus(Struct, frozen=True):
    """The queue of comparisons for their topic."""

    backlog: int


class EventsStatus(Struct, frozen=True):
    """Events and their sinks."""

    unwritten: Annotated[int, Meta(description="Events that are not in the store yet.")]
    sinks: dict[str, SinkStatus]
    comparisons: Annotated[QueueStatus | None, Meta(description="Null if comparisons are not sent.")]


class TracingStatus(Struct, frozen=True):
    """Spans since their receiver was named."""

    sent: int
    failed: int


class PassedGate(Struct, frozen=True):
    """A route whose percent was raised past its gate by an edit of routes.yaml."""

    route: str
    from_: float = field(name="from")
    to: float
    verdict: str
    reasons: list[str]
    at: Annotated[float, Meta(description="Unix time.")]


class GatesStatus(Struct, frozen=True):
    """Raises past a gate that is not met yet."""

    passed_by: dict[str, PassedGate] = {}


class SlowEndpoint(Struct, frozen=True):
    """An endpoint where the candidate is much slower than legacy; the times are medians."""

    route: str
    endpoint: str
    ratio: Annotated[float, Meta(description="The median of the ratios of the pairs.")]
    legacy_ms: float
    candidate_ms: float
    pairs: int


class LedgerStatus(Struct, frozen=True):
    """The ledger in short; `/api/ledger` has the endpoints."""

    share: Annotated[
        float, Meta(description="The share of the requests of the last 7 days that candidates served, 0 to 1.")
    ]
    states: Annotated[dict[str, int], Meta(description="How many endpoints are in each state; ignored ones are not.")]
    left_out: Annotated[int, Meta(description="Calls of endpoints that the ledger had no room for.")]


class RecordingStatus(Struct, frozen=True):
    """The recording that is under way."""

    who: str
    since: Time
    routes: Annotated[list[str] | None, Meta(description="Null: all, and what matches none.")]
    share: Annotated[float, Meta(description="Percent of the callers.")]
    redacted: bool
    pairs: int
    bytes: int
    dropped: dict[str, int]
    left_s: Annotated[float, Meta(description="Seconds until it ends by itself.")]


class ReceiverStatus(Struct, frozen=True):
    """The listener that takes mirrored requests of other proxies."""

    listen: str
    is_alone: Annotated[bool, Meta(description="Nothing else runs: no client connects, and there are no workers.")]
    received: Annotated[
        dict[str, int],
        Meta(
            description="What became of the requests: `compared`, `unmatched`, `unsafe`, `unsampled`, `shadow`,"
            " `dropped` or `malformed`."
        ),
    ]


class NodeStatus(Struct, frozen=True):
    """A node: one of the proxies that share a store."""

    node: Annotated[str, Meta(description="Its name: the key `node`, or the name of its host.")]
    version: Annotated[str, Meta(description="The version of its program.")]
    digest: Annotated[
        str,
        Meta(
            description="SHA-256 of the bytes of the routes.yaml in force, before variables. With `include` it is that"
            " of the digests of all files, routes.yaml first. `unknown`: none was valid since control started; empty:"
            " none was loaded yet."
        ),
    ]
    heard: Annotated[float, Meta(description="Seconds since it was heard, by the database.")]
    share: Annotated[
        float | None, Meta(description="Its share of all requests of the last minute, 0 to 1; null without requests.")
    ]
    leader: Annotated[bool, Meta(description="Whether it leads.")]
    is_odd: Annotated[bool, Meta(description="Whether its digest is another than that of most nodes.")] = False


class StatusDocument(Struct, frozen=True):
    """The state of a running proxy."""

    version: str
    listen: str
    is_draining: bool
    pid: ProcessIds
    workers: list[WorkerStatus]
    config: ConfigStatus
    kill_switch: KillSwitchStatus
    problems: Annotated[
        dict[str, str],
        Meta(
            description="What is wrong with `store`, `store_log`, `shadow`, `ledger`, `events`, `tracing`, `keys`,"
            " `node` or `engine`."
        ),
    ]
    upstreams: list[UpstreamStatus]
    routes: list[RouteStatus]
    unrouted: UnroutedStatus
    events: EventsStatus
    tracing: Annotated[TracingStatus | None, Meta(description="Null if no spans are sent.")]
    gates: GatesStatus = GatesStatus()
    slow: Annotated[dict[str, list[SlowEndpoint]], Meta(description="By route, the slowest endpoint first.")] = {}
    ledger: Annotated[LedgerStatus | None, Meta(description="Null if routes.yaml has `ledger: false`.")] = None
    recording: Annotated[RecordingStatus | None, Meta(description="Null if nothing is recorded.")] = None
    receiver: Annotated[ReceiverStatus | None, Meta(description="Null if no mirrored requests are taken.")] = None
    nodes: Annotated[list[NodeStatus], Meta(description="The nodes that share the store, by name.")] = []
    engine: EngineStatus = EngineStatus()
