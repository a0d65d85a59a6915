"""Recordings that tests make."""

from collections.abc import Iterable
from pathlib import Path

from strangler.recordings.recorded import (
    Header,
    RecordedBody,
    RecordedPair,
    RecordedRequest,
    RecordedResponse,
    raw_text,
    recorded_headers,
)
from strangler.recordings.recording_reader import BadLine, open_recording
from strangler.recordings.recording_writer import RecordingWriter

HEADER = Header(made="2027-01-01T00:00:00.000Z", by="strangler 0", source="gor", from_="a.gor", redacted=False)


def pair(
    target: bytes = b"/orders/1",
    *,
    headers: Iterable[tuple[bytes, bytes]] = (),
    body: bytes | None = None,
    response: bytes | None = b"{}",
    at: float = 1.5,
) -> RecordedPair:
    return RecordedPair(
        at=at,
        caller="1",
        request=RecordedRequest(
            "GET", raw_text(target), recorded_headers(headers), None if body is None else RecordedBody.of(body)
        ),
        response=None if response is None else RecordedResponse(200, (), RecordedBody.of(response), 2.5),
    )


def written(path: Path, pairs: Iterable[RecordedPair], *, force: bool = False, header: Header = HEADER) -> Path:
    with RecordingWriter(path, header, force=force) as writer:
        for each in pairs:
            assert writer.write(each)
    return path


def read(path: Path) -> tuple[list[RecordedPair], list[tuple[int, BadLine]]]:
    """Return the pairs of a recording, and its bad lines with their numbers."""
    pairs: list[RecordedPair] = []
    bad: list[tuple[int, BadLine]] = []
    with open_recording(path) as recording:
        for number, item in recording:
            if isinstance(item, BadLine):
                bad.append((number, item))
            else:
                pairs.append(item)
    return pairs, bad
