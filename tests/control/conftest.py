"""The event loop of tests, which is uvloop as in control itself where connections are what is tested, a browser, and a
PostgreSQL with a database for each test."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

import pytest
import uvloop

from tests.control.admin_browser import Open, Opened
from tests.control.fleet.database import Server, server

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


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """Return a server of all tests of a process: a test that ends it starts it again."""
    with server() as found:
        yield found


@pytest.fixture
def database(postgres: Server) -> str:
    """Return the name of a new database with all tables."""
    return postgres.new_database()


@pytest.fixture
def mortal_server() -> Iterator[Server]:
    """Return a server of this test alone, which it may end."""
    with server() as found:
        yield found
