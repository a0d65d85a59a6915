"""One event, and its form on the wire: CloudEvents 1.0 in JSON (structured mode)."""

import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from urllib.parse import quote

import msgspec

from strangler.core.documents import EventDocument
from strangler.store.evidence.ulid import ulid
from strangler.times import rfc3339

CONTENT_TYPE: Final = "application/cloudevents+json"


class Kind(StrEnum):
    """The kinds of events. The subject is a route, an upstream (breakers), the name in a certificate, or `routes.yaml`,
    `kill_switch`, `store`."""

    ROUTE_SHIFTED = "route.shifted"
    ROUTES_RELOADED = "routes.reloaded"
    ROUTES_REJECTED = "routes.rejected"
    BREAKER_OPENED = "breaker.opened"
    BREAKER_CLOSED = "breaker.closed"
    KILL_SWITCH = "kill_switch"
    SIGNATURE_NEW = "signature.new"
    SIGNATURE_REGRESSED = "signature.regressed"
    ROUTE_READY = "route.ready"
    CANDIDATE_SLOW = "candidate.slow"
    CANDIDATE_SLOW_OVER = "candidate.slow_over"
    GATE_PASSED_BY = "gate.passed_by"
    CERTIFICATE_EXPIRING = "certificate.expiring"
    RETIRE_BROWNOUT_BEGAN = "retire.brownout_began"
    RETIRE_BROWNOUT_ENDED = "retire.brownout_ended"
    RETIRE_SUNSET = "retire.sunset"
    ROLLOUT_STEPPED = "rollout.stepped"
    ROLLOUT_WAITING = "rollout.waiting"
    ROLLOUT_FAILED = "rollout.failed"
    ROLLOUT_DONE = "rollout.done"
    RELEASE_CHANGED = "release.changed"
    SHADOW_HALTED = "shadow.halted"
    SHADOW_RESUMED = "shadow.resumed"
    SHADOW_STOPPED = "shadow.stopped"
    SHADOW_STARTED = "shadow.started"
    STORE_AWAY = "store.away"
    STORE_BACK = "store.back"
    COMPARISON = "shadow.comparison"
    """Only sent to the topic of comparisons, never stored as an event."""


@dataclass(frozen=True, slots=True)
class Event:
    """`subject` is what the event is about, and its key: events of one subject stay in order."""

    kind: Kind
    subject: str
    data: Mapping[str, Any]
    at: float  # Unix time
    id: str


def event(kind: Kind, subject: str, data: Mapping[str, Any], at: float | None = None) -> Event:
    """Return a new event, of now unless `at` gives a Unix time."""
    moment = time.time() if at is None else at
    return Event(kind, subject, data, moment, ulid(moment))


def source_of(node: str) -> str:
    """Return the `source` attribute: a URI reference that distinguishes nodes by their name, else by their host."""
    return f"//{quote(node or socket.gethostname(), safe='')}/strangler"


def encode(this_event: Event, source: str) -> bytes:
    """Return the event as CloudEvents JSON; `partitionkey` is that of the partitioning extension."""
    return msgspec.json.encode(
        EventDocument(
            specversion="1.0",
            id=this_event.id,
            source=source,
            type=this_event.kind.value,
            subject=this_event.subject,
            time=rfc3339(this_event.at),
            datacontenttype="application/json",
            partitionkey=this_event.subject,
            data=this_event.data,
        )
    )
