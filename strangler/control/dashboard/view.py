"""The values that the pages show: made from the status of the API, the history of traffic, and the inbox."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec
from markupsafe import Markup

from strangler.control.dashboard.charts import Chart, svg
from strangler.control.history import HistoryState, Point, Recent
from strangler.core.documents import PassedGate, RolloutShort, SignatureRow, StatusDocument
from strangler.core.node_text import nodes_text
from strangler.core.retire_text import brownouts_text, refuses, retire_text
from strangler.core.routing.arm import Arm
from strangler.core.settings import RouteSettings, Settings
from strangler.core.slowness import slow_text
from strangler.store.evidence.reviews import OPEN_STATES
from strangler.store.evidence.stopped_routes import stopped_text

MAX_ROWS = 200
"""The most routes on one page; a search finds the others."""

SHORT_S = 300
"""The span of a chart of seconds, with a point for every five."""

_LONG_S = {900: 1, 3600: 1, 6 * 3600: 2, 86400: 5}
"""The spans of charts of minutes, and the minutes of each point."""

_HOUR_S, _DAY_S = 3600, 86400

_GRAVITY = {"open": 3, "half_open": 2, "closed": 1, "disabled": 0}


class Watched(Protocol):
    """The parts of control that are needed here."""

    history: HistoryState

    @property
    def settings(self) -> Settings: ...
    def status(self) -> StatusDocument: ...


@dataclass(frozen=True, slots=True)
class ArmView:
    """One arm of a route."""

    requests: int
    recent: Recent


@dataclass(frozen=True, slots=True)
class RouteView:
    """One row of the overview."""

    name: str
    match: str
    candidate: str
    owner: str | None
    percent: float
    is_enabled: bool
    is_passthrough: bool
    is_killed: bool  # the kill switch is on for it by itself
    legacy: ArmView
    candidate_arm: ArmView
    breaker: str  # the worst of the upstreams that it can go to except legacy
    breaker_reason: str | None
    in_flight: int
    waiting: int
    room: int | None  # the bulkhead's
    compared: int  # pairs of the current release that count, as judged now
    match_share: float | None
    stopped: str | None  # why its shadows stopped
    passed_by: str | None  # how its percent was raised past its gate
    slow: tuple[str, ...]  # endpoints where the candidate is much slower than legacy
    open_signatures: int
    breaking: int  # of the open signatures
    retire: str | None  # how it ends, in words
    refuses: str | None  # `brownout` or `retired`: no request reaches an arm
    brownouts: str  # that take place before its end, in words
    rollout: RolloutShort | None

    @property
    def requests(self) -> int:
        return self.legacy.requests + self.candidate_arm.requests


@dataclass(frozen=True, slots=True)
class ShareView:
    """The percentage of traffic that candidates serve, passthrough routes left out; None without traffic."""

    now: float | None
    since_start: float | None
    rate: float


@dataclass(frozen=True, slots=True)
class Overview:
    status: StatusDocument
    routes: Sequence[RouteView]
    hidden: int  # routes that are not shown
    unrouted: ArmView
    share: ShareView
    alarms: Sequence[str]


def overview(state: Watched, now: float, rows: Sequence[SignatureRow], search: str = "") -> Overview:
    """Return the overview. `rows`: the inbox. `search`: only routes whose name or match contains it."""
    status = state.status()
    found = [route for route in status.routes if search.lower() in f"{route.name} {route.match}".lower()]
    visible = msgspec.structs.replace(status, routes=found[:MAX_ROWS])
    unrouted = ArmView(status.unrouted.requests.legacy, state.history.recent(now, "", Arm.LEGACY.value))
    return Overview(
        status=status,
        routes=route_views(state, visible, now, rows),
        hidden=max(0, len(found) - MAX_ROWS),
        unrouted=unrouted,
        share=_share(state, now, status),
        alarms=_alarms(status),
    )


def route_view(state: Watched, name: str, now: float, rows: Sequence[SignatureRow]) -> RouteView | None:
    """Return the row of the named route, or None."""
    status = state.status()
    only = msgspec.structs.replace(status, routes=[route for route in status.routes if route.name == name])
    return next(iter(route_views(state, only, now, rows)), None)


def route_views(state: Watched, status: StatusDocument, now: float, rows: Sequence[SignatureRow]) -> list[RouteView]:
    """Return the rows of all routes, in the order of routes.yaml."""
    upstreams = {upstream.name: upstream for upstream in status.upstreams}
    still_open = [row for row in rows if row.state in OPEN_STATES and not row.is_noise]
    opened = Counter(row.route for row in still_open)
    breaking = Counter(row.route for row in still_open if row.severity == "breaking")
    by_name = {route.name: route for route in state.settings.routes}
    passed = status.gates.passed_by
    views = []
    for found in status.routes:
        route = by_name[found.name]
        worst = max((upstreams[name] for name in _upstream_names(route)), key=lambda slot: _GRAVITY[slot.breaker])
        bulkhead = state.settings.upstreams[worst.name].bulkhead
        recent = {arm: state.history.recent(now, route.name, arm.value) for arm in Arm}
        views.append(
            RouteView(
                name=route.name,
                match=found.match,
                candidate=found.candidate or "aggregate",
                owner=found.owner,
                percent=found.percent,
                is_enabled=found.enabled,
                is_passthrough=found.passthrough,
                is_killed=found.killed,
                legacy=ArmView(found.requests.legacy, recent[Arm.LEGACY]),
                candidate_arm=ArmView(found.requests.candidate, recent[Arm.CANDIDATE]),
                breaker=worst.breaker,
                breaker_reason=worst.breaker_reason,
                in_flight=worst.in_flight,
                waiting=worst.waiting,
                room=bulkhead.in_flight if bulkhead else None,
                compared=found.judged.pairs if found.judged else 0,
                match_share=found.judged.share if found.judged else None,
                stopped=found.shadow.stopped if found.shadow else None,
                slow=tuple(map(slow_text, status.slow.get(route.name, ()))),
                passed_by=passed_text(passed[route.name]) if route.name in passed else None,
                open_signatures=opened[route.name],
                breaking=breaking[route.name],
                retire=retire_text(found.retire) if found.retire else None,
                refuses=refuses(found),
                brownouts=brownouts_text(found.retire) if found.retire else "",
                rollout=found.rollout,
            )
        )
    return views


def _upstream_names(route: RouteSettings) -> list[str]:
    if route.candidate is not None:
        return [route.candidate]
    return [part.upstream for part in route.aggregate or ()]


def passthroughs(settings: Settings) -> list[str]:
    """Return the names of passthrough routes, whose traffic is not part of the candidates' share."""
    return [route.name for route in settings.routes if route.is_passthrough]


