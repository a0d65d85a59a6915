"""The raw cases that the engine Envoy treats otherwise than the built-in one, and what it does instead.

They are those of an Envoy with its defaults, but for what its rendered settings mend, and what they bring with them.
"""

from typing import Final

from tests.http1 import envoy_cases, test_raw_framing, test_raw_requests, test_raw_responses
from tests.http1.raw import Case

_MENDED: Final = frozenset({"method M-SEARCH", "forged Forwarded"})
_ANY_METHOD: Final = "passes any method on"
_CASE: Final = "gives repeated fields the case of the first"
_TWICE: Final = "refuses it, too, and asks a second time: a response that cannot be read counts as a reset"

REQUESTS: Final = {
    **{name: why for name, why in envoy_cases.REQUESTS.items() if name not in _MENDED},
    **dict.fromkeys(
        (
            "unknown method ECHOBREW",
            "unknown method GETT",
            "unknown method GE",
            "unknown method get",
            "unknown method Get",
            "unknown method X!#$%&'*+-.^_`|~1",
        ),
        _ANY_METHOD,
    ),
    "duplicates": _CASE,
    "host with port": "puts Host first",
}

RESPONSES: Final = {
    **envoy_cases.RESPONSES,
    "many Set-Cookie": _CASE,
    **dict.fromkeys(
        (
            "Content-Length and chunked",
            "chunked and Content-Length",
            "two different Content-Length",
            "a list of different Content-Length",
            "Content-Length: -5",
            "Content-Length: +5",
            "Content-Length: 0x5",
            "Content-Length empty",
            "Content-Length beyond 64 bits",
            "gzip, chunked",
            "chunked twice",
            "chunked in two fields",
            "identity",
            "xchunked",
            "chunked with a vertical tab",
            "status b'2xx OK'",
            "status b'-20 OK'",
            "status b''",
            "no version",
            "another protocol",
            "field without a colon",
            "space before the colon",
            "empty field name",
            "NUL in a value",
            "control byte in a value",
            "bare LF, and two framings",
            "bare LF and no HTTP",
            "control byte in the reason",
            "high byte in a name",
            "head over 256 KiB",
        ),
        _TWICE,
    ),
}

FRAMING: Final = envoy_cases.FRAMING

TABLES: Final[tuple[tuple[list[Case], dict[str, str]], ...]] = (
    (test_raw_requests.CASES, REQUESTS),
    (test_raw_responses.CASES, RESPONSES),
    (test_raw_framing.CASES, FRAMING),
)
"""Each table of cases with the names of those that differ."""
