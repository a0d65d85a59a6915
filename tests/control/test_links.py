"""Control's end of the links: who is let in, and what they are told."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from strangler.control.link_server import MAX_UNHEARD, LinkListeners, LinkServer
from strangler.control.links import LinksState, WorkerLinks
from strangler.control.own_metrics import OwnMetrics
from strangler.control.totals import TotalsState
from strangler.core.resilience.write_fence import FenceMark
from strangler.ipc.messages import (
    BreakerChanged,
    BreakerOpened,
    Bye,
    Captured,
    CaptureGrant,
    FenceMarks,
    FrameReader,
    Hello,
    KillSwitch,
    LedgerBatch,
    LedgerStored,
    LedgerSum,
    LoadedGeneration,
    Push,
    Report,
    RolloutBatch,
    Spans,
    ToControl,
    ToWorker,
    ValueCell,
    encode_frame,
)
from strangler.state.kill_switch import OFF, KilledRoute, KillSwitchState
from tests.factories import upstream
from tests.store.evidence.pairs import captured

ATTEMPTS = "strangler_attempts_total"
LABELS = ("legacy", "2xx")


class ScriptedWorker:
    """The other end of a link, one frame at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._frames: FrameReader[ToWorker] = FrameReader(ToWorker)
        self.heard: list[ToWorker] = []

    def say(self, *messages: ToControl) -> None:
        self.writer.write(b"".join(map(encode_frame, messages)))

    async def hears(self, count: int) -> list[ToWorker]:
        async with asyncio.timeout(5):
            while len(self.heard) < count and (data := await self.reader.read(1 << 20)):
                self.heard += self._frames.feed(data)
        return self.heard

    async def is_closed(self) -> bool:
        async with asyncio.timeout(5):
            while await self.reader.read(1 << 20):
                pass
        return True


class Rollouts:
    """A keeper of rollouts that notes what comes."""

    def __init__(self, heard: list[Any]) -> None:
        self._heard = heard

    def take(self, batch: RolloutBatch) -> None:
        self._heard.append(batch)

    def breaker_opened(self, upstream: str) -> None:
        self._heard.append(("opened", upstream))


class Batches:
    """A keeper of counted calls that notes each batch with its worker."""

    def __init__(self, heard: list[Any]) -> None:
        self._heard = heard

    def take(self, instance: str, batch: LedgerBatch) -> None:
        self._heard.append((instance, batch))


class Rig:
    def __init__(self, path: Path) -> None:
        self.state = LinksState(TotalsState(), 1, b"settings 1", OFF)
        self.links = WorkerLinks(self.state)
        self.heard: list[Any] = []
        own = OwnMetrics(self.state.totals, "own")
        self.server = LinkServer(
            self.links, own, LinkListeners(self, self, self, Batches(self.heard), Rollouts(self.heard))
        )
        self._path = path
        self._workers: list[ScriptedWorker] = []

    def take(self, message: Captured | Spans) -> None:
        self.heard.append(message)

    def grant_credits(self, *routes: str) -> None:
        self.heard.append(routes)

    def breaker_changed(self, change: BreakerChanged) -> None:
        self.heard.append(change)

    async def connect(self, *messages: ToControl) -> ScriptedWorker:
        worker = ScriptedWorker(*await asyncio.open_unix_connection(self._path))
        self._workers.append(worker)
        worker.say(*messages)
        return worker

    def close(self) -> None:
        for worker in self._workers:
            worker.writer.close()


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    path = tmp_path / "link.sock"
    rig = Rig(path)
    server = await asyncio.get_running_loop().create_unix_server(rig.server.accept, str(path))
    rig.server.set_living(frozenset({"a", "b"}))
    yield rig
    rig.close()
    server.close()
    rig.links.abort()
    await asyncio.sleep(0.01)


def hello(instance: str, generation: int = 1) -> Hello:
    return Hello(0, instance, 4711, generation)


def attempts(value: float) -> Report:
    return Report([ValueCell(ATTEMPTS, LABELS, value)], [], [])


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - sockets tell their own tasks, not us
            await asyncio.sleep(0.005)


async def test_a_worker_that_is_up_to_date_is_only_told_the_kill_switch(rig: Rig) -> None:
    worker = await rig.connect(hello("a"))
    await until(lambda: rig.state.workers)
    rig.links.turned(KillSwitchState(True, "later", "now"))
    assert await worker.hears(2) == [KillSwitch(False, ""), KillSwitch(True, "later")]


async def test_a_worker_that_is_behind_gets_the_settings_in_force(rig: Rig) -> None:
    rig.links.publish(3, b"settings 3")
    worker = await rig.connect(hello("a", generation=1))
    assert await worker.hears(2) == [KillSwitch(False, ""), Push(3, b"settings 3")]


async def test_new_settings_go_to_every_worker_and_are_acknowledged(rig: Rig) -> None:
    workers = [await rig.connect(hello("a")), await rig.connect(hello("b"))]
    await until(lambda: len(rig.state.workers) == 2)
    rig.links.publish(2, b"settings 2")
    for worker in workers:
        assert (await worker.hears(2))[1] == Push(2, b"settings 2")
    workers[0].say(LoadedGeneration(2))
    await until(lambda: rig.state.workers["a"].generation == 2)
    assert rig.state.workers["b"].generation == 1


