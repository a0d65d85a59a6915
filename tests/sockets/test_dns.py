"""Names are looked up beside the requests, and what is known stays known when a lookup fails."""

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from strangler.clock import now
from strangler.sockets.dns import HINT_EVERY_S, REFRESH_EVERY_S, HostNames, is_literal


class ScriptedLoop:
    """A loop whose getaddrinfo answers what the test says: addresses, an error, or nothing for as long as it likes."""

    def __init__(self) -> None:
        self.responses: dict[str, list[str] | OSError | asyncio.Event] = {}
        self.looked_up: list[str] = []

    async def getaddrinfo(self, name: str, _port: None, *, type: int) -> list[Any]:
        assert type == socket.SOCK_STREAM
        self.looked_up.append(name)
        response = self.responses[name]
        if isinstance(response, asyncio.Event):
            await response.wait()
            return []
        if isinstance(response, OSError):
            raise response
        return [(socket.AF_INET, type, 6, "", (address, 0)) for address in response]

    def create_task(self, work: Any) -> asyncio.Task[None]:
        return asyncio.get_running_loop().create_task(work)


class Rig:
    def __init__(self) -> None:
        self.loop = ScriptedLoop()
        self.changed: list[str] = []
        self.names = HostNames(cast(asyncio.AbstractEventLoop, self.loop), self.changed.append)

    async def watch(self, *names: str) -> None:
        self.names.watch(names)
        await self.names.settle(1.0)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    made = Rig()
    yield made
    await made.names.close()


@pytest.mark.parametrize(
    ("host", "expected"),
    [("192.0.2.1", True), ("::1", True), ("2001:db8::1", True), ("localhost", False), ("orders.internal", False)],
)
def test_an_address_is_no_name(host: str, expected: bool) -> None:
    assert is_literal(host) is expected


async def test_a_literal_address_costs_nothing(rig: Rig) -> None:
    await rig.watch("192.0.2.1", "2001:db8::1")
    rig.names.hint("192.0.2.1")
    rig.names.sweep(now() + 1000)
    assert rig.loop.looked_up == []
    assert rig.names.addresses("192.0.2.1") == ("192.0.2.1",)


async def test_a_name_stands_for_all_of_its_addresses(rig: Rig) -> None:
    rig.loop.responses["orders"] = ["192.0.2.2", "192.0.2.1", "192.0.2.2"]
    assert rig.names.addresses("orders") == ("orders",), "until it is looked up, the connect does that itself"
    await rig.watch("orders")
    assert rig.names.addresses("orders") == ("192.0.2.1", "192.0.2.2")
    assert rig.changed == ["orders"]


async def test_it_is_looked_up_again_after_a_while_and_only_then(rig: Rig) -> None:
    rig.loop.responses["orders"] = ["192.0.2.1"]
    await rig.watch("orders")
    rig.names.sweep(now() + REFRESH_EVERY_S - 1)
    assert rig.loop.looked_up == ["orders"]
    rig.loop.responses["orders"] = ["192.0.2.9"]
    rig.names.sweep(now() + REFRESH_EVERY_S)
    await rig.names.settle(1.0)
    assert rig.names.addresses("orders") == ("192.0.2.9",)
    assert rig.changed == ["orders", "orders"]


async def test_the_same_answer_in_another_order_is_no_change(rig: Rig) -> None:
    rig.loop.responses["orders"] = ["192.0.2.1", "192.0.2.2"]
    await rig.watch("orders")
    rig.loop.responses["orders"] = ["192.0.2.2", "192.0.2.1"]
    rig.names.sweep(now() + REFRESH_EVERY_S)
    await rig.names.settle(1.0)
    assert rig.changed == ["orders"]


async def test_an_answer_that_fails_leaves_what_was_known(rig: Rig) -> None:
    rig.loop.responses["orders"] = ["192.0.2.1"]
    await rig.watch("orders")
    failures: list[OSError | list[str]] = [OSError("no such host"), []]
    for failure in failures:
        rig.loop.responses["orders"] = failure
        rig.names.sweep(now() + REFRESH_EVERY_S)
        await rig.names.settle(1.0)
        assert rig.names.addresses("orders") == ("192.0.2.1",)
    assert rig.changed == ["orders"]


async def test_a_failed_connect_has_it_looked_up_soon_but_not_at_every_request(rig: Rig) -> None:
    rig.loop.responses["orders"] = ["192.0.2.1"]
    await rig.watch("orders")
    for _ in range(100):
        rig.names.hint("orders")
    assert rig.loop.looked_up == ["orders"]
    rig.names._looked_up_at["orders"] -= HINT_EVERY_S  # as if that time had passed
    for _ in range(100):
        rig.names.hint("orders")
    await rig.names.settle(1.0)
    assert rig.loop.looked_up == ["orders", "orders"]


async def test_nobody_waits_for_a_lookup_that_hangs(rig: Rig) -> None:
    rig.loop.responses["orders"] = asyncio.Event()
    begun = now()
    rig.names.watch(["orders"])
    await rig.names.settle(0.05)
    assert now() - begun < 1.0
    assert rig.names.addresses("orders") == ("orders",)
    rig.names.sweep(now() + REFRESH_EVERY_S)
    await asyncio.sleep(0)
    assert rig.loop.looked_up == ["orders"], "one lookup of a name at a time"


async def test_a_name_that_is_no_longer_used_is_forgotten(rig: Rig) -> None:
    rig.loop.responses["orders"] = ["192.0.2.1"]
    await rig.watch("orders")
    await rig.watch()
    rig.names.sweep(now() + REFRESH_EVERY_S)
    rig.names.hint("orders")
    assert rig.loop.looked_up == ["orders"]
    assert rig.names.addresses("orders") == ("orders",)


async def test_this_machine_knows_localhost() -> None:
    changed: list[str] = []
    names = HostNames(asyncio.get_running_loop(), changed.append)
    names.watch(["localhost"])
    await names.settle(5.0)
    assert changed == ["localhost"]
    assert set(names.addresses("localhost")) <= {"127.0.0.1", "::1"}
    await names.close()
