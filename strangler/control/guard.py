"""Who may use the admin listener.

With a token: who has it. Without one only loopback is bound, so what is left to keep out is a page in the operator's
browser: by a foreign name that resolves to 127.0.0.1 (DNS rebinding), or by a form sent from elsewhere.
"""

import hmac
import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

PROBES = frozenset({"/healthz", "/readyz"})
"""Free for everyone: an orchestrator asks them."""

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def has_token(token: str | None, headers: Mapping[str, str]) -> bool:
    """True if no token is set, or the request carries it. Takes the same time for any wrong token."""
    if token is None:
        return True
    scheme, _, given = headers.get("Authorization", "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(_bytes(given.strip()), _bytes(token))


def refusal(token: str | None, method: str, headers: Mapping[str, str]) -> tuple[int, str] | None:
    """The status and the reason to refuse a request for anything but a probe; None: it may pass."""
    if not has_token(token, headers):
        return 401, "this needs the header `Authorization: Bearer TOKEN`, with admin.token of routes.yaml"
    return foreign(token, method, headers)


def foreign(token: str | None, method: str, headers: Mapping[str, str]) -> tuple[int, str] | None:
    """The same for who has the token: a request that a page from elsewhere may have made is refused."""
    host = headers.get("Host", "")
    if token is None and not is_loopback(host):
        return 403, "without admin.token, only a loopback name may be asked for: localhost, 127.0.0.1 or [::1]"
    origin = headers.get("Origin")
    if method not in _SAFE_METHODS and origin is not None and urlsplit(origin).netloc != host:
        return 403, "a page from elsewhere may not change anything here"
    return None


def is_loopback(host: str) -> bool:
    """Whether a Host field names this machine: `localhost`, `127.0.0.1:8081`, `[::1]:8081`."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
