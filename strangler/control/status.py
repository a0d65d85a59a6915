"""The document of `strangler status` and `/api/status`."""

import time
from collections.abc import Callable, Mapping
from typing import Final, Literal

from msgspec import UNSET

from strangler import __version__
from strangler.control.history import Recent
from strangler.control.links import LinksState
from strangler.control.reload import InForce
from strangler.control.retire_status import retire_status
from strangler.control.totals import Key, Vector
from strangler.core.documents import (
    ArmsRecent,
    ArmsRequests,
    ConfigStatus,
    EngineStatus,
    EventsStatus,
    GatesStatus,
    KillSwitchStatus,
    LedgerStatus,
    LegacyRecent,
    LegacyRequests,
    MatchFigures,
    NodeStatus,
    ProcessIds,
    ReceiverStatus,
    RecentFigures,
    RecordingStatus,
    RolloutShort,
    RouteKillSwitch,
    RouteStatus,
    ShadowStatus,
    SlowEndpoint,
    StatusDocument,
    TracingStatus,
    UnroutedStatus,
    UpstreamStatus,
    WorkerStatus,
)
from strangler.core.routing.arm import Arm
from strangler.core.settings import MatchSettings, RouteSettings, Settings, UpstreamSettings, Url
from strangler.ipc.messages import ProcessInfo
from strangler.state.kill_switch import KillSwitchState

_BREAKER_STATES = ("closed", "half_open", "open")
_ENDPOINT_STATES = ("in_use", "put_aside", "unhealthy")

_SERVING: Final = frozenset({"worker", "envoy"})
"""The roles of processes that clients' requests are the business of."""


def status(
    in_force: InForce,
    processes: list[ProcessInfo],
    links: LinksState,
    kill_switch: KillSwitchState,
    is_draining: bool,
    listen: str,
    problems: Mapping[str, str | None],
    shadow: Callable[[str], ShadowStatus | None],
    recent: Callable[[str, str], Recent],
    judged: Callable[[str], MatchFigures | None],
    events: EventsStatus,
    tracing: TracingStatus | None,
    gates: GatesStatus,
    slow: dict[str, list[SlowEndpoint]],
    ledger: LedgerStatus | None,
    rollout: Callable[[str], RolloutShort | None],
    recording: RecordingStatus | None,
    receiver: ReceiverStatus | None,
    nodes: list[NodeStatus],
    first: Settings | None = None,
) -> StatusDocument:
    """Return the status. `problems`: by part of control; None if it has none. `shadow`: by the name of a route.
    `recent`: by the name of a route, empty for requests without a route, and arm. `judged`: by the name of a route, its
    pairs as judged now; `comparisons` of its shadow are as judged when they were made. `first`: the settings that the
    proxy was started with, if others are in force."""
    totals, gauges = links.totals.values(), links.totals.gauges()
    counts = _counts(totals)
    settings = in_force.settings
    return StatusDocument(
        version=__version__,
        listen=listen,
        is_draining=is_draining,
        pid=_pids(processes),
        workers=[_worker(process, links) for process in processes if process.role in _SERVING],
        config=ConfigStatus(
            generation=in_force.generation,
            since=in_force.since,
            problems=list(in_force.problems),
            warnings=list(in_force.warnings),
            needs_restart=list(in_force.needs_restart),
        ),
        kill_switch=kill_switch_status(kill_switch, problems.get("store")),
        problems={part: problem for part, problem in problems.items() if problem is not None},
        upstreams=[_upstream(upstream, gauges, links.breaker_reasons) for upstream in settings.upstreams.values()],
        routes=[
            _route(route, counts, recent, shadow(route.name), judged(route.name), rollout(route.name), kill_switch)
            for route in settings.routes
        ],
        unrouted=UnroutedStatus(
            requests=LegacyRequests(counts.get(("", Arm.LEGACY.value), 0)),
            recent=LegacyRecent(_recent(recent("", Arm.LEGACY.value))),
        ),
        events=events,
        tracing=tracing,
        gates=gates,
        slow=slow,
        ledger=ledger,
        recording=recording,
        receiver=receiver,
        nodes=nodes,
        engine=_engine(settings.engine if first is None else first.engine, links),
    )


def _engine(name: Literal["builtin", "envoy"], links: LinksState) -> EngineStatus:
    """Return the state of the engine that the proxy was started with."""
    reported = links.engine
    if name == "builtin" or reported is None:
        return EngineStatus(name)
    return EngineStatus(name, reported.version or None, reported.pid, reported.problem or None)


