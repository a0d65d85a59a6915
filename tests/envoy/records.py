"""The socket that Envoy's access records go to."""

import asyncio
import struct
from collections.abc import Callable
from typing import Any

Record = dict[str, Any]


class Records:
    """All records that have come, by their tag."""

    def __init__(self) -> None:
        self.by_tag: dict[str, list[Record]] = {"request": [], "attempt": []}
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []

    async def serve(self, path: str) -> None:
        self._server = await asyncio.start_unix_server(self._read, path)

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.close()
        await self._server.wait_closed()

    async def request(self, count: int = 1) -> list[Record]:
        """The records of requests, once there are as many."""
        return await self.until("request", lambda found: len(found) >= count)

    async def until(self, tag: str, holds: Callable[[list[Record]], bool]) -> list[Record]:
        for _ in range(1000):
            if holds(self.by_tag[tag]):
                return self.by_tag[tag]
            await asyncio.sleep(0.01)
        raise AssertionError(f"not so: {self.by_tag}")

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        waiting = b""
        self._writers.append(writer)
        while chunk := await reader.read(65_536):
            waiting += chunk
            while waiting:
                try:
                    (tag, entries, *_), end = unpack(waiting, 0)
                except IndexError:
                    break
                self.by_tag[tag] += [record for _, record in entries]
                waiting = waiting[end:]
        writer.close()


def unpack(data: bytes, at: int) -> tuple[Any, int]:
    """One value of MessagePack and where it ends; IndexError if it is not whole."""
    first = data[at]
    at += 1
    if first < 0x80:
        return first, at
    if first >= 0xE0:
        return first - 256, at
    if first < 0x90:
        return _map(data, at, first & 15)
    if first < 0xA0:
        return _list(data, at, first & 15)
    if first < 0xC0:
        return _text(data, at, first & 31)
    if first in _PLAIN:
        return _PLAIN[first], at
    if first in _NUMBERS:
        form = _NUMBERS[first]
        return _number(data, at, form)
    if first in _SIZED:
        form, read = _SIZED[first]
        size, at = _number(data, at, form)
        return read(data, at, size)
    raise ValueError(hex(first))


def _number(data: bytes, at: int, form: str) -> tuple[Any, int]:
    end = at + struct.calcsize(form)
    if end > len(data):
        raise IndexError
    return struct.unpack(form, data[at:end])[0], end


def _text(data: bytes, at: int, size: int) -> tuple[str, int]:
    if at + size > len(data):
        raise IndexError
    return data[at : at + size].decode("latin-1"), at + size


def _list(data: bytes, at: int, size: int) -> tuple[list[Any], int]:
    values = []
    for _ in range(size):
        value, at = unpack(data, at)
        values.append(value)
    return values, at


def _map(data: bytes, at: int, size: int) -> tuple[dict[Any, Any], int]:
    values = {}
    for _ in range(size):
        name, at = unpack(data, at)
        values[name], at = unpack(data, at)
    return values, at


_PLAIN = {0xC0: None, 0xC2: False, 0xC3: True}
_NUMBERS = {0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q",
            0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q"}  # fmt: skip
_SIZED = {0xD9: (">B", _text), 0xDA: (">H", _text), 0xDB: (">I", _text), 0xDC: (">H", _list), 0xDD: (">I", _list),
          0xDE: (">H", _map), 0xDF: (">I", _map)}  # fmt: skip
