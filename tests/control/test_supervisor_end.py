"""Control's end of its talk with the supervisor."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from strangler.control.link_server import LinkListeners, LinkServer
from strangler.control.links import LinksState, WorkerLinks
from strangler.control.own_metrics import OwnMetrics
from strangler.control.processes import ProcessesState
from strangler.control.supervisor_end import SupervisorEnd, SupervisorSender
from strangler.control.totals import TotalsState
from strangler.ipc.messages import (
    Adopt,
    BreakerChanged,
    Captured,
    Draining,
    DrainSeen,
    FrameReader,
    FromSupervisor,
    Hello,
    Processes,
    ProcessInfo,
    Reload,
    Spans,
    Started,
    ToSupervisor,
    encode_frame,
)
from strangler.state.kill_switch import OFF
from tests.control.control import in_force
from tests.factories import settings


class Silent:
    """Hears nothing of what workers say; counts the reloads that are asked for."""

    def __init__(self) -> None:
        self.reloads = 0

    def ask(self) -> None:
        self.reloads += 1

    def take(self, message: Captured | Spans) -> None: ...
    def grant_credits(self, *routes: str) -> None: ...
    def breaker_changed(self, change: BreakerChanged) -> None: ...


@dataclass(slots=True)
class Talk:
    """Control's end, and the supervisor's as a raw socket."""

    listener: Silent
    processes: ProcessesState
    server: LinkServer
    sender: SupervisorSender
    ended: asyncio.Event
    other: socket.socket

    async def say(self, *messages: FromSupervisor) -> None:
        await asyncio.get_running_loop().sock_sendall(self.other, b"".join(map(encode_frame, messages)))

    async def hears(self) -> list[ToSupervisor]:
        frames: FrameReader[ToSupervisor] = FrameReader(ToSupervisor)
        async with asyncio.timeout(5):
            return frames.feed(await asyncio.get_running_loop().sock_recv(self.other, 65536))


@pytest.fixture
async def talk() -> AsyncIterator[Talk]:
    listener, processes, sender, ended = Silent(), ProcessesState(), SupervisorSender(), asyncio.Event()
    totals = TotalsState()
    links = WorkerLinks(LinksState(totals, 1, b"", OFF))
    server = LinkServer(links, OwnMetrics(totals, "own"), LinkListeners(listener, listener, listener))
    end = SupervisorEnd(listener, processes, server, ended)
    sender.connect(end)
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    await asyncio.get_running_loop().connect_accepted_socket(lambda: end, ours)
    yield Talk(listener, processes, server, sender, ended, theirs)
    end.abort()
    theirs.close()


async def test_draining_is_noted_before_it_is_confirmed(talk: Talk) -> None:
    await talk.say(Reload(), Draining())
    assert await talk.hears() == [DrainSeen()]
    assert (talk.listener.reloads, talk.processes.is_draining) == (1, True)


async def test_workers_that_live_are_let_in_those_that_drain_included(talk: Talk) -> None:
    roles = {"worker": "a", "leaving": "b", "control": "c"}
    await talk.say(Processes([ProcessInfo(role, 0, name, 1, 0.0, 0) for role, name in roles.items()]), Draining())
    await talk.hears()
    assert [name for name in "abc" if talk.server.admits(Hello(0, name, 1, 1))] == ["a", "b"]


async def test_a_program_that_is_started_beside_this_one_is_known_until_it_fails(talk: Talk) -> None:
    for is_starting in (True, False):
        await talk.say(Processes([], is_starting), Draining())
        await talk.hears()
        assert talk.processes.has_successor is is_starting


async def test_settings_that_are_adopted_are_sent(talk: Talk) -> None:
    new = in_force(settings(), generation=7)
    talk.sender.adopt(new)
    limits = new.settings.limits
    assert await talk.hears() == [Adopt(7, new.encoded, new.settings.workers, limits.drain_s)]


@pytest.mark.parametrize("text", [b"", b"\xff" * 100], ids=["it is gone", "garbage"])
async def test_the_end_of_the_supervisor_is_the_end_of_control(talk: Talk, text: bytes) -> None:
    if text:
        await asyncio.get_running_loop().sock_sendall(talk.other, text)
    else:
        talk.other.shutdown(socket.SHUT_RDWR)
    async with asyncio.timeout(5):
        await talk.ended.wait()
    talk.sender.send(Started())  # dropped
