"""Who accepts: all workers listen at one socket, and the one with the fewest connections is to have the next.

Left alone, the worker that wakes first takes all that waits: 64 connections that come together end at one worker. So
each tells in a shared page how many it has, and one that has more than its share holds back for a moment. It waits for
nobody: what still waits after that moment it takes, ever more at a time, so that a worker that hangs costs little.
A socket for each worker (SO_REUSEPORT) would spread evenly too, but what waits at a dead worker's would wait for its
successor, or be refused.
"""

import asyncio
import mmap
import socket
from collections.abc import Callable, Coroutine, Sequence

PLACES = 256
"""The most workers that routes.yaml may ask for."""

HOLD_BACK_S = 0.005
_MOST_AT_ONCE = 64
_REST_S = 0.1  # after an error, as where there are no more file descriptors: the connection waits

_WIDTH = 4  # bytes of a place


class ConnectionCounts:
    """The page: at each worker's place its connections + 1, or 0 where there is no worker that accepts."""

    def __init__(self, descriptor: int) -> None:
        """`descriptor` is of a file of `PLACES` places, which all workers share."""
        self._page = mmap.mmap(descriptor, PLACES * _WIDTH)
        self._places = memoryview(self._page).cast("I")

    def tell(self, index: int, connections: int | None) -> None:
        """Say how many connections worker `index` has; None: it accepts no more."""
        self._places[index] = 0 if connections is None else connections + 1

    def fewest(self) -> int:
        """The least that any worker has; -1 if none accepts."""
        return min(filter(None, self._places.tolist()), default=0) - 1

    def close(self) -> None:
        self._places.release()
        self._page.close()


def empty_page() -> bytes:
    """What the shared file holds at first."""
    return bytes(PLACES * _WIDTH)


class Acceptor:
    """Accepts for one worker, and gives each connection a protocol."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        index: int,
        counts: ConnectionCounts,
        connections: Callable[[], int],
        make: Callable[[], asyncio.Protocol],
    ) -> None:
        """`connections` says how many this worker has now."""
        self._loop = loop
        self._index = index
        self._counts = counts
        self._connections = connections
        self._make = make
        self._listeners: list[socket.socket] = []
        self._holding: dict[socket.socket, asyncio.TimerHandle] = {}
        self._beginning: set[asyncio.Task[object]] = set()
        self._in_vain = 0  # holds in a row after which the connection still waited

    def start(self, listeners: Sequence[socket.socket]) -> None:
        self._listeners = list(listeners)
        self.tell()
        for listener in self._listeners:
            listener.setblocking(False)
            self._loop.add_reader(listener, self._on_waiting, listener)

    def stop(self) -> None:
        """Accept no more; what waits is for the other workers."""
        for timer in self._holding.values():
            timer.cancel()
        self._holding.clear()
        for listener in self._listeners:
            self._loop.remove_reader(listener)
            listener.close()
        self._listeners.clear()
        self._counts.tell(self._index, None)

    def tell(self) -> None:
        """Say in the page how many connections there are. To be called now and then: connections end, too."""
        if self._listeners:
            self._counts.tell(self._index, self._held)

    @property
    def _held(self) -> int:
        return self._connections() + len(self._beginning)

    def _on_waiting(self, listener: socket.socket) -> None:
        if self._has_more_than_its_share():
            self._pause(listener, HOLD_BACK_S)
        else:
            self._take(listener)

    def _has_more_than_its_share(self) -> bool:
        fewest = self._counts.fewest()
        return self._held > fewest + 1 + fewest // 16

    def _pause(self, listener: socket.socket, seconds: float) -> None:
        self._loop.remove_reader(listener)
        self._holding[listener] = self._loop.call_later(seconds, self._go_on, listener)

    def _go_on(self, listener: socket.socket) -> None:
        del self._holding[listener]
        self._loop.add_reader(listener, self._on_waiting, listener)
        for _ in range(1 + self._in_vain):
            if not self._take(listener):
                self._in_vain = 0
                return
        self._in_vain = min(self._in_vain + 1, _MOST_AT_ONCE)

    def _take(self, listener: socket.socket) -> bool:
        """Accept one connection; False if none waits."""
        try:
            accepted, _ = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return False
        except OSError:
            if listener not in self._holding:
                self._pause(listener, _REST_S)
            return False
        accepted.setblocking(False)
        if accepted.family != socket.AF_UNIX:
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._begin(self._loop.connect_accepted_socket(self._make, accepted))
        self.tell()
        return True

    def _begin(self, beginning: Coroutine[object, object, object]) -> None:
        task = self._loop.create_task(beginning)
        self._beginning.add(task)
        task.add_done_callback(self._begun)

    def _begun(self, task: "asyncio.Task[object]") -> None:
        self._beginning.discard(task)
        if not task.cancelled():
            task.exception()  # the client may be gone already: nothing is lost
