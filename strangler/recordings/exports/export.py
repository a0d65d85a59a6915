"""The writing of a recording in another format: pair by pair, in constant memory."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from strangler.recordings.exports.destination import Destination
from strangler.recordings.exports.sendable import Sendable, Unsendable, sendable
from strangler.recordings.recorded import RecordedPair
from strangler.recordings.recording_reader import BadLine


class Format(Protocol):
    """A format of exports."""

    def start(self) -> bytes: ...

    def entry(self, request: Sendable) -> bytes | Unsendable:
        """Return a pair as the format has it; else why it has no way to."""
        ...

    def end(self) -> bytes: ...


@dataclass(slots=True)
class Exported:
    """The counts of an export."""

    written: int = 0
    unsendable: "Counter[Unsendable]" = field(default_factory=Counter)
    """Requests that were left out, by reason."""
    fields: "Counter[tuple[str, str]]" = field(default_factory=Counter)
    """Redacted fields that were left out of written requests, by place and name; of bounded size."""
    more_fields: int = 0
    """Those beyond the names that are counted."""
    unwritable: int = 0
    """Fields that no request can have."""
    bad_lines: list[tuple[int, BadLine]] = field(default_factory=list)
    """The first lines that could not be read."""
    unread: int = 0
    """How many lines could not be read."""


MAX_NAMED = 20


def export(
    lines: Iterable[tuple[int, RecordedPair | BadLine]],
    form: Format,
    to: Destination,
    write: Callable[[bytes], object],
) -> Exported:
    """Write every pair of a recording that can be sent again; count the rest. `write` may raise OSError."""
    counts = Exported()
    write(form.start())
    for number, pair in lines:
        if isinstance(pair, BadLine):
            counts.unread += 1
            if len(counts.bad_lines) < MAX_NAMED:
                counts.bad_lines.append((number, pair))
            continue
        request = sendable(number, pair, to)
        entry = request if isinstance(request, Unsendable) else form.entry(request)
        if isinstance(entry, Unsendable) or isinstance(request, Unsendable):
            counts.unsendable[entry if isinstance(entry, Unsendable) else Unsendable.NO_WAY] += 1
            continue
        write(entry)
        _count(counts, request)
    write(form.end())
    return counts


def _count(counts: Exported, request: Sendable) -> None:
    counts.written += 1
    counts.unwritable += request.unwritable
    for item in request.left_out:
        key = (item.place, item.name)
        if key in counts.fields or len(counts.fields) < MAX_NAMED:
            counts.fields[key] += 1
        else:
            counts.more_fields += 1
