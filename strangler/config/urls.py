"""Readers of addresses, URLs and the sources of sticky keys."""

import ipaddress
import re
from urllib.parse import SplitResult, unquote, urlsplit

from strangler.config.scalars import TOKEN_PATTERN, did_you_mean
from strangler.core.listener_settings import UNIX, Address
from strangler.core.settings import HTTP_UNIX, StickySource, Url

_HOST_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*\.?")
_ADDRESS = re.compile(r"(\[(?P<six>[^\]]*)\]|(?P<host>[^:\[\]]*)):(?P<port>[0-9]+)")
_TOKEN = re.compile(TOKEN_PATTERN)
_FRAGMENT = re.compile(r"[\x21-\x22\x24-\x7e]*")
_NOT_IN_A_LINK = re.compile("[\"'<>^`{|}]")
_VISIBLE = re.compile(r"[\x21-\x7e]*")
_WRITE_ADDRESS = "write host:port, such as 127.0.0.1:8080"
_WRITE_UNIX = "write the path of the socket's file, such as unix:/run/gunicorn.sock"
_WRITE_UNIX_BASE = "write http+unix://%2Frun%2Fgunicorn.sock/base"
_WRITE_NAME = "it must be a name such as orders.internal, without a scheme and a port"


def address(text: str) -> Address:
    """Read the address of a listener: `127.0.0.1:8080`, `0.0.0.0:80`, `[::1]:8080`, `localhost:8080`."""
    found = _ADDRESS.fullmatch(text)
    if found is None:
        raise ValueError(
            "write an IPv6 address in brackets, such as '[::1]:8080'" if text.count(":") > 1 else _WRITE_ADDRESS
        )
    host = found["six"] if found["six"] is not None else found["host"]
    if not host:
        raise ValueError(
            f"write 0.0.0.0:{found['port']} for all addresses, or 127.0.0.1:{found['port']} for this machine only"
        )
    if len(found["port"]) > 5 or int(found["port"]) > 65535:
        raise ValueError("the port must be 0 to 65535; 0 takes a free one")
    return Address(_host(host, is_six=found["six"] is not None).lower(), int(found["port"]))


def listen_address(text: str) -> Address:
    """Return where clients connect: an address as `address` reads it, or `unix:PATH`."""
    if not text.startswith(UNIX):
        return address(text)
    path = text.removeprefix(UNIX)
    if not path or path.endswith("/") or "\0" in path or path.startswith("@"):
        raise ValueError("write the path of the socket's file, such as unix:/run/strangler.sock")
    return Address(text, 0)


def is_loopback(where: Address) -> bool:
    """True if only this machine can connect. Names other than localhost are not resolved, and count as remote."""
    if where.unix_path is not None:
        return True
    try:
        return ipaddress.ip_address(numeric(where)).is_loopback
    except ValueError:
        return False


def numeric(where: Address) -> str:
    """Return the host, for `localhost` the address that it usually has."""
    return "127.0.0.1" if where.host == "localhost" else where.host


def is_any(where: Address) -> bool:
    """True if the listener binds every address of the machine."""
    return where.host in {"0.0.0.0", "::"}


def base_url(text: str) -> Url:
    """Read an upstream's base URL: `http://host:port/base`, `unix:PATH`, or `http+unix://PATH/base`."""
    lower = text.lower()
    if lower.startswith(UNIX):
        return _unix_url(text.removeprefix(text[: len(UNIX)]))
    if lower.startswith(HTTP_UNIX):
        return _http_unix_url(text)
    if lower.startswith(("https+unix:", "https://unix:")):
        raise ValueError(f"a unix socket is reached without TLS; {_WRITE_UNIX}")
    if lower.startswith(("http+unix:", "http://unix:", "unix+http:")):
        raise ValueError(_WRITE_UNIX)
    parts, host, port = _split(text)
    if parts.query or "?" in text:
        raise ValueError("a base URL cannot have a query; take it out")
    path = parts.path.rstrip("/")
    return Url(
        "https" if parts.scheme == "https" else "http", host, port or (443 if parts.scheme == "https" else 80), path
    )


def _unix_url(path: str) -> Url:
    if path.startswith("//"):
        raise ValueError(f"the path of the socket follows the colon at once; {_WRITE_UNIX}")
    if ":/" in path:
        raise ValueError(f"for a path behind the socket {_WRITE_UNIX_BASE}")
    return _at_socket(path, "")


def _http_unix_url(text: str) -> Url:
    if _VISIBLE.fullmatch(text) is None or "\\" in text:
        raise ValueError(f"a URL has only visible ASCII characters; {_WRITE_UNIX_BASE}")
    if "?" in text or "#" in text:
        raise ValueError("a base URL cannot have a query or a fragment; take it out")
    host, slash, path = text[len(HTTP_UNIX) :].partition("/")
    if not host:
        raise ValueError(f"the path of the socket is percent-encoded; {_WRITE_UNIX_BASE}")
    try:
        socket = unquote(host, errors="strict")
    except UnicodeDecodeError:
        raise ValueError("the path of the socket must be UTF-8, percent-encoded") from None
    return _at_socket(socket, f"{slash}{path}".rstrip("/"))


