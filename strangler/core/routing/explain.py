"""A plan in words, for `strangler explain` and `/api/explain`, made by the same function as in the worker."""

import math

from strangler.core.documents import ExplainedPart, ExplainedTimeout, Explanation
from strangler.core.http.head import RequestHead
from strangler.core.retire_settings import utc_text
from strangler.core.routing.arm import BUCKETS, LEGACY, Arm, Reason
from strangler.core.routing.plan import Plan, shadow_percent
from strangler.core.routing.rewrite import rewrite_target
from strangler.core.routing.route import Route
from strangler.core.routing.snapshot import Snapshot
from strangler.core.settings import StickySource


def explain(
    snapshot: Snapshot,
    head: RequestHead,
    killed: bool = False,
    now: float = -math.inf,
    killed_routes: frozenset[str] = frozenset(),
) -> Explanation:
    """Return what `snapshot.plan` decides for the request, and why. Where chance decides, the likelier arm is given.

    `now`: Unix time, for a route that ends; without it, its end is still to come. `killed`, `killed_routes`: whether
    the kill switch is on, and the routes that it is on for by themselves.
    """
    plan = snapshot.plan(head, _likelier, killed, lambda: now, killed_routes)
    is_refused = plan.refusal is not None
    percent = _shadow_percent(plan, head)
    return Explanation(
        route=plan.route.name if plan.route else None,
        owner=plan.route.settings.owner if plan.route else None,
        arm=None if is_refused else plan.arm.value,
        upstream=None if is_refused else plan.upstream,
        reason=plan.reason.value,
        bucket=plan.bucket,
        path=None if is_refused else _path(snapshot, plan, head),
        parts=_parts(snapshot, plan, head) if plan.parts else None,
        timeouts=None if is_refused or plan.parts else _timeouts(snapshot, plan.upstream, plan),
        shadow=percent > 0,
        shadow_percent=percent,
        detail=_detail(plan, head, killed) + _end(plan, now),
    )


def _likelier() -> float:
    return 0.5


def _shadow_percent(plan: Plan, head: RequestHead) -> float:
    if plan.route is None or plan.refusal is not None or plan.reason in (Reason.DISABLED, Reason.KILL_SWITCH):
        return 0.0
    return shadow_percent(plan.route, head.method, plan.arm)


def _path(snapshot: Snapshot, plan: Plan, head: RequestHead) -> str:
    """Return the path that is sent, to the first URL if the upstream has several."""
    rewrite = plan.route.rewrite if plan.route and plan.arm is Arm.CANDIDATE else None
    return _text(rewrite_target(head.path, rewrite, _base(snapshot, plan.upstream)))


def _parts(snapshot: Snapshot, plan: Plan, head: RequestHead) -> list[ExplainedPart]:
    return [
        ExplainedPart(
            name=part.name,
            upstream=part.upstream,
            path=_text(rewrite_target(part.target(head.path, None), None, _base(snapshot, part.upstream))),
            required=part.is_required,
            timeout_s=part.timeout_s,
            timeouts=_timeouts(snapshot, part.upstream, plan),
        )
        for part in plan.parts
    ]


def _timeouts(snapshot: Snapshot, upstream: str, plan: Plan) -> dict[str, ExplainedTimeout]:
    """Return the timeouts of the route for its candidate, if any, else the upstream's, as `worker.policies` does."""
    own = plan.route.settings.timeouts if plan.route is not None and plan.arm is Arm.CANDIDATE else None
    held = own or snapshot.settings.upstreams[upstream].timeouts
    seconds = (held.connect_s, held.response_s, held.idle_s)
    return {
        name: ExplainedTimeout(seconds=limit, source=source)
        for name, limit, source in zip(("connect", "response", "idle"), seconds, held.sources, strict=True)
    }


def _base(snapshot: Snapshot, name: str) -> bytes:
    upstream = snapshot.settings.upstreams.get(name)
    return upstream.urls[0].path.encode() if upstream else b""


