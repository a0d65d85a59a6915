# Compiled with mypyc: see docs/hot-path.md.
"""A message body on its way from one connection to another, the same for requests and responses of any length."""

import asyncio
from typing import Protocol

from strangler.core.http.head import RawHeaders
from strangler.http1.chunked import chunk, last_chunk

_WAITING_BYTES = 64 * 1024
"""How much may wait for a transport before the source is paused."""

KEPT_BYTES = 64 * 1024
"""Request bodies of up to this size are kept, so that they can be sent a second time."""

_JOIN_BYTES = 16 * 1024
"""Head and body are joined into one buffer up to this size; beyond it the copy costs more than the vectored write."""


class Source(Protocol):
    """The connection that a body comes from."""

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


class Tee(Protocol):
    """The observer of every byte that passes (a capture for a shadow)."""

    def feed(self, data: bytes) -> None: ...


class Body:
    """Passes the bytes of `feed` and `finish` on to the transport that is attached; until then they wait.

    A slow transport pauses the source; at most `_WAITING_BYTES` plus one read ever wait here.
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
        self._is_sent = False  # once attached, what came before is no longer in `_waiting`
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
        """Mark the body as complete, and resume its source: what comes next there is another message."""
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
        self.resume()  # before the write, which may pause again: a transport reports that it is full only once
        if len(parts) == 1:
            out.write(head)
        elif self._waiting_bytes <= _JOIN_BYTES:
            out.write(b"".join(parts))
        else:
            out.writelines(parts)
        self._waiting_bytes = 0

    def observe(self, tee: Tee) -> None:
        """Feed `tee` what has come so far and all that comes. To be called before the first `attach`."""
        for data in self._waiting:
            tee.feed(data)
        self.tee = tee

    def whole(self, out: asyncio.Transport, head: bytes, *, chunked: bool) -> bytes | None:
        """Return `head` and body as one message for the write batch, or None unless the body is complete and small."""
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
        """Let what comes from now on wait, until it is attached again."""
        self._out = None

    def rewind(self) -> bool:
        """Make the body ready to be sent from its first byte again. Return False if not all of it was kept."""
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
        """True if the body could be rewound: all that has come is kept, or has not been sent yet."""
        return self._kept is not None or not self._is_sent or not self.received_bytes

    def release(self) -> None:
        """Drop the kept bytes: the body will not be sent again."""
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
        """True while the receiving side has yet to read what was sent."""
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
