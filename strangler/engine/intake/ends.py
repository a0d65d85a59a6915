# Compiled with mypyc: see docs/hot-path.md.
"""How a request ended, in our words: from Envoy's flags and details of its response."""

from typing import Final

from strangler.core.fault import Fault
from strangler.core.http import problem

_FAULTS: Final = {fault.value: fault for fault in Fault}

_FLAGS: Final = (
    ("UO", Fault.FULL),
    ("UT", Fault.TIMEOUT),
    ("UH", Fault.OPEN),
    ("UF", Fault.CONNECT),
    ("NC", Fault.CONNECT),
    ("UPE", Fault.BAD_RESPONSE),
    ("UC", Fault.RESET),
    ("UR", Fault.RESET),
    ("LR", Fault.RESET),
    ("SI", Fault.TIMEOUT),
    ("DT", Fault.TIMEOUT),
)
"""The faults of upstreams by Envoy's flags; the first flag that a response has counts."""

_OWN: Final[dict[int, str]] = {
    400: problem.BAD_HEADER.fault,
    404: problem.BAD_TARGET.fault,
    408: problem.HEADER_TIMEOUT.fault,
    413: problem.BODY_TOO_LARGE.fault,
    414: problem.TARGET_TOO_LONG.fault,
    426: problem.UNKNOWN_VERSION.fault,
    431: problem.HEADER_TOO_LARGE.fault,
    501: problem.UNKNOWN_METHOD.fault,
}
"""The refusals by the status of a response that is Envoy's own."""

UNKNOWN: Final = "unknown"
"""The end of a response of Envoy's own for which we have no word."""

_VIA_UPSTREAM: Final = "via_upstream"
_CUT_SHORT: Final = "upstream_reset_after_response_started"
_RESET: Final = Fault.RESET
_CLIENT_GONE: Final = Fault.CLIENT_GONE
_CLIENT_TIMEOUT: Final = Fault.CLIENT_TIMEOUT
_CLIENT_PROTOCOL: Final = Fault.CLIENT_PROTOCOL


def fault_named(result: str) -> Fault | None:
    """Return the fault that a gate has named; None if it named a status, or nothing."""
    return _FAULTS.get(result)


def fault_of_flags(flags: str) -> Fault | None:
    """Return the fault of an upstream that flags stand for; None if they stand for none."""
    if not flags or flags == "-":
        return None
    found = flags.split(",")
    for flag, fault in _FLAGS:
        if flag in found:
            return fault
    return None


def has_own_response(end: Fault | str | None, status: int, details: str) -> bool:
    """Return True if the response was none of an upstream's: its bytes do not count, as in a worker."""
    return end is not None and end is not _CLIENT_GONE and status >= 400 and not details.startswith(_CUT_SHORT)


def end_of(status: int, flags: str, details: str, result: str, *, is_planned: bool) -> Fault | str | None:
    """Return the end of a request as the access log has it; None if its client has the whole response of an upstream.

    `result` is what a gate says of its attempt. `is_planned`: the request was read, and an arm chosen for it.
    """
    if "DC" in flags and "DC" in flags.split(","):
        return _CLIENT_GONE
    if result:
        named = _FAULTS.get(result)
        if named is not None:
            return named
    if details.startswith(_VIA_UPSTREAM):
        return None
    if details.startswith(_CUT_SHORT):
        return _RESET
    if is_planned:
        if status == 408:
            return _CLIENT_TIMEOUT
        if "DPE" in flags:
            return _CLIENT_PROTOCOL
        fault = fault_of_flags(flags)
        if fault is not None:
            return fault
    return _OWN.get(status, UNKNOWN)
