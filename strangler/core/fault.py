"""The faults of an attempt, named once: logs, metrics, breakers and problem responses use the same names."""

from enum import StrEnum


class Fault(StrEnum):
    """A fault, named by phase and party. The first six concern the upstream (DESIGN section 8), the rest the client."""

    CONNECT = "connect"  # refused, unreachable, no such name, TLS failure, or not connected in time: nothing was sent
    RESET = "reset"  # the connection broke after bytes of the request may have left
    TIMEOUT = "timeout"  # no response head, or no further byte, in time
    BAD_RESPONSE = "bad_response"  # the response is not HTTP that the proxy would pass on
    OPEN = "open"  # the breaker is open: nothing was sent
    FULL = "full"  # the bulkhead is full: nothing was sent
    CLIENT_GONE = "client_gone"  # the client left before its response was complete
    CLIENT_TIMEOUT = "client_timeout"  # the client stopped sending, or reading, for longer than `idle`
    CLIENT_PROTOCOL = "client_protocol"  # the request's body broke the rules of its framing
    TOO_LARGE = "too_large"  # the request's body is over limits.request_body

    @property
    def is_upstream(self) -> bool:
        """Return True for a fault of the upstream itself, which counts against it."""
        return self in _UPSTREAM

    @property
    def is_unsent(self) -> bool:
        """Return True if the request provably never reached the upstream: any method may be tried elsewhere."""
        return self in _UNSENT


_UPSTREAM = frozenset({Fault.CONNECT, Fault.RESET, Fault.TIMEOUT, Fault.BAD_RESPONSE})
_UNSENT = frozenset({Fault.CONNECT, Fault.OPEN, Fault.FULL})
