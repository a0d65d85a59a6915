"""Whether the words under one parent are values: decided by their counts, and by what stands below them.

The measure is the share of calls that are first-seen values (Good and Turing's estimate, smoothed). It stays high for
slugs and user names, and falls to nothing for the words of an application. It depends on sums, not on their order.
"""

import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from strangler.core.ledger.well_known import BESIDE_VALUES
from strangler.core.ledger.word_classes import (
    Form,
    has_hole,
    has_hyphen,
    is_fixed_form,
    is_identifier,
    is_on_all_resources,
)

MAX_WORDS = 1000
"""The most words under one parent."""
_CERTAIN = {
    Form.NUMBERED: 20,
    Form.DATE: 9,
    Form.NAME: 60,
    Form.CODED: 40,
    Form.ODD: 40,
    Form.SLUG: 150,
    Form.PARAMETER: 400,
    Form.WORD: MAX_WORDS - 200,
}
"""So many words of a class are values, however often each is called."""
_CERTAIN_IN_COLLECTION = 40


@dataclass(frozen=True, slots=True)
class Word:
    """A word under a parent: its calls, and the calls of each segment below it."""

    text: str
    calls: int
    below: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Place:
    """The place where words stand: below a collection (`/users`) or a plural, beside values that their form tells."""

    is_collection: bool = False
    is_plural: bool = False
    has_values: bool = False


NOWHERE = Place()


@dataclass(frozen=True, slots=True)
class Evidence:
    """The least number of words and of calls that decide, and the share of first-seen values needed then."""

    words: int
    calls: int
    share: float

    def needed(self, calls: int) -> float:
        """Return the share that is needed: ever less with more calls, since that of words falls faster."""
        return max(_LEAST_SHARE, self.share * math.pow(self.calls / calls, 0.45))


_LEAST_SHARE = 0.03
_EVIDENCE = {
    Form.NUMBERED: Evidence(5, 20, 0.3),
    Form.DATE: Evidence(3, 12, 0.25),
    Form.NAME: Evidence(8, 16, 0.4),
    Form.CODED: Evidence(8, 16, 0.4),
    Form.ODD: Evidence(6, 12, 0.4),
    Form.SLUG: Evidence(10, 20, 0.75),
    Form.PARAMETER: Evidence(24, 200, 0.45),
    Form.WORD: Evidence(24, 40, 0.9),
}
"""Twice the share of an application of 300 words, called unevenly, as in life: 0.42 after 50 calls, 0.17 after 400."""
_BESIDE_VALUES = {Form.CODED: Evidence(4, 4, 0.5), Form.ODD: Evidence(3, 3, 0.6), Form.SLUG: Evidence(4, 6, 0.6)}
_IN_COLLECTION = {
    Form.CODED: Evidence(3, 6, 0.5),
    Form.ODD: Evidence(3, 6, 0.5),
    Form.NAME: Evidence(3, 6, 0.5),
    Form.SLUG: Evidence(4, 8, 0.5),
    Form.WORD: Evidence(10, 16, 0.7),
}
_IDENTIFIERS = Evidence(24, 200, 0.45)
"""Methods and scripts: an application has many, and a test calls all of them alike."""
_OF_LETTERS = (Form.SLUG, Form.WORD)
_HOLED = Evidence(8, 16, 0.7)
"""Words with a value in them: `red_chair_{}.jpg`."""
_BELOW_PLURAL = Evidence(12, 30, 0.6)
_HYPHENATED = Evidence(16, 30, 0.8)


def are_values(form: Form, words: Sequence[Word], place: Place = NOWHERE) -> bool:
    """Return True if words of one class under one parent, without those that stay, are values."""
    if len(words) >= (_CERTAIN_IN_COLLECTION if place.is_collection else _CERTAIN[form]):
        return True
    evidence = _evidence(form, words, place)
    calls = sum(word.calls for word in words)
    if len(words) >= evidence.words and calls >= evidence.calls and first_seen_share(words) >= evidence.needed(calls):
        return True
    return form is Form.WORD and are_alike(words)


