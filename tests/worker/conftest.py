"""Every test here runs on uvloop, as workers do: its buffers, clocks and timers are part of what is tested."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack

import pytest_asyncio
import uvloop

from strangler.core.settings import Settings
from strangler.worker.control_link import NO_LINK, ControlLink
from tests.http1.scripted import ScriptedUpstream, responding, send
from tests.worker.plane import RunningPlane, response

Serve = Callable[..., Awaitable[RunningPlane]]


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest_asyncio.fixture
async def legacy() -> AsyncIterator[ScriptedUpstream]:
    """Answers every request with `legacy`, until a test tells it otherwise."""
    async with ScriptedUpstream(responding(send(response(200, b"legacy")))) as upstream:
        yield upstream


@pytest_asyncio.fixture
async def candidate() -> AsyncIterator[ScriptedUpstream]:
    """Answers every request with `candidate`, until a test tells it otherwise."""
    async with ScriptedUpstream(responding(send(response(200, b"candidate")))) as upstream:
        yield upstream


@pytest_asyncio.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts data planes; stops them after the test and holds that they gave everything back."""
    async with AsyncExitStack() as exits:

        async def start(
            settings: Settings, *, send_buffer: int | None = None, link: ControlLink = NO_LINK
        ) -> RunningPlane:
            return await exits.enter_async_context(RunningPlane(settings, send_buffer=send_buffer, link=link))

        yield start
