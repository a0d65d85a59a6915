"""Making a recording of a foreign file."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from strangler.core.compare.redaction.redact import Redactor
from strangler.recordings.recorded import Header
from strangler.recordings.recording_writer import RecordingWriter
from strangler.recordings.redact_in_place import RecordingRedactor, key_id
from strangler.recordings.sources.open_source import open_source
from strangler.recordings.sources.pairs import Passed
from strangler.recordings.summary import CountsState, RecordingSummary
from strangler.state.files import REDACTION_KEY
from strangler.times import utc_now

_KEY_BYTES = 32
TOO_LONG = "a pair too long for a recording"
UNCLEARED = "a target whose secrets cannot be taken out"


class NothingReadError(Exception):
    """A file without any pair; no recording was made. `summary`: what was in it."""

    def __init__(self, summary: RecordingSummary) -> None:
        super().__init__("nothing could be read")
        self.summary = summary


@dataclass(frozen=True, slots=True)
class Redaction:
    """How an import is redacted. `is_kept`: the key is that of the state folder, else it is forgotten."""

    key: bytes
    is_kept: bool
    redactor: RecordingRedactor

    @classmethod
    def of(cls, folder: Path | None, rules: Iterable[str] = ()) -> "Redaction":
        """Return the redaction by the key of a state folder, if it has one. Raises OSError if it cannot be read."""
        path = None if folder is None else folder / REDACTION_KEY
        key = path.read_bytes() if path is not None and path.exists() else b""
        if len(key) != _KEY_BYTES:
            return cls(key := secrets.token_bytes(_KEY_BYTES), False, RecordingRedactor(Redactor.of(key, rules)))
        return cls.by(key, rules)

    @classmethod
    def by(cls, key: bytes, rules: Iterable[str] = ()) -> "Redaction":
        """Return the redaction by a key that is kept."""
        return cls(key, True, RecordingRedactor(Redactor.of(key, rules)))


@dataclass(frozen=True, slots=True)
class Converted:
    """A recording that was made. `format`: the name of the file's format; `notes`: what the format lacks."""

    summary: RecordingSummary
    format: str
    notes: tuple[str, ...]


def convert(path: Path, out: Path, by: str, redaction: Redaction | None, *, host: str, force: bool) -> Converted:
    """Make a recording of a foreign file. `by`: the program; `redaction` None keeps secrets.

    Raises ImportRefusedError, RecordingError, NothingReadError; no file is left then.
    """
    counts = CountsState()
    with open_source(path, host) as source:
        header = Header(
            made=utc_now(),
            by=by,
            source=source.source,
            from_=path.name,
            redacted=redaction is not None,
            key=None if redaction is None else key_id(redaction.key),
        )
        with RecordingWriter(out, header, force=force) as writer:
            for number, item in source.pairs:
                if isinstance(item, Passed):
                    counts.skip(item.why, number)
                    continue
                pair = item
                if redaction is not None:
                    cleared = redaction.redactor.pair(item, hides_caller=source.has_addresses)
                    if cleared is None:
                        counts.skip(UNCLEARED, number)
                        continue
                    pair = cleared
                if writer.write(pair):
                    counts.count(pair)
                else:
                    counts.skip(TOO_LONG, number)
            summary = counts.summary(str(out), header)
            if not counts.pairs:
                raise NothingReadError(summary)
    return Converted(summary, source.format, source.notes)
