# Compiled with mypyc: see docs/hot-path.md.
"""Accepting connections: all workers listen at one socket, and each takes its fair share of what waits there.

Without this, the worker that wakes first would take everything: 64 connections that come together would end at one
worker. So each worker publishes its number of connections in a shared page, and takes as many of the waiting ones as
bring all workers to one level. The rest is for the others, but only for a moment: what still waits then it takes, ever
more at a time, so that a worker that hangs costs little. A single worker takes all, and does none of this.

A socket for each worker (SO_REUSEPORT) would spread evenly too, but connections at a dead worker's socket would wait
for its successor, or be refused. The loop's own servers accept a single connection for 30 µs less, and several that
come together for the same; but they close for good, silently, at an error such as ENOMEM, and where there are no more
file descriptors they cut off all that waits. Here the same is saved by asking the system for nothing that accept(2) has
said, and by running the coroutine of a transport without a task.
"""

import asyncio
import mmap
import socket
import sys
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from functools import partial
from typing import cast

from strangler.sockets.handshakes import stop_handshakes

PLACES = 256
"""The most workers that routes.yaml may have."""

HOLD_BACK_S = 0.002
"""How long a worker leaves the others' share alone before it looks again."""

_PATIENCE = 10  # looks before it takes the others' share: on a busy machine they get a core within 20 ms
_MOST_AT_ONCE = 64
_REST_S = 0.1  # after an error, such as no more file descriptors: the connection waits
_LAST_S = 0.2  # at the end: for handshakes under way, which take a round trip to the client

_WIDTH = 4  # bytes of a place
_SHARED = PLACES  # the place behind those of the workers


class ConnectionCounts:
    """The page: each worker's place holds its connections + 1, or 0 if no worker accepts there; behind them stands
    whether others listen at the same sockets."""

    def __init__(self, descriptor: int) -> None:
        """`descriptor` is that of a file with the content of `empty_page`, which all workers share."""
        self._page = mmap.mmap(descriptor, (PLACES + 1) * _WIDTH)
        self._places = memoryview(self._page).cast("I")

    def publish(self, index: int, connections: int | None) -> None:
        """Publish how many connections worker `index` has; None: it accepts no more."""
        self._places[index] = 0 if connections is None else connections + 1

    def others(self, index: int) -> list[int]:
        """Return how many connections each worker but `index` has."""
        used = -(
            -len(self._page[: PLACES * _WIDTH].rstrip(b"\0")) // _WIDTH
        )  # those beyond are 250, and would cost 4 µs
        places = self._places[:used].tolist()
        return [place - 1 for at, place in enumerate(places) if place and at != index]

    def accepting(self, count: int) -> bool:
        """Return True if workers 0 to `count` - 1 all accept."""
        return all(self._places[:count])

    @property
    def is_shared(self) -> bool:
        """True if others listen at the same sockets: another supervisor's workers, or the service manager."""
        return self._places[_SHARED] != 0

    @is_shared.setter
    def is_shared(self, value: bool) -> None:
        self._places[_SHARED] = int(value)

    def close(self) -> None:
        self._places.release()
        self._page.close()


def empty_page() -> bytes:
    """Return the first content of the shared file."""
    return bytes((PLACES + 1) * _WIDTH)


