"""Access records: what Envoy tells of each request and of each failed attempt, as messages on a unix socket."""

from typing import Final

from strangler.core.settings import Settings
from strangler.envoy.extensions import CLUSTER, extension
from strangler.envoy.place import EnvoyPlace
from strangler.envoy.protection import MANY, thresholds
from strangler.envoy.resource_names import METADATA, TELEMETRY_CLUSTER
from strangler.envoy.resources import Resource
from strangler.envoy.retrying import RESULT_HEADER

REQUEST_TAG: Final = "request"
ATTEMPT_TAG: Final = "attempt"

_BY_HEADER: Final = "header:"
_ARM: Final = f"%UPSTREAM_METADATA({METADATA}:arm)%"
_UPSTREAM: Final = f"%UPSTREAM_METADATA({METADATA}:upstream)%"
_ROUTE: Final = f"%METADATA(ROUTE:{METADATA}:route)%"
_REQUEST: Final = {
    "t": "%START_TIME(%s.%6f)%",
    "d": "%COMMON_DURATION(DS_RX_BEG:DS_TX_END:us)%",
    "dm": "%DURATION%",
    "m": "%REQ(:METHOD)%",
    "p": "%REQ(:PATH)%",
    "h": "%REQ(:AUTHORITY)%",
    "v": "%PROTOCOL%",
    "ip": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    "s": "%RESPONSE_CODE%",
    "f": "%RESPONSE_FLAGS%",
    "cd": "%RESPONSE_CODE_DETAILS%",
    "n": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    "bs": "%BYTES_SENT%",
    "br": "%BYTES_RECEIVED%",
    "id": "%REQ(X-REQUEST-ID)%",
    "ua": "%REQ(USER-AGENT)%",
    "rf": "%REQ(REFERER)%",
    "route": _ROUTE,
    "reason": f"%METADATA(ROUTE:{METADATA}:reason)%",
    "gen": f"%METADATA(ROUTE:{METADATA}:gen)%",
    "arm": _ARM,
    "up": _UPSTREAM,
    "cl": "%UPSTREAM_CLUSTER%",
    "r": f"%DYNAMIC_METADATA({METADATA}:result)%",
    "sh": "%REQ(X-STRANGLER-SHADOW)%",
}
_ATTEMPT: Final = {
    "id": "%REQ(X-REQUEST-ID)%",
    "route": _ROUTE,
    "up": _UPSTREAM,
    "arm": _ARM,
    "s": "%RESPONSE_CODE%",
    "f": "%RESPONSE_FLAGS%",
    "r": f"%RESP({RESULT_HEADER.upper()})%",
}


def request_log(settings: Settings) -> Resource:
    """Return the logger of requests."""
    record = {**_REQUEST, **{key: f"%REQ({name.upper()})%" for key, name in further_fields(settings).items()}}
    return _logger(REQUEST_TAG, record)


def attempt_log() -> Resource:
    """Return the logger of attempts that failed, by a status of 5xx or without any."""
    has_failed = {
        "or_filter": {
            "filters": [
                {"response_flag_filter": {}},
                {"status_code_filter": {"comparison": {"op": "GE", "value": _number(500, "failed_status")}}},
            ]
        }
    }
    return {**_logger(ATTEMPT_TAG, _ATTEMPT), "filter": has_failed}


def telemetry_cluster(place: EnvoyPlace) -> Resource:
    """Return the cluster of the socket that records go to."""
    endpoint = {"endpoint": {"address": {"pipe": {"path": place.telemetry_socket}}}}
    return {
        "@type": CLUSTER,
        "name": TELEMETRY_CLUSTER,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": TELEMETRY_CLUSTER, "endpoints": [{"lb_endpoints": [endpoint]}]},
        "circuit_breakers": thresholds(MANY, MANY),
    }


def further_fields(settings: Settings) -> dict[str, str]:
    """Return the fields of requests that are recorded besides, by the keys of the record: what makes sticky keys of
    routes with a rollout, and what the ledger counts callers by."""
    found: dict[str, str] = {}
    for route in settings.routes:
        if route.rollout is None:
            continue
        for source in route.split.sticky:
            if source.kind == "header":
                found[f"k:{source.name}"] = source.name
            elif source.kind == "cookie":
                found["ck"] = "cookie"
    ledger = settings.ledger
    if ledger is None:
        return found
    if ledger.callers != "user-agent":
        found["c"] = ledger.callers
    names = [each.removeprefix(_BY_HEADER) for each in ledger.by if each.startswith(_BY_HEADER)]
    return found | {f"b:{name}": name for name in names}


def _logger(tag: str, record: dict[str, str]) -> Resource:
    return extension(
        "envoy.access_loggers.fluentd",
        "access_loggers.fluentd.v3.FluentdAccessLogConfig",
        cluster=TELEMETRY_CLUSTER,
        tag=tag,
        stat_prefix=tag,
        buffer_flush_interval="0.05s",
        buffer_size_bytes=65_536,
        retry_options={"backoff_options": {"base_interval": "0.05s", "max_interval": "0.5s"}},
        record=record,
    )


def _number(value: int, key: str) -> Resource:
    return {"default_value": value, "runtime_key": f"strangler.{key}"}
