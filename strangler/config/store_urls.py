"""The reader of `store`: SQLite in the state folder, or the URL of a PostgreSQL that several nodes share."""

from typing import Final
from urllib.parse import SplitResult, parse_qs, urlsplit

SQLITE: Final = "sqlite"
SCHEMES: Final = ("postgresql", "postgres")
STORE_PATTERN: Final = "^(sqlite|postgres(ql)?://.+)$"
_WRITE: Final = "write sqlite, or a URL such as postgresql://strangler@db.internal/strangler"


def store_place(text: str) -> str | None:
    """Return the URL of the shared store; None for SQLite. Raises ValueError."""
    if text == SQLITE:
        return None
    try:
        parts = urlsplit(text)
        has_port = parts.port is None or parts.port > 0
    except ValueError as error:
        raise ValueError(f"{error}; {_WRITE}") from None
    if parts.scheme not in SCHEMES or not has_port:
        raise ValueError(_WRITE)
    if _has_password(parts):
        raise ValueError(
            "a password does not belong into routes.yaml; take it out, and set PGPASSWORD, or PGPASSFILE for a file"
        )
    if len(parts.path) < 2:
        raise ValueError("it has no database; write one behind the host, such as /strangler")
    return text


def _has_password(parts: SplitResult) -> bool:
    return parts.password is not None or not parse_qs(parts.query).keys().isdisjoint({"password", "sslpassword"})
