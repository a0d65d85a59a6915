"""Forms as trees: an object of lists, since a field may come more than once."""

from urllib.parse import unquote_plus

from strangler.core.compare.model.values import Node

_SAFE_CODECS_ERRORS = "surrogateescape"
"""Bytes that are not UTF-8 stay distinct."""


def parse_form(body: bytes) -> dict[str, Node]:
    """Parse application/x-www-form-urlencoded (WHATWG URL standard section 5.1). Never fails."""
    fields: dict[str, list[Node]] = {}
    for part in body.decode("utf-8", _SAFE_CODECS_ERRORS).strip("\r\n").split("&"):
        if part:
            name, _, value = part.partition("=")
            fields.setdefault(_plain(name), []).append(_plain(value))
    return dict(fields)


def _plain(text: str) -> str:
    return unquote_plus(text, errors=_SAFE_CODECS_ERRORS)
