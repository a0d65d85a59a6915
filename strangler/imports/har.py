"""HAR 1.2, what browsers export: one call for each entry that went over the network."""

from collections import Counter
from typing import Any, Final

import msgspec

from strangler.imports.excerpt import excerpt
from strangler.imports.log_reading import Numbered
from strangler.imports.request_lines import is_method, plain_host, split_target
from strangler.imports.text_formats import Found
from strangler.imports.timestamps import IsoClock
from strangler.imports.values import ImportOptions, ImportRefusedError, LoggedCall, Unread

MAX_HAR_BYTES: Final = 512 * 1024 * 1024
_MAX_NAMED: Final = 5


class _Log(msgspec.Struct, gc=False):
    entries: list[msgspec.Raw] = []


class _Har(msgspec.Struct, gc=False):
    log: _Log


class _Request(msgspec.Struct, gc=False):
    method: str
    url: str
    headers: Any = None


class _Response(msgspec.Struct, gc=False):
    status: Any = None


class _Entry(msgspec.Struct, gc=False):
    request: _Request
    response: _Response | None = None
    started: Any = msgspec.field(name="startedDateTime", default=None)
    time: Any = None
    cache: Any = msgspec.field(name="_fromCache", default=None)


_as_har: Final = msgspec.json.Decoder(_Har).decode
_as_entry: Final = msgspec.json.Decoder(_Entry).decode


def raw_entries(data: bytes, name: str) -> list[msgspec.Raw]:
    """Return the entries of a HAR as they are written. Raises ImportRefusedError."""
    try:
        return _as_har(data).log.entries
    except (msgspec.DecodeError, RecursionError) as error:
        raise ImportRefusedError(f"{name} is no valid HAR: {excerpt(str(error).encode())}") from error


def check_hosts(hosts: "Counter[str]", name: str, wanted: str) -> None:
    """Raise ImportRefusedError if no request went to the wanted host or, if that is empty, requests to several."""
    if wanted and wanted not in hosts:
        raise ImportRefusedError(f"{name} has no request to {wanted}; it has {_named(hosts)}")
    if not wanted and len(hosts) > 1:
        raise ImportRefusedError(f"{name} has requests to {len(hosts)} hosts: name one with --host: {_named(hosts)}")


def entries(data: bytes, name: str, options: ImportOptions) -> Numbered:
    """Yield what each entry gives, numbered from 1. Raises ImportRefusedError if they went to several hosts."""
    clock = IsoClock()
    found = [_call(raw, clock) for raw in raw_entries(data, name)]
    host = plain_host(options.host.encode())
    check_hosts(Counter(call.host for call in found if isinstance(call, LoggedCall)), name, host)
    return (
        (number, Unread.OTHER_HOST if isinstance(call, LoggedCall) and host and call.host != host else call)
        for number, call in enumerate(found, start=1)
    )


def _named(hosts: "Counter[str]") -> str:
    texts = [f"{host or 'no host'} ({count})" for host, count in hosts.most_common(_MAX_NAMED)]
    return ", ".join(texts + ["…"] * (len(hosts) > _MAX_NAMED)) or "none"


def _call(raw: msgspec.Raw, clock: IsoClock) -> Found:
    try:
        entry = _as_entry(raw)
    except (msgspec.DecodeError, RecursionError):
        return Unread.BAD_FORM
    if entry.cache:
        return Unread.FROM_CACHE
    request = entry.request
    if not request.url.lower().startswith(("http:", "https:")):
        return Unread.NOT_HTTP
    parts = split_target(request.url.encode("utf-8", "replace"))
    if isinstance(parts, Unread) or not is_method(request.method):
        return Unread.NO_PATH
    at = clock.at(entry.started) if isinstance(entry.started, str) and entry.started else None
    if at is None:
        return Unread.BAD_TIME
    status = entry.response.status if entry.response else None
    path, query, host = parts
    return LoggedCall(
        at,
        request.method,
        path,
        query,
        status if isinstance(status, int) and 0 < status < 1000 else None,
        _caller(request.headers),
        host,
        entry.time / 1000 if isinstance(entry.time, int | float) and entry.time >= 0 else None,
    )


def _caller(headers: object) -> str:
    for field in headers if isinstance(headers, list) else ():
        name = field.get("name") if isinstance(field, dict) else None
        if isinstance(name, str) and name.lower() == "user-agent":
            value = field.get("value")
            return value if isinstance(value, str) else ""
    return ""
