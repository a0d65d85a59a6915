"""The connection that a node leads by, or waits to lead by. One thread uses it; any may `cut` it.

The server ends it soon after this process was stopped or cut off, and the lock of the leader with it. A leader whose
connection the server does not end, since it waits there with a long result, is ended by another node.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final, TypeVar

import structlog

from strangler.control.fleet.leadership import NotLeaderError
from strangler.control.fleet.own_connection import OwnConnection
from strangler.store.connection import Connection
from strangler.store.leader import (
    Leader,
    beat,
    bound_session,
    end_silent,
    is_fenced,
    make_leader,
    read_leader,
    resign,
    take_lead,
    try_lock,
)
from strangler.store.postgres import PostgresConnection, transaction, translated

BEAT_S: Final = 1.0
HOLD_S: Final = 5.0
"""How long a beat lets its node lead."""
WAIT_S: Final = HOLD_S + 0.3
"""How long a successor has seen no beat; the clocks of two hosts may differ in speed."""
REAP_S: Final = 6.0
"""How long a leader that holds the lock has given no beat when another node ends its connection."""
MAX_BUSY_S: Final = 4.5
"""How long a beat, or a transaction, may take."""

log = structlog.get_logger()

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _Sight:
    """A leader as it was read, and the monotonic time at which it was first read so."""

    leader: Leader
    since: float


class LeaderSession:
    """Holds the lock of the leader or waits for it.

    `owner` is the id of this node's state folder, which one process at a time uses. `monotonic` returns seconds that
    nobody sets.
    """

    def __init__(self, url: str, node: str, owner: str, monotonic: Callable[[], float]) -> None:
        self.epoch = 0
        """The epoch that this connection leads in; 0 if it does not."""
        self.confirmed = float("-inf")
        """The monotonic time at which the last beat was sent that the database has confirmed."""
        self.busy_since: float | None = None
        """The monotonic time at which the thread has begun what it does; None if it does nothing."""
        self.leader: str | None = None
        """The name of the node that leads, as far as the database knows."""
        self._node = node
        self._owner = owner
        self._monotonic = monotonic
        self._own = OwnConnection(url, f"{node} leader", _prepare)
        self._has_lock = False
        self._sight: _Sight | None = None

    # 1. In the thread

    def turn(self) -> tuple[float, float]:
        """Beat, or try to lead. Return Unix time of the database, and the monotonic time at which it was that.

        Raises DatabaseError, after which the connection is no more.
        """
        with self._working() as connection:
            return self._beat(connection) if self.epoch else self._try_to_lead(connection)

    def transact(self, work: Callable[[Connection], _T], epoch: int) -> _T:
        """Return the result of `work`, in a transaction of the leader. Raises NotLeaderError and DatabaseError."""
        if not epoch or self.epoch != epoch:
            raise NotLeaderError("another node may lead by now")
        with self._working() as connection:
            if self._monotonic() - self.confirmed >= BEAT_S:
                self._beat(connection)
            with transaction(connection):
                if not is_fenced(connection, epoch):
                    raise NotLeaderError(f"the leadership has passed to another node; this one led as epoch {epoch}")
                return work(connection)

    def close(self) -> None:
        """Resign, and close the connection."""
        with suppress(Exception):  # the server ends the connection in any case
            if self.epoch:
                with self._working() as connection:
                    resign(connection, self.epoch)
        self._disconnect()

    @contextmanager
    def _working(self) -> Iterator[PostgresConnection]:
        """Yield the connection. It is closed if the leadership is lost in the block, or it is broken."""
        self.busy_since = self._monotonic()
        try:
            with translated():
                yield self._own.get(MAX_BUSY_S)
        except NotLeaderError:
            self._disconnect()
            raise
        except BaseException:
            if not (self.epoch and self._own.is_usable):  # a statement may fail by itself, as with a timeout
                self._disconnect()
            raise
        finally:
            self.busy_since = None

    def _disconnect(self) -> None:
        self.epoch, self._has_lock = 0, False
        self._own.close()

    def _beat(self, connection: Connection) -> tuple[float, float]:
        sent = self._monotonic()
        now = beat(connection, self.epoch)
        if now is None:
            raise NotLeaderError("another node leads")
        self.confirmed, self.leader = sent, self._node
        return now, (sent + self._monotonic()) / 2

    def _try_to_lead(self, connection: Connection) -> tuple[float, float]:
        self._has_lock = self._has_lock or try_lock(connection)
        sent = self._monotonic()
        leader = read_leader(connection)
        read_at = self._monotonic()
        silent_s = self._silence(leader, read_at)
        self.leader = leader.node if leader.node and silent_s < REAP_S else None
        if self._has_lock:
            is_former = leader.owner == self._owner  # a process of this node, which has ended
            if not leader.node or is_former or silent_s >= WAIT_S:
                self._lead(connection)
        elif silent_s >= REAP_S and end_silent(connection, leader):
            log.warning("leader.ended", node=leader.node, silent_s=round(silent_s, 1))
        return leader.now, (sent + read_at) / 2

    def _silence(self, leader: Leader, now: float) -> float:
        """Return how long the leader has given no beat, in seconds by our own clock."""
        before = None if self._sight is None else self._sight.leader
        if self._sight is None or before is None or (before.epoch, before.beats) != (leader.epoch, leader.beats):
            self._sight = _Sight(leader, now)
        return now - self._sight.since

    def _lead(self, connection: Connection) -> None:
        sent = self._monotonic()
        self.epoch = take_lead(connection, self._node, self._owner)
        self.confirmed, self.leader = sent, self._node

    # 2. From any thread

    def cut(self) -> None:
        """End the connection at once, also for a thread that waits for it."""
        self._own.cut()


def _prepare(connection: Connection) -> None:
    bound_session(connection)
    make_leader(connection)
