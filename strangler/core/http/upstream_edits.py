# Compiled with mypyc: see docs/hot-path.md.
"""The edits of a request that depend on its upstream. A live request and its shadow get the same."""

from strangler.core.http.headers import DROPPED, DROPPED_TRUSTED, DROPPED_WITH_CERTIFICATE
from strangler.core.settings import UpstreamSettings, Url


class UpstreamEdits:
    """One upstream's edits of the header section of each request, compiled."""

    __slots__ = (
        "added",
        "added_lines",
        "dropped",
        "dropped_from_trusted",
        "dropped_with_certificate",
        "removed",
        "sends_own_host",
    )

    def __init__(self, settings: UpstreamSettings) -> None:
        edits = settings.headers
        self.sends_own_host = settings.host == "upstream"
        self.added = tuple((name.encode(), value.encode()) for name, value in edits.set)
        self.added_lines = b"".join(b"%b: %b\r\n" % field for field in self.added)
        names = [*edits.remove, *(name for name, _ in edits.set)]
        self.removed = frozenset(name.lower().encode() for name in names)
        # Cached header sections keep these as keys: if nothing is removed, reloads leave no copies there.
        removed = self.removed
        self.dropped = DROPPED | removed if removed else DROPPED
        """The fields of a client's request that are not passed on."""
        self.dropped_from_trusted = DROPPED_TRUSTED | removed if removed else DROPPED_TRUSTED
        """The same for a request of a trusted proxy."""
        self.dropped_with_certificate = DROPPED_WITH_CERTIFICATE | removed if removed else DROPPED_WITH_CERTIFICATE
        """The same for a trusted proxy that has shown a certificate of its own."""

    def new_host(self, host: bytes, url: Url, is_absolute: bool) -> bytes | None:
        """Return the Host to write in place of the client's, or None if the client's own line passes.

        `host` is the host that the client requested; `is_absolute`: by its target, not by its Host field.
        """
        if self.sends_own_host or not host:
            return url.authority.encode()
        return host if is_absolute else None


def forwarded_prefix(prefix: bytes, received: bytes | None, *, is_trusted: bool) -> bytes:
    """Return X-Forwarded-Prefix: `prefix`, after the one that a trusted proxy has sent."""
    return received.rstrip(b"/") + prefix if received and is_trusted else prefix
