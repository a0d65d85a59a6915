"""The plan of a replay: where requests go and how, for people to read before the first one."""

from collections.abc import Iterator
from pathlib import Path

from strangler.cli._record_text import source_text
from strangler.core.replaying.caller_order import Speed
from strangler.core.routing.arm import AGGREGATE, LEGACY
from strangler.core.settings import Settings
from strangler.recordings.recorded import Header
from strangler.recordings.redact_in_place import key_id
from strangler.replay.destination import Destination, Destinations, ReplayedRoute
from strangler.replay.replay_settings import PROXY, ReplaySettings


def plan_lines(path: Path, header: Header, settings: Settings, how: ReplaySettings, key: bytes) -> Iterator[str]:
    """Yield the recording, its destinations by name and URL, and what is not sent. `key`: that of redaction here.

    Raises ReplayError for what cannot be meant.
    """
    destinations = Destinations(settings, how, key)
    routes = [route for name, route in destinations.routes.items() if not how.routes or name in how.routes]
    yield f"{path}: {source_text(header)}, {_secrets(header, key)}"
    if header.redacted:
        yield "secrets are learned from responses or given by --callers and --header; others are left out of requests"
    yield from _destinations(settings, how, destinations, routes)
    yield _pace(how.speed)
    yield from _writes(settings, how, destinations, routes)


def _secrets(header: Header, key: bytes) -> str:
    if not header.redacted:
        return "not redacted: it is sent with secrets as they were"
    if header.key != key_id(key):
        return f"redacted, key {header.key}, which is not here: all secrets in responses count as equal"
    return f"redacted, key {header.key}"


def _destinations(
    settings: Settings, how: ReplaySettings, destinations: Destinations, routes: list[ReplayedRoute]
) -> Iterator[str]:
    beside = "" if how.against == "recorded" else f", and to {_upstream(settings, LEGACY)}"
    if how.is_self:
        yield f"to {_upstream(settings, LEGACY)}, each request twice; what differs is proposed as accept rules"
    elif how.to == PROXY:
        yield f"to the proxy at {settings.listeners[0].address}{beside}, as requests of clients, without a mark"
    elif how.to is not None:
        yield f"to {_upstream(settings, how.to)}{beside}"
    else:
        for route in routes:
            yield f"route '{route.name}': to {_candidate(settings, route, destinations.upstream_of(route))}{beside}"


def _candidate(settings: Settings, route: ReplayedRoute, upstream: str) -> str:
    if upstream != AGGREGATE:
        return _upstream(settings, upstream)
    parts = dict.fromkeys(part.upstream for part in route.parts)
    return f"{AGGREGATE} of {', '.join(_upstream(settings, name) for name in parts)}"


def _upstream(settings: Settings, name: str) -> str:
    return f"{name} ({', '.join(map(str, settings.upstreams[name].urls))})"


def _pace(speed: Speed) -> str:
    if speed.rate is not None:
        return f"{speed.rate:g} requests a second"
    if speed.factor is None:
        return "as fast as responses come"
    return "as fast as recorded" if speed.factor == 1 else f"{speed.factor:g} times as fast as recorded"


def _writes(
    settings: Settings, how: ReplaySettings, destinations: Destinations, routes: list[ReplayedRoute]
) -> Iterator[str]:
    """Yield what becomes of requests that may change something."""
    found = {route.name: destinations.of_write(route) for route in routes}
    sent = {name: destination for name, destination in found.items() if isinstance(destination, Destination)}
    for name, destination in sent.items():
        how_sent = "as dry runs to" if destination.is_dry_run else "to the sandbox"
        yield f"writes of route '{name}': {how_sent} {_upstream(settings, destination.upstream)}"
    if len(sent) < len(found):
        others = " of other routes" if sent else ""
        yield f"writes{others} are not sent (a login, a new order){_way(how, routes)}"


def _way(how: ReplaySettings, routes: list[ReplayedRoute]) -> str:
    """Return how writes can be sent, too; empty if there is no way."""
    if how.writes is not None or how.is_self or how.to in (LEGACY, PROXY):
        return ""
    shadows = (route.settings.shadow for route in routes)
    has_sandbox = how.to is not None or any(shadow is not None and shadow.to is not None for shadow in shadows)
    to = "" if has_sandbox else "--to UPSTREAM "
    return f"; {to}--writes sandbox or --writes dry_run sends them"
