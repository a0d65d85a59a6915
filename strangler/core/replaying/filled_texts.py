"""Texts of a request filled with learned values: those of slots first, then those that can be known anywhere."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import NamedTuple
from urllib.parse import quote

from strangler.core.replaying.edits import Edit, edited, joined_edits, omission, unfilled_marks
from strangler.core.replaying.learned import CallerValues, Learned
from strangler.core.replaying.slots import Slot, Span, Write, as_json
from strangler.core.replaying.writings import Writing


class FilledText(NamedTuple):
    text: str
    left_out: tuple[str, ...] = ()
    """The places that still had the mark of a secret, and are left out."""
    is_stuck: bool = False
    """Whether a mark is left that could not be left out."""


class SlottedText(NamedTuple):
    """A text with its slots. `slots(True)` are all of them, `slots(False)` those that may be filled."""

    text: str
    slots: Callable[[bool], Iterable[Slot]]
    write: Write
    place: str
    """The name of the whole text."""


class Filling(NamedTuple):
    """The values for a request: learned ones, and those that are handed in, by lower-case places."""

    values: CallerValues
    by_place: Mapping[str, str]


def filled(source: SlottedText, filling: Filling) -> FilledText:
    """Return a text with learned values and those that are handed in, without what still holds the mark of a secret."""
    text, values = source.text, filling.values
    fills = joined_edits(_slot_edits(source, values), _edits_within(source, values)) if values.may_replace(text) else []
    marks = unfilled_marks(text, fills) if "redacted" in text.lower() else []
    if marks and filling.by_place:
        fills = joined_edits(_given_edits(source, marks, filling.by_place), fills)
        marks = unfilled_marks(text, fills)
    if not marks:
        return FilledText(edited(text, fills))
    gone = omission(source.slots(True), marks)
    edits = joined_edits((Edit(start, end, "") for start, end in gone.spans), fills)
    places = (*gone.places, *([source.place] if gone.stuck else []))
    return FilledText(edited(text, edits), places, bool(gone.stuck))


def _slot_edits(source: SlottedText, values: CallerValues) -> list[Edit]:
    found = []
    for slot in source.slots(False):
        replayed = values.at(slot.value, slot.spots) if slot.value else None
        if replayed is not None and replayed.text != slot.value:
            write = (slot.retype if replayed.is_retyped else None) or slot.write
            found.append(Edit(*slot.span, write(replayed.text)))
    return found


def _given_edits(source: SlottedText, marks: Sequence[Span], by_place: Mapping[str, str]) -> Iterator[Edit]:
    """Yield the edits that hand in values at places with marks."""
    for slot in source.slots(True):
        value = None if slot.value is None else by_place.get(slot.place.lower())
        if value is not None and any(slot.span[0] <= start and end <= slot.span[1] for start, end in marks):
            yield Edit(*slot.span, slot.write(value))


def _edits_within(source: SlottedText, values: CallerValues) -> list[Edit]:
    return [Edit(hit.start, hit.end, _written(hit.found, source.write)) for hit in values.within(source.text)]


def _written(learned: Learned, write: Write) -> str:
    """Return a value in the writing of the value that it replaces."""
    if learned.writing is Writing.PERCENT:
        return quote(learned.text, safe="", errors="surrogateescape")
    if learned.writing is Writing.JSON:
        return as_json(learned.text)
    return escape(learned.text) if learned.writing is Writing.HTML else write(learned.text)
