"""The audit: changes by people and pipelines, with name, time and reason."""

from dataclasses import dataclass
from typing import Final

from strangler.core.documents import AuditEntry
from strangler.store.connection import Connection

DEFAULT_LIMIT: Final = 100
MAX_LIMIT: Final = 10_000
MAX_AUDIT_ROWS: Final = 100_000
AUDIT_KEPT_S: Final = 400 * 86400.0
"""Older entries of the audit are deleted; this is more than a year."""
MAX_AUDIT_TEXT: Final = 1000
"""The most characters of each text of an entry."""
FORCED: Final = "shift --force"
"""The name of a shift past a gate."""


@dataclass(frozen=True, slots=True)
class AuditFilters:
    """The filters of the audit; None: any. `since`: Unix time. `ana` also matches `ana (dashboard 203.0.113.7)`."""

    route: str | None = None
    since: float | None = None
    who: str | None = None
    limit: int = DEFAULT_LIMIT


def entries(connection: Connection, filters: AuditFilters) -> list[AuditEntry]:
    """Return the audit, newest first."""
    start = f"{filters.who} ("
    rows = connection.execute(
        """
        SELECT at, who, what, route, why, detail FROM audit
        WHERE (CAST(? AS text) IS NULL OR route = ?) AND at >= ?
          AND (CAST(? AS text) IS NULL OR who = ? OR substr(who, 1, CAST(? AS integer)) = ?)
        ORDER BY id DESC LIMIT ?
        """,
        (
            *(filters.route, filters.route),
            filters.since if filters.since is not None else 0.0,
            *(filters.who, filters.who),
            *(len(start), start),
            min(max(filters.limit, 1), MAX_LIMIT),
        ),
    )
    return [AuditEntry(*row) for row in rows]


def write_audit(connection: Connection, now: float, actor: str, what: str, route: str, why: str, detail: str) -> None:
    """Record one action that has changed something. `now`: Unix time."""
    texts = tuple(_audit_text(text) for text in (actor, what, route, why, detail))
    connection.execute("INSERT INTO audit (at, who, what, route, why, detail) VALUES (?, ?, ?, ?, ?, ?)", (now, *texts))
    connection.execute(
        """
        DELETE FROM audit WHERE id <= (SELECT max(id) FROM audit) - ?
            OR id < (SELECT id FROM audit WHERE at >= ? ORDER BY id LIMIT 1)
        """,
        (MAX_AUDIT_ROWS, now - AUDIT_KEPT_S),
    )


def _audit_text(text: str) -> str:
    kept = text.encode("utf-8", "backslashreplace").decode()
    return kept if len(kept) <= MAX_AUDIT_TEXT else kept[: MAX_AUDIT_TEXT - 1] + "…"


def shift_text(from_percent: float | None, to_percent: float) -> str:
    """Return the start of a shift's detail: `5 to 25 %`."""
    return f"{'?' if from_percent is None else format(from_percent, 'g')} to {to_percent:g} %"


def has_forced(connection: Connection, route: str, percent: float, since: float) -> bool:
    """Return whether the route was shifted to this percent by force since a Unix time."""
    rows = connection.execute(
        "SELECT detail FROM audit WHERE what = ? AND route = ? AND at >= ?", (FORCED, route, since)
    )
    return any(detail.partition(";")[0].endswith(f" to {percent:g} %") for (detail,) in rows)
