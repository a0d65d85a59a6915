"""Access to the admin listener.

If a token is set, it is required. Without one only loopback is bound, so that only pages in the operator's browser must
be kept out: those of a foreign name that resolves to 127.0.0.1 (DNS rebinding), and forms sent from elsewhere.
"""

import hmac
import ipaddress
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

PROBES = frozenset({"/healthz", "/readyz"})
"""The paths that need no token: orchestrators probe them."""

_DEFAULT_PORTS = {"http": 80, "https": 443}
_MAX_TEXT_CHARS = 100
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def has_token(token: str | None, headers: Mapping[str, str]) -> bool:
    """Return whether no token is set, or the request carries it. Every wrong token takes the same time."""
    if token is None:
        return True
    scheme, _, given = headers.get("Authorization", "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(_bytes(given.strip()), _bytes(token))


def refusal(
    token: str | None,
    method: str,
    headers: Mapping[str, str],
    hosts: Sequence[str] = (),
    *,
    scheme: str | None = None,
) -> tuple[int, str] | None:
    """Return the status and the reason to refuse a request that is not a probe; None if it may pass."""
    if not has_token(token, headers):
        return 401, "this needs the header `Authorization: Bearer TOKEN`, with admin.token of routes.yaml"
    return foreign(token, method, headers, hosts, scheme=scheme)


def foreign(
    token: str | None,
    method: str,
    headers: Mapping[str, str],
    hosts: Sequence[str] = (),
    *,
    scheme: str | None = None,
    has_mark: bool = False,
) -> tuple[int, str] | None:
    """Return the same for a client with the token: a request that a foreign page may have made is refused.

    `hosts`, `scheme` and `has_mark` are those of `foreign_page`.
    """
    host = headers.get("Host", "")
    if token is None and not is_loopback(host):
        return 403, (
            f"Without admin.token, Host must be a loopback name: localhost, 127.0.0.1 or [::1]; this request"
            f" names '{_plain(host)}'. Set admin.token, or let the proxy in front set Host and forward the other name"
            " (nginx: `proxy_set_header Host localhost; proxy_set_header X-Forwarded-Host $http_host;`),"
            " with its address in admin.trusted_proxies."
        )
    return foreign_page(method, headers, hosts, scheme=scheme, has_mark=has_mark)


def foreign_page(
    method: str,
    headers: Mapping[str, str],
    hosts: Sequence[str] = (),
    *,
    scheme: str | None = None,
    has_mark: bool = False,
) -> tuple[int, str] | None:
    """Return the status and the reason to refuse a change that a page of another origin asks for; None if it may pass.

    `hosts` are further names of this listener from a trusted proxy, beside Host. `scheme` is that of our pages, None if
    it is not known: something in front may add TLS. With `has_mark` the caller checks the form's own mark, which
    decides where the browser hides the page's origin (`Origin: null`).
    """
    host, origin = headers.get("Host", ""), headers.get("Origin")
    if method in _SAFE_METHODS or origin is None or (origin == "null" and has_mark):
        return None
    if not any(_is_same(origin, name) for name in (host, *hosts)):
        return 403, _why_foreign(origin, host)
    if scheme == "https" and urlsplit(origin).scheme != scheme:  # anybody on the network can make a page in clear
        return 403, (
            f"A page from elsewhere may not change anything here: the page's origin is '{_plain(origin)}', and pages"
            " here have https://. If both are this dashboard, the proxy in front sends the wrong X-Forwarded-Proto"
            " (nginx: `proxy_set_header X-Forwarded-Proto $scheme;`)."
        )
    return None


def _is_same(origin: str, host: str) -> bool:
    """Return whether an Origin (RFC 6454) is that of a Host field, in any case, with or without the default port."""
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
    """Return the cause, and the line that fixes it if a proxy in front is the cause."""
    if origin == "null":
        return (
            "The browser hides which page sends this (`Origin: null`). Send it from a page of the dashboard, or without"
            " Origin; a proxy in front should leave our Referrer-Policy as it is."
        )
    return (
        f"A page from elsewhere may not change anything here: the page's origin is '{_plain(origin)}', and the request"
        f" names the host '{_plain(host)}'. If both are this dashboard, the proxy in front changes Host; keep it there"
        f" (nginx: `proxy_set_header Host {_nginx_host(origin)};` Apache: `ProxyPreserveHost On`), or send"
        " X-Forwarded-Host, with its address in admin.trusted_proxies."
    )


def _nginx_host(origin: str) -> str:
    """Return nginx's variable for Host: `$host` has no port, so an origin with a port needs the whole field."""
    try:
        return "$host" if urlsplit(origin).port is None else "$http_host"
    except ValueError:
        return "$host"


def _plain(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text[:_MAX_TEXT_CHARS])


def is_loopback(host: str) -> bool:
    """Return whether a Host field names this machine: `localhost`, `127.0.0.1:8081`, `[::1]:8081`."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
