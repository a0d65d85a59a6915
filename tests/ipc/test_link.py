"""The worker's end of the link, against a control that listens, goes away, does not read, or talks nonsense."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from strangler.ipc.link import WorkerLink
from strangler.ipc.messages import (
    BreakerChanged,
    Bye,
    FrameReader,
    Hello,
    KillSwitch,
    LoadedGeneration,
    Push,
    Report,
    ToControl,
    ToWorker,
    ValueCell,
    encode_frame,
)
from strangler.ipc.metrics import Metrics

HELLO = Hello(0, "run-0-1", 4711, 1)
ATTEMPTS = "strangler_attempts_total"
LABELS = ("legacy", "2xx")


class ScriptedControl:
    """A control's end of links: what came, by connection, and the means to answer."""

    def __init__(self) -> None:
        self.connections: list[list[ToControl]] = []
        self.writers: list[asyncio.StreamWriter] = []
        self.is_reading = True

    async def take(self, stream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        messages: list[ToControl] = []
        self.connections.append(messages)
        self.writers.append(writer)
        frames: FrameReader[ToControl] = FrameReader(ToControl)
        with suppress(ConnectionError):
            while self.is_reading and (data := await stream.read(65536)):
                messages += frames.feed(data)
        if self.is_reading:
            writer.close()

    def hang_up(self) -> None:
        for writer in self.writers:
            writer.close()


@asynccontextmanager
async def listening(control: ScriptedControl, path: Path) -> AsyncIterator[None]:
    server = await asyncio.start_unix_server(control.take, path)
    try:
        yield
    finally:
        server.close()
        control.hang_up()


@asynccontextmanager
async def running(link: WorkerLink) -> AsyncIterator[None]:
    task = asyncio.create_task(link.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - the other end has no event to wait for
            await asyncio.sleep(0.005)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "link.sock"


def make(path: Path, metrics: Metrics, received: list[ToWorker] | None = None, bound: int = 1 << 20) -> WorkerLink:
    heard = [] if received is None else received
    return WorkerLink(str(path), lambda: HELLO, metrics, heard.append, bound)


async def test_a_connection_begins_with_hello_and_all_numbers(path: Path) -> None:
    metrics, control = Metrics(), ScriptedControl()
    metrics.counter(ATTEMPTS, *LABELS).inc(5)
    metrics.report()
    async with listening(control, path), running(make(path, metrics)):
        await until(lambda: control.connections and len(control.connections[0]) >= 2)
    hello, report = control.connections[0][:2]
    assert hello == HELLO
    assert isinstance(report, Report)
    assert ValueCell(ATTEMPTS, LABELS, 5) in report.counters


async def test_what_changes_is_reported_soon_and_alone(path: Path) -> None:
    metrics, control = Metrics(), ScriptedControl()
    metrics.counter(ATTEMPTS, "orders", "2xx").inc()
    async with listening(control, path), running(make(path, metrics)):
        await until(lambda: control.connections and len(control.connections[0]) >= 2)
        metrics.counter(ATTEMPTS, *LABELS).inc()
        await until(lambda: len(control.connections[0]) >= 3)
    assert control.connections[0][2] == Report([ValueCell(ATTEMPTS, LABELS, 1)], [], [])


async def test_an_idle_worker_is_heard_of_every_second(path: Path) -> None:
    control = ScriptedControl()
    async with listening(control, path), running(make(path, Metrics())):
        await until(lambda: control.connections and len(control.connections[0]) >= 3)
    assert control.connections[0][2] == Report([], [], [])


async def test_a_lost_connection_is_made_again_and_tells_all_numbers_again(path: Path) -> None:
    metrics, control = Metrics(), ScriptedControl()
    metrics.counter(ATTEMPTS, *LABELS).inc(5)
    async with listening(control, path), running(make(path, metrics)):
        await until(lambda: control.connections and len(control.connections[0]) >= 2)
        control.hang_up()
        await until(lambda: len(control.connections) == 2 and len(control.connections[1]) >= 2)
    report = control.connections[1][1]
    assert isinstance(report, Report)
    assert ValueCell(ATTEMPTS, LABELS, 5) in report.counters


async def test_each_loss_of_a_connection_is_told_and_a_control_that_is_away_is_none(path: Path) -> None:
    control, lost, heard = ScriptedControl(), list[int](), list[ToWorker]()
    link = WorkerLink(str(path), lambda: HELLO, Metrics(), heard.append, lost=lambda: lost.append(len(lost)))
    async with running(link):
        await asyncio.sleep(0.1)
        assert lost == []
        async with listening(control, path):
            await until(lambda: link.is_connected)
            assert lost == []
            control.hang_up()
            await until(lambda: lost)
            await until(lambda: link.is_connected)
            control.hang_up()
            await until(lambda: len(lost) == 2)


async def test_a_control_that_comes_late_is_found(path: Path) -> None:
    control, link = ScriptedControl(), make(path, Metrics())
    async with running(link):
        await asyncio.sleep(0.1)
        assert not link.is_connected
        async with listening(control, path):
            await until(lambda: link.is_connected)


async def test_without_control_an_offer_is_dropped_and_counted(path: Path) -> None:
    metrics = Metrics()
    link = make(path, metrics)
    assert not link.offer(LoadedGeneration(2))
    assert metrics.counter("strangler_link_dropped_total").value == 1


async def test_offers_arrive_in_order(path: Path) -> None:
    control, link = ScriptedControl(), make(path, Metrics())
    offered = [LoadedGeneration(number) for number in range(100)]
    async with listening(control, path), running(link):
        await until(lambda: link.is_connected)
        assert all(link.offer(message) for message in offered)
        await until(lambda: len(control.connections[0]) >= 102)
    assert [message for message in control.connections[0] if isinstance(message, LoadedGeneration)] == offered


async def test_a_control_that_does_not_read_costs_offers_and_nothing_else(path: Path) -> None:
    metrics, control = Metrics(), ScriptedControl()
    control.is_reading = False
    bound = 256 * 1024
    link = make(path, metrics, bound=bound)
    message = BreakerChanged("legacy", "closed", "open", "x" * 10_000)
    async with listening(control, path), running(link):
        await until(lambda: link.is_connected)
        accepted = sum(link.offer(message) for _ in range(1000))
    assert accepted * 10_000 < bound + 2 * 1024 * 1024  # what the bound and the system's own buffers hold
    assert metrics.counter("strangler_link_dropped_total").value == 1000 - accepted


@pytest.mark.parametrize("is_running", [True, False], ids=["connected", "found when it closes"])
async def test_the_farewell_comes_after_all_else_and_before_the_bye(path: Path, is_running: bool) -> None:
    control = ScriptedControl()
    known, last = [LoadedGeneration(2)], [LoadedGeneration(3)]
    link = WorkerLink(str(path), lambda: HELLO, Metrics(), print, knowledge=lambda: known, farewell=lambda: last)
    async with listening(control, path):
        if is_running:
            async with running(link):
                await until(lambda: link.is_connected)
        await link.close()
        await until(lambda: control.connections and Bye() in control.connections[0])
    others = [message for message in control.connections[0] if not isinstance(message, Report)]
    assert others == [HELLO, *known, *last, Bye()]


async def test_messages_of_control_are_received_in_order(path: Path) -> None:
    control, received = ScriptedControl(), list[ToWorker]()
    sent: list[ToWorker] = [KillSwitch(True, "why"), Push(2, b"settings" * 100_000)]
    async with listening(control, path), running(make(path, Metrics(), received)):
        await until(lambda: control.writers)
        control.writers[0].write(b"".join(map(encode_frame, sent)))
        await until(lambda: len(received) == 2)
    assert received == sent


async def test_garbage_from_control_closes_the_connection_and_a_new_one_is_made(path: Path) -> None:
    control, received = ScriptedControl(), list[ToWorker]()
    async with listening(control, path), running(make(path, Metrics(), received)):
        await until(lambda: control.writers)
        control.writers[0].write(b"\xff" * 64)
        await until(lambda: len(control.connections) == 2)
    assert received == []


async def test_closing_sends_the_last_numbers_and_goodbye(path: Path) -> None:
    metrics, control = Metrics(), ScriptedControl()
    link = make(path, metrics)
    async with listening(control, path):
        async with running(link):
            await until(lambda: link.is_connected)
        metrics.counter(ATTEMPTS, *LABELS).inc()
        await link.close()
        await until(lambda: Bye() in control.connections[0])
    assert control.connections[0][-2:] == [Report([ValueCell(ATTEMPTS, LABELS, 1)], [], []), Bye()]


async def test_closing_without_control_ends_soon(path: Path) -> None:
    async with asyncio.timeout(5):
        await make(path, Metrics()).close()


async def test_closing_does_not_wait_for_a_control_that_does_not_read(path: Path) -> None:
    control = ScriptedControl()
    control.is_reading = False
    link = make(path, Metrics(), bound=1 << 22)
    async with listening(control, path):
        async with running(link):
            await until(lambda: link.is_connected)
            for _ in range(300):
                link.offer(BreakerChanged("legacy", "closed", "open", "x" * 10_000))
        async with asyncio.timeout(3):
            await link.close()
