# Compiled with mypyc: see docs/hot-path.md.
"""A message body on its way from one connection to another. The same for requests and answers, small and endless."""

import asyncio
from typing import Protocol

from strangler.core.http.head import RawHeaders
from strangler.http1.chunked import chunk, last_chunk

_WAITING_BYTES = 64 * 1024
"""How much may wait for a place to go before the source is told to pause."""

KEPT_BYTES = 64 * 1024
"""Up to here a request's body is kept, so that it can be sent a second time."""

_JOIN_BYTES = 16 * 1024
"""Up to here head and body are joined into one buffer; beyond it the copy costs more than the vectored write."""


class Source(Protocol):
    """The connection that a body comes from."""

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


class Tee(Protocol):
    """Sees every byte that passes (a capture for a shadow)."""

    def feed(self, data: bytes) -> None: ...


class Body:
    """Bytes go in by `feed` and `finish`, and out to the transport that was attached; until then they wait.

    A slow transport pauses the source; nothing is ever held beyond `_WAITING_BYTES` plus one read.
    """

    __slots__ = (
        "_is_chunked_out",
        "_is_paused",
        "_is_sent",
        "_kept",
        "_out",
        "_source",
        "_waiting",
        "_waiting_bytes",
        "is_finished",
        "received_bytes",
        "tee",
        "trailers",
    )

    def __init__(self, source: Source, *, keep: bool = False) -> None:
        self._source = source
        self._out: asyncio.Transport | None = None
        self._is_chunked_out = False
        self._is_paused = False
        self._is_sent = False  # it was attached once: what has come by then is no longer in `_waiting`
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._kept: list[bytes] | None = [] if keep else None
        self.received_bytes = 0
        self.is_finished = False
        self.tee: Tee | None = None
        self.trailers: RawHeaders = []

    def feed(self, data: bytes) -> None:
        """Take bytes of the body, without their framing."""
        if not data:
            return
        self.received_bytes += len(data)
        if self.tee is not None:
            self.tee.feed(data)
        if self._kept is not None:
            self._keep(data)
        if self._out is None:
            self._wait(data)
        elif self._is_chunked_out:
            self._out.writelines(chunk(data))
        else:
            self._out.write(data)

    def finish(self, trailers: RawHeaders | None = None) -> None:
        """The body is complete. Its source is not to stay stopped: what comes next there is another message."""
        self.is_finished = True
        if trailers:
            self.trailers = trailers
        if self._out is not None and self._is_chunked_out:
            self._out.write(last_chunk(self.trailers))
        self.resume()

    def attach(self, out: asyncio.Transport, head: bytes, *, chunked: bool) -> None:
        """Write `head` and what has come so far to `out`, and from now on all that comes."""
        self._out = out
        self._is_sent = True
        self._is_chunked_out = chunked
        parts = [head]
        if self._waiting:
            data = self._waiting[0] if len(self._waiting) == 1 else b"".join(self._waiting)
            parts += chunk(data) if chunked else (data,)
            self._waiting = []
        if self.is_finished and chunked:
            parts.append(last_chunk(self.trailers))
        self.resume()  # before it is written: what `out` says then, it says once
        if len(parts) == 1:
            out.write(head)
        elif self._waiting_bytes <= _JOIN_BYTES:
            out.write(b"".join(parts))
        else:
            out.writelines(parts)
        self._waiting_bytes = 0

    def observe(self, tee: Tee) -> None:
        """Show `tee` what has come so far, and all that comes. Before it is attached for the first time."""
        for data in self._waiting:
            tee.feed(data)
        self.tee = tee

    def whole(self, out: asyncio.Transport, head: bytes, *, chunked: bool) -> bytes | None:
        """`head` and body as one message, if the body is complete and small: to be put into the outbox for `out`."""
        if not self.is_finished or self._waiting_bytes > _JOIN_BYTES:
            return None
        self._out = out
        self._is_sent = True
        self._is_chunked_out = chunked
        parts = [head, *self._waiting]
        if chunked:
            data = b"".join(self._waiting)
            parts = [head, *(chunk(data) if data else ()), last_chunk(self.trailers)]
        self._waiting = []
        self._waiting_bytes = 0
        return b"".join(parts)

    def detach(self) -> None:
        """Let what comes from now on wait, until it is attached anew."""
        self._out = None

    def rewind(self) -> bool:
        """Make ready to be sent from its first byte again. False if not all of it was kept."""
        if not self._is_sent:
            return True
        if not self.is_resendable:
            return False
        self._out = None
        self._waiting = list(self._kept or ())
        self._waiting_bytes = self.received_bytes
        return True

    @property
    def is_resendable(self) -> bool:
        """True if it could be rewound: all that has come is kept, or has not gone anywhere yet."""
        return self._kept is not None or not self._is_sent or not self.received_bytes

    def release(self) -> None:
        """It will not be sent again."""
        self._kept = None

    def pause(self) -> None:
        if not self._is_paused and not self.is_finished:
            self._is_paused = True
            self._source.pause_reading()

    def resume(self) -> None:
        if self._is_paused:
            self._is_paused = False
            self._source.resume_reading()

    @property
    def is_paused(self) -> bool:
        """True while the receiving side is the one that is waited for."""
        return self._is_paused

    def _wait(self, data: bytes) -> None:
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        if self._waiting_bytes > _WAITING_BYTES:
            self.pause()

    def _keep(self, data: bytes) -> None:
        if self.received_bytes > KEPT_BYTES:
            self._kept = None
        elif self._kept is not None:
            self._kept.append(data)
