"""Requests with credentials: sent twice, they could change what an arm keeps of the caller."""

from functools import lru_cache

from strangler.core.http.head import RawHeaders
from strangler.core.privacy.secrets import is_secret_name

_HEADERS = frozenset(
    {
        b"authorization", b"client-cert", b"client-cert-chain", b"cookie", b"proxy-authorization",
        b"remote-user", b"ssl-client-cert", b"x-api-key", b"x-auth-request-user", b"x-client-cert",
        b"x-forwarded-client-cert", b"x-forwarded-user", b"x-remote-user", b"x-ssl-client-cert",
    }
)  # fmt: skip
"""Fields that authenticate a caller, or in which a proxy in front names the caller that it has authenticated."""

_PARAMETERS = frozenset({"auth", "key", "sid", "sig", "signature", "session", "ticket"})
"""Parameters that carry a session or a grant, beside those whose names are secrets."""


def has_credentials(headers: RawHeaders, target: bytes) -> bool:
    """Return True if a header field, a parameter (`?token=`, `;jsessionid=`) or the authority of `target` is a
    credential by its name."""
    return any(map(_is_secret, (name for name, _ in headers))) or _has_secret_parameter(target) or _has_userinfo(target)


_MAX_REMEMBERED = 64
"""The longest name that is remembered: clients send the same ones again and again."""


def _is_secret(name: bytes) -> bool:
    return _is_known_secret(name) if len(name) <= _MAX_REMEMBERED else _is_secret_field(name)


@lru_cache(maxsize=1024)
def _is_known_secret(name: bytes) -> bool:
    return _is_secret_field(name)


def _is_secret_field(name: bytes) -> bool:
    lower = name.lower().replace(b"_", b"-")
    return lower in _HEADERS or lower.startswith(b"x-amzn-oidc-") or is_secret_name(name.decode("latin-1"))


def _has_secret_parameter(target: bytes) -> bool:
    path, _, query = target.partition(b"?")
    parameters = [
        parameter for segment in path.split(b"/") for parameter in segment.split(b";")[1:] if b"=" in parameter
    ]
    parameters += query.replace(b";", b"&").split(b"&")
    names = [parameter.partition(b"=")[0].decode("utf-8", "replace") for parameter in parameters if parameter]
    return any(name.lower() in _PARAMETERS or is_secret_name(name) for name in names)


def _has_userinfo(target: bytes) -> bool:
    """Return True for `http://ana:secret@shop/` (RFC 3986 section 3.2.1)."""
    before, mark, rest = target.partition(b"?")[0].partition(b"://")
    return bool(mark) and b"/" not in before and b"@" in rest.partition(b"/")[0]
