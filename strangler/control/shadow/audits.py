"""The audit: what people and pipelines have changed, with name, time and reason."""

from dataclasses import dataclass
from sqlite3 import Connection
from typing import Any, Final

DEFAULT_LIMIT: Final = 100
MAX_LIMIT: Final = 10_000
FORCED: Final = "shift --force"
"""What a shift past a gate is called."""

_COLUMNS = ("at", "who", "what", "route", "why", "detail")


@dataclass(frozen=True, slots=True)
class AuditFilters:
    """The entries that are wanted; None: any. `since`: Unix time. `ana` is `ana (dashboard 203.0.113.7)`, too."""

    route: str | None = None
    since: float | None = None
    who: str | None = None
    limit: int = DEFAULT_LIMIT


def entries(connection: Connection, filters: AuditFilters) -> list[dict[str, Any]]:
    """Return the audit, newest first: `{at, who, what, route, why, detail}`, `at` in Unix time."""
    rows = connection.execute(
        """
        SELECT at, who, what, route, why, detail FROM audit
        WHERE (?1 IS NULL OR route = ?1) AND (?2 IS NULL OR at >= ?2) AND (?3 IS NULL OR who = ?3
          OR substr(who, 1, length(?3) + 2) = ?3 || ' (')
        ORDER BY id DESC LIMIT ?4
        """,
        (filters.route, filters.since, filters.who, min(max(filters.limit, 1), MAX_LIMIT)),
    )
    return [dict(zip(_COLUMNS, row, strict=True)) for row in rows]


def shift_text(from_percent: float | None, to_percent: float) -> str:
    """`5 to 25 %`: how the detail of a shift begins."""
    return f"{'?' if from_percent is None else format(from_percent, 'g')} to {to_percent:g} %"


def has_forced(connection: Connection, route: str, percent: float, since: float) -> bool:
    """True if somebody has shifted the route to this percent by force since a time."""
    rows = connection.execute(
        "SELECT detail FROM audit WHERE what = ? AND route = ? AND at >= ?", (FORCED, route, since)
    )
    return any(detail.partition(";")[0].endswith(f" to {percent:g} %") for (detail,) in rows)