def kill_switch_status(state: KillSwitchState, store_problem: str | None = None) -> KillSwitchStatus:
    """Return the kill switch as the API shows it. `store_problem`: why the store cannot be written."""
    routes = {name: RouteKillSwitch(killed.reason, killed.since) for name, killed in state.routes.items()}
    if not state.pending:
        return KillSwitchStatus(state.on, state.reason, state.since, routes)
    why = "the store has not taken it yet" if store_problem is None else f"the store is away ({store_problem})"
    return KillSwitchStatus(state.on, state.reason, state.since, routes, why, sorted(state.pending))


def _pids(processes: list[ProcessInfo]) -> ProcessIds:
    pids = {process.role: process.pid for process in processes}
    leaving = [process.pid for process in processes if process.role == "leaving"]
    return ProcessIds(
        supervisor=pids.get("supervisor", UNSET),
        control=pids.get("control", UNSET),
        workers=[process.pid for process in processes if process.role in _SERVING],
        leaving=leaving or UNSET,
    )


def _worker(process: ProcessInfo, links: LinksState) -> WorkerStatus:
    worker = links.workers.get(process.instance)
    return WorkerStatus(
        index=process.index,
        pid=process.pid,
        restarts=process.restarts,
        is_connected=worker is not None,
        generation=worker.generation if worker else None,
        silent_s=round(time.monotonic() - worker.heard, 1) if worker else None,
    )


def _upstream(upstream: UpstreamSettings, gauges: Mapping[Key, float], reasons: Mapping[str, str]) -> UpstreamStatus:
    state = int(gauges.get(("strangler_breaker_state", (upstream.name,)), 0))
    return UpstreamStatus(
        name=upstream.name,
        urls=list(map(str, upstream.urls)),
        endpoints={str(url): _ENDPOINT_STATES[_endpoint_figure(upstream, url, gauges)] for url in upstream.urls},
        breaker=_BREAKER_STATES[state] if upstream.breaker else "disabled",
        breaker_reason=reasons.get(upstream.name) if state else None,
        in_flight=int(gauges.get(("strangler_in_flight", (upstream.name,)), 0)),
        streams=int(gauges.get(("strangler_streams", (upstream.name,)), 0)),
        waiting=int(gauges.get(("strangler_waiting", (upstream.name,)), 0)),
    )


def _endpoint_figure(upstream: UpstreamSettings, url: Url, gauges: Mapping[Key, float]) -> int:
    return int(gauges.get(("strangler_endpoint_state", (upstream.name, str(url))), 0))


def _route(
    route: RouteSettings,
    counts: Mapping[tuple[str, str], int],
    recent: Callable[[str, str], Recent],
    shadow: ShadowStatus | None,
    judged: MatchFigures | None,
    rollout: RolloutShort | None,
    kill_switch: KillSwitchState,
) -> RouteStatus:
    name, legacy, candidate = route.name, Arm.LEGACY.value, Arm.CANDIDATE.value
    return RouteStatus(
        name=name,
        match=_match(route.match),
        candidate=route.candidate,
        parts=[part.upstream for part in route.aggregate] if route.aggregate is not None else None,
        owner=route.owner,
        passthrough=route.is_passthrough,
        enabled=route.enabled,
        percent=route.split.percent,
        requests=ArmsRequests(counts.get((name, legacy), 0), counts.get((name, candidate), 0)),
        recent=ArmsRecent(_recent(recent(name, legacy)), _recent(recent(name, candidate))),
        shadow=shadow,
        judged=judged,
        retire=retire_status(route, counts.get((name, ""), 0), is_killed=kill_switch.is_on_for(name), now=time.time()),
        killed=name in kill_switch.routes,
        rollout=rollout,
    )


def _recent(recent: Recent) -> RecentFigures:
    """Return the rate per second, and the share of 5xx, 0 to 1, and 95th percentile of the last minute."""
    return RecentFigures(
        rate=round(recent.rate, 2),
        errors=None if recent.error_share is None else round(recent.error_share, 5),
        p95_ms=None if recent.p95_s is None else round(recent.p95_s * 1000, 1),
    )


def _match(match: MatchSettings) -> str:
    """Return a match as text: `GET,HEAD shop.example.com/api/orders/*`."""
    path = match.path if match.path is not None else f"{(match.prefix or '').rstrip('/')}/*"
    return f"{','.join(match.methods)} {match.host or ''}{path}".strip()


def _counts(totals: Mapping[Key, Vector]) -> dict[tuple[str, str], int]:
    """Return the requests by route and arm."""
    counts: dict[tuple[str, str], int] = {}
    for (name, labels), (value, *_) in totals.items():
        if name == "strangler_requests_total":
            key = labels[0], labels[1]
            counts[key] = counts.get(key, 0) + int(value)
    return counts