def _evidence(form: Form, words: Sequence[Word], place: Place) -> Evidence:
    """Return the evidence that is needed of words, by what they and their parent look like."""
    if place.is_collection and form in _IN_COLLECTION:
        return _IN_COLLECTION[form]
    if place.has_values and form in _BESIDE_VALUES:
        return _BESIDE_VALUES[form]
    if form is Form.WORD and _share_of(words, is_identifier) >= 0.5:
        return _IDENTIFIERS
    if form in _OF_LETTERS and _share_of(words, has_hole) >= 0.6:
        return _HOLED
    if form is not Form.WORD:
        return _EVIDENCE[form]
    if place.is_plural:
        return _BELOW_PLURAL
    return _HYPHENATED if _share_of(words, has_hyphen) >= 0.6 else _EVIDENCE[form]


def _share_of(words: Sequence[Word], holds: Callable[[str], bool]) -> float:
    return sum(holds(word.text) for word in words) / len(words) if words else 0.0


def first_seen_share(words: Sequence[Word]) -> float:
    """Return the share of first-seen words among the later half of the calls, averaged over all orders of the calls.

    A word called n times has all of its calls in the later half with the chance 1/2^n.
    """
    calls = sum(word.calls for word in words)
    return 2 * sum(0.5**word.calls for word in words if word.calls < 32) / calls if calls else 0.0


_LEAST_ALIKE = 12
_LEAST_ALIKE_CALLS = 100


def are_alike(words: Sequence[Word]) -> bool:
    """Return True if most calls below the words are on segments that many of the words share: tenants, users.

    Segments that stand under any resource (`new`, `edit`, `{}`) do not count for it.
    """
    parents = [word for word in words if word.below]
    calls = sum(word.calls for word in parents)
    if len(parents) < max(_LEAST_ALIKE, 0.6 * len(words)) or calls < _LEAST_ALIKE_CALLS:
        return False
    owners = Counter(text for word in parents for text in word.below if not is_on_all_resources(text))
    shared = {text for text, count in owners.items() if count >= max(5, 0.25 * len(parents))}
    if len(shared) < 3:
        return False
    return sum(count for word in parents for text, count in word.below.items() if text in shared) >= 0.65 * calls


def staying(words: Sequence[Word], named: Collection[str] = ()) -> set[str]:
    """Return the words that stay beside values: named ones, well-known ones, locales, and those unlike the others."""
    calls = sum(word.calls for word in words)
    stay = {
        word.text
        for word in words
        if word.text in named
        or (word.text in BESIDE_VALUES and word.calls > 1)
        or (is_fixed_form(word.text) and word.calls > max(1.0, 0.003 * calls))
    }
    rest = [word for word in words if word.text not in stay]
    return stay | _unlike(rest) | _frequent(rest)


def _unlike(words: Sequence[Word]) -> set[str]:
    """Return the words with more than one segment below that hardly any other word has, if they are few.

    Where the segments below many words are their own, they are values too (`/ana/blog`, `/bob/shop`) and tell nothing.
    """
    owners = Counter(text for word in words for text in word.below)
    found = {
        word.text
        for word in words
        if word.calls > 2 and len(own := _own(word, owners)) >= 2 and 2 * len(own) > len(word.below)
    }
    others = [word for word in words if word.text not in found]
    is_usual = sum(map(bool, (_own(word, owners) for word in others))) > 0.25 * len(others)
    return set() if is_usual or len(found) > 3 + 0.1 * len(words) else found


def _own(word: Word, owners: Mapping[str, int]) -> list[str]:
    return [text for text in word.below if owners[text] <= 2 and "{" not in text]


_MOST_FREQUENT = 30
_GAP = 3.5


def _frequent(words: Sequence[Word]) -> set[str]:
    """Return the most frequent words, if a gap separates them from the others: neighbours of one kind differ less."""
    ordered = sorted(words, key=lambda word: (-word.calls, word.text))[: _MOST_FREQUENT + 1]
    gaps = [
        (ordered[at].calls / ordered[at + 1].calls, at)
        for at in range(len(ordered) - 1)
        if ordered[at + 1].calls and ordered[at].calls >= 10
    ]
    largest, at = max(gaps, default=(0.0, 0))
    return {word.text for word in ordered[: at + 1]} if largest >= _GAP else set()
