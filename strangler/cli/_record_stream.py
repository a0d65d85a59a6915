"""The stream of a recording from a running proxy: lines as they come, over one connection."""

from collections.abc import Iterator
from dataclasses import replace
from http.client import HTTPException
from typing import Final, Self

import click
import msgspec

from strangler.cli._admin import Admin
from strangler.core.documents import RecordedLine, RecordingProgress, RecordingRequest
from strangler.recordings.recorded import Header, RecordedPair

SILENCE_S: Final = 10.0
"""How long the proxy may send nothing: it sends a line each second."""
_CHUNK_BYTES: Final = 256 * 1024
_PROGRESS: Final = b'{"recorded":'

_as_header: Final = msgspec.json.Decoder(Header).decode
_as_progress: Final = msgspec.json.Decoder(RecordedLine).decode
_as_pair: Final = msgspec.json.Decoder(RecordedPair).decode


class BrokenStreamError(Exception):
    """The connection has ended before the recording has."""


class RecordingStream:
    """One connection. `with` closes it, which ends the recording at the proxy."""

    def __init__(self, admin: Admin, wanted: RecordingRequest) -> None:
        """Begin to record. Raises click.ClickException if the proxy refuses, or there is none."""
        self._connection, self._response = replace(admin, timeout_s=SILENCE_S).open("POST", "/api/recordings", wanted)
        self._lines = self._read()
        try:
            self.header = _as_header(next(self._lines))
        except msgspec.DecodeError as error:
            self.close()
            raise _unreadable(error) from None
        except BrokenStreamError as error:
            self.close()
            raise click.ClickException(f"the proxy ended the recording before it began ({error})") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def __iter__(self) -> Iterator[tuple[int, RecordedPair | RecordingProgress]]:
        """Yield each line's length and what it is. Raises BrokenStreamError, and click.ClickException for a line of
        another version."""
        for line in self._lines:
            try:
                if line.startswith(_PROGRESS):
                    yield len(line), _as_progress(line).recorded
                else:
                    yield len(line), _as_pair(line)
            except (msgspec.DecodeError, RecursionError) as error:
                raise _unreadable(error) from None

    def _read(self) -> Iterator[bytes]:
        """Yield the lines with their line breaks."""
        rest: list[bytes] = []
        while True:
            try:
                data = self._response.read1(_CHUNK_BYTES)
            except (OSError, HTTPException) as error:
                raise BrokenStreamError(getattr(error, "strerror", None) or str(error) or "cut off") from error
            if not data:
                raise BrokenStreamError("it ended early")
            *ended, last = data.split(b"\n")
            for line in ended:
                yield b"".join([*rest, line, b"\n"])
                rest.clear()
            if last:
                rest.append(last)


def _unreadable(error: Exception) -> click.ClickException:
    return click.ClickException(
        f"the proxy sends what this version cannot read ({error}); use the proxy's version of this command"
    )
