"""The reader of `store`: SQLite in the state folder, or the URL of a PostgreSQL that several nodes share."""

from typing import Final
from urllib.parse import SplitResult, parse_qs, urlsplit

SQLITE: Final = "sqlite"
SCHEMES: Final = ("postgresql", "postgres")
STORE_PATTERN: Final = "^(sqlite|postgres(ql)?://.+)$"
_WRITE: Final = "write sqlite, or a URL such as postgresql://strangler@db.internal/strangler"
_MAX_PORT: Final = 65535
_SECRETS: Final = frozenset({"password", "sslpassword"})


def store_place(text: str) -> str | None:
    """Return the URL of the shared store; None for SQLite. Raises ValueError."""
    if text == SQLITE:
        return None
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise ValueError(f"{error}; {_WRITE}") from None
    if parts.scheme not in SCHEMES or not all(map(_has_a_port, parts.netloc.rpartition("@")[2].split(","))):
        raise ValueError(_WRITE)
    if _has_password(parts):
        raise ValueError(
            "a password does not belong into routes.yaml; take it out, and set PGPASSWORD, or PGPASSFILE for a file"
        )
    if len(parts.path) < 2:
        raise ValueError("it has no database; write one behind the host, such as /strangler")
    _check_by_driver(text)
    return text


def _has_a_port(host: str) -> bool:
    """Return whether one of the hosts has no port or one that there can be."""
    _, colon, port = host.rpartition("]")[2].rpartition(":")
    return not colon or (port.isascii() and port.isdigit() and 0 < int(port) <= _MAX_PORT)


def _has_password(parts: SplitResult) -> bool:
    return ":" in parts.netloc.rpartition("@")[0] or not parse_qs(
        parts.query, keep_blank_values=True
    ).keys().isdisjoint(_SECRETS)


def _check_by_driver(url: str) -> None:
    """Raise ValueError if the driver is missing, or cannot read the URL. It is imported for a shared store alone."""
    try:
        import psycopg
    except ImportError as error:
        raise ValueError(f"a shared store needs the extra: pip install 'strangler[postgres]' ({error})") from None
    try:
        psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.Error as error:
        raise ValueError(f"{' '.join(str(error).split())}; {_WRITE}") from None
