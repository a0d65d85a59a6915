"""Edits of a text: spans that are written anew or left out, all at once, so that nothing is replaced twice."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

from strangler.core.replaying.slots import Slot, Span

MARK_WITHIN = re.compile(r"redacted(?::|%3A)[0-9a-f]{8}", re.IGNORECASE)
"""The mark of a secret, also percent-encoded. More of the word may follow: a secret may be a part of an id."""


def has_mark(body: bytes) -> bool:
    """Return True if bytes, of whatever kind, have the mark of a secret."""
    return b"redacted" in body.lower() and MARK_WITHIN.search(body.decode("latin-1")) is not None


def with_numbers(text: str) -> str:
    """Return a text with a number in the place of each mark, for a name that is the same for all secrets."""
    return MARK_WITHIN.sub("0", text)


class Edit(NamedTuple):
    start: int
    end: int
    text: str


def joined_edits(first: Iterable[Edit], others: Iterable[Edit]) -> list[Edit]:
    """Return the edits in order. Of two that overlap one of `first` is kept, then the one further left."""
    kept: list[Edit] = []
    ranked = sorted([*((edit, 0) for edit in first), *((edit, 1) for edit in others)], key=lambda item: item[0].start)
    rank = 0
    for edit, its_rank in ranked:
        if kept and edit.start < kept[-1].end:
            if its_rank >= rank:
                continue
            kept.pop()
        kept.append(edit)
        rank = its_rank
    return kept


def edited(text: str, edits: Iterable[Edit]) -> str:
    """Return the text with edits made that are in order and do not overlap."""
    pieces: list[str] = []
    at = 0
    for edit in edits:
        pieces += [text[at : edit.start], edit.text]
        at = edit.end
    return "".join([*pieces, text[at:]])


def unfilled_marks(text: str, edits: Sequence[Edit]) -> list[Span]:
    """Return the marks of a text that no edit fills."""
    starts = [edit.start for edit in edits]
    unfilled: list[Span] = []
    for mark in MARK_WITHIN.finditer(text):
        at = bisect_right(starts, mark.start())
        if not at or edits[at - 1].end < mark.end():
            unfilled.append(mark.span())
    return unfilled


class Omission(NamedTuple):
    """The parts that are left out of a text. `stuck` has the marks that belong to no slot that could be left out."""

    spans: list[Span]
    places: list[str]
    stuck: list[Span]


def omission(slots: Iterable[Slot], marks: Sequence[Span]) -> Omission:
    """Return what is left out so that no mark stays: of the slots around a mark, the smallest. Marks are in order."""
    outers = [slot for slot in slots if slot.outer is not None]
    outers.sort(key=lambda slot: (_outer(slot)[0], -_outer(slot)[1]))
    grouped: dict[int, list[Slot]] = {}
    ranked: list[tuple[Slot, tuple[int, int]]] = []
    for slot in outers:
        members = grouped.setdefault(slot.group, [])
        ranked.append((slot, (slot.group, len(members))))
        members.append(slot)
    smallest = _smallest(ranked, marks)
    chosen = sorted(set(smallest.values()))
    spans = [
        _gone(grouped[group], [at for _, at in run])
        for group, items in groupby(chosen, key=lambda item: item[0])
        for run in _runs([*items])
    ]
    places = [grouped[group][at].place for group, at in chosen]
    return Omission(spans, places, [mark for mark in marks if mark not in smallest])


def _smallest(slots: Sequence[tuple[Slot, tuple[int, int]]], marks: Sequence[Span]) -> dict[Span, tuple[int, int]]:
    """Return the innermost slot around each mark, by its group and place there. Slots hold each other or are apart."""
    found: dict[Span, tuple[int, int]] = {}
    opened: list[tuple[Slot, tuple[int, int]]] = []
    at = 0
    for mark in marks:
        while at < len(slots) and _outer(slots[at][0])[0] <= mark[0]:
            _close(opened, _outer(slots[at][0])[1])
            opened.append(slots[at])
            at += 1
        _close(opened, mark[1])
        if opened:
            found[mark] = opened[-1][1]
    return found


def _close(opened: list[tuple[Slot, tuple[int, int]]], end: int) -> None:
    """Close the slots that end before a place does."""
    while opened and _outer(opened[-1][0])[1] < end:
        opened.pop()


def _outer(slot: Slot) -> Span:
    assert slot.outer is not None
    return slot.outer


def _runs(chosen: list[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    """Return what is chosen in runs of neighbours."""
    runs: list[list[tuple[int, int]]] = []
    for item in chosen:
        if runs and runs[-1][-1][1] + 1 == item[1]:
            runs[-1].append(item)
        else:
            runs.append([item])
    return runs


def _gone(members: list[Slot], run: list[int]) -> Span:
    """Return the span of neighbours with the separator that goes with them: the next one, at the end the one before."""
    first, last = run[0], run[-1]
    if last + 1 < len(members):
        return _outer(members[first])[0], _outer(members[last + 1])[0]
    start = _outer(members[first - 1])[1] if first else _outer(members[first])[0]
    return start, _outer(members[last])[1]
