"""Access logs: the GET requests of one, with their statuses; a log has neither fields nor bodies."""

from typing import Final

from strangler.imports.log_reading import Numbered
from strangler.imports.values import LoggedCall, Unread
from strangler.recordings.recorded import (
    RecordedBody,
    RecordedHeaders,
    RecordedPair,
    RecordedRequest,
    RecordedResponse,
    raw_text,
)
from strangler.recordings.sources.pairs import NumberedPairs, Passed

OTHER_METHOD: Final = Passed("a request with another method than GET, whose body is in no log")
NO_TIME: Final = Passed("a request without a time")
UNKNOWN_BODY: Final = RecordedBody(omitted=0)
"""The body of a response in a log: not kept, and of a length that nobody knows."""


def log_pairs(found: Numbered) -> NumberedPairs:
    """Yield the pair of each line that is a GET request."""
    return ((number, _pair(item)) for number, item in found)


def _pair(item: LoggedCall | Unread) -> RecordedPair | Passed:
    if isinstance(item, Unread):
        return Passed(item)
    if item.method != "GET":
        return OTHER_METHOD
    if item.at is None:
        return NO_TIME
    target = item.path + (b"?" + item.query if item.query else b"")
    status = item.status if item.status is not None and item.status >= 100 else None
    took = None if item.duration_s is None or item.duration_s < 0 else round(item.duration_s * 1000, 3)
    return RecordedPair(
        at=item.at,
        caller=item.client or item.caller,
        request=RecordedRequest("GET", raw_text(target), _headers(item)),
        response=None if status is None else RecordedResponse(status, (), UNKNOWN_BODY, took),
    )


def _headers(item: LoggedCall) -> RecordedHeaders:
    """Return the fields that a log names."""
    named = (("Host", item.host), ("User-Agent", item.caller))
    return tuple((name, value) for name, value in named if value)
