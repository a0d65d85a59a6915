"""Values that split one path into several rows: `ledger.by: ["query:action", "header:SOAPAction"]`.

The worker adds the suffix to the first template: `/index.php?action=list`. The tree folds values that are too many.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from strangler.core.ledger.first_template import segment_template

MAX_VALUE = 256
"""The bytes that are read of a value."""
_SPACES = re.compile(rb"\+")
_LAST_PART = re.compile(r"[^/#:]+\Z")
_UNSAFE = re.compile(r"[=/]")


@dataclass(frozen=True, slots=True)
class SplitKey:
    """One entry of `ledger.by`: a parameter of the query, or a field of the request."""

    is_query: bool
    name: str


def parse_split_key(text: str) -> SplitKey:
    """Read `query:action` or `header:SOAPAction`. Raises ValueError with the way out."""
    kind, colon, name = text.partition(":")
    if not colon or kind not in ("query", "header") or not re.fullmatch(r"[\w.\-]{1,64}", name, re.ASCII):
        raise ValueError(f"{text!r} cannot be read; write query:NAME or header:NAME")
    return SplitKey(kind == "query", name)


def raw_values(keys: Sequence[SplitKey], query: bytes, fields: Mapping[bytes, bytes]) -> tuple[bytes, ...]:
    """Return the value of each key as the request has it, cut to what is read of it; empty where it has none."""
    return tuple(
        (_query_value(key.name, query) if key.is_query else fields.get(key.name.lower().encode(), b""))[:MAX_VALUE]
        for key in keys
    )


def suffix_of(keys: Sequence[SplitKey], values: Sequence[bytes]) -> str:
    """Return what values, one for each key, add to the first template of their path."""
    parts = [
        _query_part(key.name, value) if key.is_query else _header_part(key.name, value)
        for key, value in zip(keys, values, strict=True)
        if value
    ]
    queries = [part for part in parts if part[0] == "?"]
    return "".join(["&".join(queries).replace("&?", "&"), *(part for part in parts if part[0] == "#")])


def _query_value(name: str, query: bytes) -> bytes:
    """Return the first value of a parameter."""
    for pair in query.split(b"&") if query else ():
        key, _, value = pair.partition(b"=")
        if key == name.encode():
            return value
    return b""


def _query_part(name: str, value: bytes) -> str:
    text = unquote_to_bytes(_SPACES.sub(b" ", value)).decode("utf-8", "replace")
    return f"?{name}={_value_template(text)}"


def _header_part(name: str, value: bytes) -> str:
    """Return the value of a field; of an address (`"http://shop/Orders#Get"`), as SOAP has them, the last part."""
    text = value.decode("latin-1").strip().strip('"')
    last = _LAST_PART.search(text)
    return f"#{name}={_value_template(last[0] if last else text)}"


def _value_template(text: str) -> str:
    return _UNSAFE.sub(lambda found: f"%{ord(found[0]):02X}", segment_template(text))
