"""Learning from a pair of responses to one request: the recorded one, and that of this replay."""

from strangler.core.compare import Response
from strangler.core.replaying.learned import CallerValues
from strangler.core.replaying.paired_places import PlacedValues, paired_values


def values_of_both(
    recorded: Response, replayed: Response, target: str, known: CallerValues
) -> tuple[PlacedValues, PlacedValues] | None:
    """Return the values of both responses to learn from, by place; None if there is nothing to learn.

    `known`: what the caller has learned before, which equal values make forgotten. Without any, responses that are
    equal, the usual case, need not be searched.
    """
    if not recorded.status or replayed.fault is not None or recorded.is_unrecorded:
        return None
    if not len(known) and recorded.body == replayed.body:
        fields = _fields(recorded)
        if fields == _fields(replayed) and b"set-cookie" not in dict(fields):
            return None  # equal cookies are learned: one side may set them anew later
    return paired_values(recorded, replayed, target, known)


def _fields(response: Response) -> list[tuple[bytes, bytes]]:
    """Return the fields that values may be found in."""
    return [(key, value) for name, value in response.headers if (key := name.lower()) not in _WITHOUT_VALUES]


_WITHOUT_VALUES = frozenset({b"date", b"server", b"connection", b"content-length", b"content-type", b"keep-alive"})
