"""A script for a POSIX shell with one curl command a request, which sends what was recorded, byte for byte."""

import re
from typing import Final

from strangler import __version__
from strangler.recordings.exports.destination import Destination
from strangler.recordings.exports.redacted_values import LeftOut
from strangler.recordings.exports.sendable import Sendable, Unsendable
from strangler.recordings.exports.shell_words import comment, is_text, printf_commands, quoted, variable

_OWN: Final = (b"user-agent", b"accept", b"content-type", b"expect")
"""Fields that curl adds by itself: taken out where the recorded request has none."""
_NOT_RECORDED: Final = frozenset({b"host", b"content-length"})
"""Fields that curl writes from the URL and the body."""
_URL_SAFE: Final = re.compile(rb"/[A-Za-z0-9\-._~!$&'()*+,;=:@%/?\[\]]*")
_SAFE_NAME: Final = re.compile(r"[A-Za-z0-9_.~%+\-\[\]]+")
_MAX_WORD_BYTES: Final = 32 * 1024
_SWITCHING = 101


class CurlFormat:
    """One command a request. The first argument of the script is another host to send to."""

    def __init__(self, to: Destination, name: str) -> None:
        self._to = to
        self._name = name

    def start(self) -> bytes:
        lines = [
            b"#!/bin/sh",
            comment(f"Made by strangler {__version__} from {self._name}. Needs curl 7.55 or later."),
            comment("Requests go to the host in the first argument, else to:"),
            b"to=${1:-" + quoted(self._to.base.encode()) + b"}",
        ]
        return b"\n".join(lines) + b"\n"

    def entry(self, request: Sendable) -> bytes | Unsendable:
        status = None if request.response is None else request.response.status
        if request.method == b"CONNECT" or status == _SWITCHING:
            return Unsendable.NO_WAY
        title = f"line {request.number}: {request.method.decode()} {request.target.decode('utf-8', 'replace')}"
        lines = [b"", comment(f"{title}: {status or 'no response'} was recorded")]
        lines += [comment(_note(request, item)) for item in request.left_out]
        return b"\n".join([*lines, curl_command(request, b'"$to"')]) + b"\n"

    def end(self) -> bytes:
        return b""


def _note(request: Sendable, item: LeftOut) -> str:
    text = f"left out, since its value is redacted: {item.place} {item.name}"
    secret = _variable_of(request, item)
    return f"{text}; put it in by hand" if secret is None else f"{text}; give it in {secret}"


def _variable_of(request: Sendable, item: LeftOut) -> str | None:
    """Return the variable that gives a redacted value; None if the script has no place for one."""
    if item.place == "cookie":
        return variable("cookie")  # the whole field: its pairs may depend on one another
    if item.place == "header":
        return variable(item.name)
    is_query = item.place == "query" and _SAFE_NAME.fullmatch(item.name) and _URL_SAFE.fullmatch(request.target)
    return variable("query", item.name) if is_query else None


def curl_command(request: Sendable, base: bytes) -> bytes:
    """Return a command, with a line for each option. `base`: a word of the shell for scheme and host."""
    words = [b"curl -q -sS -i -g --http1.1 --path-as-is", *_method(request), *_fields(request)]
    body, before = _body(request), b""
    if body is not None:
        before, option = body_option(body)
        words.append(option)
    return before + b" \\\n  ".join([*words, *_url(request, base)])


def body_option(body: bytes) -> tuple[bytes, bytes]:
    """Return what stands before the command, and the option that sends the body: never a file that `@` names."""
    if len(body) <= _MAX_WORD_BYTES and is_text(body):
        return b"", b"--data-raw " + quoted(body)
    return b"{ " + b"; ".join(printf_commands(body)) + b"; } | ", b"--data-binary @-"


def _body(request: Sendable) -> bytes | None:
    """Return the body; an empty one stands for a Content-Length of 0, which curl would not send."""
    return b"" if request.body is None and request.values(b"content-length") else request.body


def _method(request: Sendable) -> list[bytes]:
    body = _body(request)
    if request.method == b"HEAD" and body is None:
        return [b"-I"]
    if request.method == b"HEAD":  # curl would wait for the body that such a response never has
        return [b"-X HEAD", b"--ignore-content-length", b"-H 'Connection: close'"]
    return [b"-X " + quoted(request.method)] if request.method != b"GET" or body is not None else []


def _fields(request: Sendable) -> list[bytes]:
    written = _NOT_RECORDED | ({b"connection"} if b"-X HEAD" in _method(request) else set())
    cookie = any(item.place == "cookie" for item in request.left_out)
    words = []
    for name, value in request.headers:
        field = quoted(name + b": " + value if value else name + b";")
        if name.lower() == b"cookie" and cookie:
            words.append(b"${SECRET_COOKIE--H} ${SECRET_COOKIE-%b}" % field)
        elif name.lower() not in written:
            words.append(b"-H " + field)
    hidden = [item for item in request.left_out if item.place in ("header", "cookie")]
    names = dict.fromkeys("Cookie" if item.place == "cookie" else item.name for item in hidden)
    words += [_field_by_variable(name, variable(name)) for name in names]
    present = {name.lower() for name, _ in request.headers}
    return words + [b"-H '%b:'" % name.title() for name in _OWN if name not in present]


def _field_by_variable(name: str, secret: str) -> bytes:
    """Return words that are a field if the variable is set, and nothing if not."""
    return f'${{{secret}+-H}} ${{{secret}+"{_in_double_quotes(name)}: ${secret}"}}'.encode()


def _in_double_quotes(text: str) -> str:
    return re.sub(r'([\\"$`])', r"\\\1", text)


def _url(request: Sendable, base: bytes) -> list[bytes]:
    target = request.target
    if not _URL_SAFE.fullmatch(target):
        return [b"--request-target " + quoted(target), base + b"/"]
    given = []
    for item in request.left_out:
        secret = _variable_of(request, item)
        if item.place == "query" and secret is not None:
            given.append(f'"${{{secret}+&{item.name}=${secret}}}"'.encode())
    return [base + quoted(target) + b"".join(dict.fromkeys(given))]
