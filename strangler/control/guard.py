"""Access to the admin listener.

With a token: who has it. Without one only loopback is bound, so what is left to keep out is a page in the operator's
browser: by a foreign name that resolves to 127.0.0.1 (DNS rebinding), or by a form sent from elsewhere.
"""

import hmac
import ipaddress
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

PROBES = frozenset({"/healthz", "/readyz"})
"""Free for everyone: an orchestrator asks them."""

_DEFAULT_PORTS = {"http": 80, "https": 443}
_MAX_TEXT_CHARS = 100
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def has_token(token: str | None, headers: Mapping[str, str]) -> bool:
    """True if no token is set, or the request carries it. Takes the same time for any wrong token."""
    if token is None:
        return True
    scheme, _, given = headers.get("Authorization", "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(_bytes(given.strip()), _bytes(token))


def refusal(
    token: str | None, method: str, headers: Mapping[str, str], hosts: Sequence[str] = ()
) -> tuple[int, str] | None:
    """The status and the reason to refuse a request for anything but a probe; None: it may pass."""
    if not has_token(token, headers):
        return 401, "this needs the header `Authorization: Bearer TOKEN`, with admin.token of routes.yaml"
    return foreign(token, method, headers, hosts)


def foreign(
    token: str | None, method: str, headers: Mapping[str, str], hosts: Sequence[str] = (), *, has_mark: bool = False
) -> tuple[int, str] | None:
    """The same for who has the token: a request that a page from elsewhere may have made is refused.

    `hosts` are the names of this listener that a trusted proxy tells, beside Host. With `has_mark` the caller checks
    the form's own mark, which decides where the browser hides the page's origin (`Origin: null`).
    """
    host = headers.get("Host", "")
    if token is None and not is_loopback(host):
        return 403, (
            f"Without admin.token, only a loopback name may be asked for: localhost, 127.0.0.1 or [::1]; this request"
            f" names '{_plain(host)}'. Set admin.token, or let the proxy in front write Host and tell the other name"
            " (nginx: `proxy_set_header Host localhost; proxy_set_header X-Forwarded-Host $http_host;`),"
            " with its address in admin.trusted_proxies."
        )
    origin = headers.get("Origin")
    if method in _SAFE_METHODS or origin is None or (origin == "null" and has_mark):
        return None
    if any(_is_same(origin, name) for name in (host, *hosts)):
        return None
    return 403, _why_foreign(origin, host)


def _is_same(origin: str, host: str) -> bool:
    """Whether an Origin (RFC 6454) is that of a Host field: in any case, with the scheme's own port or without."""
    try:
        parts = urlsplit(origin)
        default = _DEFAULT_PORTS.get(parts.scheme)
        named = urlsplit(f"//{host}")
        return (
            default is not None
            and parts.hostname is not None
            and "@" not in host
            and parts.hostname == named.hostname
            and (parts.port or default) == (named.port or default)
        )
    except ValueError:
        return False


def _why_foreign(origin: str, host: str) -> str:
    """The cause, and the line that mends it where a proxy in front is the cause."""
    if origin == "null":
        return (
            "The browser hides which page sends this (`Origin: null`). Send it from a page of the dashboard, or without"
            " Origin; a proxy in front should leave our Referrer-Policy as it is."
        )
    return (
        f"A page from elsewhere may not change anything here: the page's origin is '{_plain(origin)}', and the request"
        f" names the host '{_plain(host)}'. If both are this dashboard, the proxy in front changes Host; let it keep it"
        f" (nginx: `proxy_set_header Host {_nginx_host(origin)};` Apache: `ProxyPreserveHost On`), or send"
        " X-Forwarded-Host, with its address in admin.trusted_proxies."
    )


def _nginx_host(origin: str) -> str:
    """`$host` has no port, so an origin with one needs the whole field."""
    try:
        return "$host" if urlsplit(origin).port is None else "$http_host"
    except ValueError:
        return "$host"


def _plain(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text[:_MAX_TEXT_CHARS])


def is_loopback(host: str) -> bool:
    """Whether a Host field names this machine: `localhost`, `127.0.0.1:8081`, `[::1]:8081`."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
