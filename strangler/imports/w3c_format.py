"""The extended log format of the W3C, as IIS and CloudFront write it: a directive in the file names its columns."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote

from strangler.imports.request_lines import is_method, plain_host, split_target
from strangler.imports.text_formats import Found, Parse
from strangler.imports.timestamps import IsoClock
from strangler.imports.values import LoggedCall, Unread

_DIRECTIVE: Final = b"#fields:"
_HOSTS: Final = (b"cs(host)", b"cs-host", b"x-host-header")


def extended() -> Parse:
    """Return the reader. Its times are UTC; lines before the directive cannot be read."""
    clock, names = IsoClock(), list[bytes]()

    def parse(line: bytes) -> Found:
        if line[:1] == b"#":
            if line[:8].lower() == _DIRECTIVE:
                names[:] = line[8:].lower().split()
            return Unread.OTHER_EVENT
        values = line.rstrip(b"\r").split(b"\t" if b"\t" in line else b" ")
        if not names or len(values) != len(names):
            return Unread.BAD_FORM
        return _call(dict(zip(names, values, strict=True)), clock)

    return parse


def _call(fields: Mapping[bytes, bytes], clock: IsoClock) -> Found:
    method = fields.get(b"cs-method", b"-").decode("latin-1")
    target = fields.get(b"cs-uri-stem") or fields.get(b"cs-uri", b"-")
    if not is_method(method) or target == b"-":
        return Unread.NO_REQUEST
    query = fields.get(b"cs-uri-query", b"-")
    parts = split_target(target if query == b"-" else target + b"?" + query)
    if isinstance(parts, Unread):
        return parts
    at = clock.at((fields.get(b"date", b"") + b"T" + fields.get(b"time", b"") + b"Z").decode("latin-1"))
    if at is None:
        return Unread.BAD_TIME
    path, query, named = parts
    status = fields.get(b"sc-status", b"-")
    host = named or next((plain_host(fields[name]) for name in _HOSTS if fields.get(name, b"-") != b"-"), "")
    caller = _caller(fields.get(b"cs(user-agent)", b"-"))
    return LoggedCall(
        at,
        method,
        path,
        query,
        int(status) if status.isdigit() and 0 < int(status[:4]) < 1000 else None,
        caller,
        host,
        _duration_s(fields.get(b"time-taken", b"-")),
    )


def _caller(raw: bytes) -> str:
    """Return a User-Agent, whose blanks are `+` (IIS) or `%20` (CloudFront)."""
    text = raw.decode("utf-8", "replace")
    if text == "-":
        return ""
    return unquote(text) if "%20" in text else text.replace("+", " ")


def _duration_s(raw: bytes) -> float | None:
    """Return a duration: IIS writes whole milliseconds, CloudFront seconds with decimals."""
    whole, dot, decimals = raw.partition(b".")
    if not whole.isdigit() or len(raw) > 12 or (dot and not decimals.isdigit()):
        return None
    return float(raw) if dot else int(whole) / 1000
