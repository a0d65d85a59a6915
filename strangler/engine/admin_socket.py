"""Envoy's admin listener at a unix socket, over the little HTTP that it takes to use it."""

import asyncio
import os
from pathlib import Path
from typing import Final

from strangler.engine.sockets_in_folders import short_path

TIMEOUT_S: Final = 5.0
MAX_RESPONSE_BYTES: Final = 256 * 1024 * 1024
"""More than the statistics of 10,000 routes."""

_LONGEST_PATH: Final = 107  # bytes of sun_path on Linux (unix(7)), less the NUL


class AdminError(Exception):
    """Envoy has not responded as it should; the message says what came instead."""


class AdminSocket:
    """One Envoy's admin listener. A connection is made for each request, so nothing is lost when Envoy is replaced."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def get(self, target: str) -> bytes:
        """Return the body of a response with status 200. Raises AdminError."""
        return await self._request("GET", target)

    async def post(self, target: str) -> bytes:
        """Return the body of a response with status 200. Raises AdminError."""
        return await self._request("POST", target)

    async def _request(self, method: str, target: str) -> bytes:
        head = f"{method} {target} HTTP/1.1\r\nhost: envoy\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return _body_of(await self._exchange(head.encode()), target)
        except TimeoutError:
            raise AdminError(f"Envoy's admin listener has not responded within {TIMEOUT_S:.0f} s") from None
        except OSError as error:
            raise AdminError(f"Envoy's admin listener cannot be reached: {error.strerror or error}") from error

    async def _exchange(self, sent: bytes) -> bytes:
        reader, writer = await self._connect()
        try:
            writer.write(sent)
            return await reader.read(-1)
        finally:
            writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if len(os.fsencode(self._path)) <= _LONGEST_PATH:
            return await asyncio.open_unix_connection(str(self._path), limit=MAX_RESPONSE_BYTES)
        with short_path(self._path.parent, self._path.name) as short:
            return await asyncio.open_unix_connection(short, limit=MAX_RESPONSE_BYTES)


def _body_of(received: bytes, target: str) -> bytes:
    head, separator, body = received.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    status = lines[0].split(b" ")[1:2]
    if not separator or status != [b"200"]:
        text = body[:200].decode(errors="replace").strip() or "no response"
        raise AdminError(f"Envoy's admin listener has refused {target}: {text}")
    is_chunked = any(line.lower().replace(b" ", b"") == b"transfer-encoding:chunked" for line in lines[1:])
    return _unchunked(body, target) if is_chunked else body


def _unchunked(body: bytes, target: str) -> bytes:
    """Return the content of chunks (RFC 9112 section 7.1). Raises AdminError if the last one is missing."""
    content: list[bytes] = []
    at = 0
    try:
        while True:
            end = body.index(b"\r\n", at)
            size = int(body[at:end].partition(b";")[0], 16)
            if size == 0:
                return b"".join(content)
            content.append(body[end + 2 : end + 2 + size])
            at = end + 2 + size + 2
    except ValueError:
        raise AdminError(f"Envoy's response to {target} ends early") from None
