# Compiled with mypyc: see docs/hot-path.md.
"""The ends of msgpack messages in a stream: a decoder needs whole ones, and nothing in the stream says where they end.

Each value is passed over by its first byte; nothing is decoded. What came of an unfinished message is never looked at
twice, however many pieces it comes in.
"""

from typing import Final

MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024
"""Envoy sends a message once it has 64 KiB of records; one record may be as long as its request's head."""
MAX_VALUES: Final = 4_000_000
"""The most values that a message may announce."""

_LENGTH_FIRST: Final = 256
"""From here on, an entry of the table is the width of a length that follows."""
_CONTAINER: Final = 512
_GARBAGE: Final = 1024


def _table() -> list[int]:
    """Return for each first byte the size of its value, or how the size is found."""
    sizes = [1] * 256  # 0x00-0x7f and 0xe0-0xff: numbers in the byte itself; 0xc0, 0xc2, 0xc3: nil, false, true
    for byte in range(0x80, 0xA0):
        sizes[byte] = _CONTAINER
    for byte in range(0xA0, 0xC0):
        sizes[byte] = 1 + (byte & 0x1F)
    sizes[0xC1] = _GARBAGE  # never used (the msgpack specification)
    for byte, width in ((0xC4, 1), (0xC5, 2), (0xC6, 4), (0xD9, 1), (0xDA, 2), (0xDB, 4)):
        sizes[byte] = _LENGTH_FIRST + width
    for byte, width in ((0xC7, 1), (0xC8, 2), (0xC9, 4)):
        sizes[byte] = _LENGTH_FIRST + 128 + width  # an extension: its type stands between length and data
    for byte, size in ((0xCA, 5), (0xCB, 9), (0xCC, 2), (0xCD, 3), (0xCE, 5), (0xCF, 9)):
        sizes[byte] = size
    for byte, size in ((0xD0, 2), (0xD1, 3), (0xD2, 5), (0xD3, 9)):
        sizes[byte] = size
    for byte, size in ((0xD4, 3), (0xD5, 4), (0xD6, 6), (0xD7, 10), (0xD8, 18)):
        sizes[byte] = size
    for byte in (0xDC, 0xDD, 0xDE, 0xDF):
        sizes[byte] = _CONTAINER
    return sizes


_SIZES: Final = _table()


class GarbageError(Exception):
    """The stream is none of msgpack messages of a sensible size: the connection has to be closed."""


class MessageSplitter:
    """Cuts a stream of bytes into whole msgpack messages."""

    __slots__ = ("_at", "_buffer", "_left")

    def __init__(self) -> None:
        self._buffer = b""
        """The bytes of the message under way, as far as they have come."""
        self._at = 0
        """The place of the next value in it. It may be beyond its end, after a value that has not come whole."""
        self._left = 1
        """The values of the message that are still to come, as far as announced."""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the messages that are complete now, in order. Raises GarbageError, and is unusable then."""
        buffer = self._buffer + data if self._buffer else data
        messages: list[bytes] = []
        start = 0
        while (end := self._pass_over(buffer)) >= 0:
            messages.append(buffer[start:end])
            start = end
        self._buffer = buffer[start:]
        self._at -= start
        if len(self._buffer) > MAX_MESSAGE_BYTES or self._left > MAX_VALUES:
            raise GarbageError(f"a message has more than {MAX_MESSAGE_BYTES} bytes or {MAX_VALUES} values")
        return messages

    def _pass_over(self, buffer: bytes) -> int:
        """Go on to the end of the message under way, and return its place; -1 if it has not come yet."""
        at, left, size = self._at, self._left, len(buffer)
        sizes = _SIZES
        while left > 0 and at < size:
            byte = buffer[at]
            step = sizes[byte]
            if step < _LENGTH_FIRST:
                at += step
                left -= 1
                continue
            if step == _GARBAGE:
                raise GarbageError("the byte 0xc1 begins no value")
            if step == _CONTAINER:
                if byte < 0xA0:
                    left += (byte & 0x0F) * (2 if byte < 0x90 else 1) - 1
                    at += 1
                    continue
                width = 2 if byte in (0xDC, 0xDE) else 4
                if at + 1 + width > size:
                    break
                left += _number(buffer, at + 1, width) * (2 if byte >= 0xDE else 1) - 1
                at += 1 + width
                if left > MAX_VALUES:
                    raise GarbageError(f"a message announces more than {MAX_VALUES} values")
                continue
            extra = 1 if step >= _LENGTH_FIRST + 128 else 0
            width = (step - _LENGTH_FIRST) & 127
            if at + 1 + width > size:
                break
            length = _number(buffer, at + 1, width)
            if length > MAX_MESSAGE_BYTES:
                raise GarbageError(f"a value has more than {MAX_MESSAGE_BYTES} bytes")
            at += 1 + width + extra + length
            left -= 1
        self._at, self._left = at, left
        if left > 0 or at > size:
            return -1
        self._left = 1
        return at


def _number(buffer: bytes, at: int, width: int) -> int:
    number = 0
    for place in range(at, at + width):
        number = number * 256 + buffer[place]
    return number