def _detail(plan: Plan, head: RequestHead, killed: bool) -> str:
    if plan.route is None:
        return _why_unrouted(plan, head)
    if plan.refusal is not None:
        return f"route '{plan.route.name}' refuses with {plan.refusal.status}, and asks neither arm"
    split = plan.route.settings.split
    if plan.route.settings.candidate == LEGACY and plan.reason is Reason.PERCENT:
        leads = "has candidate: legacy" if plan.route.settings.retire is None else "leads to legacy"
        return f"route '{plan.route.name}' {leads}"
    if plan.route.settings.is_passthrough and plan.reason is Reason.PERCENT:
        return f"route '{plan.route.name}' has passthrough: {plan.route.settings.candidate}"
    match plan.reason:
        case Reason.KILL_SWITCH if killed:
            return "the kill switch is on: every route goes to legacy"
        case Reason.KILL_SWITCH:
            return f"the kill switch is on for route '{plan.route.name}': all its requests go to legacy"
        case Reason.DISABLED:
            return f"route '{plan.route.name}' has enabled: false"
        case Reason.OVERRIDE:
            return f"header {split.override} names {_arm(plan.arm)}"
        case Reason.SPLIT_HEADER:
            return f"header {_split_header(plan.route, head)} is one of split.headers"
        case Reason.CHANCE:
            return _by_chance(plan.route)
        case _:
            return _by_percent(plan, plan.route, head)


def _end(plan: Plan, now: float) -> str:
    """Return what `retire` of the route means for the request; nothing for a route that stays."""
    retire = None if plan.route is None else plan.route.settings.retire
    if retire is None:
        return ""
    window, sunset = retire.brownout_at(now), utc_text(retire.sunset)
    brownout = "" if window is None else f"a brownout from {utc_text(window.begins)} to {utc_text(window.ends)}"
    if plan.refusal is not None:
        return f": {brownout or f'its sunset was {sunset}'}"
    if window is not None or now >= retire.sunset:
        return f"; {brownout or f'its sunset, {sunset},'} has no effect meanwhile"
    return f"; its sunset is {sunset}"


def _why_unrouted(plan: Plan, head: RequestHead) -> str:
    if plan.oddity is None:
        return f"no route matches {_text(head.method)} {_text(head.path)}: legacy takes it"
    if plan.refusal is not None:
        return f"{plan.oddity}: refused with {plan.refusal.status}"
    return f"{plan.oddity}: legacy takes it, byte for byte"


def _split_header(route: Route, head: RequestHead) -> str:
    found = (f"{_text(name)}: {_text(value)}" for name, value in route.split_headers if head.fields.get(name) == value)
    return next(found)


def _by_chance(route: Route) -> str:
    split = route.settings.split
    why = (
        f"none of {', '.join(map(_source, split.sticky))} is present"
        if split.sticky
        else "the split has no sticky keys"
    )
    rollout = "" if route.settings.rollout is None else ", as far as its rollout is"
    return f"{why}: by chance, {split.percent:g}% of such requests go to the candidate{rollout}"


def _by_percent(plan: Plan, route: Route, head: RequestHead) -> str:
    split = route.settings.split
    if plan.bucket is None:
        if route.settings.rollout is not None:
            return (
                f"the rollout of group '{split.group}' is at {split.percent:g}%: every request goes to {_arm(plan.arm)}"
            )
        return f"split.percent is {split.percent:g}: every request goes to {_arm(plan.arm)}"
    source = _source(route.split.source_of(head))
    where = "is below" if plan.arm is Arm.CANDIDATE else "is not below"
    group = f"group '{split.group}'" if route.settings.rollout is None else f"the rollout of group '{split.group}'"
    return f"bucket {plan.bucket} of {BUCKETS} for {source} {where} {split.percent:g}% of {group}"


def _arm(arm: Arm) -> str:
    return "the candidate" if arm is Arm.CANDIDATE else "legacy"


def _source(source: StickySource) -> str:
    return "the client's address" if source.kind == "client_ip" else f"{source.kind} {source.name}"


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")
