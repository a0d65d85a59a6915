"""Connections of psycopg that wait for a server for a limited time only, whatever has become of it."""

import select
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any, Final, TypeVar

import psycopg
from psycopg.waiting import Ready, Wait

CONNECT_S: Final = 3
"""How long a server may take to accept a connection, in seconds."""
_GLANCE_S: Final = 0.25
"""How often a wait looks whether it is still wanted, in seconds."""
_EVENTS: Final = {
    Wait.R: select.POLLIN,
    Wait.W: select.POLLOUT,
    Wait.RW: select.POLLIN | select.POLLOUT,
}

_T = TypeVar("_T")


class SlowError(psycopg.OperationalError):
    """The server has not responded in time. The connection is closed."""


class WatchedConnection(psycopg.Connection[Any]):
    """A connection that is closed, with `SlowError`, once its server has been waited for too long."""

    left_s: float = float(CONNECT_S)
    """How long the server may still be waited for, in seconds."""

    is_wanted: Callable[[], bool] = staticmethod(lambda: True)
    """Called while the server is waited for; the wait ends when it returns False."""

    def wait(self, gen: Generator[Any, Any, _T], *_: Any, **__: Any) -> _T:
        """Drive an exchange with the server to its end. Raises SlowError."""
        began, poll = time.monotonic(), select.poll()
        try:
            wanted = next(gen)
            while True:
                poll.register(self.pgconn.socket, _EVENTS[Wait(wanted)])
                wanted = gen.send(self._ready(poll, began + self.left_s))
        except StopIteration as done:
            result: _T = done.value
            return result
        except BaseException:
            with suppress(psycopg.Error):  # what the exchange does at its end fails on a connection that is gone
                gen.close()
            raise
        finally:
            self.left_s -= time.monotonic() - began

    def _ready(self, poll: select.poll, ends: float) -> Ready:
        while True:
            left = ends - time.monotonic()
            events = poll.poll(max(0.0, min(left, _GLANCE_S)) * 1000)
            if events:
                found = events[0][1]
                may_write = Ready.W if found & select.POLLOUT else Ready.NONE
                return Ready(may_write | (Ready.R if found & ~select.POLLOUT else Ready.NONE))
            if left <= 0 or not self.is_wanted():
                self.close()
                raise SlowError("the server has not responded in time")
