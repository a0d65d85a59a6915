"""The worker's end of the link to control: bounded, never waited for.

While control is away, messages are dropped and counted, and the metrics wait in their cells; a new connection begins
with all of them, so nothing that was counted is ever lost when control dies.
"""

import asyncio
from collections.abc import Callable, Iterable

from strangler.ipc.frames import FrameProtocol
from strangler.ipc.messages import Bye, Hello, ToControl, ToWorker
from strangler.ipc.metrics import Metrics

REPORT_EVERY_S = 0.25
HEARTBEAT_EVERY_S = 1.0
MAX_BUFFERED_BYTES = 8 * 1024 * 1024
FIRST_BACKOFF_S = 0.05
MAX_BACKOFF_S = 2.0
CLOSE_TIMEOUT_S = 1.0


class WorkerLink:
    """Connects to control for as long as `run` runs, and again when the connection is lost.

    `hello` is called for each connection, so that it can name the present generation, and so is `knowledge`: the
    messages that a new control needs beside the metrics. `receive` is called in the loop for each message from control,
    and `lost` when a connection is lost: what control has sent no longer holds. `farewell` is called by `close`: the
    messages that must come before the `Bye`. The counter `strangler_link_dropped_total` counts dropped messages.
    """

    def __init__(
        self,
        path: str,
        hello: Callable[[], Hello],
        metrics: Metrics,
        receive: Callable[[ToWorker], None],
        max_buffered_bytes: int = MAX_BUFFERED_BYTES,
        knowledge: Callable[[], Iterable[ToControl]] = tuple,
        lost: Callable[[], object] = bool,
        farewell: Callable[[], Iterable[ToControl]] = tuple,
    ) -> None:
        self._path = path
        self._knowledge = knowledge
        self._hello = hello
        self._numbers = metrics
        self._receive = receive
        self._lost = lost
        self._farewell = farewell
        self._max_buffered_bytes = max_buffered_bytes
        self._dropped = metrics.counter("strangler_link_dropped_total")
        self._connection: _Connection | None = None

    @property
    def is_connected(self) -> bool:
        return self._connection is not None

    def offer(self, message: ToControl) -> bool:
        """Send if no waiting is needed; else drop, count, and return False. Never raises, never blocks."""
        connection = self._connection
        if connection is None or not connection.has_room(self._max_buffered_bytes):
            self._dropped.inc()
            return False
        connection.send(message)
        return True

    async def run(self) -> None:
        """Keep the connection up and the reports going, until cancelled."""
        backoff_s = FIRST_BACKOFF_S
        while True:
            self._connection = await self._connect()
            if self._connection is not None:
                backoff_s = FIRST_BACKOFF_S
                await self._report(self._connection)
                self._connection = None
                self._lost()
            await asyncio.sleep(backoff_s)
            backoff_s = min(backoff_s * 2, MAX_BACKOFF_S)

    async def close(self) -> None:
        """Send what is left, and a `Bye`, in a second at most. To be called once `run` has been cancelled."""
        connection = self._connection or await self._connect()
        self._connection = None
        if connection is None:
            return
        for message in self._farewell():
            connection.send(message)
        connection.send(self._numbers.report())
        connection.send(Bye())
        connection.finish()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await connection.lost.wait()
        except TimeoutError:
            connection.abort()

    async def _connect(self) -> "_Connection | None":
        """Return a connection that has sent its `Hello` and all metrics; None if control cannot be reached."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(MAX_BACKOFF_S):
                _, connection = await loop.create_unix_connection(lambda: _Connection(self._receive), self._path)
        except (OSError, TimeoutError):
            return None
        connection.send(self._hello())
        try:
            for report in self._numbers.report_all():
                connection.send(report)
                await asyncio.sleep(0)  # 10,000 routes are 20 ms of cells: requests are served in between
        except asyncio.CancelledError:
            connection.abort()
            raise
        for message in self._knowledge():  # without a wait, so that nothing changes in between
            connection.send(message)
        return connection

    async def _report(self, connection: "_Connection") -> None:
        """Report at intervals, until the connection is lost."""
        silent_s = 0.0
        while not await connection.is_lost_within(REPORT_EVERY_S):
            silent_s += REPORT_EVERY_S
            is_due = self._numbers.is_touched or silent_s >= HEARTBEAT_EVERY_S
            if is_due and connection.has_room(self._max_buffered_bytes):
                connection.send(self._numbers.report())
                silent_s = 0.0


class _Connection(FrameProtocol[ToWorker]):
    """One connection to control."""

    def __init__(self, receive: Callable[[ToWorker], None]) -> None:
        super().__init__(ToWorker)
        self.lost = asyncio.Event()
        self._receive = receive

    def on_message(self, message: ToWorker) -> None:
        self._receive(message)

    def on_lost(self) -> None:
        self.lost.set()

    async def is_lost_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self.lost.wait()
        except TimeoutError:
            return False
        return True
