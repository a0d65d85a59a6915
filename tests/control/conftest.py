"""The event loop of tests, which is uvloop as in control itself where connections are what is tested, and a browser."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest
import uvloop

from tests.control.admin_browser import Open, Opened

ON_UVLOOP = frozenset({"test_admin_tls.py"})


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    if item.path.name in ON_UVLOOP:
        return {"uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.new_event_loop}


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Open]:
    """Opens the admin listener; `token` for one that needs it."""
    async with Opened(tmp_path) as opened:
        yield opened.open
