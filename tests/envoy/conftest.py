"""The legacy of tests that let a real Envoy forward."""

from collections.abc import AsyncIterator

import pytest

from tests.envoy.scripted import Scripted


@pytest.fixture
async def legacy() -> AsyncIterator[Scripted]:
    server = Scripted("legacy")
    await server.start()
    yield server
    await server.stop()
