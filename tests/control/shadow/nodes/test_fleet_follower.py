"""Several nodes with one store: what one of them does to stops, releases and evidence holds for the others."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from strangler.control.fleet.store_clock import StoreClock
from strangler.control.shadow.fleet_follower import FOLLOW_EVERY_S
from strangler.core.compare import Response
from strangler.core.settings import AcceptRule
from strangler.store.evidence.reading import rule_reports
from strangler.store.evidence.stopped_routes import load_stops
from tests.control.fleet.database import Server
from tests.control.shadow.nodes.node import Node, node, until
from tests.factories import route, settings, shadow
from tests.store.evidence.pairs import json_response, match, mismatch

ORDERS = replace(route("orders"), shadow=shadow())
BY_HEADER = replace(ORDERS, release_header="x-release")
SOON_S = 1.0
"""Within this time other nodes have followed."""


@pytest.fixture
async def nodes(postgres: Server, database: str, tmp_path: Path) -> AsyncIterator[tuple[Node, Node]]:
    async with AsyncExitStack() as stack:
        both = [
            await stack.enter_async_context(node(postgres.url(database), name, tmp_path, settings(routes=[ORDERS])))
            for name in ("a", "b")
        ]
        yield both[0], both[1]


def named(name: str) -> Response:
    return json_response({}, headers=((b"X-Release", name.encode()),))


async def stop(at: Node, why: str = "it does not confirm dry runs") -> None:
    at.parts.switch.halt(at.parts.table.routes["orders"], why)
    await at.stored()


class TestStops:
    async def test_a_stop_holds_for_all_within_a_second(self, nodes: tuple[Node, Node]) -> None:
        a, b = nodes
        await stop(a)
        assert await until(lambda: b.parts.table.routes["orders"].stopped is not None) < SOON_S
        assert b.parts.table.routes["orders"].room(b.parts.table.upstreams) == (0, "stopped")
        assert (a.rig.listener.stored, b.rig.listener.stored) == ([("shadow.stopped", "orders")], [])

    async def test_so_does_its_end_whoever_ends_it(self, nodes: tuple[Node, Node]) -> None:
        a, b = nodes
        await stop(a)
        await until(lambda: b.parts.table.routes["orders"].stopped is not None)
        assert b.parts.switch.resume("orders", "ana")
        await b.stored()
        assert await until(lambda: a.parts.table.routes["orders"].stopped is None) < SOON_S
        assert await a.store.call(load_stops) == {}

    async def test_two_nodes_that_stop_at_once_report_it_once(self, nodes: tuple[Node, Node]) -> None:
        a, b = nodes
        for each in nodes:
            each.parts.switch.halt(each.parts.table.routes["orders"], "why")
        await a.stored()
        await b.stored()
        assert a.rig.listener.stored + b.rig.listener.stored == [("shadow.stopped", "orders")]

    async def test_it_outlasts_the_restart_of_a_node(
        self, nodes: tuple[Node, Node], postgres: Server, database: str, tmp_path: Path
    ) -> None:
        a, b = nodes
        await stop(a)
        await until(lambda: b.parts.table.routes["orders"].stopped is not None)
        async with node(postgres.url(database), "c", tmp_path, settings(routes=[ORDERS])) as c:
            assert c.parts.table.routes["orders"].stopped is not None
            await c.stored()
            assert b.parts.table.routes["orders"].stopped is not None

    async def test_a_node_with_other_settings_is_not_concerned_and_leaves_it_to_the_others(
        self, nodes: tuple[Node, Node], postgres: Server, database: str, tmp_path: Path
    ) -> None:
        a, b = nodes
        await stop(a)
        other = replace(ORDERS, shadow=shadow(percent=1))
        async with node(postgres.url(database), "c", tmp_path, settings(routes=[other])) as c:
            assert c.parts.table.routes["orders"].stopped is None
            await c.stored()
            assert await c.parts.follower.follow()
            assert c.parts.table.routes["orders"].stopped is None
        assert await b.parts.follower.follow()
        assert b.parts.table.routes["orders"].stopped is not None

    async def test_the_leader_ends_one_of_settings_that_are_gone(self, nodes: tuple[Node, Node]) -> None:
        a, _ = nodes
        await a.store.call(
            lambda connection: connection.execute("INSERT INTO stops VALUES ('orders', 'former settings', 'why')")
        )
        await a.parts.pruner.prune()
        assert await a.store.call(load_stops) == {}


class TestResets:
    async def test_what_waits_at_another_node_is_dropped_though_it_knows_nothing_of_the_reset(
        self, nodes: tuple[Node, Node]
    ) -> None:
        a, b = nodes
        now = time.time()
        a.parts.writer.add(mismatch(at=now))
        await a.stored()
        b.parts.writer.add(replace(mismatch(at=now), id="before"))
        (aside,) = await a.parts.evidence.reset("orders")
        b.parts.writer.add(replace(match(at=time.time() + 1), id="after"))
        await b.stored()
        rows = await a.rows("SELECT release, outcome, count FROM pairs ORDER BY release")
        assert rows == [("", "match", 1), (aside, "mismatch", 1)]
        assert b.rig.count("strangler_shadow_dropped_total", "orders", "reset") == 1

    async def test_it_reaches_the_memory_of_the_others(self, nodes: tuple[Node, Node]) -> None:
        a, b = nodes
        a.parts.writer.add(mismatch(at=time.time()))
        await a.stored()
        before = b.parts.table.routes["orders"].uses
        (aside,) = await a.parts.evidence.reset("orders")
        assert await until(lambda: b.parts.releases.begun("orders") > 0) < SOON_S
        assert b.parts.releases.is_set_aside("orders", aside)
        assert b.parts.table.routes["orders"].uses is not before
        b.parts.writer.add(match(at=time.time() - 60))
        assert b.rig.count("strangler_shadow_dropped_total", "orders", "reset") == 1

    async def test_a_release_of_before_has_no_row_of_before(self, nodes: tuple[Node, Node]) -> None:
        a, b = nodes
        now = time.time()
        for each in nodes:
            each.parts.releases.see(BY_HEADER, named("v1"), now - 60, now - 60)
        a.parts.writer.add(replace(mismatch(at=now - 60), release="v1"))
        await a.stored()
        await a.parts.evidence.reset("orders")
        await b.stored()
        ((first, current),) = await a.rows("SELECT first_seen, is_current FROM releases WHERE name = 'v1'")
        assert (first > now, current) == (True, 1)


class TestReleases:
    async def test_one_that_a_person_names_is_current_everywhere_within_a_second(
        self, nodes: tuple[Node, Node]
    ) -> None:
        a, b = nodes
        await a.parts.evidence.name_release("orders", "v1")
        assert await until(lambda: b.parts.releases.current("orders") == "v1") < SOON_S
        await b.parts.evidence.name_release("orders", "v2")
        assert await until(lambda: a.parts.releases.current("orders") == "v2") < SOON_S
        changes = a.rig.listener.releases + b.rig.listener.releases
        assert changes == [("", "v1"), ("v1", "v2")]

    async def test_two_nodes_that_see_different_ones_keep_the_first_until_it_is_gone_from_both(
        self, postgres: Server, database: str, tmp_path: Path
    ) -> None:
        in_force = settings(routes=[BY_HEADER])
        async with (
            node(postgres.url(database), "a", tmp_path, in_force) as a,
            node(postgres.url(database), "b", tmp_path, in_force) as b,
        ):
            now = time.time()
            both, names = (a, b), []
            for second in range(0, 200, 5):  # each node's backends have one of the two
                at = now + second
                a.parts.releases.see(BY_HEADER, named("v1" if second < 100 else "v2"), at, at)
                if second:  # a node may write by itself: the first to be seen would be either's
                    b.parts.releases.see(BY_HEADER, named("v2"), at, at)
                for each in both:
                    await each.stored()
                if not second % FOLLOW_EVERY_S:
                    for each in both:
                        assert await each.parts.follower.follow()
                ((name,),) = await a.rows("SELECT name FROM releases WHERE is_current = 1")
                names.append(name)
            assert names == sorted(names)
            assert (names[0], names[-1]) == ("v1", "v2")
            assert {each.parts.releases.current("orders") for each in both} == {"v2"}
            assert a.rig.listener.releases + b.rig.listener.releases == [("", "v1"), ("v1", "v2")]


async def test_a_clock_that_is_an_hour_off_changes_nothing(postgres: Server, database: str, tmp_path: Path) -> None:
    in_force = settings(routes=[ORDERS])
    late = StoreClock(lambda: time.time() - 3600.0)
    late.set(time.time())
    async with (
        node(postgres.url(database), "a", tmp_path, in_force) as a,
        node(postgres.url(database), "b", tmp_path, in_force, clock=late) as b,
    ):
        await a.parts.evidence.reset("orders")
        await until(lambda: b.parts.releases.begun("orders") > 0)
        hour = int(time.time() // 3600)
        b.parts.writer.add(match(at=time.time() + 1.0 - 3600.0))  # as a worker of that node has it
        await b.stored()
        assert b.rig.count("strangler_shadow_dropped_total", "orders", "reset") == 0
        ((found, count),) = await a.rows("SELECT hour, count FROM pairs")
        assert (found - hour in (0, 1), count) == (True, 1)


async def test_the_uses_of_rules_add_up(postgres: Server, database: str, tmp_path: Path) -> None:
    rules = replace(ORDERS.compare, accept=(AcceptRule(path="$.total"), AcceptRule(path="$.note")))
    in_force = settings(routes=[replace(ORDERS, compare=rules)])
    async with (
        node(postgres.url(database), "a", tmp_path, in_force) as a,
        node(postgres.url(database), "b", tmp_path, in_force) as b,
    ):
        for each in (a, b, a):
            each.parts.table.routes["orders"].uses.record(frozenset({0}), (0, 1))
            each.parts.writer.add(match(at=time.time()))
            await each.stored()
        report = (await a.store.read(rule_reports))["orders"]
        assert (report.comparisons, [rule.uses for rule in report.rules]) == (3, [3, 0])
