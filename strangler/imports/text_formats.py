"""Access logs as lines of text: one compiled pattern for each form, and quick ways for what most lines are.

A pattern has two alternatives for the request: a plain one, which takes method, path and query apart at once, and any
other. Repetitions are possessive or bounded, so the time is linear in the line, whatever it holds.
"""

import re
from collections.abc import Callable
from typing import Final

from strangler.imports.request_lines import encoded, is_method, plain_host, split_request, unescaped
from strangler.imports.timestamps import ClfClock, IsoClock
from strangler.imports.values import LoggedCall, Unread

Found = LoggedCall | Unread
Parse = Callable[[bytes], Found]

_MAX_REMEMBERED: Final = 4096
_QUOTED: Final = rb'"([^"\\]*+(?:\\.[^"\\]*+)*+)"'
_PATH: Final = rb"[!$->@-\[\]-~]*+"
_QUERY: Final = rb"[!$-\[\]-~]*+"
_PLAIN: Final = rb'"([A-Z]{1,32}+) (/%b)(?:\?(%b))? HTTP/[\d.]{1,4}"' % (_PATH, _QUERY)
_CLF_STAMP: Final = rb"\d\d/[A-Za-z]{3}/\d{4}:\d\d:\d\d:\d\d"


class _Callers:
    """The texts of User-Agents, decoded once each."""

    def __init__(self) -> None:
        self._texts: dict[bytes, str] = {}

    def text(self, raw: bytes) -> str:
        """Return a text in which backslashes escape."""
        return self._texts.get(raw) or self._decoded(raw, unescaped(raw))

    def plain(self, raw: bytes) -> str:
        """Return a text as it is."""
        return self._texts.get(raw) or self._decoded(raw, raw)

    def _decoded(self, raw: bytes, plain: bytes) -> str:
        if raw in (b"-", b""):
            return ""
        if len(self._texts) >= _MAX_REMEMBERED:
            self._texts.clear()
        text = self._texts[raw] = plain.decode("utf-8", "replace")
        return text


def _status(raw: bytes) -> int | None:
    """Return a status; `-`, `0` and `-1` are none."""
    return (int(raw) or None) if raw.isdigit() else None


_CLF: Final = re.compile(
    rb"(\S++) ([^\[\"]{0,512}+)\[(%b)(?:\.\d+)? ?([+-]\d{4})?\] (?:%b|%b) (\d{1,3}|-)"
    rb"(?: (?:\d+|-)(?: %b %b(?: \d+ \"[^\"]*+\" \"[^\"]*+\" (\d{1,9})ms)?)?)?"
    % (_CLF_STAMP, _PLAIN, _QUOTED, _QUOTED, _QUOTED)
)


def common() -> Parse:
    """Return the reader of the common and the combined format, with a host before it, or Traefik's fields behind it."""
    match, clock, callers = _CLF.match, ClfClock(), _Callers()

    def parse(line: bytes) -> Found:
        found = match(line)
        if found is None:
            return Unread.OTHER_EVENT if line[:1] == b"{" else Unread.BAD_FORM
        first, before, stamp, zone, method, path, query, other, status, _, caller, duration = found.groups()
        at = clock.at(stamp, zone or b"+0000")
        if at is None:
            return Unread.BAD_TIME
        host = _virtual_host(first, before) if before != b"- - " else ""
        verb = method.decode() if method else ""
        if other is not None:
            parts = split_request(unescaped(other))
            if isinstance(parts, Unread):
                return parts
            verb, (path, query, named) = parts
            host = named or host
        return LoggedCall(
            at,
            verb,
            path,
            query or b"",
            _status(status),
            callers.text(caller) if caller else "",
            host,
            int(duration) / 1000 if duration else None,
            _client(first, before),
        )

    return parse


def _client(first: bytes, before: bytes) -> str:
    """Return the client's address: the first word, or the second where a host stands before it."""
    raw = before.split(b" ", 1)[0] if before != b"- - " and _virtual_host(first, before) else first
    return "" if raw == b"-" else raw.decode("latin-1")


def _virtual_host(first: bytes, before: bytes) -> str:
    """Return the host that stands before the client's address (Apache's vhost_combined); empty if there is none."""
    words = before.split(b" ", 2)
    return plain_host(first) if len(words) == 3 and words[0] != b"-" and words[1] == b"-" else ""


