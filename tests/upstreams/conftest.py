"""Every test here runs on uvloop, as workers and control do, with a few names that DNS would know elsewhere."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import uvloop

from tests.upstreams.servers import Authorities
from tests.worker.conftest import candidate, legacy, serve

__all__ = ["candidate", "legacy", "serve"]

ADDRESSES = dict.fromkeys(("orders.internal", "orders.internal."), "127.0.0.1")


class NamedLoop(uvloop.Loop):
    """Knows `ADDRESSES`. The rest is looked up."""

    async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> Any:
        return await super().getaddrinfo(ADDRESSES.get(host, host), port, **options)

    async def create_connection(  # type: ignore[override]  # fewer words than its own
        self, factory: Any, host: Any = None, port: Any = None, **options: Any
    ) -> Any:
        return await super().create_connection(factory, ADDRESSES.get(host, host), port, **options)


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": NamedLoop}


@pytest.fixture(scope="session")
def authorities() -> Authorities:
    return Authorities()