async def test_the_kill_switch_goes_to_every_worker(rig: Rig) -> None:
    worker = await rig.connect(hello("a"))
    await until(lambda: rig.state.workers)
    rig.links.turned(KillSwitchState(True, "why", "now"))
    assert await worker.hears(2) == [KillSwitch(False, ""), KillSwitch(True, "why")]


async def test_the_routes_that_it_is_on_for_go_to_every_worker_also_to_a_later_one(rig: Rig) -> None:
    first = await rig.connect(hello("a"))
    await until(lambda: rig.state.workers)
    for routes in ({"orders": KilledRoute("slow", "now"), "users": KilledRoute("", None)}, {}):
        rig.links.turned(KillSwitchState(False, "", None, routes))
    assert await first.hears(3) == [
        KillSwitch(False, ""),
        KillSwitch(False, "", ["orders", "users"]),
        KillSwitch(False, "", []),
    ]
    rig.links.turned(KillSwitchState(True, "all", "now", {"orders": KilledRoute("slow", "now")}))
    later = await rig.connect(hello("b"))
    assert await later.hears(1) == [KillSwitch(True, "all", ["orders"])]


async def test_a_worker_that_does_not_read_gets_only_the_newest_settings_later(rig: Rig) -> None:
    worker = await rig.connect(hello("a"))
    await until(lambda: rig.state.workers)
    for generation in range(2, 102):
        rig.links.publish(generation, bytes(1_000_000))
        await asyncio.sleep(0)
    async with asyncio.timeout(5):
        while not any(isinstance(message, Push) and message.generation == 101 for message in worker.heard):
            await worker.hears(len(worker.heard) + 1)
    assert len(worker.heard) < 20


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(encode_frame(hello("of a killed supervisor")), id="an unknown instance"),
        pytest.param(encode_frame(attempts(1)), id="no hello"),
        pytest.param(b"\xff" * 100, id="garbage"),
        pytest.param(encode_frame(hello("a")) + b"\x00\x00\x00\x02\xc1\xc1", id="garbage after a hello"),
    ],
)
async def test_who_does_not_belong_is_shown_out(rig: Rig, message: bytes) -> None:
    worker = await rig.connect()
    worker.writer.write(message)
    assert await worker.is_closed()
    await until(lambda: not rig.state.workers)
    assert rig.state.totals.values() == {}


async def test_the_numbers_of_a_worker_are_retired_when_it_is_dead_and_all_it_said_is_read(rig: Rig) -> None:
    worker = await rig.connect(hello("a"), attempts(3))
    await until(lambda: rig.state.totals.values())
    rig.server.set_living(frozenset({"b"}))
    assert rig.state.totals.instances == {"a"}, "its connection may still hold what it said last"
    worker.say(attempts(5), Bye())
    worker.writer.close()
    await until(lambda: not rig.state.workers)
    assert rig.state.totals.instances == frozenset()
    assert rig.state.totals.counter(ATTEMPTS, *LABELS) == 5


async def test_a_worker_that_has_ended_is_heard_once_if_it_never_was(rig: Rig) -> None:
    rig.server.set_living(frozenset({"b"}))
    worker = await rig.connect(hello("a"), attempts(5), Bye())
    worker.writer.close()
    await until(lambda: rig.state.totals.values())
    await until(lambda: not rig.state.workers)
    assert rig.state.totals.instances == frozenset(), "it is retired, and counts"
    again = await rig.connect(hello("a"), attempts(5))
    assert await again.is_closed()
    assert rig.state.totals.counter(ATTEMPTS, *LABELS) == 5


async def test_only_so_many_that_were_never_heard_are_remembered(rig: Rig) -> None:
    rig.server.set_living(frozenset(f"worker-{number:04}" for number in range(MAX_UNHEARD)))
    rig.server.set_living(frozenset())
    last = f"worker-{MAX_UNHEARD - 1:04}"
    assert rig.server.admits(hello(last))
    assert not rig.server.admits(hello("a"))


async def test_a_worker_that_only_lost_its_connection_is_not_retired(rig: Rig) -> None:
    worker = await rig.connect(hello("a"), attempts(3))
    await until(lambda: rig.state.totals.values())
    worker.writer.close()
    await until(lambda: not rig.state.workers)
    await rig.connect(hello("a"), attempts(4))
    await until(lambda: rig.state.totals.counter(ATTEMPTS, *LABELS) == 4)
    assert rig.state.totals.instances == {"a"}


async def test_a_capture_goes_to_its_listener_and_more_credit_is_granted_when_half_is_used(rig: Rig) -> None:
    worker = await rig.connect(hello("a"))
    await until(lambda: rig.state.workers)
    rig.links.grant([CaptureGrant("orders", 4, "full")])
    for _ in range(3):
        worker.say(captured())
    await until(lambda: len(rig.heard) >= 6)
    assert rig.heard == [(), captured(), captured(), ("orders",), captured(), ("orders",)]


