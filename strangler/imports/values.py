"""The values that are read from foreign files, and the account of what could not be read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

MAX_PLACES = 5
"""The line numbers that are kept of each reason."""


class LoggedCall(msgspec.Struct, frozen=True, gc=False):
    """One request as a log has it. `path` and `query` are raw, with all that is no printable ASCII percent-encoded.

    A struct and no dataclass: a million of them are made 1.5 s sooner.
    """

    at: float | None
    """Unix time; None if the log has none."""
    method: str
    path: bytes
    query: bytes = b""
    status: int | None = None
    caller: str = ""
    """The User-Agent as it was sent; empty if the log has none."""
    host: str = ""
    """Without its port; empty if the log has none."""
    duration_s: float | None = None
    client: str = ""
    """The client's address; empty if the form of the log has none that is read."""


@dataclass(frozen=True, slots=True)
class ListedEndpoint:
    """An endpoint that a list or a description names. `line` is where, from 1; 0 if that is unknown."""

    method: str
    """`*` if the list has none: any method."""
    template: str
    """The path with `{}` for a value and `{...}` for the rest of a path of any depth."""
    line: int


class Unread(StrEnum):
    """Why a line or an entry gave no value."""

    NO_REQUEST = "no request in it"
    NO_PATH = "a request without a path, such as CONNECT"
    OTHER_EVENT = "about something else than a request"
    FROM_CACHE = "served from the browser's cache"
    OTHER_HOST = "a request to another host"
    NOT_HTTP = "a request that is not HTTP"
    CUT = "cut off before its end"
    BAD_FORM = "not in the form of the others"
    BAD_TIME = "a time that cannot be read"
    TOO_LONG = "longer than 64 KiB"
    ANY_PATH = "a pattern that fits every path"
    ELSEWHERE = "described in another file"
    BAD_PATH = "a path that cannot be read"


FAULTS = frozenset({Unread.BAD_FORM, Unread.BAD_TIME, Unread.TOO_LONG, Unread.BAD_PATH})
"""The reasons that count against a file: if these are most of it, it is refused."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """How many lines or entries gave no value for one reason, and the numbers of the first of them."""

    reason: Unread
    count: int
    lines: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """The account of a file that was read to its end."""

    format: str
    digest: str
    """SHA-256 of the bytes after decompression, in hex."""
    read: int
    """The values that were handed out."""
    skipped: tuple[Skipped, ...] = ()
    first_at: float | None = None
    last_at: float | None = None
    is_cut: bool = False
    """True if the compressed file ends too early: what came before was read."""

    def sentences(self) -> list[str]:
        """Return what could not be read, one sentence for each reason."""
        found = []
        for skipped in self.skipped:
            places = ", ".join(map(str, skipped.lines)) + (", …" if skipped.count > len(skipped.lines) else "")
            found.append(f"{skipped.count} passed over: {skipped.reason} (at {places})")
        if self.is_cut:
            found.append("the compressed file ends too early; what came before was read")
        return found


@dataclass(slots=True)
class SummaryState:
    """The account while a file is read."""

    read: int = 0
    counts: dict[Unread, int] = field(default_factory=dict)
    places: dict[Unread, list[int]] = field(default_factory=dict)
    first_at: float | None = None
    last_at: float | None = None

    def skip(self, reason: Unread, line: int) -> None:
        """Count a line or an entry that gave no value."""
        count = self.counts[reason] = self.counts.get(reason, 0) + 1
        if count <= MAX_PLACES:
            self.places.setdefault(reason, []).append(line)

    def faults(self) -> int:
        return sum(count for reason, count in self.counts.items() if reason in FAULTS)

    def summary(self, format_name: str, digest: str, is_cut: bool = False) -> Summary:
        skipped = [Skipped(reason, count, tuple(self.places[reason])) for reason, count in self.counts.items()]
        skipped.sort(key=lambda item: -item.count)
        return Summary(format_name, digest, self.read, tuple(skipped), self.first_at, self.last_at, is_cut)


class ImportRefusedError(Exception):
    """A file that cannot be imported. The text names the place and the way out, and quotes nothing secret."""


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """The operator's own words on a file, where its content does not speak for itself."""

    fields: Mapping[str, str] = field(default_factory=dict)
    """The fields of JSON lines by what they hold: `{"path": "http.uri"}`."""
    host: str = ""
    """The one host whose requests count, in a file with several."""
