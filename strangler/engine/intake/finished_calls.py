# Compiled with mypyc: see docs/hot-path.md.
"""A request that Envoy has served, as the call that a worker would have made of it."""

from typing import Final

from strangler.core.routing.arm import CANDIDATE_ARM, LEGACY, LEGACY_ARM, Reason
from strangler.core.routing.plan import UNPLANNED, Plan
from strangler.core.routing.route import Route
from strangler.core.routing.snapshot import Snapshot
from strangler.core.settings import Settings
from strangler.engine.intake.ends import end_of, has_own_response
from strangler.engine.intake.record_values import Record, bytes_of, number_of, status_of, text_of
from strangler.envoy.access_records import further_fields
from strangler.envoy.resource_names import gate_cluster, upstream_cluster
from strangler.http1.parse import RequestHeaders
from strangler.worker.call import Call
from strangler.worker.capture import NO_CAPTURE
from strangler.worker.trace import Trace

_REASONS: Final = {reason.value: reason for reason in Reason}
_REFUSED: Final = frozenset({Reason.RETIRED.value, Reason.BROWNOUT.value, Reason.MALFORMED_TARGET.value})
_UNPLANNED: Final = Reason.UNPLANNED
_LEGACY_CLUSTER: Final = upstream_cluster(LEGACY)
_LEGACY_CLUSTERS: Final = (f"{_LEGACY_CLUSTER}:", gate_cluster(f"{LEGACY}/"))
_FIELDS: Final = (("id", b"x-request-id"), ("ua", b"user-agent"), ("rf", b"referer"), ("ck", b"cookie"))
_TOO_LARGE: Final = 413


def is_legacy(cluster: str) -> bool:
    """Return True for a cluster that leads to legacy alone. No name of an upstream has a colon or a slash."""
    return cluster == _LEGACY_CLUSTER or cluster.startswith(_LEGACY_CLUSTERS)


Fields = tuple[tuple[str, bytes], ...]
"""Keys of a record with the lower-case names of the fields that they hold."""


def further_in(settings: Settings) -> Fields:
    """Return the fields of requests that records have besides: sticky ones, and those of the ledger."""
    found = further_fields(settings)
    return tuple([(key, name.lower().encode()) for key, name in found.items() if key != "ck"])


def finished_call(record: Record, snapshot: Snapshot, further: Fields) -> Call:
    """Return the call of a record. `further`: the fields that it may have besides."""
    headers = _headers(record, further)
    target = bytes_of(record, "p")
    path, mark, query = target.partition(b"?")
    method, client_ip, host = bytes_of(record, "m"), bytes_of(record, "ip"), bytes_of(record, "h")
    call = Call(method, target, path, query if mark else None, b"", client_ip, headers, host, False, None)
    call.snapshot = snapshot
    call.trace = Trace(headers)
    call.capture = NO_CAPTURE
    call.results = []
    call.started = 0.0
    call.no_fallback = call.no_retry = call.failed_parts = None
    call.status = status = status_of(record)
    call.has_response = status != 0
    call.sent_bytes = number_of(record, "bs")
    call.is_counted = bool(record.get("sh"))  # another proxy's shadow is nobody's call
    _judge(call, record, status)
    return call


def _headers(record: Record, further: Fields) -> RequestHeaders:
    """Return the fields of a request that Envoy was asked for."""
    headers = RequestHeaders.unread()
    headers.is_http10 = text_of(record, "v") == "HTTP/1.0"
    fields = headers.fields
    for key, name in _FIELDS:
        value = record.get(key)
        if value is not None:
            fields[name] = bytes_of(record, key)
    for key, name in further:
        value = record.get(key)
        if value is not None:
            fields[name] = bytes_of(record, key)
    return headers


def _judge(call: Call, record: Record, status: int) -> None:
    """Fill in where the request went, why, and how it ended."""
    reason, details, flags = text_of(record, "reason"), text_of(record, "cd"), text_of(record, "f")
    upstream = text_of(record, "up")
    call.attempts = number_of(record, "n")
    call.is_fallback = False
    call.arm = call.upstream = ""
    route = call.snapshot.routes.get(text_of(record, "route"))
    if reason in _REFUSED:
        call.plan = Plan(route, LEGACY_ARM, LEGACY, _REASONS[reason])
        call.end, call.attempts, call.sent_bytes = reason, 0, 0
        return
    is_unread = not reason or (not upstream and status == _TOO_LARGE)
    call.end = end_of(status, flags, details, text_of(record, "r"), is_planned=not is_unread)
    if has_own_response(call.end, status, details):
        call.sent_bytes = 0
    if is_unread:
        call.plan, call.attempts = UNPLANNED, 0
        return
    call.plan = plan = _plan(route, _REASONS.get(reason, _UNPLANNED), text_of(record, "cl"))
    call.attempts = max(1, call.attempts)
    if not upstream:  # none had an endpoint in use, or the client left before one was chosen
        call.arm, call.upstream = plan.arm, plan.upstream
        return
    call.arm, call.upstream = text_of(record, "arm"), upstream
    call.is_fallback = plan.arm is CANDIDATE_ARM and call.arm == LEGACY


def _plan(route: Route | None, reason: Reason, cluster: str) -> Plan:
    if route is None or is_legacy(cluster):
        return Plan(route, LEGACY_ARM, LEGACY, reason)
    return Plan(route, CANDIDATE_ARM, route.upstream, reason)
