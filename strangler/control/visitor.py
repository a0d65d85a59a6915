"""The client behind a request to the admin listener: its address, its user, and the host and prefix that it sees.

The fields of a proxy in front are only used if its address is in `admin.trusted_proxies`.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from aiohttp import web
from multidict import CIMultiDictProxy

from strangler.core.http.addresses import canonical
from strangler.core.http.trust import TrustedProxies
from strangler.core.settings import AdminSettings

MAX_PREFIX: Final = 200
MAX_USER: Final = 60

PREFIX_FIELD: Final = "X-Forwarded-Prefix"
_FIELDS: Final = ("X-Forwarded-For", "X-Forwarded-Host", PREFIX_FIELD)
_PREFIX: Final = re.compile(r"(?:/[A-Za-z0-9._~!$&()*+=:@%-]+)+")


@dataclass(frozen=True, slots=True)
class Visitor:
    """A client of the admin listener.

    `hosts` are the authorities by which the client may know this listener, `prefix` the path below which it sees it,
    without a trailing slash, `scheme` how it reaches it, None if that is not known: in clear, but maybe over a proxy
    that is not trusted and has TLS. `ignored` names the fields that were not trusted.
    """

    address: str
    user: str | None = None
    prefix: str = ""
    hosts: tuple[str, ...] = ()
    scheme: str | None = None
    ignored: tuple[str, ...] = ()

    def has_unstripped(self, path: str) -> bool:
        """Return whether a path still begins with the prefix."""
        return bool(self.prefix) and f"{path}/".startswith(f"{self.prefix}/")

    def name(self, via: str) -> str:
        """Return the client's name in the audit, `ana (dashboard 203.0.113.7)`; `via` is `dashboard` or `api`."""
        return f"{via} {self.address}" if self.user is None else f"{self.user} ({via} {self.address})"


def visitor_of(settings: AdminSettings, request: web.BaseRequest) -> Visitor:
    """Return the client behind a request; a trusted peer names it."""
    peer, headers = canonical(request.remote or "unknown"), request.headers
    hosts = (headers.get("Host", ""),)
    trusted = _trusted(settings.trusted_proxies)
    if not trusted.includes(peer):
        names = _FIELDS if settings.users is None else (*_FIELDS, settings.users)
        scheme = "https" if request.secure else None
        return Visitor(peer, hosts=hosts, scheme=scheme, ignored=tuple(name for name in names if name in headers))
    chain = ",".join(headers.getall("X-Forwarded-For", [])).encode("utf-8", "surrogateescape")
    return Visitor(
        address=trusted.client_of(peer, chain or None).decode(),
        user=None if settings.users is None else _user(headers, settings.users),
        prefix=_prefix(headers),
        hosts=hosts + tuple(_listed(headers, "X-Forwarded-Host")),
        scheme=_scheme(headers),
    )


def _user(headers: CIMultiDictProxy[str], name: str) -> str | None:
    """Return the user that the field names; None if there are two fields, since one is then the client's own."""
    found = headers.getall(name, [])
    if len(found) != 1:
        return None
    text = found[0].encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    plain = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(plain.split())[:MAX_USER] or None


def _scheme(headers: CIMultiDictProxy[str]) -> str | None:
    """Return the browser's scheme: in a chain of proxies the first."""
    listed = _listed(headers, "X-Forwarded-Proto")
    first = listed[0].lower() if listed else ""
    return first if first in {"http", "https"} else None


def _prefix(headers: CIMultiDictProxy[str]) -> str:
    """Return X-Forwarded-Prefix; those of several proxies are joined, the outermost first. It is empty if it could lead
    elsewhere: with a host after `//` or dot segments."""
    joined = "".join(text.rstrip("/") for text in _listed(headers, PREFIX_FIELD))
    is_path = len(joined) <= MAX_PREFIX and _PREFIX.fullmatch(joined)
    return joined if is_path and not {".", ".."} & set(joined.split("/")) else ""


def _listed(headers: CIMultiDictProxy[str], name: str) -> list[str]:
    return [word for text in headers.getall(name, []) for word in map(str.strip, text.split(",")) if word]


@lru_cache(8)
def _trusted(networks: tuple[str, ...]) -> TrustedProxies:
    return TrustedProxies(networks)