def fair_share(own: int, others: Sequence[int], waiting: int) -> int:
    """Return how many of `waiting` connections (at least one) are for a worker with `own`, so that all workers come as
    near to one level as possible. Shares are rounded up: together they may be more than there are."""
    lower, held = 0, 0  # how many workers are below the level, and how many connections they have
    for count in sorted((own, *others)):
        if count * lower - held >= waiting:
            break
        lower += 1
        held += count
    level = -(-(held + waiting) // lower)
    return max(0, min(waiting, level - own))


class Accepted:
    """A connection as accept(2) returns it. `peer` is the address of the other side."""

    __slots__ = ("_descriptor", "family", "peer")

    def __init__(self, descriptor: int, family: int, peer: object) -> None:
        self._descriptor = descriptor
        self.family = family
        self.peer = peer

    def bare(self) -> socket.socket:
        """Return a socket for a transport alone. `socket.socket` would ask the system what it is, and cost 10 µs."""
        return cast(socket.socket, socket.SocketType(self.family, socket.SOCK_STREAM, 0, self._descriptor))

    def whole(self) -> socket.socket:
        """Return a non-blocking socket for all uses."""
        accepted = socket.socket(self.family, socket.SOCK_STREAM, 0, self._descriptor)
        accepted.setblocking(False)
        return accepted


Beginning = Coroutine["asyncio.Future[None]", None, object]
"""A coroutine that makes a transport: it waits for the loop once, until the protocol has its transport."""


class Acceptor:
    """Accepts for one worker, and gives each connection a protocol."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        index: int,
        counts: ConnectionCounts,
        connections: Callable[[], int],
        connect: Callable[[Accepted, str], Beginning | None],
    ) -> None:
        """`connections` says how many this worker has now. `connect` gives what was accepted at an address its
        protocol, by a coroutine; or returns None, and calls `begin` with one later."""
        self._loop = loop
        self._index = index
        self._counts = counts
        self._connections = connections
        self._connect = connect
        self._listeners: list[socket.socket] = []
        self._addresses: dict[socket.socket, str] = {}
        self._families: dict[socket.socket, int] = {}
        self._resting: dict[socket.socket, asyncio.TimerHandle] = {}
        self._beginning: set[asyncio.Future[None]] = set()
        self._in_vain = 0  # looks in a row that found the others' share still waiting
        self._is_last = False

    def start(self, listeners: Sequence[tuple[socket.socket, str]]) -> None:
        """Accept at sockets, each with its address as routes.yaml writes it."""
        self._addresses = dict(listeners)
        self._listeners = list(self._addresses)
        self._families = {listener: int(listener.family) for listener in self._listeners}
        self.publish()
        for listener in self._listeners:
            listener.setblocking(False)
            self._loop.add_reader(listener, self._on_waiting, listener)

    def stop(self) -> None:
        """Accept no more; what waits is for the other workers."""
        for timer in self._resting.values():
            timer.cancel()
        self._resting.clear()
        for listener in self._listeners:
            self._loop.remove_reader(listener)
            listener.close()
        self._listeners.clear()
        self._counts.publish(self._index, None)

    async def settle(self) -> None:
        """Wait until each accepted connection has its protocol: if the worker ended before, it would be reset."""
        if self._beginning:
            await asyncio.wait(self._beginning)

    async def finish(self) -> None:
        """Stop when no other process will accept: clients that are connected by now are served, all others refused.

        Closing a listening socket resets what waits at it. So new handshakes are stopped first, and those under way
        get the time to end. A client that came too late tries again after a second (RFC 6298), and is refused.
        """
        self._is_last = True
        for listener in self._listeners:
            with suppress(OSError):  # not on this system: a few may be reset
                stop_handshakes(listener)
        await asyncio.sleep(_LAST_S)
        for listener in self._listeners:
            self._take(listener, waiting_at(listener))
        self.stop()

    def publish(self) -> None:
        """Publish the number of connections. To be called now and then: connections end, too."""
        if self._listeners:
            self._counts.publish(self._index, self._held)

    @property
    def _held(self) -> int:
        return self._connections() + len(self._beginning)

    def _on_waiting(self, listener: socket.socket) -> None:
        waiting = waiting_at(listener)
        if not waiting:
            return
        self.publish()  # others may look at this very moment, and some of our connections may have ended
        share = self._share(waiting)
        if share:
            self._in_vain = 0
            self._take(listener, share)
        else:
            self._rest(listener, HOLD_BACK_S)

    def _share(self, waiting: int) -> int:
        others = self._counts.others(self._index)
        if not others or self._is_last:
            return min(waiting, _MOST_AT_ONCE)
        return fair_share(self._held, others, waiting)

    def _rest(self, listener: socket.socket, seconds: float) -> None:
        if listener not in self._resting:
            self._loop.remove_reader(listener)
            self._resting[listener] = self._loop.call_later(seconds, self._recheck, listener)

    def _recheck(self, listener: socket.socket) -> None:
        del self._resting[listener]
        waiting = waiting_at(listener)
        if not waiting or self._share(waiting):
            self._in_vain = 0
            self._loop.add_reader(listener, self._on_waiting, listener)
            return
        self._in_vain = min(self._in_vain + 1, _PATIENCE + _MOST_AT_ONCE)
        self._take(listener, min(waiting, self._in_vain - _PATIENCE))
        self._rest(listener, HOLD_BACK_S)

    def _take(self, listener: socket.socket, count: int) -> None:
        """Accept `count` connections; fewer if others were faster."""
        family, address = self._families[listener], self._addresses[listener]
        for _ in range(count):
            try:
                descriptor, peer = listener._accept()  # type: ignore[attr-defined]  # `accept` without its socket
            except ConnectionAbortedError:
                continue
            except BlockingIOError:
                break
            except OSError:
                self._rest(listener, _REST_S)
                break
            beginning = self._connect(Accepted(descriptor, family, peer), address)
            if beginning is not None:
                self.begin(beginning)
        self.publish()

    def begin(self, beginning: Beginning) -> None:
        """Run the coroutine that gives a connection its protocol, now: a task would begin a turn of the loop later."""
        with suppress(StopIteration, OSError):  # the client may be gone already: nothing is lost
            made = beginning.send(None)
            self._beginning.add(made)
            made.add_done_callback(partial(self._begun, beginning))

    def _begun(self, beginning: Beginning, made: "asyncio.Future[None]") -> None:
        self._beginning.discard(made)
        with suppress(StopIteration, OSError):
            beginning.send(None)


def waiting_at(listener: socket.socket) -> int:
    """Return how many connections wait to be accepted; 1 where the system does not report it."""
    if sys.platform != "linux" or listener.family == socket.AF_UNIX:
        return 1
    try:
        found = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES)
    except OSError:  # forbidden, but no reason to accept nothing
        return 1
    return waiting_connections(found)


def waiting_connections(found: bytes) -> int:
    """Return how many wait, by the first 32 bytes of struct tcp_info; 1 where the system leaves it empty (gVisor)."""
    if not any(found[_BACKLOG_AT:_INFO_BYTES]):
        return 1
    return int.from_bytes(found[_UNACKED_AT:_BACKLOG_AT], sys.byteorder)


# Where tcpi_unacked and tcpi_sacked of struct tcp_info begin, and where they end: for a listening socket, how many wait
# and how many may wait (net/ipv4/tcp.c).
_UNACKED_AT, _BACKLOG_AT, _INFO_BYTES = 24, 28, 32
