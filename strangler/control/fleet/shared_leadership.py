"""The leadership of nodes that share a store: one leads, and is replaced within 10 s once it is killed, stopped or cut
off. Never do two lead at once.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

import msgspec
import structlog

from strangler.control.fleet.leader_session import BEAT_S, HOLD_S, MAX_BUSY_S, LeaderSession
from strangler.control.fleet.leadership import NotLeaderError
from strangler.control.fleet.store_clock import StoreClock
from strangler.store.connection import Connection
from strangler.store.errors import DatabaseError
from strangler.store.store import StoreError

WATCH_EVERY_S: Final = 0.25
CLOSE_S: Final = 2.0

log = structlog.get_logger()

_T = TypeVar("_T")


class SharedLeadership:
    """Leads while it holds the lock and its beats are confirmed. `clock` is set at each beat, whether it leads or not.

    The loop starts each beat: a process whose loop stands still does not lead. `owner` is the id of this node's state
    folder; None: no other node has its name.
    """

    def __init__(
        self,
        url: str,
        node: str,
        clock: StoreClock,
        monotonic: Callable[[], float] = time.monotonic,
        owner: str | None = None,
    ) -> None:
        self.problem: str | None = None
        """Why the database cannot be reached."""
        self._node = node
        self._clock = clock
        self._monotonic = monotonic
        self._session = LeaderSession(url, node, owner or node, monotonic)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="leader")
        self._followers: list[Callable[[bool], object]] = []
        self._epoch = 0
        self._lost = 0
        """The last epoch that was lost; the thread may not know yet."""

    @property
    def holds(self) -> bool:
        return self._epoch != 0 and self._monotonic() - self._session.confirmed < HOLD_S

    @property
    def epoch(self) -> int:
        return self._epoch if self.holds else 0

    @property
    def leader(self) -> str | None:
        if self._epoch:
            return self._node if self.holds else None
        return None if self.problem is not None else self._session.leader

    def subscribe(self, follower: Callable[[bool], object]) -> None:
        self._followers.append(follower)

    async def call(self, work: Callable[[Connection], _T]) -> _T:
        epoch = self.epoch
        if not epoch:
            raise NotLeaderError(self.problem or f"node {self.leader or 'unknown'} leads, not this one")
        try:
            return await self._in_thread(lambda: self._session.transact(work, epoch))
        except (DatabaseError, msgspec.DecodeError) as error:
            raise StoreError(str(error)) from error
        finally:
            self._follow_session("the connection was lost")

    async def run(self) -> None:
        """Beat, or try to lead, each second until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch())
            while True:
                await self._turn()
                await asyncio.sleep(BEAT_S)

    async def close(self) -> None:
        """Resign, so that another node leads at once."""
        closing = asyncio.ensure_future(self._in_thread(self._session.close))
        await asyncio.wait({closing}, timeout=CLOSE_S)
        self._session.cut()
        await closing
        self._follow_session("this node ends")
        self._thread.shutdown()

    async def _turn(self) -> None:
        try:
            now, read_at = await self._in_thread(self._session.turn)
        except (DatabaseError, NotLeaderError) as error:
            self._follow_session(str(error))
            if self.problem != str(error):
                log.warning("leader.unreachable", reason=str(error))
            self.problem = str(error)
            return
        self.problem = None
        self._clock.set(now, read_at)
        self._follow_session("the connection was lost")

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _watch(self) -> None:
        """End a connection that takes too long, and a leadership that is no longer confirmed."""
        while True:
            await asyncio.sleep(WATCH_EVERY_S)
            since = self._session.busy_since
            if since is not None and self._monotonic() - since >= MAX_BUSY_S:
                self._session.cut()
            if self._epoch and not self.holds:
                self._lose(f"no beat was confirmed for {HOLD_S:g} s")

    def _follow_session(self, why_lost: str) -> None:
        """Follow what the thread has found."""
        epoch = self._session.epoch
        if self._epoch and epoch != self._epoch:
            self._lose(why_lost)
        if epoch > self._lost and not self._epoch:
            self._gain(epoch)

    def _gain(self, epoch: int) -> None:
        log.info("leader.gained", epoch=epoch)
        for follower in self._followers:
            follower(True)
        self._epoch = epoch

    def _lose(self, reason: str) -> None:
        log.warning("leader.lost", epoch=self._epoch, reason=reason)
        self._session.cut()
        self._lost, self._epoch = self._epoch, 0
        for follower in self._followers:
            follower(False)
