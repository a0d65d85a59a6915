"""A shared store that is away: captures go on while there is room, and all that waited is stored once it is back."""

import asyncio
import random
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from strangler.control.shadow import pending
from tests.control.fleet.database import Server
from tests.control.shadow.nodes.node import Node, node, until
from tests.factories import route, settings, shadow
from tests.store.evidence.pairs import match, mismatch, noisy, seen

ORDERS = replace(route("orders"), shadow=shadow())
IN_FORCE = settings(routes=[ORDERS])
MOST = 500


def credit(at: Node) -> tuple[int, str]:
    """Return the credit of workers, and the reason for its limit."""
    credits_ = at.parts.runner._credits
    return credits_.credit(at.parts.table.routes["orders"])


def is_halted(at: Node) -> bool:
    return at.parts.writer.halted is not None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["stopped", "killed"])
async def test_what_waits_while_there_is_room_is_stored_once_and_the_rest_is_counted(
    mortal_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    monkeypatch.setattr(pending, "MAX_PENDING", MOST)
    url = mortal_server.url(mortal_server.new_database())
    async with node(url, "a", tmp_path, IN_FORCE) as a:
        a.parts.writer.add(match(at=time.time()))
        await a.stored()
        await asyncio.to_thread(mortal_server.stop, number)
        added = await _add_while_away(a)
        assert (credit(a)[0] > 0, is_halted(a)) == (True, False)  # it goes on
        for _ in range(3 * MOST):
            a.parts.writer.add(match(at=time.time()))
        added += 3 * MOST
        assert credit(a) == (0, "store")
        assert is_halted(a)
        dropped = a.rig.count("strangler_shadow_dropped_total", "orders", "store")
        assert dropped == added - MOST
        assert len(a.parts.writer._pending) == MOST
        await asyncio.to_thread(mortal_server.start)
        await a.stored()
        assert await a.counted() == 1 + MOST
        assert (credit(a)[0] > 0, is_halted(a), len(a.parts.writer._pending)) == (True, False, 0)


async def _add_while_away(a: Node) -> int:
    """Add findings under load while they cannot be stored. Return how many."""
    added = 0
    while added < MOST // 2 or a.store.problem is None:
        a.parts.writer.add(mismatch(seen(f"{added % 5}"), at=time.time()))
        added += 1
        if not added % 20:
            assert not await a.parts.runner.store()
            await asyncio.sleep(0.01)
    return added


async def test_there_is_room_again_once_half_is_free(
    mortal_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pending, "MAX_PENDING", 4)
    async with node(mortal_server.url(mortal_server.new_database()), "a", tmp_path, IN_FORCE) as a:
        found = a.parts.writer._pending
        for _ in range(5):
            found.add(match())
        first = found.take(1)
        found.let_go(first)
        assert not found.has_room
        found.let_go(found.take(2))
        assert found.has_room


async def test_a_stop_that_waits_for_the_store_reaches_the_others_once_it_is_back(
    mortal_server: Server, tmp_path: Path
) -> None:
    url = mortal_server.url(mortal_server.new_database())
    async with node(url, "a", tmp_path, IN_FORCE) as a, node(url, "b", tmp_path, IN_FORCE) as b:
        await asyncio.to_thread(mortal_server.stop, signal.SIGINT)
        a.parts.switch.halt(a.parts.table.routes["orders"], "why")
        assert not await a.parts.runner.store()
        assert not await a.parts.follower.follow()  # which never takes the stop for one that another has ended
        assert a.parts.table.routes["orders"].stopped is not None
        await asyncio.to_thread(mortal_server.start)
        await a.stored()
        await until(lambda: b.parts.table.routes["orders"].stopped is not None)


async def test_what_the_store_refuses_does_not_keep_back_the_rest(mortal_server: Server, tmp_path: Path) -> None:
    async with node(mortal_server.url(mortal_server.new_database()), "a", tmp_path, IN_FORCE) as a:
        for at in (time.time(), 1e30, time.time()):  # no server has such an hour
            a.parts.writer.add(match(at=at))
        await until(a.parts.runner.store)
        assert (await a.counted(), a.store.problem) == (2, None)
        assert a.rig.count("strangler_shadow_dropped_total", "orders", "failed") == 1
        assert len(a.parts.writer._pending) == 0


async def test_a_very_long_endpoint_is_stored_under_a_shorter_name(mortal_server: Server, tmp_path: Path) -> None:
    """An index of PostgreSQL has no room for it."""
    words = "".join(random.Random(1).choice("abcdefghijklmnopqrstuvwxyz") for _ in range(8000))
    async with node(mortal_server.url(mortal_server.new_database()), "a", tmp_path, IN_FORCE) as a:
        a.parts.writer.add(match(at=time.time(), endpoint=f"GET /{words}", baseline=(noisy(path=f"$.{words}"),)))
        await a.stored()
        assert await a.rows("SELECT endpoint FROM pairs") == [("GET …",)]
        ((path,),) = await a.rows("SELECT path FROM noise")
        assert len(path.encode()) == 1500
