"""Ended requests are freed at once: the garbage collector runs so seldom that cycles would add up to megabytes."""

import asyncio
import gc
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.http1.scripted import ScriptedUpstream, in_turn, pause, read_request, send
from tests.worker.conftest import Serve
from tests.worker.plane import request, response, two_arms

UPLOAD = request("/api", "Transfer-Encoding: chunked", method="PUT") + b"3\r\nabc\r\n0\r\n\r\n"


@contextmanager
def garbage() -> Iterator[list[str]]:
    """Filled at the end of the block with the types of ours that only the collector could free."""
    found: list[str] = []
    gc.collect()
    gc.disable()
    try:
        yield found
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        found += [type(each).__name__ for each in gc.garbage if type(each).__module__.startswith("strangler")]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


@pytest.mark.parametrize(
    "requested", [request(), request("/api", "Connection: close"), UPLOAD], ids=["kept", "closed", "chunked upload"]
)
async def test_a_connection_that_ends_leaves_nothing_to_the_garbage_collector(
    requested: bytes, serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    running = await serve(two_arms(legacy, candidate))
    with garbage() as found:
        for _ in range(3):
            client = await running.client()
            await client.send(requested)
            await client.response()
            await client.close()
            await running.until(lambda: not running.port.connections)
        await asyncio.sleep(0.01)
    assert found == []


async def test_nor_does_a_client_that_leaves_in_the_middle(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    head = response(200, b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    candidate.script = in_turn(read_request(), send(head + b"3\r\nabc\r\n"), pause(5))
    running = await serve(two_arms(legacy, candidate))
    with garbage() as found:
        client = await running.client()
        await client.send(request())
        await client.wait_for(lambda: b"abc" in client.received)
        await client.close()
        await running.until(lambda: not running.port.connections)
        await running.quiet()
        await asyncio.sleep(0.05)
    assert found == []
