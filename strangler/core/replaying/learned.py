"""Learned values: pairs of what the recording's side made and what this replay's side made at the same place.

The newest pair wins, and what is equal on both sides is not kept. A distinctive value is known wherever it stands, also
percent-encoded or escaped; any other only in its own spot. A mark of a redacted secret is such a value: the same mark
stands wherever the secret stood. Memory is bounded for each caller, and for all of them together.
"""

from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from strangler.core.http.cookies import MAX_COOKIES
from strangler.core.privacy.secrets import MARK
from strangler.core.replaying.found_values import FoundValue, Place
from strangler.core.replaying.needles import Hit, Needles, anchor_of, words_of
from strangler.core.replaying.spots import Spot, is_distinctive
from strangler.core.replaying.writings import Writing, writings_of

MAX_PAIRS = 2000
MAX_CALLER_BYTES = 1024 * 1024
MAX_ALL_BYTES = 256 * 1024 * 1024
_PAIR_BYTES = 500
"""The bytes that a pair takes beside its texts."""


class Replaced(NamedTuple):
    """A value of this replay, in the place of a recorded one."""

    text: str
    is_retyped: bool = False
    """Whether JSON has it as a number where the recorded one is a text, or the other way round."""


class Learned(NamedTuple):
    """A value of this replay, and how the value that it replaces was written."""

    text: str
    writing: Writing


_Key = tuple[Spot | None, str]
"""A recorded value, and its spot; None for one that is known anywhere."""


class CallerValues:
    """The values learned from one caller's responses."""

    def __init__(self, max_pairs: int = MAX_PAIRS, max_bytes: int = MAX_CALLER_BYTES) -> None:
        self._max_pairs = max_pairs
        self._max_bytes = max_bytes
        self._pairs: OrderedDict[_Key, Replaced] = OrderedDict()
        self._cookies: OrderedDict[Place, tuple[FoundValue | None, FoundValue | None]] = OrderedDict()
        """The newest value of each cookie, recorded and replayed."""
        self._texts: Counter[str] = Counter()
        self._anchors: Counter[bytes] = Counter()
        """The anchors of all recorded values, in all their writings."""
        self._needles: Needles[Learned] = Needles()
        self.size = 0
        """The bytes that the pairs take, as an estimate."""

    def __len__(self) -> int:
        return len(self._pairs)

    def learn(self, recorded: Mapping[Place, FoundValue], replayed: Mapping[Place, FoundValue]) -> None:
        """Learn from the values of two responses to one request.

        A value that both have at one place replaces what was learned of it. Nothing is learned of a value that the
        other side has at a place that is alike, since the rows may stand in another order.
        """
        both: set[tuple[str, str]] | None = None
        for place, left in recorded.items():
            right = replayed.get(place)
            if right is None or place.family.startswith("cookie:"):
                continue
            if left.text == right.text:
                self._forget(left)
                continue
            if both is None:
                both = {(place.family, value.text) for place, value in replayed.items()}
            if (place.family, left.text) not in both:
                self._put_pair(left, right)
        self._learn_cookies(recorded, replayed)

    def _learn_cookies(self, recorded: Mapping[Place, FoundValue], replayed: Mapping[Place, FoundValue]) -> None:
        """Pair the newest values of each cookie: one side may set a cookie anew while the other keeps it."""
        for place in {**recorded, **replayed}:
            if not place.family.startswith("cookie:"):
                continue
            before = self._cookies.pop(place, (None, None))
            left, right = recorded.get(place, before[0]), replayed.get(place, before[1])
            self._cookies[place] = left, right
            if len(self._cookies) > MAX_COOKIES:
                self._cookies.popitem(last=False)
            if left is not None and right is not None:
                if left.text == right.text:
                    self._forget(left)
                else:
                    self._put_pair(left, right)

    def _put_pair(self, left: FoundValue, right: FoundValue) -> None:
        self.put(left.text, right.text, left.spots, is_retyped=left.is_literal != right.is_literal)

    def put(self, recorded: str, replayed: str, spots: tuple[Spot, ...] = (), *, is_retyped: bool = False) -> None:
        """Keep a pair as the newest. A mark within the recorded value is kept too, if all around it is equal."""
        mark = MARK.search(recorded)
        if mark is not None and mark[0] != recorded:
            start, end = recorded[: mark.start()], recorded[mark.end() :]
            if replayed.startswith(start) and replayed.endswith(end) and len(replayed) > len(start) + len(end):
                self._keep((None, mark[0]), Replaced(replayed[len(start) : len(replayed) - len(end)]))
                return
        known = (None,) if is_distinctive(recorded, spots) else spots
        for spot in known:
            self._keep((spot, recorded), Replaced(replayed, is_retyped))

    def _keep(self, key: _Key, replayed: Replaced) -> None:
        if self._pairs.get(key) == replayed:
            self._pairs.move_to_end(key)
            return
        self._drop(key)
        if _size(key, replayed) > self._max_bytes:
            return
        self._pairs[key] = replayed
        self._count(key, 1)
        self.size += _size(key, replayed)
        if key[0] is None:
            for needle, writing in writings_of(key[1]).items():
                self._needles.add(needle, Learned(replayed.text, writing))
        while len(self._pairs) > self._max_pairs or self.size > self._max_bytes:
            self._drop(next(iter(self._pairs)))

    def _count(self, key: _Key, change: int) -> None:
        text = key[1]
        self._texts[text] += change
        if not self._texts[text]:
            del self._texts[text]
        for needle in writings_of(text) if key[0] is None else (text,):
            anchor = anchor_of(needle).encode()
            self._anchors[anchor] += change
            if not self._anchors[anchor]:
                del self._anchors[anchor]

    def _forget(self, value: FoundValue) -> None:
        """Forget what replaced a value, which now is the same on both sides."""
        if value.text in self._texts:
            for spot in (None, *value.spots):
                self._drop((spot, value.text))

    def _drop(self, key: _Key) -> None:
        replayed = self._pairs.pop(key, None)
        if replayed is None:
            return
        self.size -= _size(key, replayed)
        self._count(key, -1)
        if key[0] is None:
            for needle, writing in writings_of(key[1]).items():
                self._needles.remove(needle, Learned(replayed.text, writing))

    def at(self, text: str, spots: Iterable[Spot]) -> Replaced | None:
        """Return what replaces a whole value that stands in one of these spots; None if nothing does."""
        for spot in spots:
            found = self._pairs.get((spot, text))
            if found is not None:
                return found
        return self._pairs.get((None, text))

    def may_replace(self, text: str) -> bool:
        """Return False if no value can stand in a text: a quick test, which most texts fail."""
        if not self._anchors:
            return False
        words = words_of(text)
        return words is None or b"" in self._anchors or not self._anchors.keys().isdisjoint(words)

    def has_text(self, text: str) -> bool:
        """Return True if a value of this text may be replaced in some spot."""
        return text in self._texts

    def within(self, text: str) -> list[Hit[Learned]]:
        """Return the values known anywhere that stand in a text, with what replaces them."""
        return self._needles.find(text)


