"""Fixtures that tests of several files begin with."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome

from tests.e2e.browsing import chromium
from tests.e2e.serving import Proxy, legacy


@pytest.fixture
async def proxy(tmp_path: Path) -> AsyncIterator[Proxy]:
    """A proxy in front of a monolith, which the test is to start."""
    async with legacy() as upstream:
        proxy = Proxy(tmp_path, upstream.port)
        yield proxy
        await proxy.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    with chromium() as made:
        yield made