def _at_socket(path: str, base: str) -> Url:
    if not path or path.endswith("/") or "\0" in path or path.startswith("@"):
        raise ValueError(_WRITE_UNIX)
    return Url("http", "localhost", 80, base, path)


def server_name(text: str) -> str:
    """Read the name that a server has in its certificate, without the final dot that only DNS knows."""
    if text.startswith("[") or _VISIBLE.fullmatch(text) is None:
        raise ValueError(_WRITE_NAME)
    try:
        return _host(text.removesuffix("."), is_six=text.count(":") > 1).lower()
    except ValueError:
        raise ValueError(_WRITE_NAME) from None


def web_url(text: str) -> str | None:
    """Read a whole URL to send to; empty text is read as None."""
    if not text.strip():
        return None
    _split(text)
    return text


def page_base(text: str) -> str | None:
    """Read the URL of a page's root, with or without a path, which comes back without a slash at its end; empty text is
    read as None."""
    if not text.strip():
        return None
    parts, _, _ = _split(text)
    if parts.query or "?" in text:
        raise ValueError("it is the beginning of links, and cannot have a query; take it out")
    if _NOT_IN_A_LINK.search(text) or {".", ".."} & set(parts.path.split("/")) or "//" in parts.path:
        raise ValueError("its path is that of the dashboard's overview, such as https://ops.example.com/strangler")
    return text.rstrip("/")


def link(text: str) -> str | None:
    """Read a URL that clients get, in a header and on a page; it may have a fragment. Empty text is read as None."""
    if not text.strip():
        return None
    whole, _, fragment = text.partition("#")
    _split(whole)
    if _FRAGMENT.fullmatch(fragment) is None or _NOT_IN_A_LINK.search(text):
        raise ValueError("a link has only the characters of a URL (RFC 3986); percent-encode others")
    return text


def host_header(text: str) -> str:
    """Read the value of a Host header (RFC 9110 section 7.2): a host, with or without a port."""
    try:
        parts, _, _ = _split(f"http://{text}")
        is_host = parts.netloc == text
    except ValueError:
        is_host = False
    if not is_host:
        raise ValueError("it must be a host such as shop.internal or 10.0.0.1:8080, without a scheme and a path")
    return text


def _split(text: str) -> tuple[SplitResult, str, int | None]:
    if _VISIBLE.fullmatch(text) is None or "\\" in text:
        raise ValueError("a URL has only visible ASCII characters; percent-encode others, and write a host as xn--…")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("its host or port is not valid; the port must be 1 to 65535") from None
    if parts.scheme not in {"http", "https"} or not text.lower().startswith(("http://", "https://")):
        raise ValueError("it must start with http:// or https://")
    if "@" in parts.netloc:
        raise ValueError("a URL with a user and password in it ends up in logs; send them with headers.set instead")
    if "#" in text:
        raise ValueError("a URL to send to has no fragment; take the '#' out")
    if port == 0 or parts.netloc.endswith(":"):
        raise ValueError("the port must be 1 to 65535")
    host = parts.hostname or ""
    if not host:
        raise ValueError("it has no host; write http://host:port")
    return parts, _host(host, is_six=":" in host), port


def _host(host: str, *, is_six: bool) -> str:
    if is_six:
        try:
            return str(ipaddress.IPv6Address(host))
        except ValueError:
            raise ValueError(f"'{host}' is not an IPv6 address") from None
    if re.fullmatch(r"[0-9.]+", host):
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            raise ValueError(f"'{host}' is not an IPv4 address") from None
    if _HOST_NAME.fullmatch(host) is None:
        raise ValueError(f"'{host}' is not a host name")
    return host


def network(text: str) -> str:
    """Read an address or a network; host bits that are set are refused, since either part could be the mistake."""
    try:
        return str(ipaddress.ip_network(text)) if "/" in text else str(ipaddress.ip_address(text))
    except ValueError:
        pass
    try:
        right = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError("write an address or a network, such as 10.0.0.7 or 10.0.0.0/8") from None
    raise ValueError(f"it has host bits set; write {right} for the network")


def sticky(text: str) -> StickySource:
    """Read `header:NAME`, `cookie:NAME` or `client_ip`."""
    if text == "client_ip":
        return StickySource("client_ip", "")
    kind, colon, name = text.partition(":")
    if kind not in {"header", "cookie"} or not colon:
        near = did_you_mean(kind, ("header", "cookie", "client_ip"))
        raise ValueError("; ".join(filter(None, ["write header:NAME, cookie:NAME or client_ip", near])))
    name = name.strip()
    if _TOKEN.fullmatch(name) is None:
        example = "header:X-User-Id" if kind == "header" else "cookie:sid"
        raise ValueError(f"write the {kind}'s name after the colon, such as {example}")
    return StickySource("header", name.lower()) if kind == "header" else StickySource("cookie", name)
