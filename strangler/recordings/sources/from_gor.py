"""Files of GoReplay (`gor --output-file`): payloads of requests and responses, paired by their ids."""

import re
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Final

from strangler.recordings.recorded import (
    MAX_LINE_BYTES,
    RecordedPair,
    RecordedRequest,
    RecordedResponse,
    raw_text,
    recorded_headers,
)
from strangler.recordings.sources.pairs import NumberedPairs, Passed
from strangler.recordings.sources.raw_messages import RequestMessage, read_request, read_response

SEPARATOR: Final = "\n🐵🙈🙉\n".encode()
_START: Final = re.compile(rb"\A\s*[123] [0-9A-Za-z]{1,64} \d{1,20}(?: -?\d{1,20})?\r?\n")
_HEADER: Final = re.compile(rb"([123]) ([0-9A-Za-z]{1,64}) (\d{1,20})(?: (-?\d{1,20}))?\r?")
_REQUEST, _RESPONSE = b"1", b"2"
_ID_OF_CONNECTION: Final = 24
"""The length of ids that begin with 16 digits of the connection: since GoReplay 1.3."""
_MAX_WAITING: Final = 4096
_MAX_WAITING_BYTES: Final = 64 * 1024 * 1024
_OLDEST_NS: Final = 10**17
"""The year 1973: a smaller number is no time but a duration."""

NO_PAYLOAD: Final = Passed("no payload of GoReplay")
NO_REQUEST: Final = Passed("a request that is not HTTP/1, or only a part of one")
NO_RESPONSE: Final = Passed("a response that is not HTTP/1, or only a part of one")
REPLAYED: Final = Passed("a response to a replayed request")
ALONE: Final = Passed("a response without its request")
TOO_LONG: Final = Passed(f"a payload longer than {MAX_LINE_BYTES >> 20} MiB")


def is_gor(head: bytes) -> bool:
    """Return True if a file begins with a payload of GoReplay."""
    return _START.match(head) is not None


@dataclass(slots=True)
class _Waiting:
    """A request in the order of the file, which waits for its response."""

    number: int
    id: bytes
    at_ns: int
    message: RequestMessage
    size: int
    response: RecordedResponse | None = None


def gor_pairs(chunks: Iterator[bytes]) -> NumberedPairs:
    """Yield the pairs of a file, by the times of its requests, numbered by their first lines."""
    pairing = _PairingState()
    for number, payload in _payloads(chunks):
        if payload is None:
            yield number, TOO_LONG
            continue
        line, _, raw = payload.partition(b"\n")
        header = _HEADER.fullmatch(line)
        if header is None:
            if payload.strip():
                yield number, NO_PAYLOAD
            continue
        yield from pairing.take(number, header, raw)
    yield from pairing.rest()


def _payloads(chunks: Iterator[bytes]) -> Iterator[tuple[int, bytes | None]]:
    """Yield each payload and the number of its first line; None for one that is too long."""
    buffer, number, lost, is_long = bytearray(), 1, 0, False
    for chunk in chunks:
        searched = max(0, len(buffer) - len(SEPARATOR))
        buffer += chunk
        begin = 0
        while (end := buffer.find(SEPARATOR, max(begin, searched))) >= 0:
            payload = bytes(buffer[begin:end])
            yield number, None if is_long else payload
            number += lost + payload.count(b"\n") + 2
            begin, lost, is_long = end + len(SEPARATOR), 0, False
        del buffer[:begin]
        if len(buffer) > MAX_LINE_BYTES:
            kept = len(SEPARATOR)
            lost += buffer.count(b"\n", 0, len(buffer) - kept)
            del buffer[: len(buffer) - kept]
            is_long = True
    if buffer.strip():
        yield number, None if is_long else bytes(buffer)


