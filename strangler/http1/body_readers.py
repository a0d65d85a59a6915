# Compiled with mypyc: see docs/hot-path.md.
"""Readers that take a body out of its framing (RFC 9112 section 6), the same for requests and responses."""

from strangler.core.fault import Fault
from strangler.core.http.framing import Framing, Kind
from strangler.http1.body import Body
from strangler.http1.chunked import ChunkedDecoder, ChunkedError

_LENGTH, _CHUNKED = Kind.LENGTH, Kind.CHUNKED


class BodyReader:
    """Feeds the bytes of one body to `body`, and finds its end. The caller then calls `body.finish()`."""

    __slots__ = ("body",)

    body: Body

    def feed(self, data: bytes) -> bytes | Fault | None:
        """Return None while the body goes on, at its end the bytes behind it, or the fault that ends it."""
        raise NotImplementedError


class LengthReader(BodyReader):
    """The reader of a body with a Content-Length."""

    __slots__ = ("_missing_bytes",)

    def __init__(self, body: Body, length: int) -> None:
        self.body = body
        self._missing_bytes = length

    def feed(self, data: bytes) -> bytes | Fault | None:
        missing_bytes = self._missing_bytes
        size = len(data)
        if size < missing_bytes:
            self._missing_bytes = missing_bytes - size
            self.body.feed(data)
            return None
        self._missing_bytes = 0
        if size == missing_bytes:  # compiled code copies even for a slice of everything
            self.body.feed(data)
            return b""
        self.body.feed(data[:missing_bytes])
        return data[missing_bytes:]


class ChunkedReader(BodyReader):
    """The reader of a chunked body. `broken`: the fault if its coding is invalid; `max_bytes`: None: no limit."""

    __slots__ = ("_broken", "_decoder", "_max_bytes")

    def __init__(self, body: Body, broken: Fault, max_bytes: int | None = None) -> None:
        self.body = body
        self._broken = broken
        self._decoder = ChunkedDecoder()
        self._max_bytes = max_bytes

    def feed(self, data: bytes) -> bytes | Fault | None:
        body, decoder = self.body, self._decoder
        try:
            payload, rest = decoder.feed(data)
        except ChunkedError:
            return self._broken
        if self._max_bytes is not None and body.received_bytes + len(payload) > self._max_bytes:
            return Fault.TOO_LARGE
        body.feed(payload)
        if not decoder.is_done:
            return None
        body.trailers = decoder.trailers
        return rest


class CloseReader(BodyReader):
    """The reader of a body that ends with its connection, so that its bytes never show the end."""

    __slots__ = ()

    def __init__(self, body: Body) -> None:
        self.body = body

    def feed(self, data: bytes) -> bytes | Fault | None:
        self.body.feed(data)
        return None


def body_reader(framing: Framing, body: Body, broken: Fault, max_bytes: int | None = None) -> BodyReader:
    """Return the reader of a body that has this framing and is not empty."""
    if framing.kind is _LENGTH:
        return LengthReader(body, framing.length)
    if framing.kind is _CHUNKED:
        return ChunkedReader(body, broken, max_bytes)
    return CloseReader(body)
