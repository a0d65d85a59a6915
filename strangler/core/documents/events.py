"""Events of the store, the sinks and the API: CloudEvents 1.0."""

from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import Meta, Struct


class EventDocument(Struct, frozen=True):
    """One event in CloudEvents 1.0 JSON."""

    specversion: str
    id: str
    source: Annotated[str, Meta(description="The replica that it happened on: `//host/strangler`.")]
    type: Annotated[str, Meta(description="`route.shifted`, `breaker.opened`, …: see docs/events.md.")]
    subject: Annotated[str, Meta(description="A route, an upstream, `routes.yaml`, `kill_switch` or `store`.")]
    time: str
    datacontenttype: str
    partitionkey: Annotated[str, Meta(description="Events of one key stay in order.")]
    data: Annotated[Mapping[str, Any], Meta(description="The fields of this type of event.")]


class StoredEvent(Struct, frozen=True):
    """An event with its place in the store."""

    seq: Annotated[int, Meta(description="Grows with each event; use it as `after` of the next request.")]
    event: EventDocument


class EventsDocument(Struct, frozen=True):
    """Events, oldest first."""

    events: list[StoredEvent]


class DeadLetter(Struct, frozen=True):
    """An event that a sink refused for good."""

    sink: str
    seq: int
    died: Annotated[float, Meta(description="Unix time.")]
    reason: str
    event: EventDocument
