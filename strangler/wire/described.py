"""A request that a person describes (`strangler explain`, `/api/explain`), read as the worker would read it."""

from collections.abc import Iterable

from strangler.core.head import RequestHead
from strangler.core.headers import ForwardedFields
from strangler.core.problem import Problem
from strangler.core.trust import TrustedProxies
from strangler.wire.request import Request, parse_request

_ANYWHERE = "localhost"


class DescriptionError(ValueError):
    """The description is no request that a client could send; the message says why and what would be one."""


def described_head(method: str, url: str, headers: Iterable[tuple[str, str]], client_ip: str) -> RequestHead:
    """The head of the request that a client sends for a URL, or for a path at this proxy.

    A URL's authority becomes the Host field, unless `headers` has one. Raises `DescriptionError`.
    """
    pairs = [(name.strip(), value.strip()) for name, value in headers]
    authority, target = _split_url(url)
    if not any(name.lower() == "host" for name, _ in pairs):
        pairs.insert(0, ("Host", authority))
    for word in (method, target, *(part for pair in pairs for part in pair)):
        if "\r" in word or "\n" in word:
            raise DescriptionError("a request has no line breaks in its method, URL or headers; leave them out")
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in pairs)]
    raw = "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape")
    head = parse_request(raw, ForwardedFields(client_ip, b"http", TrustedProxies(())), Request)
    if isinstance(head, Problem):
        raise DescriptionError(f"the proxy would answer {head.status}: {head.title}")
    return head


def _split_url(url: str) -> tuple[str, str]:
    """Authority and origin-form target of a URL; a path is at an unnamed host."""
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