def _size(key: _Key, replayed: Replaced) -> int:
    return _PAIR_BYTES + len(key[1]) + len(replayed.text)


class LearnedValues:
    """The learned values of all callers. Those of the callers that have been quiet longest go first."""

    def __init__(self, max_bytes: int = MAX_ALL_BYTES) -> None:
        self._max_bytes = max_bytes
        self._callers: OrderedDict[str, CallerValues] = OrderedDict()
        self._size = 0
        self._nothing = CallerValues()
        """Never changed: it stands for each caller that is not known."""

    def of(self, caller: str) -> CallerValues:
        """Return the values of a caller, empty for one that is not known."""
        return self._callers.get(caller, self._nothing)

    def learn(self, caller: str, recorded: Mapping[Place, FoundValue], replayed: Mapping[Place, FoundValue]) -> None:
        """Learn from the values of two responses to a request of a caller."""
        values, before = self._taken(caller)
        values.learn(recorded, replayed)
        self._put_back(caller, values, before)

    def put(self, caller: str, recorded: str, replayed: str) -> None:
        """Keep a pair of a caller that no response has told: a redacted value, and what was handed in for it."""
        values, before = self._taken(caller)
        values.put(recorded, replayed)
        self._put_back(caller, values, before)

    def _taken(self, caller: str) -> tuple[CallerValues, int]:
        values = self._callers.pop(caller, None)
        return (CallerValues(), 0) if values is None else (values, values.size)

    def _put_back(self, caller: str, values: CallerValues, before: int) -> None:
        self._callers[caller] = values
        self._size += values.size - before
        while self._size > self._max_bytes and len(self._callers) > 1:
            _, dropped = self._callers.popitem(last=False)
            self._size -= dropped.size