_HAPROXY: Final = re.compile(
    rb"\[(%b)(\.\d{1,6})?\] \S++ [^ /]*+/\S++ (?:[+-]?\d+/){4}\+?(-?\d+) (-?\d{1,3}|-) \S++ \S++ \S++ \S++ \S++ \d+/\d+"
    rb"(?: \{([^}]*+)\})?(?: \{[^}]*+\})? \"(?:%b|([^\"]*+)(\")?)" % (_CLF_STAMP, _PLAIN[1:])
)
_HASHED: Final = re.compile(rb"#([0-9A-F]{2})")
_CALLER: Final = re.compile(rb"[A-Za-z][\w.+-]{0,63}/\d")
_HOST: Final = re.compile(rb"(?:[a-z0-9-]{1,63}\.)+[a-z]{2,24}(?::\d{1,5})?", re.IGNORECASE)


def haproxy() -> Parse:
    """Return the reader of HAProxy's httplog, whatever syslog wrote before it. Its times have no zone: they are UTC."""
    search, clock, callers = _HAPROXY.search, ClfClock(), _Callers()

    def parse(line: bytes) -> Found:
        found = search(line)
        if found is None:
            return Unread.BAD_FORM
        stamp, fraction, took, status, captured, method, path, query, other, closed = found.groups()
        at = clock.at(stamp)
        if at is None:
            return Unread.BAD_TIME
        caller, host = _captured(captured) if captured else (b"", "")
        verb = method.decode() if method else ""
        if other is not None:
            if closed is None:
                return Unread.CUT
            parts = split_request(_unhashed(other))
            if isinstance(parts, Unread):
                return parts
            verb, (path, query, named) = parts
            host = named or host
        milliseconds = int(took)
        return LoggedCall(
            at + float(fraction) if fraction else at,
            verb,
            path,
            query or b"",
            _status(status),
            callers.plain(caller),
            host,
            milliseconds / 1000 if 0 <= milliseconds < 1 << 40 else None,
        )

    return parse


def _unhashed(raw: bytes) -> bytes:
    """Return what HAProxy writes as `#22`."""
    return _HASHED.sub(lambda code: bytes([int(code[1], 16)]), raw) if b"#" in raw else raw


def _captured(fields: bytes) -> tuple[bytes, str]:
    """Return User-Agent and host among captured request fields, known by their forms since they have no names."""
    values = [_unhashed(value) for value in fields.split(b"|")]
    caller = next((value for value in values if _CALLER.match(value)), b"")
    host = next((value for value in values if _HOST.fullmatch(value)), b"")
    return caller, plain_host(host) if host else ""


_URL: Final = rb'"([A-Z]{1,32}+) (?:https?|wss?)://([^/?#"\\ @:]++)(?::\d+)?(/%b)?(?:\?(%b))? HTTP/[\d.]{1,4}"' % (
    _PATH,
    _QUERY,
)
_ALB: Final = re.compile(
    rb"(?:(?:https?|h2|grpcs|wss?) )?(\d{4}-\d\d-\d\dT[\d:.]++Z) \S++ \S++ \S++ (-?[\d.]+) (-?[\d.]+) (-?[\d.]+) "
    rb"(\d{3}|-) (?:\d{3}|-) \d+ \d+ (?:%b|%b)(?: %b)?" % (_URL, _QUOTED, _QUOTED)
)


def load_balancer() -> Parse:
    """Return the reader of AWS's load balancers: ALB, and the classic one, whose lines do not begin with a type."""
    match, clock, callers = _ALB.match, IsoClock(), _Callers()
    hosts: dict[bytes, str] = {}

    def parse(line: bytes) -> Found:
        found = match(line)
        if found is None:
            return Unread.BAD_FORM
        stamp, *took, status, method, authority, path, query, other, caller = found.groups()
        at = clock.at(stamp.decode())
        if at is None:
            return Unread.BAD_TIME
        if other is not None:
            parts = split_request(unescaped(other))
            if isinstance(parts, Unread):
                return parts
            verb, (path, query, host) = parts
        else:
            verb, host = method.decode(), hosts.get(authority, "")
            if not host:
                host = plain_host(authority)
                if len(hosts) < _MAX_REMEMBERED:
                    hosts[authority] = host
        return LoggedCall(
            at,
            verb,
            path or b"/",
            query or b"",
            _status(status),
            callers.text(caller) if caller else "",
            host,
            _sum_s(took),
        )

    return parse


