"""A request that a person describes (`strangler explain`, `/api/explain`), read as the worker would read it."""

from collections.abc import Iterable

from strangler.core.http.addresses import canonical, parse_address
from strangler.core.http.head import RequestHead
from strangler.core.http.headers import ForwardedFields
from strangler.core.http.problem import BODY_TOO_LARGE, Problem
from strangler.core.http.trust import TrustedProxies
from strangler.core.settings import LimitSettings, Settings
from strangler.http1.request import Request, parse_request
from strangler.http1.request_heads import refusal_of_size

_ANYWHERE = "localhost"


class DescriptionError(ValueError):
    """The description is no request that a client could send; the message says why and what would be one."""


def described_head(
    settings: Settings, method: str, url: str, headers: Iterable[tuple[str, str]], client_ip: str
) -> RequestHead:
    """Return the head of the request that a peer at `client_ip` sends for a URL, or for a path at this proxy.

    A URL's authority becomes the Host field, unless `headers` has one. X-Forwarded-For names the client if
    `trusted_proxies` includes the peer. Raises `DescriptionError`.
    """
    peer = canonical(client_ip.strip().partition("%")[0])
    if parse_address(peer) is None:
        raise DescriptionError(f"the client '{client_ip}' is no IP address; write 203.0.113.9 or 2001:db8::9")
    pairs = [(name.strip(" \t"), value.strip(" \t")) for name, value in headers]
    authority, target = _split_url(url)
    if not any(name.lower() == "host" for name, _ in pairs):
        pairs.insert(0, ("Host", authority))
    for word in (method, target, *(part for pair in pairs for part in pair)):
        if "\r" in word or "\n" in word:
            raise DescriptionError("a request has no line breaks in its method, URL or headers; leave them out")
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in pairs)]
    raw = "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape")
    head = parse_request(raw, ForwardedFields(peer, b"http", TrustedProxies(settings.trusted_proxies)), Request)
    refusal = _refusal(raw, head, settings.limits)
    if refusal is not None:
        raise DescriptionError(f"the proxy would respond with {refusal.status}: {refusal.title}")
    assert isinstance(head, Request)
    return head


def _refusal(raw: bytes, head: Request | Problem, limits: LimitSettings) -> Problem | None:
    """Return the refusal of a head that is not served, in the order of the checks."""
    if len(raw) > limits.header_bytes:
        return refusal_of_size(raw, limits.header_bytes)
    if isinstance(head, Problem):
        return head
    most = limits.request_body_bytes
    if most is not None and head.request_headers.framing.length > most:
        return BODY_TOO_LARGE
    return head.refusal


def _split_url(url: str) -> tuple[str, str]:
    """Return the authority and the origin-form target of a URL; a mere path gets `localhost`."""
    if "#" in url:
        raise DescriptionError(f"'{url}' has a fragment, which no client sends; leave out what begins with '#'")
    if any(character.isspace() for character in url):
        raise DescriptionError(f"'{url}' has white space; write %20 for a space")
    if url.startswith("/"):
        return _ANYWHERE, url
    scheme, mark, rest = url.partition("://")
    if not mark or scheme.lower() not in {"http", "https"}:
        raise DescriptionError(f"'{url}' is neither a path nor an http(s) URL; write /path or http://host/path")
    cut = min((at for at in (rest.find("/"), rest.find("?")) if at >= 0), default=len(rest))
    target = rest[cut:]
    return rest[:cut], target if target.startswith("/") else f"/{target}"
