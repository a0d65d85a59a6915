"""A connection to an upstream for one request, read as a stream: for shadows and health checks.

Responses are read by the workers' parsers, so what workers reject is rejected here.
"""

import asyncio
from typing import Self

from strangler.core.http.framing import Kind
from strangler.core.settings import Url
from strangler.http1.chunked import ChunkedDecoder, ChunkedError
from strangler.http1.connect import connect
from strangler.http1.response import ResponseHead, mend_line_ends, parse_response
from strangler.tls.client_context import ClientTlsState

MAX_HEAD_BYTES = 256 * 1024
_READ_BYTES = 64 * 1024


class BadResponseError(Exception):
    """The received bytes are not a response that a worker would pass on."""


class _StreamProtocol(asyncio.StreamReaderProtocol):
    """Lets everything that has come be read, and knows afterwards whether that was all.

    uvloop calls `eof_received` for the close_notify of TLS, and not for an end without it, which anybody can forge.
    """

    def __init__(self, reader: asyncio.StreamReader, *, is_tls: bool) -> None:
        super().__init__(reader)
        self.broken: OSError | None = None
        """Why the connection ended, unless its peer ended it in good order."""
        self._may_end = not is_tls

    def eof_received(self) -> bool | None:
        self._may_end = True
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        if isinstance(exc, OSError):
            self.broken = exc
        elif not self._may_end:
            self.broken = ConnectionResetError("the connection ended without close_notify")
        super().connection_lost(None)


class UpstreamStream:
    """One connection. It must be aborted."""

    def __init__(self, transport: asyncio.Transport, reader: asyncio.StreamReader, protocol: _StreamProtocol) -> None:
        self.transport = transport
        self._reader = reader
        self._protocol = protocol

    @classmethod
    async def open(cls, url: Url, address: str, tls: ClientTlsState) -> Self:
        """Connect. Raises `connect.CONNECT_ERRORS`."""
        reader = asyncio.StreamReader()
        is_tls = url.scheme == "https"
        transport, protocol = await connect(lambda: _StreamProtocol(reader, is_tls=is_tls), url, address, tls)
        return cls(transport, reader, protocol)

    def write(self, data: bytes) -> None:
        self.transport.write(data)

    def abort(self) -> None:
        """Close at once."""
        self.transport.abort()

    async def read(self) -> bytes:
        """Return what has come; empty at a sound end. Raises OSError at any other."""
        data = await self._reader.read(_READ_BYTES)
        if not data and self._protocol.broken is not None:
            raise self._protocol.broken
        return data

    async def read_head(self, *, is_head: bool) -> tuple[ResponseHead, bytes]:
        """Return the head of the final response, and the bytes after it. `is_head`: of a response to HEAD.

        Raises OSError if the connection ends before, and BadResponseError.
        """
        data = b""
        while True:
            head, data = final_head(data, is_head=is_head)
            if head is not None:
                return head, data
            data += await self._read_more()

    async def read_body(self, head: ResponseHead, rest: bytes, max_bytes: int) -> bytes | None:
        """Return the whole body without framing; None if it is over `max_bytes`. `rest`: the bytes after the head.

        Raises OSError if the body is cut short, and BadResponseError.
        """
        kind, length = head.framing
        if kind is Kind.NONE:
            return b""
        if kind is Kind.CHUNKED:
            return await self._read_chunks(rest, max_bytes)
        if length > max_bytes:
            return None
        parts, size = [rest], len(rest)
        while size <= max_bytes and (kind is Kind.CLOSE or size < length):
            data = await self.read()
            if not data and kind is Kind.CLOSE:
                break
            if not data:
                raise ConnectionResetError
            parts.append(data)
            size += len(data)
        body = b"".join(parts)
        if kind is Kind.LENGTH:
            return body[:length]
        return body if size <= max_bytes else None

    async def _read_chunks(self, rest: bytes, max_bytes: int) -> bytes | None:
        decoder, parts, size = ChunkedDecoder(), list[bytes](), 0
        while True:
            try:
                payload, _ = decoder.feed(rest)
            except ChunkedError as error:
                raise BadResponseError from error
            parts.append(payload)
            size += len(payload)
            if size > max_bytes:
                return None
            if decoder.is_done:
                return b"".join(parts)
            rest = await self._read_more()

    async def _read_more(self) -> bytes:
        data = await self.read()
        if not data:
            raise ConnectionResetError("the connection ended before the response was complete")
        return data


def final_head(data: bytes, *, is_head: bool) -> tuple[ResponseHead | None, bytes]:
    """Return the head of the final response, and the bytes after it; None, and the bytes so far, if more must come.

    `is_head`: of a response to HEAD. Raises BadResponseError.
    """
    while True:
        end = data.find(b"\r\n\r\n") + 4
        if max(end, len(data) if end < 4 else 0) > MAX_HEAD_BYTES or not _is_http(data):
            raise BadResponseError
        if end < 4:
            mended = mend_line_ends(data)
            if mended is None:
                return None, data
            data = mended
            continue
        head = parse_response(data[:end], is_head_response=is_head)
        mended = mend_line_ends(data) if head is None else None
        if mended is not None:
            data = mended
            continue
        if head is None or head.status == 101:  # no upgrade is ever requested
            raise BadResponseError
        data = data[end:]
        if head.status >= 200:
            return head, data


def _is_http(data: bytes) -> bool:
    return data.startswith(b"HTTP/1.") or b"HTTP/1.".startswith(data)
