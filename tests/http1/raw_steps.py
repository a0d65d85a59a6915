"""A raw client step by step: what tests do that need more than one request and one answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.http1.proxies import Proxy
from tests.http1.raw import OK, Client, Playlist, respond
from tests.http1.scripted import Script, ScriptedUpstream
from tests.http1.strict_reader import read_requests

WAIT_S = 3.0


@asynccontextmanager
async def client_of(proxy: Proxy, upstream: ScriptedUpstream, *scripts: Script) -> AsyncIterator[Client]:
    """A fresh client, and an upstream that plays these scripts, the last one again and again."""
    await upstream.renew()
    upstream.drips = False
    upstream.script = Playlist(scripts or (respond(OK),))
    async with another_client(proxy) as client:
        yield client


@asynccontextmanager
async def another_client(proxy: Proxy) -> AsyncIterator[Client]:
    """A fresh client; the upstream goes on as it is."""
    client = await Client.connect(proxy.port)
    try:
        async with asyncio.timeout(WAIT_S):
            yield client
    finally:
        await client.close()


async def until(client: Client, data: bytes) -> None:
    await client.wait_for(lambda: data in client.received)
    assert data in client.received, f"the connection ended by {client.end} with {bytes(client.received)!r}"


async def ended(client: Client) -> None:
    await client.wait_for(lambda: False)


def heads(upstream: ScriptedUpstream) -> list[bytes]:
    return [m.start for c in upstream.connections for m in read_requests(bytes(c.received))]
