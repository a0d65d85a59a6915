"""Visits as recordings, and their requests sent to another instance with what is learned of its responses."""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from strangler.core.compare.model.values import Response
from strangler.core.compare.redaction.redact import Redactor
from strangler.core.http.head import RawHeaders
from strangler.core.replaying.given import GivenHeaders, read_given, replaced_marks
from strangler.core.replaying.learned import LearnedValues
from strangler.core.replaying.paired_places import paired_values
from strangler.core.replaying.request_message import RequestMessage
from strangler.core.replaying.substitute import Substituted, substitute
from strangler.recordings.exports.to_gor import SEPARATOR
from strangler.recordings.recorded import (
    RecordedBody,
    RecordedPair,
    RecordedRequest,
    RecordedResponse,
    raw_bytes,
    raw_headers,
    raw_text,
    recorded_headers,
)
from strangler.recordings.redact_in_place import RecordingRedactor
from tests.recordings import made
from tests.replay.visitor import Exchange, exchange

KEY = bytes(range(32))
CALLER = "ada's"


def recorded(path: Path, visit: Iterable[Exchange], *, redacts: bool) -> list[RecordedPair]:
    """Write a visit as a recording, as `strangler record` does, and return what is read of it."""
    redactor = RecordingRedactor(Redactor.of(KEY, []))
    pairs = [_pair(number, *each) for number, each in enumerate(visit)]
    if redacts:
        pairs = [cleared for pair in pairs if (cleared := redactor.pair(pair, hides_caller=False)) is not None]
    found, bad = made.read(made.written(path, pairs))
    assert not bad
    return found


def _pair(number: int, request: RequestMessage, response: Response) -> RecordedPair:
    return RecordedPair(
        at=float(number),
        caller=CALLER,
        request=RecordedRequest(
            request.method.decode(),
            raw_text(request.target),
            recorded_headers(request.headers),
            RecordedBody.of(request.body) if request.body else None,
        ),
        response=RecordedResponse(response.status, recorded_headers(response.headers), RecordedBody.of(response.body)),
    )


def written_gor(path: Path, visit: Iterable[Exchange]) -> Path:
    """Write a visit in GoReplay's form, all of it on one connection."""
    payloads: list[bytes] = []
    for number, (request, response) in enumerate(visit):
        line = b"%b %b HTTP/1.1\r\n" % (request.method, request.target)
        name, at = b"%016x%08x" % (1, number), number * 1_000_000_000
        payloads.append(b"1 %b %d 0\n%b" % (name, at, line + _fields(request.headers) + request.body))
        status = b"HTTP/1.1 %d \r\n" % response.status
        headers = [
            field for field in response.headers if field[0].lower() not in (b"transfer-encoding", b"content-length")
        ]
        headers.append((b"Content-Length", b"%d" % len(response.body)))
        payloads.append(b"2 %b %d 1\n%b" % (name, at, status + _fields(headers) + response.body))
    path.write_bytes(b"".join(payload + SEPARATOR for payload in payloads))
    return path


def _fields(headers: RawHeaders) -> bytes:
    return b"".join(b"%b: %b\r\n" % field for field in headers) + b"\r\n"


def imported(path: Path, out: Path, *options: str) -> list[RecordedPair]:
    """Return the pairs that `strangler record` makes of a file."""
    command = [sys.executable, "-m", "strangler", "record", "--from", str(path), "-o", str(out), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    pairs, bad = made.read(out)
    assert not bad
    return pairs


def given_by(document: object) -> GivenHeaders:
    """Return what the file of `--callers` hands in."""
    given, problems = read_given([], document)
    assert not problems
    return given


def message_of(pair: RecordedPair) -> RequestMessage:
    request = pair.request
    body = b"" if request.body is None else request.body.data or b""
    return RequestMessage(request.method.encode(), raw_bytes(request.target), raw_headers(request.headers), body)


def response_of(pair: RecordedPair) -> Response:
    assert pair.response is not None
    body = b"" if pair.response.body is None else pair.response.body.data or b""
    return Response(pair.response.status, raw_headers(pair.response.headers), body)


def replayed(
    pairs: Iterable[RecordedPair], port: int, given: GivenHeaders | None = None, *, learns: bool = True
) -> list[tuple[Substituted, Response]]:
    """Send the requests of a recording in order, and return each as it was sent, with its response."""
    values, done = LearnedValues(), []
    for pair in pairs:
        message, recorded_response = message_of(pair), response_of(pair)
        fields = {} if given is None else given.of(pair.caller)
        for mark, value in replaced_marks(message.headers, fields):
            values.put(pair.caller, mark, value)
        filled = substitute(message, values.of(pair.caller), fields)
        assert not filled.unsendable
        assert not _has_mark(filled.request), filled.request
        response = exchange(port, filled.request)
        done.append((filled, response))
        if learns:
            target = message.target.decode()
            values.learn(pair.caller, *paired_values(recorded_response, response, target, values.of(pair.caller)))
    return done


def _has_mark(message: RequestMessage) -> bool:
    """Whether any part of a request has the mark of a secret, also percent-encoded."""
    text = b"\n".join([message.target, message.body, *(value for field in message.headers for value in field)])
    return b"redacted:" in text.lower() or b"redacted%3a" in text.lower()
