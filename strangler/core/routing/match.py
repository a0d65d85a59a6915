# Compiled with mypyc: see docs/hot-path.md.
"""The conditions of a route on headers and query parameters."""

from urllib.parse import unquote_to_bytes

from strangler.core.http.head import RequestHead
from strangler.core.settings import MatchSettings

Pairs = tuple[tuple[bytes, bytes], ...]


class Conditions:
    """Header and query conditions that must all hold. A route without any has None instead, which costs nothing."""

    __slots__ = ("headers", "query")

    def __init__(self, headers: Pairs, query: Pairs) -> None:
        self.headers = headers
        self.query = query

    @classmethod
    def of(cls, match: MatchSettings) -> "Conditions | None":
        if not match.headers and not match.query:
            return None
        return cls(encode_fields(match.headers), encode_pairs(match.query))

    def hold(self, head: RequestHead) -> bool:
        fields = head.fields
        for name, value in self.headers:
            if fields.get(name) != value:
                return False
        if not self.query:
            return True
        parameters = parse_query(head.query)
        return all(parameters.get(name) == value for name, value in self.query)


def encode_pairs(pairs: tuple[tuple[str, str], ...]) -> Pairs:
    return tuple((name.encode(), value.encode()) for name, value in pairs)


def encode_fields(pairs: tuple[tuple[str, str], ...]) -> Pairs:
    """Return the pairs encoded, their names in lower case as in `RequestHead.fields`."""
    return tuple((name.lower().encode(), value.encode()) for name, value in pairs)


def parse_query(query: bytes | None) -> dict[bytes, bytes]:
    """Return the decoded parameters of a query; the first of a name counts. A name without `=` has an empty value."""
    parameters: dict[bytes, bytes] = {}
    for part in (query or b"").split(b"&"):
        name, _, value = part.replace(b"+", b" ").partition(b"=")
        parameters.setdefault(unquote_to_bytes(name), unquote_to_bytes(value))
    return parameters
