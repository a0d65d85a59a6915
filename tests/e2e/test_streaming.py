"""Bodies of any size pass in a little memory, and a slow reader on one side slows the sender on the other."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.http1.proxies import Proxy, strangler
from tests.http1.raw import Client, crlf, get
from tests.http1.scripted import Connection, ScriptedUpstream

_CONFIG = """
version: 1
listen: 127.0.0.1:{{port}}
admin: {{{{listen: "127.0.0.1:{{admin}}"}}}}
state: "{{state}}"
log: {{{{level: warning, access: false}}}}
limits: {{{{request_body: none}}}}
upstreams:
  legacy: {{{{url: "http://127.0.0.1:{upstream}"}}}}
"""
_BODY_BYTES = 300_000_000
_PIECE = b"0123456789abcdef" * 16384
_MAX_GROWTH_BYTES = 20_000_000
_STALL_S = 0.5
_KERNEL_BYTES = 24_000_000
"""The bytes that sockets on loopback buffer before the sender must wait: up to 6 MB each way, four sockets."""

Framing = Callable[[bytes], bytes]


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


@pytest.fixture
def upstream_port_and_proxy(tmp_path: Path) -> Iterator[Callable[[int], Proxy]]:
    """Starts the proxy once the upstream's port is known."""
    running = []

    def start(port: int) -> Proxy:
        context = strangler(_CONFIG.format(upstream=port), tmp_path)
        running.append(context)
        return context.__enter__()

    yield start
    for context in running:
        context.__exit__(None, None, None)


def _worker(proxy: Proxy) -> psutil.Process:
    children = psutil.Process(proxy.pid).children(recursive=True)
    [worker] = [child for child in children if "strangler.worker" in " ".join(child.cmdline())]
    return worker


async def _peak_growth(proxy: Proxy, work: Awaitable[None]) -> int:
    """Bytes by which the worker's resident memory grew at most while `work` ran."""
    worker = _worker(proxy)
    begin = worker.memory_info().rss
    task = asyncio.ensure_future(work)
    peak = begin
    while not task.done():
        peak = max(peak, worker.memory_info().rss)
        await asyncio.sleep(0.01)
    await task
    return peak - begin


async def _send_body(send: Callable[[bytes], Awaitable[None]], framing: Framing, progress: list[int]) -> None:
    sent = 0
    while sent < _BODY_BYTES:
        await send(framing(_PIECE))
        sent += len(_PIECE)
        progress.append(sent)


def _total(framing: Framing) -> int:
    pieces = -(-_BODY_BYTES // len(_PIECE))
    return pieces * len(framing(_PIECE))


_FRAMINGS = pytest.mark.parametrize("framing", [bytes, _chunk], ids=["length", "chunked"])


@_FRAMINGS
async def test_a_long_download_stalls_with_its_reader_and_takes_little_memory(
    framing: Framing, upstream_port_and_proxy: Callable[[int], Proxy]
) -> None:
    """The client reads nothing for a while: the upstream is made to wait, then all of it arrives."""
    progress: list[int] = []
    length = _total(bytes)
    fields = b"Transfer-Encoding: chunked" if framing is _chunk else b"Content-Length: %d" % length

    async def script(connection: Connection) -> None:
        await connection.read_request()
        await connection.send(crlf(b"HTTP/1.1 200 OK", fields))
        await _send_body(connection.send, framing, progress)
        if framing is _chunk:
            await connection.send(b"0\r\n\r\n")

    async with ScriptedUpstream(script) as upstream:
        proxy = upstream_port_and_proxy(upstream.port)
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port, limit=2**18)

        async def download() -> None:
            writer.write(get())
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(_STALL_S)
            stalled_at = progress[-1]
            await asyncio.sleep(_STALL_S)
            assert progress[-1] == stalled_at < _KERNEL_BYTES
            await _read_body(reader, length, framing)

        growth = await _peak_growth(proxy, download())
        writer.close()
    assert growth < _MAX_GROWTH_BYTES


async def _read_body(reader: asyncio.StreamReader, length: int, framing: Framing) -> None:
    """Reads the whole body; chunks are those that the proxy made."""
    seen = 0
    while framing is _chunk:
        size = int(await reader.readline(), 16)
        seen += size
        await reader.readexactly(size + 2)
        if size == 0:
            break
    while framing is not _chunk and seen < length:
        seen += len(await reader.read(2**18))
    assert seen == length


@_FRAMINGS
async def test_a_long_upload_stalls_with_its_reader_and_takes_little_memory(
    framing: Framing, upstream_port_and_proxy: Callable[[int], Proxy]
) -> None:
    """The upstream reads nothing for a while: the client is made to wait, then all of it arrives."""
    progress: list[int] = []
    arrived = [0]
    length = _total(bytes)
    go_on = asyncio.Event()
    fields = b"Transfer-Encoding: chunked" if framing is _chunk else b"Content-Length: %d" % length

    async def script(connection: Connection) -> None:
        head = await connection.read_head()
        arrived[0] = len(connection.received) - len(head)
        await go_on.wait()
        last = b""
        while (framing is _chunk and not last.endswith(b"\r\n0\r\n\r\n")) or (framing is bytes and arrived[0] < length):
            data = await connection.read_some(2**18)
            assert data
            arrived[0] += len(data)
            last = (last + data)[-16:]
            connection.received.clear()  # the record of 300 MB is not wanted
        await connection.send(crlf(b"HTTP/1.1 200 OK", b"Content-Length: 2", body=b"ok"))

    async with ScriptedUpstream(script) as upstream:
        proxy = upstream_port_and_proxy(upstream.port)
        client = await Client.connect(proxy.port)

        async def upload() -> None:
            await client.send(crlf(b"PUT / HTTP/1.1", b"Host: a", fields))
            sending = asyncio.ensure_future(_send_body(client.send, framing, progress))
            await asyncio.sleep(_STALL_S)
            stalled_at = progress[-1]
            await asyncio.sleep(_STALL_S)
            assert progress[-1] == stalled_at < _KERNEL_BYTES
            go_on.set()
            await sending
            if framing is _chunk:
                await client.send(b"0\r\n\r\n")
            await client.wait_for(lambda: client.received.endswith(b"ok"))

        growth = await _peak_growth(proxy, upload())
        await client.close()
    assert client.received.startswith(b"HTTP/1.1 200 OK")
    assert arrived[0] >= length
    assert growth < _MAX_GROWTH_BYTES
