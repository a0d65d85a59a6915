"""What `strangler status` and `/api/status` say, as plain data."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from strangler import __version__
from strangler.control.history import Recent
from strangler.control.links import LinksState
from strangler.control.reload import InForce
from strangler.control.totals import Key, Vector
from strangler.core.plan import Arm
from strangler.core.settings import MatchSettings, RouteSettings, UpstreamSettings, Url
from strangler.state.kill_switch import KillSwitchState
from strangler.wire.messages import ProcessInfo

_BREAKER_STATES = ("closed", "half_open", "open")
_ENDPOINT_STATES = ("in_use", "put_aside", "unhealthy")


def status(
    in_force: InForce,
    processes: list[ProcessInfo],
    links: LinksState,
    kill_switch: KillSwitchState,
    is_draining: bool,
    listen: str,
    problems: Mapping[str, str | None],
    shadow: Callable[[str], dict[str, Any] | None],
    recent: Callable[[str, str], Recent],
    judged: Callable[[str], dict[str, Any] | None],
) -> dict[str, Any]:
    """`problems`: what is wrong with parts of control, by part; None if nothing is. `shadow`: of a route by name.
    `recent`: how a route and arm do at the moment; the empty name is of what no route matched. `judged`: of a route by
    name, its pairs as they are judged now; `comparisons` of its shadow are as judged then."""
    totals, gauges = links.totals.values(), links.totals.gauges()
    counts = _counts(totals)
    settings = in_force.settings
    return {
        "version": __version__,
        "listen": listen,
        "is_draining": is_draining,
        "pid": _pids(processes),
        "workers": [_worker(process, links) for process in processes if process.role == "worker"],
        "config": {
            "generation": in_force.generation,
            "since": in_force.since,
            "problems": list(in_force.problems),
            "warnings": list(in_force.warnings),
            "needs_restart": list(in_force.needs_restart),
        },
        "kill_switch": {"on": kill_switch.on, "reason": kill_switch.reason, "since": kill_switch.since},
        "problems": {part: problem for part, problem in problems.items() if problem is not None},
        "upstreams": [_upstream(upstream, gauges, links.breaker_reasons) for upstream in settings.upstreams.values()],
        "routes": [
            _route(route, counts)
            | {"recent": {arm.value: _recent(recent(route.name, arm.value)) for arm in Arm}}
            | {"shadow": shadow(route.name), "judged": judged(route.name)}
            for route in settings.routes
        ],
        "unrouted": {
            "requests": {Arm.LEGACY.value: counts.get(("", Arm.LEGACY.value), 0)},
            "recent": {Arm.LEGACY.value: _recent(recent("", Arm.LEGACY.value))},
        },
    }


def _pids(processes: list[ProcessInfo]) -> dict[str, Any]:
    pids: dict[str, Any] = {
        process.role: process.pid for process in processes if process.role in ("supervisor", "control")
    }
    workers = [process.pid for process in processes if process.role == "worker"]
    leaving = [process.pid for process in processes if process.role == "leaving"]
    return pids | {"workers": workers} | ({"leaving": leaving} if leaving else {})


def _worker(process: ProcessInfo, links: LinksState) -> dict[str, Any]:
    worker = links.workers.get(process.instance)
    return {
        "index": process.index,
        "pid": process.pid,
        "restarts": process.restarts,
        "is_connected": worker is not None,
        "generation": worker.generation if worker else None,
        "silent_s": round(time.monotonic() - worker.heard, 1) if worker else None,
    }


def _upstream(upstream: UpstreamSettings, gauges: Mapping[Key, float], reasons: Mapping[str, str]) -> dict[str, Any]:
    state = int(gauges.get(("strangler_breaker_state", (upstream.name,)), 0))
    return {
        "name": upstream.name,
        "urls": list(map(str, upstream.urls)),
        "endpoints": {str(url): _ENDPOINT_STATES[_endpoint_figure(upstream, url, gauges)] for url in upstream.urls},
        "breaker": _BREAKER_STATES[state] if upstream.breaker else "disabled",
        "breaker_reason": reasons.get(upstream.name) if state else None,
        "in_flight": int(gauges.get(("strangler_in_flight", (upstream.name,)), 0)),
        "streams": int(gauges.get(("strangler_streams", (upstream.name,)), 0)),
        "waiting": int(gauges.get(("strangler_waiting", (upstream.name,)), 0)),
    }


def _endpoint_figure(upstream: UpstreamSettings, url: Url, gauges: Mapping[Key, float]) -> int:
    return int(gauges.get(("strangler_endpoint_state", (upstream.name, str(url))), 0))


def _route(route: RouteSettings, counts: Mapping[tuple[str, str], int]) -> dict[str, Any]:
    return {
        "name": route.name,
        "match": _match(route.match),
        "candidate": route.candidate,
        "parts": [part.upstream for part in route.aggregate] if route.aggregate is not None else None,
        "owner": route.owner,
        "passthrough": route.is_passthrough,
        "enabled": route.enabled,
        "percent": route.split.percent,
        "requests": {arm.value: counts.get((route.name, arm.value), 0) for arm in Arm},
    }


def _recent(recent: Recent) -> dict[str, Any]:
    """Requests a second; of the last minute the share of 5xx, 0 to 1, and the 95th percentile of the time taken."""
    return {
        "rate": round(recent.rate, 2),
        "errors": None if recent.error_share is None else round(recent.error_share, 5),
        "p95_ms": None if recent.p95_s is None else round(recent.p95_s * 1000, 1),
    }


def _match(match: MatchSettings) -> str:
    """`GET,HEAD shop.example.com/api/orders/*`"""
    path = match.path if match.path is not None else f"{(match.prefix or '').rstrip('/')}/*"
    return f"{','.join(match.methods)} {match.host or ''}{path}".strip()


def _counts(totals: Mapping[Key, Vector]) -> dict[tuple[str, str], int]:
    """Requests by route and arm."""
    counts: dict[tuple[str, str], int] = {}
    for (name, labels), (value, *_) in totals.items():
        if name == "strangler_requests_total":
            key = labels[0], labels[1]
            counts[key] = counts.get(key, 0) + int(value)
    return counts