def _sum_s(parts: list[bytes]) -> float | None:
    """Return the sum of times in seconds; None if one is `-1`: the connection ended before."""
    try:
        times = [float(part) for part in parts]
    except ValueError:
        return None
    return sum(times) if min(times) >= 0 else None


_ENVOY: Final = re.compile(
    rb"\[(\d{4}-\d\d-\d\dT[\d:.]++Z)\] (?:%b|%b) (\d{1,3}|-) \S++ (?:\S++ \S++ \"[^\"]*+\" )?\d+ \d+ (\d{1,12}|-) \S++ "
    rb"\"[^\"]*+\" \"(.*)\" \"[^\"]*+\" \"([^\"]*+)\" \"[^\"]*+\"" % (_PLAIN, _QUOTED)
)
"""Envoy escapes nothing: a User-Agent with quotes ends before the last three fields in quotes."""


def envoy() -> Parse:
    """Return the reader of Envoy's and Istio's default format."""
    match, clock, callers = _ENVOY.match, IsoClock(), _Callers()

    def parse(line: bytes) -> Found:
        found = match(line)
        if found is None:
            return Unread.BAD_FORM
        stamp, method, path, query, other, status, took, caller, authority = found.groups()
        at = clock.at(stamp.decode())
        if at is None:
            return Unread.BAD_TIME
        verb, host = method.decode() if method else "", plain_host(authority)
        if other is not None:
            parts = split_request(unescaped(other))
            if isinstance(parts, Unread):
                return parts
            verb, (path, query, _) = parts
        seconds = int(took) / 1000 if took.isdigit() else None
        return LoggedCall(at, verb, path, query or b"", _status(status), callers.plain(caller), host, seconds)

    return parse


_COLOUR: Final = re.compile(rb"\x1b\[[0-9;]{0,16}m")
_CONSOLE: Final = re.compile(
    rb"(\d{4}-\d\d-\d\dT[\d:.]++Z) \[[a-z]++ *+\] "
    rb"(?:(request) ++method=(\S*+) "
    rb"path=(\"(?:[^\"\\]|\\.)*+\"|'(?:[^'\\]|\\.)*+'|\S*+) (?=.*? status=(\d{1,3}|None)(?: |$))"
    rb"(?:.*? duration_ms=(\d{1,12}(?:\.\d{1,6})?))?)?"
)
_REPR: Final = re.compile(rb"\\([\\'\"])")
_ESCAPED_BYTE: Final = re.compile(rb"\\x([89a-f][0-9a-f])")


def console() -> Parse:
    """Return the reader of our own lines for people. What a terminal cannot show is only nearly what it was."""
    match, clock = _CONSOLE.match, IsoClock()

    def parse(line: bytes) -> Found:
        if b"\x1b" in line:
            line = _COLOUR.sub(b"", line)
        found = match(line)
        if found is None:
            return Unread.BAD_FORM
        stamp, event, method, path, status, took = found.groups()
        if event is None:
            return Unread.OTHER_EVENT
        at = clock.at(stamp.decode())
        if at is None:
            return Unread.BAD_TIME
        verb = method.decode("latin-1")
        if not path or not is_method(verb):
            return Unread.NO_REQUEST
        if path[:1] in (b"'", b'"'):  # structlog quotes what has a quote or `=` in it
            path = _REPR.sub(rb"\1", path[1:-1])
        target = encoded(own_bytes(path))
        if target[:1] != b"/" and target != b"*":
            return Unread.NO_PATH
        return LoggedCall(at, verb, target, b"", _status(status), "", "", float(took) / 1000 if took else None)

    return parse


def own_bytes(text: bytes) -> bytes:
    """Return the bytes that our own log writes as `\\xff`, since they are no UTF-8."""
    return _ESCAPED_BYTE.sub(lambda code: bytes([int(code[1], 16)]), text) if b"\\x" in text else text


TEXT_FORMATS: Final[dict[str, Callable[[], Parse]]] = {
    "common or combined": common,
    "HAProxy": haproxy,
    "AWS load balancer": load_balancer,
    "Envoy": envoy,
    "our own, for a console": console,
}
