"""The engine against the labelled set: precision and recall of its differences, shown by `pytest -s`."""

from collections import Counter

import pytest

from tests.core.compare.labelled import Label, Pair, browsers, heads, labels, markup, pages, people, shop
from tests.core.compare.responses import compared

PAIRS = [
    *shop.PAIRS,
    *people.PAIRS,
    *pages.PAIRS,
    *heads.PAIRS,
    *markup.PAIRS,
    *browsers.PAIRS,
    *labels.PAIRS,
]


def found_labels(pair: Pair) -> set[Label]:
    comparison = compared(pair.legacy, pair.candidate, pair.rules, request=pair.request)
    return {(d.in_.value, d.path, d.kind.value) for d in comparison.differences}


def test_the_set_is_large_and_covers_every_kind_and_outcome() -> None:
    assert len(PAIRS) >= 300
    assert len({pair.name for pair in PAIRS}) == len(PAIRS)
    kinds = Counter(kind for pair in PAIRS for _, _, kind in pair.differences)
    assert min(kinds[kind] for kind in ("missing", "extra", "type", "value", "order", "length")) >= 10
    outcomes = Counter(pair.expected_outcome for pair in PAIRS)
    assert min(outcomes[each] for each in ("match", "accepted", "mismatch", "not_comparable")) >= 8


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_outcome_is_what_a_person_says(pair: Pair) -> None:
    comparison = compared(pair.legacy, pair.candidate, pair.rules, request=pair.request)
    assert (comparison.outcome, comparison.reason) == (pair.expected_outcome, pair.reason)


def test_precision_and_recall_of_differences() -> None:
    right = wrong = overlooked = 0
    notes = []
    for pair in PAIRS:
        found = found_labels(pair)
        right += len(found & pair.differences)
        wrong += len(found - pair.differences)
        overlooked += len(pair.differences - found)
        if found != pair.differences:
            notes.append(f"{pair.name}: also {found - pair.differences}, not {pair.differences - found}")
    precision, recall = right / (right + wrong), right / (right + overlooked)
    print(
        f"\n{len(PAIRS)} pairs, {right + overlooked} labels: precision {precision:.3f}, recall {recall:.3f}",
        *notes,
        sep="\n",
    )
    assert precision >= 0.99
    assert recall >= 0.99