def _share(state: Watched, now: float, status: StatusDocument) -> ShareView:
    rates = {arm: state.history.recent(now, None, arm.value).rate for arm in Arm}
    for name in passthroughs(state.settings):
        rates[Arm.CANDIDATE] -= state.history.recent(now, name, Arm.CANDIDATE.value).rate
    moving = [route.requests for route in status.routes if not route.passthrough]
    legacy = sum(totals.legacy for totals in moving) + status.unrouted.requests.legacy
    candidate = sum(totals.candidate for totals in moving)
    return ShareView(
        _percent(rates[Arm.CANDIDATE], rates[Arm.LEGACY]), _percent(candidate, legacy), sum(rates.values())
    )


def _percent(part: float, rest: float) -> float | None:
    return 100 * part / (part + rest) if part + rest else None


def _alarms(status: StatusDocument) -> list[str]:
    """Return what is wrong, most severe first; the kill switch and routes.yaml are shown elsewhere."""
    alarms = [f"{part}: {problem}" for part, problem in status.problems.items()]
    silent = [worker for worker in status.workers if not worker.is_connected]
    if not status.workers or silent:
        alarms.append(f"{len(status.workers) - len(silent)} of {len(status.workers)} workers are connected")
    if status.is_draining:
        alarms.append("draining: no new connections are taken")
    if status.config.needs_restart:
        alarms.append(f"needs a restart to take effect: {', '.join(status.config.needs_restart)}")
    alarms += nodes_text(status.nodes)
    alarms += [passed_text(passed) for passed in status.gates.passed_by.values()]
    alarms += [f"route '{name}': {slow_text(found[0])}{_more(len(found) - 1)}" for name, found in status.slow.items()]
    alarms += [
        stopped_text(route.name, route.shadow.stopped)
        for route in status.routes
        if route.shadow and route.shadow.stopped
    ]
    for upstream in status.upstreams:
        if upstream.breaker == "open":
            alarms.append(f"breaker of {upstream.name} is open: {upstream.breaker_reason or 'too many failures'}")
        bad = [url for url, state in upstream.endpoints.items() if state == "unhealthy"]
        if bad:
            alarms.append(f"{upstream.name}: unhealthy: {', '.join(bad)}")
    return alarms


def _more(count: int) -> str:
    return f", and {count} more" if count else ""


def passed_text(passed: PassedGate) -> str:
    """Return how a route was raised past its gate, as the event `gate.passed_by` says."""
    return (
        f"route '{passed.route}' was raised from {passed.from_:g} % to {passed.to:g} % past its gate: {passed.verdict}"
    )


# Charts


def long_span_s(history: HistoryState, now: float) -> int:
    """Return the shortest span, from 15 minutes to a day, that holds the whole history."""
    return next((span_s for span_s in _LONG_S if history.age_s(now) <= span_s), max(_LONG_S))


def span_text(span_s: int) -> str:
    """Return `last 5 minutes`, `last hour` or `last 6 hours`."""
    if span_s < 3600:
        return f"last {span_s // 60} minutes"
    return "last hour" if span_s == 3600 else f"last {span_s // 3600} hours"


def share_spans_s(history: HistoryState, now: float, span: str) -> tuple[int, int]:
    """Return the spans of both charts of the candidates' share, for `minutes` or `hours`."""
    return (6 * _HOUR_S, _DAY_S) if span == "hours" else (SHORT_S, min(_HOUR_S, long_span_s(history, now)))


