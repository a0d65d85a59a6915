"""A shared store in words: where it is, and what to do about errors of its server."""

from typing import Final
from urllib.parse import urlsplit

_WAYS_OUT: Final = (
    (("password authentication failed", "no password supplied"), "set PGPASSWORD, or PGPASSFILE for a file with it"),
    (("pg_hba.conf",), "let the server take this user from this host, in its pg_hba.conf"),
    (("FATAL: database", "FATAL: role"), "make it on the server, or set another one in `store`"),
    (("permission denied for schema",), "let this user make tables there: GRANT CREATE ON SCHEMA"),
    (("server does not support SSL",), "turn TLS on there, or take sslmode out of `store`"),
    (("Connection refused", "failed: No such file or directory"), "start it, or set another address in `store`"),
)
_SUPERFLUOUS: Final = (
    "connection failed: ",
    "connection is bad: ",
    " Is the server running on that host and accepting TCP/IP connections?",
    " Is the server running locally and accepting connections on that socket?",
)


def place_of(url: str) -> str:
    """Return where a store is: host and database, without a user or an option."""
    parts = urlsplit(url)
    hosts = parts.netloc.rpartition("@")[2] or "the local socket"
    return f"PostgreSQL {parts.path.lstrip('/')} at {hosts}"


def in_words(text: str) -> str:
    """Return an error of the driver on one line, without what it says twice, and with what may be done about it."""
    line = " ".join(text.split())
    for superfluous in _SUPERFLUOUS:
        line = line.replace(superfluous, "")
    line = line.replace("connection timeout expired", "it takes no connection, and says nothing")
    for words, remedy in _WAYS_OUT:
        if any(word in line for word in words):
            return f"{line}; {remedy}"
    return line