class _PairingState:
    """The requests whose responses may still come, and responses that came first. Both are bounded.

    GoReplay writes payloads as they are complete, so that a request may stand behind later ones: they are handed out
    by their times, the earliest first, once more wait than the bounds allow.
    """

    def __init__(self) -> None:
        self._waiting: dict[bytes, _Waiting] = {}
        self._by_time: list[tuple[int, int, _Waiting]] = []
        self._early: OrderedDict[bytes, tuple[int, re.Match[bytes], bytes]] = OrderedDict()
        self._bytes = 0

    def take(self, number: int, header: "re.Match[bytes]", raw: bytes) -> NumberedPairs:
        kind, key = header[1], header[2]
        self._bytes += len(raw)
        if kind == _REQUEST:
            yield from self._take_request(number, key, int(header[3]), raw)
        elif kind != _RESPONSE:
            self._bytes -= len(raw)
            yield number, REPLAYED
        elif key in self._waiting and self._waiting[key].response is None:
            yield from self._respond(self._waiting[key], number, header, raw)
        else:
            yield from self._keep_early(number, key, header, raw)
        while len(self._by_time) > _MAX_WAITING or (self._bytes > _MAX_WAITING_BYTES and self._by_time):
            yield self._let_go()
        while len(self._early) > _MAX_WAITING or (self._bytes > _MAX_WAITING_BYTES and self._early):
            yield self._give_up()

    def rest(self) -> NumberedPairs:
        """Yield what waits at the end of the file."""
        while self._by_time:
            yield self._let_go()
        while self._early:
            yield self._give_up()

    def _take_request(self, number: int, key: bytes, at_ns: int, raw: bytes) -> NumberedPairs:
        message = read_request(raw)
        if message is None:
            self._bytes -= len(raw)
            yield number, NO_REQUEST
            return
        waiting = self._waiting[key] = _Waiting(number, key, at_ns, message, len(raw))
        heappush(self._by_time, (at_ns, number, waiting))
        if key in self._early:
            yield from self._respond(waiting, *self._early.pop(key))

    def _keep_early(self, number: int, key: bytes, header: "re.Match[bytes]", raw: bytes) -> NumberedPairs:
        if key in self._early:
            yield self._give_up(key)
        self._early[key] = number, header, raw

    def _respond(self, waiting: _Waiting, number: int, header: "re.Match[bytes]", raw: bytes) -> NumberedPairs:
        message = read_response(raw, is_head=waiting.message.method == "HEAD")
        if message is None:
            self._bytes -= len(raw)
            yield number, NO_RESPONSE
            return
        waiting.response = RecordedResponse(
            message.status, recorded_headers(message.headers), message.body, _ms(waiting.at_ns, header)
        )
        waiting.size += len(raw)

    def _let_go(self) -> tuple[int, RecordedPair]:
        _, _, waiting = heappop(self._by_time)
        if self._waiting.get(waiting.id) is waiting:
            del self._waiting[waiting.id]
        self._bytes -= waiting.size
        return waiting.number, _pair(waiting)

    def _give_up(self, key: bytes | None = None) -> tuple[int, Passed]:
        """Take the response that waits longest, or one of this id, as one without a request."""
        number, _, raw = self._early.popitem(last=False)[1] if key is None else self._early.pop(key)
        self._bytes -= len(raw)
        return number, ALONE


def _pair(waiting: _Waiting) -> RecordedPair:
    message = waiting.message
    request = RecordedRequest(message.method, raw_text(message.target), recorded_headers(message.headers), message.body)
    connection = waiting.id[:16].decode() if len(waiting.id) == _ID_OF_CONNECTION else ""
    return RecordedPair(at=waiting.at_ns / 1e9, caller=connection, request=request, response=waiting.response)


def _ms(began_ns: int, header: "re.Match[bytes]") -> float | None:
    """Return the time from the start of a request to the end of its response."""
    start, took = int(header[3]), int(header[4] or 0)
    if start < _OLDEST_NS:
        return None
    milliseconds = (start + took - began_ns) / 1e6
    return round(milliseconds, 3) if milliseconds >= 0 else None
