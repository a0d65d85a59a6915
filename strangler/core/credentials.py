"""Which requests carry what names or proves a caller: an arm that is asked twice with it may change what it keeps."""

from strangler.core.compare.secrets import is_secret_name
from strangler.core.head import RawHeaders

_HEADERS = frozenset({b"authorization", b"cookie", b"proxy-authorization", b"x-api-key"})


def has_credentials(headers: RawHeaders, target: bytes) -> bool:
    """Return True if a header field, a parameter (`?token=`, `;jsessionid=`) or the authority of `target` is a
    credential by its name."""
    return any(map(_is_secret, (name for name, _ in headers))) or _has_secret_parameter(target) or _has_userinfo(target)


def _is_secret(name: bytes) -> bool:
    return name.lower() in _HEADERS or is_secret_name(name.decode("latin-1"))


def _has_secret_parameter(target: bytes) -> bool:
    path, _, query = target.partition(b"?")
    parameters = [one for segment in path.split(b"/") for one in segment.split(b";")[1:] if b"=" in one]
    parameters += query.replace(b";", b"&").split(b"&")
    return any(is_secret_name(one.partition(b"=")[0].decode("utf-8", "replace")) for one in parameters if one)


def _has_userinfo(target: bytes) -> bool:
    """Return True for `http://ana:secret@shop/` (RFC 3986 section 3.2.1)."""
    before, mark, rest = target.partition(b"?")[0].partition(b"://")
    return bool(mark) and b"/" not in before and b"@" in rest.partition(b"/")[0]
