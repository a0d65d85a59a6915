"""The request of a log line: escapes undone, the target taken apart (RFC 9112 section 3.2)."""

import re
from typing import Final
from urllib.parse import quote_from_bytes

from strangler.imports.values import Unread

_METHOD: Final = re.compile(rb"[A-Za-z][A-Za-z0-9!#$%&'*+.^_`|~-]{0,31}")
_ABSOLUTE: Final = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]{0,15}://([^/?#]*)")
_HTTP: Final = re.compile(rb"(?:https?|wss?|h2|grpcs?)://", re.IGNORECASE)
_ESCAPE: Final = re.compile(rb"\\(x[0-9A-Fa-f]{2}|u00[0-9A-Fa-f]{2}|.)", re.DOTALL)
_NAMED: Final = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f", b"v": b"\v", b"a": b"\a"}
_UNSAFE: Final = re.compile(rb"[^!-~]+|\"+")
_VERSION: Final = re.compile(rb" HTTP/\d(?:\.\d)?\Z")

_USUAL: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

Target = tuple[bytes, bytes, str]
"""Path, query and host."""


def unescaped(raw: bytes) -> bytes:
    """Return what `\\x22`, `\\"` and `\\t` of nginx, Apache and Go stand for."""
    return _ESCAPE.sub(_plain, raw) if b"\\" in raw else raw


def _plain(found: "re.Match[bytes]") -> bytes:
    text = found[1]
    return bytes([int(text[-2:], 16)]) if len(text) > 1 else _NAMED.get(text, text)


def encoded(raw: bytes) -> bytes:
    """Return a target with all that is no printable ASCII percent-encoded, so that each log writes it alike."""
    return _UNSAFE.sub(lambda found: quote_from_bytes(found[0], "").encode(), raw)


def split_request(line: bytes) -> tuple[str, Target] | Unread:
    """Return method and target of an unescaped request line. Blanks within a target stay; HTTP/0.9 has no version."""
    method, blank, rest = line.partition(b" ")
    if not blank or not _METHOD.fullmatch(method):
        return Unread.NO_REQUEST
    target = split_target(_VERSION.sub(b"", rest, 1))
    return target if isinstance(target, Unread) else (method.decode("ascii"), target)


def is_method(text: object) -> bool:
    """Return True for a method (RFC 9110 section 9.1) of a length that is used."""
    if not isinstance(text, str):
        return False
    return text in _USUAL or (text.isascii() and _METHOD.fullmatch(text.encode()) is not None)


def split_target(raw: bytes) -> Target | Unread:
    """Return path, query and host of a request-target: origin-form, absolute-form, or `*`."""
    host = b""
    if raw[:1] != b"/":
        found = _ABSOLUTE.match(raw)
        if found is None or not _HTTP.match(raw):
            return (raw, b"", "") if raw == b"*" else Unread.NO_PATH
        host, raw = found[1], raw[found.end() :]
    path, _, query = raw.partition(b"#")[0].partition(b"?")
    return encoded(path) or b"/", encoded(query), plain_host(host)


def plain_host(authority: bytes) -> str:
    """Return a host without user, password and port; empty for `-`."""
    host = authority.rpartition(b"@")[2]
    if (not host.endswith(b"]") and host.count(b":") < 2) or b"]:" in host:
        head, colon, port = host.rpartition(b":")
        host = head if colon and port.isdigit() else host
    text = host.decode("utf-8", "replace").lower()
    return "" if text in ("-", "_") else text
