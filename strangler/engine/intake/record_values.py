# Compiled with mypyc: see docs/hot-path.md.
"""Access records as Envoy sends them, and their values. Whatever a record has, reading it never raises."""

from typing import Final

Record = dict[str, object]
"""One record: its keys are those of `strangler.envoy.access_records`; a value that Envoy does not have is None."""

MAX_NUMBER: Final = 2**53
"""Numbers come by way of JSON."""


def text_of(record: Record, key: str) -> str:
    """Return a text; empty if there is none."""
    value = record.get(key)
    return value if isinstance(value, str) else ""


def bytes_of(record: Record, key: str) -> bytes:
    """Return a text from the wire as bytes; empty if there is none."""
    value = record.get(key)
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else b""


def number_of(record: Record, key: str) -> int:
    """Return a whole number of a sensible size; 0 if there is none."""
    value = record.get(key)
    if isinstance(value, bool) or not isinstance(value, int):
        return 0
    return value if 0 <= value <= MAX_NUMBER else 0


def status_of(record: Record) -> int:
    """Return the status of the response; 0 if there was none."""
    status = number_of(record, "s")
    return status if 100 <= status < 600 else 0


def started_of(record: Record) -> float:
    """Return the Unix time at which the request began; 0 if that is unknown."""
    try:
        return float(text_of(record, "t") or "0")
    except ValueError:
        return 0.0


def duration_of(record: Record) -> float:
    """Return the seconds from the head of the request to the last byte of its response, or to its early end."""
    exact = number_of(record, "d")
    return exact / 1e6 if exact else number_of(record, "dm") / 1e3
