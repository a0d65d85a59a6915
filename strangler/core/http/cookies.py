"""Set-Cookie fields (RFC 6265 section 5.2): the cookies that they set, and their form for the client."""

from collections.abc import Callable, Iterable
from email.utils import parsedate_to_datetime

from strangler.core.http.head import RawHeaders

MAX_COOKIES = 50
"""The most cookies that are read from one response: browsers keep no more of one site."""

Rewrite = Callable[[bytes], bytes]


def cookies_set(headers: RawHeaders, now: float) -> dict[bytes, bytes | None]:
    """Return the values that a response sets, by cookie; None for a cookie that it removes. `now` is a Unix time."""
    fields = (value for name, value in headers if name.lower() == b"set-cookie")
    found: dict[bytes, bytes | None] = {}
    for field in fields:
        name, value, attributes = split_set_cookie(field)
        if name and len(found) < MAX_COOKIES:
            found[name] = None if not value or _is_removed(attributes, now) else value
    return found


def split_set_cookie(field: bytes) -> tuple[bytes, bytes, list[bytes]]:
    """Return name, value and the attributes as written."""
    pair, *attributes = field.split(b";")
    name, equals, value = pair.partition(b"=")
    if not equals:
        return b"", pair.strip(), attributes
    return name.strip(), value.strip(), attributes


def _is_removed(attributes: Iterable[bytes], now: float) -> bool:
    """Return whether a cookie is removed; Max-Age wins over Expires (RFC 6265 section 5.3)."""
    found = {name: value for name, value in map(_attribute, attributes) if value}
    age, expires = found.get(b"max-age"), found.get(b"expires")
    if age is not None and age.removeprefix(b"-").isdigit():
        return age.startswith(b"-") or not age.strip(b"0")
    if expires is None:
        return False
    try:
        return parsedate_to_datetime(expires.decode("latin-1")).timestamp() <= now
    except (ValueError, TypeError, OverflowError):
        return False


def _attribute(text: bytes) -> tuple[bytes, bytes]:
    name, _, value = text.partition(b"=")
    return name.strip().lower(), value.strip()


def public_cookie(field: bytes, public_path: Rewrite, upstream_host: bytes, own_host: bytes) -> bytes:
    """Return the client's form of a Set-Cookie of a candidate that sees other paths than the client.

    `public_path` turns a path of the candidate into the client's. A Domain that covers the upstream's host but not the
    client's is removed: the client would reject such a cookie, and without Domain the cookie belongs to the host that
    was requested. All else stays byte for byte.
    """
    pair, *attributes = field.split(b";")
    kept = [pair]
    for text in attributes:
        name, value = _attribute(text)
        if name == b"path" and value.startswith(b"/"):
            text = text.replace(value, public_path(value), 1)
        if name == b"domain" and _covers(value, upstream_host) and not _covers(value, own_host):
            continue
        kept.append(text)
    return b";".join(kept)


def _covers(domain: bytes, host: bytes) -> bool:
    """Return whether a host matches a cookie's domain (RFC 6265 section 5.1.3)."""
    domain, host = domain.lower().removeprefix(b"."), host.lower()
    return bool(domain) and (host == domain or host.endswith(b"." + domain))