async def test_counted_calls_go_to_their_listener_and_only_their_worker_is_told_that_they_are_stored(rig: Rig) -> None:
    workers = {name: await rig.connect(hello(name)) for name in ("a", "b")}
    await until(lambda: len(rig.state.workers) == 2)
    calls = LedgerSum("GET", "/orders/{}", "orders", "legacy", 200, "okhttp/4", 3, 1.5, [3], "/orders/7")
    batch = LedgerBatch(1, [calls], 0)
    workers["a"].say(batch)
    await until(lambda: ("a", batch) in rig.heard)
    rig.links.ledger_stored("a", 1)
    rig.links.ledger_stored("gone", 7)
    assert await workers["a"].hears(2) == [KillSwitch(False, ""), LedgerStored(1)]
    rig.links.turned(KillSwitchState(True, "last", "now"))
    assert await workers["b"].hears(2) == [KillSwitch(False, ""), KillSwitch(True, "last")]


async def test_what_control_counts_itself_is_not_retired(rig: Rig) -> None:
    own = OwnMetrics(rig.state.totals, "own")
    own.counter(ATTEMPTS, *LABELS).inc()
    own.report()
    rig.server.set_living(frozenset())
    assert rig.state.totals.instances == {"own"}


async def test_why_a_breaker_changed_is_known(rig: Rig) -> None:
    await rig.connect(hello("a"), BreakerChanged("orders", "closed", "open", "5 in a row"))
    await until(lambda: rig.state.breaker_reasons == {"orders": "5 in a row"})


# What workers share


def opened(until: float) -> BreakerOpened:
    return BreakerOpened("orders", 1, until, 1, "5 in a row")


async def test_rollouts_get_their_counts_and_learn_once_of_a_breaker_that_opens(rig: Rig) -> None:
    """Workers share openings: a second worker that follows the first one reports nothing new."""
    workers = {name: await rig.connect(hello(name)) for name in ("a", "b")}
    await until(lambda: len(rig.state.workers) == 2)
    rig.state.shared.adopt({"orders": upstream("orders")}, 1)
    later = time.monotonic() + 60
    workers["a"].say(RolloutBatch([]), opened(later), BreakerChanged("orders", "closed", "open", "5 in a row"))
    workers["b"].say(opened(later), BreakerChanged("orders", "closed", "open", "another worker"))
    workers["b"].say(BreakerChanged("orders", "open", "half_open", ""), RolloutBatch([]))
    await until(lambda: rig.heard.count(RolloutBatch([])) == 2)
    await until(lambda: len(rig.state.breaker_reasons) == 1)
    assert rig.heard.count(("opened", "orders")) == 1
    workers["b"].say(opened(later + 60))
    await until(lambda: rig.heard.count(("opened", "orders")) == 2)


def marks(*callers: int) -> FenceMarks:
    return FenceMarks([FenceMark("orders", b"%08d" % caller, time.monotonic() + 60) for caller in callers])


async def test_what_one_worker_finds_out_the_others_are_told(rig: Rig) -> None:
    rig.state.shared.adopt({"orders": upstream("orders")}, 1)
    teller, listener = [await rig.connect(hello("a")), await rig.connect(hello("b"))]
    await until(lambda: len(rig.state.workers) == 2)
    opening, mark = opened(time.monotonic() + 10), marks(1)
    teller.say(opening, mark)
    assert await listener.hears(3) == [KillSwitch(False, ""), opening, mark]
    rig.links.turned(KillSwitchState(True, "last", "now"))
    assert await teller.hears(2) == [KillSwitch(False, ""), KillSwitch(True, "last")], "it knows already"


async def test_a_worker_that_comes_late_is_told_all_that_holds(rig: Rig) -> None:
    rig.state.shared.adopt({"orders": upstream("orders")}, 1)
    opening, mark = opened(time.monotonic() + 10), marks(*range(3))
    await rig.connect(hello("a"), opening, mark)
    await until(lambda: len(list(rig.state.shared.everything(time.monotonic()))) == 2)
    late = await rig.connect(hello("b"))
    assert await late.hears(3) == [KillSwitch(False, ""), opening, mark]


async def test_a_worker_that_does_not_read_is_told_all_that_holds_once_it_reads_again(rig: Rig) -> None:
    """However much there was to tell meanwhile, control does not hoard it."""
    await rig.connect(hello("a"))
    deaf = await rig.connect(hello("b"))
    await until(lambda: len(rig.state.workers) == 2)
    rig.links.publish(2, bytes(30_000_000))
    await asyncio.sleep(0)
    for number in range(2000):
        changes = rig.state.shared.learn(marks(number), time.monotonic())
        assert changes is not None
        rig.links.broadcast(changes)

    def known() -> set[bytes]:
        marks_heard = [message for message in deaf.heard if isinstance(message, FenceMarks)]
        return {mark.digest for message in marks_heard for mark in message.marks}

    async with asyncio.timeout(5):
        while len(known()) < 2000:
            await deaf.hears(len(deaf.heard) + 1)
    assert len(deaf.heard) < 10
