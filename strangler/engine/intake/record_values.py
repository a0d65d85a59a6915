# Compiled with mypyc: see docs/hot-path.md.
"""Access records as Envoy sends them, and their values. Whatever a record has, reading it never raises."""

from typing import Final

Record = dict[str, object]
"""One record: its keys are those of `strangler.envoy.access_records`; a value that Envoy does not have is None."""

REQUEST_TAG: Final = "request"
ATTEMPT_TAG: Final = "attempt"


def text_of(record: Record, key: str) -> str:
    """Return a text; empty if there is none."""
    value = record.get(key)
    return value if isinstance(value, str) else ""


def bytes_of(record: Record, key: str) -> bytes:
    """Return a text from the wire as bytes; empty if there is none."""
    value = record.get(key)
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else b""


def number_of(record: Record, key: str) -> int:
    """Return a whole number; 0 if there is none."""
    value = record.get(key)
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else 0


def started_of(record: Record) -> float:
    """Return the Unix time at which the request began; 0 if that is unknown."""
    try:
        return float(text_of(record, "t") or "0")
    except ValueError:
        return 0.0


def duration_of(record: Record) -> float:
    """Return the seconds from the head of the request to the last byte of its response, or to its early end."""
    exact = record.get("d")
    if isinstance(exact, int) and exact >= 0:
        return exact / 1e6
    return max(0, number_of(record, "dm")) / 1e3
