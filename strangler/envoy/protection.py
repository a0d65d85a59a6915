"""The protection of an upstream: circuit breakers from its bulkhead, outlier detection from its breaker, and checks."""

from typing import Final

from strangler.core.routing.arm import LEGACY
from strangler.core.settings import BreakerSettings, BulkheadSettings, HealthSettings, RetrySettings, UpstreamSettings
from strangler.envoy.header_values import header_value, literal
from strangler.envoy.resources import Resource
from strangler.envoy.units import duration

MANY: Final = 1_000_000
"""A number that is no limit. The defaults of Envoy are 1024, and 3 for retries."""

RETRIES_AT_LEAST: Final = 3
"""The retries at once that are always allowed."""

_BAD_STATUSES: Final = range(500, 600)


def circuit_breakers(bulkhead: BulkheadSettings | None, retry: RetrySettings | None) -> Resource:
    """Return the thresholds of an upstream, all of them. Endless streams have the priority HIGH and its thresholds.
    Retries are a share of the requests that are under way.

    A connection that is being opened takes the same queue as a request that waits, so `waiting` cannot be its length:
    a burst on a cold pool would be refused.
    """
    breakers = thresholds(MANY, MANY)
    if bulkhead is not None:
        breakers = thresholds(bulkhead.in_flight, bulkhead.streams or MANY)
    if retry is not None:
        budget = {"budget_percent": {"value": 100 * retry.budget}, "min_retry_concurrency": RETRIES_AT_LEAST}
        for each in breakers["thresholds"]:
            each["retry_budget"] = budget
    return breakers


def thresholds(requests: int, streams: int, connections: int = MANY) -> Resource:
    """Return thresholds with every number: the most requests at once, and the most endless streams."""
    return {"thresholds": [_threshold("DEFAULT", requests, connections), _threshold("HIGH", streams, connections)]}


def _threshold(priority: str, requests: int, connections: int) -> Resource:
    return {
        "priority": priority,
        "max_requests": requests,
        "max_connections": connections,
        "max_pending_requests": MANY,
        "max_retries": MANY,
        "max_connection_pools": MANY,
    }


def panic_threshold(upstream: str) -> Resource:
    """Return from which share of healthy endpoints on only those are used: of a candidate at once, so that legacy
    takes over; for legacy nothing can, so when none is left all are used."""
    return {"healthy_panic_threshold": {"value": 1 if upstream == LEGACY else 0}}


def outlier_detection(breaker: BreakerSettings | None) -> Resource:
    """Return what takes an endpoint out of use for a while."""
    if breaker is None:
        return _no_detection()
    tick_s = breaker.cooldown_s if not breaker.failure_rate else min(breaker.cooldown_s, breaker.window_s)
    return {
        **_no_detection(),
        "consecutive_5xx": breaker.consecutive or MANY,
        "enforcing_consecutive_5xx": 100 if breaker.consecutive else 0,
        "failure_percentage_threshold": max(1, round(100 * (breaker.failure_rate or 1.0))),
        "enforcing_failure_percentage": 100 if breaker.failure_rate else 0,
        "failure_percentage_minimum_hosts": 1,
        "failure_percentage_request_volume": breaker.min_requests,
        "interval": duration(tick_s),
        "base_ejection_time": duration(breaker.cooldown_s),
        "max_ejection_time": duration(max(breaker.max_cooldown_s, breaker.cooldown_s)),
    }


def _no_detection() -> Resource:
    """Return a detection that ejects nothing, with all numbers whose defaults would eject."""
    return {
        "enforcing_consecutive_5xx": 0,
        "enforcing_consecutive_gateway_failure": 0,
        "enforcing_success_rate": 0,
        "enforcing_failure_percentage": 0,
        "max_ejection_percent": 100,
        "successful_active_health_check_uneject_host": False,
    }


def error_matcher(breaker: BreakerSettings | None) -> Resource | None:
    """Return which statuses count as failures; None for all of 5xx, Envoy's own choice. Faults always count."""
    if breaker is None:
        return None
    statuses = sorted(each for each in breaker.counts if isinstance(each, int))
    if statuses == list(_BAD_STATUSES):
        return None
    pattern = "|".join(map(str, statuses)) or "none"
    header = {"name": ":status", "string_match": {"safe_regex": {"regex": pattern}}}
    return {"error_matcher": {"http_response_headers_match": {"headers": [header]}}}


def health_check(upstream: UpstreamSettings, health: HealthSettings) -> Resource:
    """Return the check of an upstream's endpoints. A check of an unused one comes as often as of any other."""
    base = upstream.urls[0].path.rstrip("/")
    return {
        "timeout": duration(health.timeout_s),
        "interval": duration(health.interval_s),
        "no_traffic_interval": duration(health.interval_s),
        "interval_jitter_percent": 10,
        "unhealthy_threshold": health.fall,
        "healthy_threshold": health.rise,
        "reuse_connection": False,
        "http_health_check": {
            "path": base + health.path,
            "expected_statuses": [{"start": 200, "end": 400}],
            "request_headers_to_add": [header_value(name, literal(value)) for name, value in upstream.headers.set],
            "codec_client_type": "HTTP2" if upstream.http2 else "HTTP1",
        },
    }
