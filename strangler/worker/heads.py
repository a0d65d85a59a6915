# Compiled with mypyc: see docs/hot-path.md.
"""The heads of responses as clients get them (DESIGN section 6)."""

from strangler.core.http.cookies import public_cookie
from strangler.core.http.head import RawHeaders
from strangler.core.routing.aggregate import Joined
from strangler.core.routing.arm import Arm
from strangler.core.routing.retirement import ENDING_FIELDS, Retirement
from strangler.core.routing.rewrite import cookie_path_back, rewrite_back
from strangler.core.routing.route import Route
from strangler.core.settings import Url
from strangler.http1.http_date import http_date
from strangler.http1.parse import host_of
from strangler.http1.response import ResponseHead

_LOCATIONS = frozenset({b"location", b"content-location"})


def _endings() -> dict[tuple[str | None, bool, bool, bool], bytes]:
    endings = {}
    for arm in (None, *Arm):
        arm_line = b"" if arm is None else b"X-Strangler-Arm: %b\r\n" % arm.value.encode()
        for chunked in (False, True):
            coding = b"Transfer-Encoding: chunked\r\n" if chunked else b""
            for is_http10 in (False, True):
                stay = b"Connection: keep-alive\r\n" if is_http10 else b""
                endings[arm, chunked, is_http10, True] = arm_line + coding + stay + b"\r\n"
                endings[arm, chunked, is_http10, False] = arm_line + coding + b"Connection: close\r\n\r\n"
    return endings


_ENDINGS = _endings()
"""The last lines of a head by arm (None: hidden), chunked, HTTP/1.0, keep."""


def response_head(
    response: ResponseHead,
    arm: str | None,
    locations: "Locations | None",
    retirement: Retirement | None,
    *,
    chunked: bool,
    is_http10: bool,
    keep: bool,
) -> bytes:
    """Return the head for the client: as received, minus hop-by-hop fields, plus the arm (None: hidden) and what the
    route announces of its end."""
    ending = _ENDINGS[arm, chunked, is_http10, keep]
    if retirement is not None:
        return _ending_head(response, locations, retirement, ending)
    if locations is None or not locations.concern(response):
        return response.head(ending)
    return response.head_of(locations.rewritten(response.headers()), ending)


def _ending_head(response: ResponseHead, locations: "Locations | None", retirement: Retirement, ending: bytes) -> bytes:
    """Return the head of a response of a route that ends: what the upstream itself says of that is replaced."""
    ending = retirement.ending(ending)
    is_moved = locations is not None and locations.concern(response)
    if not is_moved and not response.announces_end:
        return response.head(ending)
    headers = [field for field in response.headers() if field[0].lower() not in ENDING_FIELDS]
    return response.head_of(headers if locations is None else locations.rewritten(headers), ending)


def joined_head(
    joined: Joined, arm: str | None, retirement: Retirement | None, *, is_http10: bool, keep: bool
) -> bytes:
    """Return the head of an aggregate's response, which is the proxy's own."""
    lines = b"".join([b"%b: %b\r\n" % field for field in joined.fields])
    ending = _ENDINGS[arm, False, is_http10, keep]
    if retirement is not None:
        ending = retirement.ending(ending)
    return b"HTTP/1.1 200 OK\r\nDate: %b\r\n%b%b" % (http_date(), lines, ending)


def switch_head(response: ResponseHead, arm: str | None, retirement: Retirement | None) -> bytes:
    """Return a 101 for the client, with its Upgrade field, which is part of it (RFC 9110 section 7.8)."""
    arm_line = b"" if arm is None else b"X-Strangler-Arm: %b\r\n" % arm.encode()
    upgrade = response.fields.get(b"upgrade", b"")
    ending = b"Connection: Upgrade\r\nUpgrade: %b\r\n%b\r\n" % (upgrade, arm_line)
    return response.head(ending) if retirement is None else _ending_head(response, None, retirement, ending)


class Locations:
    """Rewrites Location, Content-Location and cookies of a candidate that sees other paths than the client."""

    __slots__ = ("_base", "_own", "_request_path", "_route", "_upstream", "_upstream_host")

    def __init__(self, route: Route, url: Url, request_path: bytes, own: bytes) -> None:
        self._route = route
        self._base = url.path.encode()
        self._upstream = url.authority.encode()
        self._upstream_host = url.server_name.encode()
        self._request_path = request_path
        self._own = own

    def concern(self, response: ResponseHead) -> bool:
        return not _LOCATIONS.isdisjoint(response.fields) or response.sets_cookies

    def rewritten(self, headers: RawHeaders) -> RawHeaders:
        return [(name, self._rewritten(name.lower(), value)) for name, value in headers]

    def _rewritten(self, name: bytes, value: bytes) -> bytes:
        if name in _LOCATIONS:
            return self._public(value)
        if name != b"set-cookie":
            return value
        return public_cookie(value, self._public_path, self._upstream_host, host_of(self._own) or b"")

    def _public_path(self, path: bytes) -> bytes:
        return cookie_path_back(path, self._route.rewrite, self._request_path, self._base)

    def _public(self, location: bytes) -> bytes:
        return rewrite_back(location, self._route.rewrite, self._request_path, self._base, self._upstream, self._own)
