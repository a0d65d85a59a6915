"""Reading a recording: a stream of pairs in constant memory. Lines that cannot be read are named, and passed over."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

import msgspec

from strangler.recordings.lines import BadReason, Piece, numbered_lines, plain_pieces
from strangler.recordings.recorded import VERSION, Header, RecordedPair


class RecordingError(Exception):
    """A recording that cannot be read or written at all. The text names the file and the way out."""


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that gave no pair."""

    reason: BadReason
    detail: str = ""
    """The place and the fault within the line, without its values; empty if the reason says all."""


class _Version(msgspec.Struct, gc=False):
    recording: Any = None


_as_version: Final = msgspec.json.Decoder(_Version).decode
_as_header: Final = msgspec.json.Decoder(Header).decode
_as_pair: Final = msgspec.json.Decoder(RecordedPair).decode


class Recording:
    """An open recording, whose pairs are read once, from start to end."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        """Read the header. Raises RecordingError."""
        self._file = file
        self._name = name
        self._lines = numbered_lines(plain_pieces(file))
        self.header = self._header()

    def __iter__(self) -> Iterator[tuple[int, RecordedPair | BadLine]]:
        """Yield each line's number in the file and its pair; the header is line 1. Raises RecordingError.

        Behind a damaged part, whose lines nobody can count, the numbers go on as if it were one line.
        """
        try:
            for number, line in self._lines:
                if isinstance(line, BadReason):
                    yield number, BadLine(line)
                elif line.strip():
                    yield number, _pair(line)
        except OSError as error:
            raise self._unreadable(error) from error

    @property
    def share_read(self) -> float:
        """How much of the file was read, 0.0 to 1.0, by its bytes on disk; 0.0 where that is unknown, as of a pipe."""
        try:
            size = os.fstat(self._file.fileno()).st_size
            return min(1.0, self._file.tell() / size) if size else 0.0
        except (OSError, ValueError):
            return 0.0

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _header(self) -> Header:
        try:
            line = next((line for _, line in self._lines), b"")
        except OSError as error:
            raise self._unreadable(error) from error
        if line == b"":
            raise RecordingError(f"{self._name} is empty, or cut off within its first line: it is no recording")
        version = _version(line)
        if isinstance(line, BadReason) or version is None:
            raise RecordingError(
                f"{self._name} is no recording: its first line is not a recording's header. "
                "`strangler record --from FILE -o OUT` makes one of a .gor file, a HAR or an access log"
            )
        if version > VERSION:
            raise RecordingError(
                f"{self._name} is a recording of version {version}; this Strangler reads version {VERSION}: "
                "read it with a newer one"
            )
        try:
            return _as_header(line)
        except msgspec.DecodeError as error:
            raise RecordingError(f"{self._name}:1: the recording's header cannot be read: {error}") from error

    def _unreadable(self, error: OSError) -> RecordingError:
        return RecordingError(f"{self._name} cannot be read: {error.strerror or error}")


def _version(line: Piece) -> int | None:
    """Return the version that a first line names; None if it is no recording's."""
    if isinstance(line, BadReason):
        return None
    try:
        version = _as_version(line.removeprefix(b"\xef\xbb\xbf")).recording
    except (msgspec.DecodeError, RecursionError):
        return None
    return version if isinstance(version, int) and not isinstance(version, bool) and version >= 1 else None


def _pair(line: bytes) -> RecordedPair | BadLine:
    try:
        return _as_pair(line)
    except msgspec.ValidationError as error:
        return BadLine(BadReason.NOT_A_PAIR, str(error))
    except (msgspec.DecodeError, RecursionError) as error:
        return BadLine(BadReason.NOT_JSON, str(error).removeprefix("JSON is malformed: "))


def open_recording(path: Path) -> Recording:
    """Open a recording: zstd, gzip or plain, as its bytes tell. Raises RecordingError."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {error.strerror or error}") from error
    try:
        return Recording(file, str(path))
    except BaseException:
        file.close()
        raise
