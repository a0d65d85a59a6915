"""Redacted values in requests: a field that has one is taken out, since the value itself is not known any more."""

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from strangler.recordings.exports.json_members import NotRemovableError, without_members

Place: TypeAlias = Literal["header", "cookie", "query", "form", "json"]


def _in_base64(text: bytes) -> list[bytes]:
    """Return what a text looks like within Base64, at each of its three offsets."""
    found = []
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + text)
        found.append(encoded[(0, 2, 3)[offset] : len(encoded) - (0, 3, 2)[(offset + len(text)) % 3]])
    return found


MARK: Final = re.compile(rb"redacted(?::|%3[Aa])[0-9a-f]{8}|" + b"|".join(map(re.escape, _in_base64(b"redacted:"))))
"""The mark in the place of a secret, also percent-encoded or within Base64; more of a word may follow."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A field that is not sent, since its value is redacted."""

    place: Place
    name: str


def is_redacted(data: bytes) -> bool:
    return MARK.search(data) is not None


def without_pairs(text: bytes, place: Place, left_out: list[LeftOut]) -> bytes:
    """Return a query or a form without its redacted parameters; the others stay as they are."""
    if not is_redacted(text):
        return text
    kept = []
    for pair in text.split(b"&"):
        if is_redacted(pair):
            left_out.append(LeftOut(place, pair.partition(b"=")[0].decode("utf-8", "replace")))
        else:
            kept.append(pair)
    return b"&".join(kept)


def without_fields(headers: list[tuple[bytes, bytes]], left_out: list[LeftOut]) -> list[tuple[bytes, bytes]]:
    """Return header fields without those that are redacted; a Cookie loses its redacted pairs only."""
    return list(_kept_fields(headers, left_out))


def _kept_fields(headers: list[tuple[bytes, bytes]], left_out: list[LeftOut]) -> Iterator[tuple[bytes, bytes]]:
    for name, value in headers:
        if not is_redacted(value) and not is_redacted(name):
            yield name, value
        elif name.lower() == b"cookie":
            kept = []
            for pair in value.split(b";"):
                if is_redacted(pair):
                    cookie = pair.partition(b"=")[0].strip()
                    left_out.append(LeftOut("cookie", cookie.decode("utf-8", "replace")))
                elif pair.strip():
                    kept.append(pair.strip())
            if kept:
                yield name, b"; ".join(kept)
        else:
            left_out.append(LeftOut("header", name.decode("utf-8", "replace")))


def without_values(body: bytes, content_type: bytes, left_out: list[LeftOut]) -> bytes | None:
    """Return a body without its redacted fields; None if they cannot be taken out of it.

    A form loses parameters, JSON members of objects. Other bytes stay as they are.
    """
    if not is_redacted(body):
        return body
    media_type = content_type.partition(b";")[0].strip().lower()
    if media_type == b"application/x-www-form-urlencoded":
        return without_pairs(body, "form", left_out)
    if b"json" not in media_type and body.lstrip()[:1] not in (b"{", b"["):
        return None
    try:
        text, names = without_members(body.decode(), is_redacted)
    except (UnicodeDecodeError, NotRemovableError):
        return None
    left_out.extend(LeftOut("json", name) for name in names)
    return text.encode()
