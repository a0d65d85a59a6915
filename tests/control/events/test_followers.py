"""The parts that act for all nodes do nothing at a node that does not lead, and go on where its leader was."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from strangler.control.app import ControlApp
from strangler.control.events.changes import ChangeEvents
from strangler.control.events.gates import GateWatch
from strangler.control.events.publisher import EventPublisher
from strangler.control.events.retire import RetireWatch
from strangler.control.fleet.leadership import SoleLeadership
from strangler.core.documents import EventDocument
from strangler.ipc.messages import Report, ValueCell
from strangler.store.events import outbox
from tests.control.control import control_of, in_force

ROUTES = """\
version: 1
state: state
events: {webhook: "http://127.0.0.1:9/"}
upstreams: {legacy: {url: "http://127.0.0.1:8000"}, orders: {url: "http://127.0.0.1:8001"}}
routes:
  - name: orders
    match: {prefix: /api/orders}
    candidate: orders
    split: {percent: 5}
    gate: {min_pairs: 10, min_match: 50%, min_age: 0}
    retire: {sunset: 2040-03-01, brownouts: [{from: 2040-02-01T09:00Z, to: 2040-02-01T10:00Z}]}
"""
BEGAN = 2_211_699_600.0 + 60
"""A minute after the brownout has begun."""
OVER = BEGAN + 3600


class GivenLeadership(SoleLeadership):
    """The leadership as a test gives it, and takes it away."""

    is_given = False

    @property
    def holds(self) -> bool:
        return self.is_given


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[ControlApp]:
    (tmp_path / "routes.yaml").write_text(ROUTES)
    async with control_of(tmp_path, {}) as found:
        yield found


def leadership(app: ControlApp) -> GivenLeadership:
    return GivenLeadership(app.store, "node")


async def events(app: ControlApp) -> list[EventDocument]:
    await app.events.publisher.write()
    return [entry.event for entry in await app.read_events(0, 0.0, 100)]


async def test_a_brownout_is_reported_by_the_node_that_leads_and_once_when_that_changes(app: ControlApp) -> None:
    def refuse(count: int) -> None:
        cell = ValueCell("strangler_requests_total", ("orders", "", "", "5xx"), count)
        app.links.totals.take("worker", Report([cell], [], []))

    led, follows = leadership(app), leadership(app)
    leader = RetireWatch(app.store, app.events.publisher, app.settings, app.links, led, "first")
    follower = RetireWatch(app.store, app.events.publisher, app.settings, app.links, follows, "second")
    led.is_given = True
    for watch in (follower, leader, follower):
        await watch.look(BEGAN)
    assert [event.type for event in await events(app)] == ["retire.brownout_began"]
    refuse(100)
    led.is_given, follows.is_given = False, True
    await follower.look(BEGAN + 1)
    refuse(130)
    for watch in (leader, follower):
        await watch.look(OVER)
    assert [(event.type, event.data.get("refused")) for event in await events(app)] == [
        ("retire.brownout_began", None),
        ("retire.brownout_ended", 30),
    ], "those of the node that leads, since it leads"


async def test_a_follower_judges_no_gate_and_shows_what_its_leader_has_found(app: ControlApp) -> None:
    led, follows = leadership(app), leadership(app)
    leader = GateWatch(app.store, app.events.publisher, app.settings, led)
    follower = GateWatch(app.store, app.events.publisher, app.settings, follows)
    led.is_given = True
    await leader.look()
    (route,) = app.settings.routes
    raised = replace(app.settings, routes=(replace(route, split=replace(route.split, percent=50.0)),))
    for watch in (follower, leader):
        watch.adopt(in_force(raised))
        await watch.look()
    assert [event.type for event in await events(app)] == ["gate.passed_by"]
    await follower.look()
    assert follower.passed_by == leader.passed_by != {}
    led.is_given, follows.is_given = False, True
    await follower.look()
    assert len(await events(app)) == 1, "its first look as leader finds what is stored"


async def test_a_follower_adds_sinks_and_leaves_their_end_to_its_leader(app: ControlApp) -> None:
    given = leadership(app)
    publisher = EventPublisher(app.store, app.events.sinks, app.own, "run", "//node/strangler", given)
    await app.store.call(lambda connection: outbox.register(connection, ["kafka"]))
    assert await publisher.write()
    assert (await app.store.call(outbox.standings)).keys() == {"kafka", "webhook"}
    given.is_given = True
    assert await publisher.write()
    assert (await app.store.call(outbox.standings)).keys() == {"webhook"}


async def test_a_move_of_a_rollout_shifts_once_for_all_nodes_and_an_edit_on_each(app: ControlApp) -> None:
    (route,) = app.settings.routes
    given = leadership(app)
    changes = ChangeEvents(app.events.publisher, app.store, "run", app.settings, given)
    for percent, is_move in ((25.0, True), (50.0, False)):
        moved = replace(app.settings, routes=(replace(route, split=replace(route.split, percent=percent)),))
        changes.adopt(replace(in_force(moved), is_move=is_move))
    shifts = [event.data["to"] for event in await events(app) if event.type == "route.shifted"]
    assert shifts == [50.0]
