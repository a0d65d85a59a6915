"""The account of a recording: how much is in it, of whom, of which endpoints, and when."""

import msgspec

from strangler.core.compare.model.endpoint_names import endpoint_shape
from strangler.imports.values import MAX_PLACES
from strangler.recordings.recorded import Header, RecordedBody, RecordedPair, raw_bytes

MAX_COUNTED = 100_000
"""The most callers and endpoints that are told apart."""


class PassedOver(msgspec.Struct, frozen=True, kw_only=True):
    """Lines or entries that gave no pair for one reason."""

    why: str
    count: int
    first: list[int]
    """The numbers of the first of them."""


class RecordingSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The account of a recording, as `strangler record --json` prints it."""

    file: str
    header: Header
    pairs: int
    callers: int
    endpoints: int
    first_at: float | None
    """Unix time of the earliest request."""
    last_at: float | None
    without_response: int
    bodies_not_kept: int
    """Bodies of which nothing was kept, or only the start."""
    passed_over: list[PassedOver]


class CountsState:
    """The counts while the pairs of a recording are written or read."""

    def __init__(self) -> None:
        self.pairs = 0
        self._callers: set[str] = set()
        self._endpoints: set[str] = set()
        self._first: float | None = None
        self._last: float | None = None
        self._without_response = self._not_kept = 0
        self._counts: dict[str, int] = {}
        self._places: dict[str, list[int]] = {}

    def count(self, pair: RecordedPair) -> None:
        self.pairs += 1
        _add(self._callers, pair.caller)
        path = raw_bytes(pair.request.target).partition(b"?")[0]
        _add(self._endpoints, f"{pair.request.method} {endpoint_shape(path)}")
        self._first = pair.at if self._first is None else min(self._first, pair.at)
        self._last = pair.at if self._last is None else max(self._last, pair.at)
        self._without_response += pair.response is None
        bodies = (pair.request.body, None if pair.response is None else pair.response.body)
        self._not_kept += sum(isinstance(body, RecordedBody) and not body.is_whole for body in bodies)

    def skip(self, why: str, number: int) -> None:
        """Count what gave no pair."""
        count = self._counts[why] = self._counts.get(why, 0) + 1
        if count <= MAX_PLACES:
            self._places.setdefault(why, []).append(number)

    def summary(self, file: str, header: Header) -> RecordingSummary:
        passed = [PassedOver(why=why, count=count, first=self._places[why]) for why, count in self._counts.items()]
        return RecordingSummary(
            file=file,
            header=header,
            pairs=self.pairs,
            callers=len(self._callers),
            endpoints=len(self._endpoints),
            first_at=self._first,
            last_at=self._last,
            without_response=self._without_response,
            bodies_not_kept=self._not_kept,
            passed_over=sorted(passed, key=lambda item: -item.count),
        )


def _add(names: set[str], name: str) -> None:
    if len(names) < MAX_COUNTED:
        names.add(name)
