"""Learning from a pair of responses to one request: the recorded one, and that of this replay."""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from strangler.core.compare import Response
from strangler.core.replaying.found_values import FoundValue, Place
from strangler.core.replaying.places import values_by_place


class BothValues(NamedTuple):
    """The values of both responses by place."""

    recorded: Mapping[Place, FoundValue]
    replayed: Mapping[Place, FoundValue]


def values_of_both(recorded: Response, replayed: Response, target: str, *, knows_any: bool) -> BothValues | None:
    """Return the values to learn from; None if there is nothing to learn.

    `knows_any`: something was learned before, which equal values make forgotten. Otherwise equal bodies, the usual
    case, need not be searched: that is most of the time that a small pair takes.
    """
    if not recorded.status or replayed.fault is not None or recorded.is_unrecorded:
        return None
    if not knows_any and recorded.body == replayed.body:
        fields = _fields(recorded)
        if fields == _fields(replayed) and b"set-cookie" not in dict(fields):
            return None  # equal cookies are learned: one side may set them anew later
        recorded, replayed = replace(recorded, body=b""), replace(replayed, body=b"")
    return BothValues(values_by_place(recorded, target), values_by_place(replayed, target))


def _fields(response: Response) -> list[tuple[bytes, bytes]]:
    """Return the fields that values may be found in."""
    return [(key, value) for name, value in response.headers if (key := name.lower()) not in _WITHOUT_VALUES]


_WITHOUT_VALUES = frozenset({b"date", b"server", b"connection", b"content-length", b"content-type", b"keep-alive"})