def share_charts(
    history: HistoryState, now: float, spans_s: Sequence[int], apart: Sequence[str] = ()
) -> list[tuple[str, Markup]]:
    """Return titles and charts of the candidates' share of all traffic except that of the routes `apart`."""
    charts = []
    for span_s in spans_s:
        legacy, candidate = _grouped(history, now, None, span_s)
        left_out = [_grouped(history, now, route, span_s)[1] for route in apart]
        title, series = span_text(span_s), {"candidate": _shares(legacy, candidate, left_out)}
        charts.append(
            (title, svg(Chart(f"Share of traffic served by candidates, {title}", series, span_s, _percent_text, 100)))
        )
    return charts


def route_charts(history: HistoryState, now: float, route: str, span_s: int) -> list[tuple[str, Markup]]:
    """Return the charts of a route: requests, errors and times of both arms, and the candidate's share."""
    legacy, candidate = _grouped(history, now, route, span_s)
    slot_s = _slots(span_s) * (1 if span_s == SHORT_S else 60)

    def both(of: Callable[[Point], float | None]) -> dict[str, list[tuple[float, float | None]]]:
        return {
            Arm.LEGACY.value: [(slot.age_s, of(slot)) for slot in legacy],
            Arm.CANDIDATE.value: [(slot.age_s, of(slot)) for slot in candidate],
        }

    charts = (
        ("requests per second", both(lambda slot: slot.requests / slot_s), _rate_text, None),
        ("responses with 5xx", both(_error_percent), _percent_text, None),
        ("95th percentile", both(lambda slot: None if slot.p95_s is None else 1000 * slot.p95_s), _ms_text, None),
        ("share served by the candidate", {"candidate": _shares(legacy, candidate)}, _percent_text, 100.0),
    )
    return [
        (title, svg(Chart(f"{title} of {route}", series, span_s, text, top))) for title, series, text, top in charts
    ]


def match_chart(timeline: Sequence[Mapping[str, int]], now: float, route: str) -> Markup | None:
    """Return the share of matching pairs by hour of the last day, as judged now, with gaps where nothing was compared;
    None if nothing was compared at all. `now`: Unix time."""
    hours = {row["at"]: _match_percent(row) for row in timeline}
    this_hour = int(now // _HOUR_S) * _HOUR_S
    points: list[tuple[float, float | None]] = []
    for begin in range(this_hour - _DAY_S + _HOUR_S, this_hour + 1, _HOUR_S):
        value = hours.get(begin)
        end = (max(0.0, now - begin - _HOUR_S), value)
        points += [(now - begin, value), end] if value is not None else [(now - begin, None)]
    if all(value is None for _, value in points):
        return None
    return svg(
        Chart(f"Match of {route} by hour, last 24 hours, as judged now", {"match": points}, _DAY_S, _percent_text, 100)
    )


def _match_percent(row: Mapping[str, int]) -> float | None:
    good = row.get("match", 0) + row.get("accepted", 0)
    return _percent(good, row.get("mismatch", 0))


def _grouped(history: HistoryState, now: float, route: str | None, span_s: int) -> tuple[list[Point], list[Point]]:
    """Return the points of legacy and of the candidate, as far back as the history reaches."""
    take = history.seconds if span_s == SHORT_S else history.minutes
    most = min(float(span_s), history.age_s(now) + 1)

    def points(arm: Arm) -> list[Point]:
        return _groups([slot for slot in take(now, route, arm.value) if slot.age_s <= most], _slots(span_s))

    return points(Arm.LEGACY), points(Arm.CANDIDATE)


def _slots(span_s: int) -> int:
    return _LONG_S.get(span_s, 5)


def _groups(points: Sequence[Point], size: int) -> list[Point]:
    """Merge each group of `size` points into one with their worst time; groups are aligned at the newest point."""
    found = []
    for end in range(len(points), 0, -size):
        part = points[max(0, end - size) : end]
        times = [slot.p95_s for slot in part if slot.p95_s is not None]
        found.append(
            Point(
                part[-1].age_s,
                sum(slot.requests for slot in part),
                sum(slot.errors for slot in part),
                max(times, default=None),
            )
        )
    return found[::-1]


def _shares(
    legacy: Sequence[Point], candidate: Sequence[Point], left_out: Sequence[Sequence[Point]] = ()
) -> list[tuple[float, float | None]]:
    """Return the candidate's share at each age, in percent, without the points in `left_out`."""
    requests = {slot.age_s: slot.requests for slot in legacy}
    served = {slot.age_s: slot.requests for slot in candidate}
    for each_point in (point for points in left_out for point in points):
        served[each_point.age_s] = max(0, served.get(each_point.age_s, 0) - each_point.requests)
    ages = sorted({*requests, *served}, reverse=True)
    return [(age, _percent(served.get(age, 0), requests.get(age, 0))) for age in ages]


def _error_percent(point: Point) -> float | None:
    return 100 * point.errors / point.requests if point.requests else None


def _percent_text(value: float) -> str:
    return f"{value:g}%"


def _rate_text(value: float) -> str:
    return f"{value:g}"


def _ms_text(value: float) -> str:
    return f"{value:g} ms"
