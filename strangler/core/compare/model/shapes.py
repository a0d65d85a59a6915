"""Values that differ between responses by their nature: UUIDs, timestamps, hashes, counters."""

import re

from strangler.core.compare.model.values import Value

_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_TIMESTAMP = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?\s*(?:Z|UTC|[+-]\d\d:?\d\d)?)?"  # RFC 3339, ISO 8601
    r"|(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*, \d\d[ -][A-Z][a-z]{2}[ -]\d{2,4} \d\d:\d\d:\d\d \S+"  # RFC 9110 5.6.7
    r"|\d\d:\d\d:\d\d(?:\.\d+)?"
)
_EPOCH = re.compile(r"[12]\d{9}(?:\d{3}|\d{6}|\d{9})?(?:\.\d+)?")
_HASH = re.compile(
    r"(?:W/)?\"?(?=[a-f]*\d)(?:[0-9a-f]{8}|[0-9a-f]{16}|[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{128})\"?"
)
_TOKEN = re.compile(r"(?=[^\d]*\d)(?=[^A-Za-z]*[A-Za-z])[\w+/.\-]{16,}={0,2}", re.ASCII)
_COUNTER = re.compile(r"\d{1,15}")
_DECIMAL = re.compile(r"-?\d+\.\d+")


def shape_of(legacy: Value, candidate: Value) -> str | None:
    """Return the shape of both sides of a difference, a word for a reader; None if it is unknown.

    A counter is a whole number that changed by little, in either direction.
    """
    left, right = _text(legacy), _text(candidate)
    if left is None or right is None:
        return None
    for name, pattern in _SHAPES:
        if pattern.fullmatch(left) and pattern.fullmatch(right):
            return name
    if _COUNTER.fullmatch(left) and _COUNTER.fullmatch(right):
        return "counter" if abs(int(left) - int(right)) <= max(1000, int(left) // 100) else "number"
    return "measured number" if _DECIMAL.fullmatch(left) and _DECIMAL.fullmatch(right) else None


_SHAPES = (("UUID", _UUID), ("timestamp", _TIMESTAMP), ("timestamp", _EPOCH), ("hash", _HASH), ("token", _TOKEN))


def _text(value: Value) -> str | None:
    if isinstance(value, bytes):
        return value.decode()
    return value if isinstance(value, str) and len(value) <= 200 else None
