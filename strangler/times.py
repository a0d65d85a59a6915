"""The time as files, logs and people write it, in UTC: RFC 3339 to the millisecond, and today's date."""

import time
from datetime import UTC, date, datetime


def rfc3339(at: float) -> str:
    """Return a Unix time as `2026-11-23T08:00:00.123Z` (RFC 3339, section 5.6)."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def utc_now() -> str:
    """Return the present time, as `rfc3339` writes it."""
    return rfc3339(time.time())


def utc_day() -> date:
    """Return today's date; an accept rule counts until the end of its last day."""
    return datetime.now(UTC).date()
