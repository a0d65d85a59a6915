"""The write fences that a worker sends to control, and what control has to hear of its breakers."""

from typing import Any

import pytest

from strangler.clock import now
from strangler.core.resilience.breaker import BreakerChanged, BreakerOpening, BreakerState
from strangler.core.resilience.write_fence import FenceMark
from strangler.core.routing.snapshot import Snapshot
from strangler.ipc.messages import BreakerOpened, FenceMarks
from strangler.worker.caller_fences import _MAX_NEW_MARKS, CallerFences
from strangler.worker.control_link import NO_LINK
from strangler.worker.policies import Policies
from strangler.worker.upstream_events import UpstreamEvents
from tests.factories import route, settings
from tests.http1.scripted import ScriptedUpstream
from tests.worker.conftest import Serve
from tests.worker.plane import fallback, request, two_arms

ANA = "X-User-Id: ana"


class Link:
    """Takes what it is offered while it has a connection and room."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.is_connected = True
        self.has_room = True

    def offer(self, message: Any) -> bool:
        if self.has_room:
            self.messages.append(message)
        return self.has_room


def mark(number: int) -> FenceMark:
    return FenceMark("orders", b"%08d" % number, now() + 60)


def test_marks_that_are_put_back_are_taken_again_and_the_oldest_go() -> None:
    fences = CallerFences()
    fences.put_back([mark(1), mark(2)])
    fences.put_back([mark(number) for number in range(3, _MAX_NEW_MARKS + 2)])
    taken = fences.take_new_marks()
    assert len(taken) == _MAX_NEW_MARKS
    assert taken[0].digest == b"%08d" % 2
    assert fences.take_new_marks() == []


def test_marks_of_other_workers_are_known_and_not_sent_on() -> None:
    fences = CallerFences()
    assert not fences.has_marks
    fences.merge([mark(1)])
    assert fences.has_marks
    assert [each_mark.digest for each_mark in fences.marks()] == [b"%08d" % 1]
    assert fences.take_new_marks() == []


async def test_a_new_fence_is_sent_once_the_link_has_room(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    link = Link()
    running = await serve(two_arms(legacy, candidate, fallback=fallback()), link=link)
    assert (await running.ask(request("/api", ANA, method="POST", body=b"x"))).status == 200
    link.has_room = False
    running.peers.share_marks()
    assert link.messages == []
    link.has_room = True
    running.peers.share_marks()
    (sent,) = link.messages
    assert isinstance(sent, FenceMarks)
    running.peers.share_marks()
    assert link.messages == [sent]


async def test_without_a_connection_nothing_waits_for_one(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    link = Link()
    running = await serve(two_arms(legacy, candidate, fallback=fallback()), link=link)
    assert (await running.ask(request("/api", ANA, method="POST", body=b"x"))).status == 200
    link.is_connected = False
    running.peers.share_marks()
    link.is_connected = True
    running.peers.share_marks()
    assert link.messages == []
    assert len(list(running.peers.knowledge())) == 1


@pytest.mark.parametrize(
    ("after", "opening", "has_opening"),
    [
        pytest.param(BreakerState.OPEN, BreakerOpening(60.0, 1, "why"), True, id="opened"),
        pytest.param(BreakerState.CLOSED, None, False, id="closed"),
    ],
)
def test_control_hears_of_a_change_and_the_workers_of_an_opening(
    after: BreakerState, opening: BreakerOpening | None, has_opening: bool
) -> None:
    link = Link()
    events = UpstreamEvents(Policies(Snapshot(settings([route("orders")]), 7)), link)
    events.send_breaker(BreakerChanged("orders", BreakerState.HALF_OPEN, after, "why", 1.0), opening)
    openings = [message for message in link.messages if isinstance(message, BreakerOpened)]
    assert openings == ([BreakerOpened("orders", 7, 60.0, 1, "why")] if has_opening else [])
    assert len(link.messages) == 1 + has_opening


def test_without_a_link_every_message_is_lost() -> None:
    assert not NO_LINK.is_connected
    assert not NO_LINK.offer(FenceMarks([]))
