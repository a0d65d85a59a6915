"""The states of both kinds of connections. A state says what the next bytes mean; a table says what may follow it.

A pair of state and event that is not in its table is a bug, and an error that names both.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar


class ClientState(StrEnum):
    """What the next bytes from a client are."""

    HEAD = "head"  # the head of a request, or the rest of one; no request is under way
    BODY = "body"  # the body of the request that is under way
    RESPONSE = "response"  # the next request: it waits until this one, which is here whole, has its response
    DISCARD = "discard"  # dropped: no more is read of the request that is under way, but it still gets a response
    TUNNEL = "tunnel"  # those of another protocol
    CLOSING = "closing"  # dropped: the proxy ends the connection, and what was written is leaving
    CLOSED = "closed"  # none


class ClientEvent(StrEnum):
    """What moves a client's connection to another state; the texts label the arrows of the diagram."""

    REQUEST = "request without a body"
    UPLOAD = "request with a body"
    BODY_COMPLETE = "body complete"
    FAILED = "request refused or broken"
    RESPONSE_COMPLETE = "response complete, connection kept"
    SWITCHED = "protocol switched"
    ENDED = "ended by the proxy"
    LOST = "connection lost"


CLIENT_TRANSITIONS: Mapping[tuple[ClientState, ClientEvent], ClientState] = {
    (ClientState.HEAD, ClientEvent.REQUEST): ClientState.RESPONSE,
    (ClientState.HEAD, ClientEvent.UPLOAD): ClientState.BODY,
    (ClientState.HEAD, ClientEvent.FAILED): ClientState.DISCARD,
    (ClientState.HEAD, ClientEvent.ENDED): ClientState.CLOSING,
    (ClientState.HEAD, ClientEvent.LOST): ClientState.CLOSED,
    (ClientState.BODY, ClientEvent.BODY_COMPLETE): ClientState.RESPONSE,
    (ClientState.BODY, ClientEvent.FAILED): ClientState.DISCARD,
    (ClientState.BODY, ClientEvent.ENDED): ClientState.CLOSING,
    (ClientState.BODY, ClientEvent.LOST): ClientState.CLOSED,
    (ClientState.RESPONSE, ClientEvent.RESPONSE_COMPLETE): ClientState.HEAD,
    (ClientState.RESPONSE, ClientEvent.SWITCHED): ClientState.TUNNEL,
    (ClientState.RESPONSE, ClientEvent.FAILED): ClientState.DISCARD,
    (ClientState.RESPONSE, ClientEvent.ENDED): ClientState.CLOSING,
    (ClientState.RESPONSE, ClientEvent.LOST): ClientState.CLOSED,
    (ClientState.DISCARD, ClientEvent.FAILED): ClientState.DISCARD,  # the client leaves as well
    (ClientState.DISCARD, ClientEvent.ENDED): ClientState.CLOSING,
    (ClientState.DISCARD, ClientEvent.LOST): ClientState.CLOSED,
    (ClientState.TUNNEL, ClientEvent.ENDED): ClientState.CLOSING,
    (ClientState.TUNNEL, ClientEvent.LOST): ClientState.CLOSED,
    (ClientState.CLOSING, ClientEvent.ENDED): ClientState.CLOSING,  # cut, after a clean end was begun
    (ClientState.CLOSING, ClientEvent.LOST): ClientState.CLOSED,
    (ClientState.CLOSED, ClientEvent.FAILED): ClientState.CLOSED,  # the request under way learns that the client left
    (ClientState.CLOSED, ClientEvent.ENDED): ClientState.CLOSED,
}


class UpstreamState(StrEnum):
    """What the next bytes from an upstream are."""

    IDLE = "idle"  # a breach: nothing was asked for
    HEAD = "head"  # the head of a response, or the rest of one
    BODY = "body"  # the body of a response
    SWITCHED = "switched"  # those of another protocol; they wait until the tunnel is there
    TUNNEL = "tunnel"  # those of another protocol
    CLOSED = "closed"  # none


class UpstreamEvent(StrEnum):
    """What moves an upstream's connection to another state; the texts label the arrows of the diagram."""

    SENT = "request sent"
    RESPONSE = "head of a response with a body"
    COMPLETE = "response complete"
    SWITCHED = "protocol switched"
    JOINED = "tunnel begun"
    ENDED = "closed or lost"


UPSTREAM_TRANSITIONS: Mapping[tuple[UpstreamState, UpstreamEvent], UpstreamState] = {
    (UpstreamState.IDLE, UpstreamEvent.SENT): UpstreamState.HEAD,
    (UpstreamState.IDLE, UpstreamEvent.ENDED): UpstreamState.CLOSED,
    (UpstreamState.HEAD, UpstreamEvent.RESPONSE): UpstreamState.BODY,
    (UpstreamState.HEAD, UpstreamEvent.COMPLETE): UpstreamState.IDLE,
    (UpstreamState.HEAD, UpstreamEvent.SWITCHED): UpstreamState.SWITCHED,
    (UpstreamState.HEAD, UpstreamEvent.ENDED): UpstreamState.CLOSED,
    (UpstreamState.BODY, UpstreamEvent.COMPLETE): UpstreamState.IDLE,
    (UpstreamState.BODY, UpstreamEvent.ENDED): UpstreamState.CLOSED,
    (UpstreamState.SWITCHED, UpstreamEvent.JOINED): UpstreamState.TUNNEL,
    (UpstreamState.SWITCHED, UpstreamEvent.ENDED): UpstreamState.CLOSED,
    (UpstreamState.TUNNEL, UpstreamEvent.ENDED): UpstreamState.CLOSED,
    (UpstreamState.CLOSED, UpstreamEvent.ENDED): UpstreamState.CLOSED,
}

_State = TypeVar("_State", bound=StrEnum)
_Event = TypeVar("_Event", bound=StrEnum)


def next_state(table: Mapping[tuple[_State, _Event], _State], state: _State, event: _Event) -> _State:
    """Return the state after `event`. Raise `ValueError`, naming both, for a pair that is not in the table."""
    try:
        return table[state, event]
    except KeyError:
        raise ValueError(f"{type(state).__name__}: no transition from {state.name} on {event.name}") from None


AFTER_REQUEST = next_state(CLIENT_TRANSITIONS, ClientState.HEAD, ClientEvent.REQUEST)
AFTER_RESPONSE = next_state(CLIENT_TRANSITIONS, ClientState.RESPONSE, ClientEvent.RESPONSE_COMPLETE)
AFTER_SENT = next_state(UPSTREAM_TRANSITIONS, UpstreamState.IDLE, UpstreamEvent.SENT)
AFTER_COMPLETE = next_state(UPSTREAM_TRANSITIONS, UpstreamState.HEAD, UpstreamEvent.COMPLETE)
"""What every request goes through, looked up beforehand: saves 0.3 µs each."""


def diagram(table: Mapping[tuple[_State, _Event], _State], first: _State) -> str:
    """Return the table as a Mermaid state diagram, for docs/connections.md."""
    arrows = [f"    {before} --> {after}: {event}" for (before, event), after in table.items()]
    return "\n".join(["stateDiagram-v2", f"    [*] --> {first}", *arrows])
