"""A Hurl file (https://hurl.dev): one entry a pair, which asserts what the recorded response was."""

import re
from typing import Final, Literal, TypeAlias

from strangler import __version__
from strangler.recordings.exports.destination import Destination
from strangler.recordings.exports.hurl_text import hurl_body, hurl_key, hurl_value
from strangler.recordings.exports.json_asserts import field_asserts, read_patterns
from strangler.recordings.exports.redacted_values import LeftOut, is_redacted
from strangler.recordings.exports.sendable import Sendable, Unsendable
from strangler.recordings.exports.shell_words import comment
from strangler.recordings.recorded import RecordedResponse, raw_headers

Asserts: TypeAlias = Literal["body", "fields", "status"]
_NOT_RECORDED: Final = frozenset({"host", "content-length"})
"""Fields that Hurl writes from the URL and the body."""
_METHOD: Final = re.compile(rb"[A-Z]+")
_URL_SAFE: Final = re.compile(rb"/[A-Za-z0-9\-._~!$&'()*+,;=:@%/?\[\]{}|]*")
_NOT_NAMES: Final = re.compile(r"[^a-z0-9]+")
_SWITCHING = 101


class HurlFormat:
    """`asserts`: what of a JSON body is asserted beside the status; `fields`: the paths of those alone.

    Raises ValueError for a path that cannot be read.
    """

    def __init__(self, to: Destination, name: str, asserts: Asserts = "body", fields: tuple[str, ...] = ()) -> None:
        self._to = to
        self._name = name
        self._asserts = asserts
        self._fields = read_patterns(fields)

    def start(self) -> bytes:
        return comment(f"Made by strangler {__version__} from {self._name}. Needs Hurl 4 or later.") + b"\n"

    def entry(self, request: Sendable) -> bytes | Unsendable:
        response = request.response
        is_switching = response is not None and response.status == _SWITCHING
        if not _METHOD.fullmatch(request.method) or is_switching or request.method == b"CONNECT":
            return Unsendable.NO_WAY
        if not _URL_SAFE.fullmatch(request.target) or (request.method == b"HEAD" and request.body):
            return Unsendable.NO_WAY
        try:
            fields = [(name.decode(), value.decode()) for name, value in request.headers]
        except UnicodeDecodeError:
            return Unsendable.NO_WAY
        target = request.target.decode()
        lines = ["", comment(f"line {request.number}").decode(), f"{request.method.decode()} {self._to.base}"]
        lines[-1] += hurl_value(target)
        lines += [f"{hurl_key(name)}: {hurl_value(value)}" for name, value in fields if _is_sent(name)]
        lines += [_note(item) for item in request.left_out]
        if "/." in target:
            lines += ["[Options]", "path-as-is: true"]
        if request.body:
            lines.append(hurl_body(request.body))
        lines += self._expected(request)
        return "\n".join(lines).encode() + b"\n"

    def end(self) -> bytes:
        return b""

    def _expected(self, request: Sendable) -> list[str]:
        response = request.response
        if response is None:
            return ["HTTP *"]
        lines = [f"HTTP {response.status}"]
        text = _json_text(response) if request.method != b"HEAD" and self._asserts != "status" else None
        if text is None:
            return lines
        if self._asserts == "body" and not self._fields and not is_redacted(text.encode()):
            return [*lines, hurl_body(text.encode())]
        try:
            asserts = field_asserts(text, self._fields)
        except ValueError:
            return lines
        return [*lines, "[Asserts]", *asserts] if asserts else lines


def _is_sent(name: str) -> bool:
    return name.lower() not in _NOT_RECORDED


def _note(item: LeftOut) -> str:
    """Return a comment; of a field, it is the line that sends it when its `#` is taken away."""
    text = f"left out, since its value is redacted: {item.place} {item.name}"
    if item.place != "header":
        return comment(f"{text}; put it in by hand").decode()
    name = "secret_" + _NOT_NAMES.sub("_", item.name.lower()).strip("_")
    line = comment(f"{hurl_key(item.name)}: {{{{{name}}}}}").decode()
    return comment(f"{text}; take the # from the next line, and give --variable {name}=VALUE").decode() + f"\n{line}"


def _json_text(response: RecordedResponse) -> str | None:
    """Return the body if it is JSON that is here whole, in UTF-8 and without a content coding."""
    body = response.body
    if body is None or not body.is_whole or body.text is None:
        return None
    headers = {name.lower(): value.lower() for name, value in raw_headers(response.headers)}
    content_type = headers.get(b"content-type", b"")
    is_encoded = headers.get(b"content-encoding", b"identity") != b"identity"
    is_other_charset = b"charset" in content_type and b"utf-8" not in content_type
    return None if b"json" not in content_type or is_encoded or is_other_charset else body.text
