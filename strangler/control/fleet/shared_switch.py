"""The kill switch of several nodes: each turns it for all through the store, and follows the others.

This node's own file and workers come first; the store follows. A turn that the store has not taken yet holds for this
node only: it is in the file, and is published as soon as the store takes it, unless another node has turned the same
scope later.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Final

import structlog

from strangler.control.events.changes import turn_event
from strangler.control.fleet.fleet_parts import FleetParts
from strangler.control.fleet.store_clock import StoreClock
from strangler.control.switch_keeper import KillSwitchKeeper
from strangler.state.kill_switch import KillSwitchState, PendingTurn
from strangler.state.switch_merge import merge, moment, set_right, whole_ms, with_turn
from strangler.store.connection import Connection
from strangler.store.events.event import Event
from strangler.store.evidence.audits import write_audit
from strangler.store.store import Store, StoreError
from strangler.store.stored_kill_switch import ALL_ROUTES, StoredTurn, load_turns, save_later, save_next
from strangler.store.topics import Topic, announce

PUBLISH_WAIT_S: Final = 1.0
"""How long a response waits for the store."""
RETRY_S: Final = 1.0

log = structlog.get_logger()

Insert = Callable[[Connection, Sequence[Event]], None]


class SharedKillSwitch:
    """Publishes the turns of this node, and puts those of others in force."""

    def __init__(self, store: Store, keeper: KillSwitchKeeper, insert: Insert, clock: StoreClock, node: str) -> None:
        """`insert` stores events within a transaction; `node` is the name of this node."""
        self._store = store
        self._keeper = keeper
        self._insert = insert
        self._clock = clock
        self._node = node
        self._direct: set[str] = set()
        """The scopes that were turned here just now: they are later than what the store has, whatever a clock says."""
        self._damaged_at: float | None = None
        self._is_stale = True
        self._exchanging = asyncio.Lock()
        self._hint = asyncio.Event()
        self._was_tried = asyncio.Event()

    # 1. Turns of this node

    def turned(
        self, before: KillSwitchState, on: bool, reason: str, route: str | None, actor: str, event: str
    ) -> KillSwitchState:
        """Return the state after a turn, still to be published: `before` if it is so already. `event`: its id."""
        scope = ALL_ROUTES if route is None else route
        since = whole_ms(max(self._clock.now(), (_since(before, scope) or 0.0) + 0.001))
        return with_turn(
            before, scope, PendingTurn(on, reason, since, actor, event, is_own_time=not self._clock.is_set)
        )

    async def publish(self, route: str | None) -> None:
        """Publish the turn of a scope that is in force now. Return once the store has it, or has not for a second."""
        scope = ALL_ROUTES if route is None else route
        self._direct.add(scope)
        self._hint.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(PUBLISH_WAIT_S):
                while scope in self._keeper.state.pending and self._store.problem is None:
                    self._was_tried.clear()
                    await self._was_tried.wait()
        if scope in self._keeper.state.pending:
            log.warning("kill_switch.node_only", routes=sorted(self._keeper.state.pending), reason=self._store.problem)

    async def refresh(self) -> None:
        """Put what other nodes have turned in force, if the store responds within a second."""
        with suppress(TimeoutError, StoreError):
            async with asyncio.timeout(PUBLISH_WAIT_S):
                await asyncio.shield(asyncio.ensure_future(self.exchange()))

    # 2. From start to end

    async def restore(self) -> None:
        """Put the turns of other nodes in force, and publish earlier ones of this node, if the store is there."""
        if self._keeper.state.is_unreadable:
            self._damaged_at = self._clock.now()
        with suppress(StoreError):  # logged by the store itself; tried again
            await self.exchange()

    def follow(self) -> None:
        """Put what other nodes have turned in force soon."""
        self._is_stale = True
        self._hint.set()

    async def run(self) -> None:
        """Publish turns, and try again every second while the store is away, until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(RETRY_S):
                    await self._hint.wait()
            self._hint.clear()
            if self._keeper.state.pending or self._is_stale:
                with suppress(StoreError):  # logged by the store itself
                    await self.exchange()
            self._was_tried.set()

    # 3. One exchange with the store

    async def exchange(self) -> None:
        """Publish what the store does not have, then put in force what it has. Raises StoreError."""
        async with self._exchanging:
            self._is_stale = False
            await self._set_right()
            direct, self._direct = frozenset(self._direct), set()
            try:
                stored = await self._store.call(partial(self._publish, state=self._keeper.state, direct=direct))
            except StoreError:
                self._is_stale = True
                raise
            async with self._keeper.turning:
                await self._adopt(stored)

    async def _set_right(self) -> None:
        """Give turns made by this host's clock the time that the store's clock had."""
        if not self._clock.is_set:
            return
        async with self._keeper.turning:
            state = set_right(self._keeper.state, self._clock.ahead_s, self._clock.now())
            if state != self._keeper.state:
                await self._put(state)

    def _publish(
        self, connection: Connection, state: KillSwitchState, direct: frozenset[str]
    ) -> Mapping[str, StoredTurn]:
        """Store the turns that other nodes do not know, with their audit and events. Return all turns."""
        before = load_turns(connection)
        unpublished = dict(merge(state, before, self._damaged_at).unpublished)
        unpublished |= {scope: turn for scope, turn in state.pending.items() if scope in direct}
        ready = {scope: turn for scope, turn in unpublished.items() if not turn.is_own_time}
        saved = [scope for scope in sorted(ready) if self._save(connection, scope, ready[scope], scope in direct)]
        if not saved:
            return before
        made_here = {scope: ready[scope] for scope in saved if ready[scope].event}
        for scope, turn in made_here.items():
            detail = "on" if turn.on else "off"
            write_audit(connection, turn.since, turn.actor, "kill-switch", scope, turn.reason, detail)
        announce(connection, Topic.KILL_SWITCH)
        self._insert(connection, [_event_of(scope, turn) for scope, turn in made_here.items()])
        return load_turns(connection)

    def _save(self, connection: Connection, scope: str, turn: PendingTurn, is_direct: bool) -> bool:
        """Store a turn; return False if a later one is there."""
        stored = StoredTurn(turn.on, turn.reason, turn.since, self._node, turn.actor)
        if not is_direct:
            return save_later(connection, scope, stored)
        save_next(connection, scope, stored)
        return True

    async def _adopt(self, stored: Mapping[str, StoredTurn]) -> None:
        before = self._keeper.state
        after = merge(before, stored, self._damaged_at).state
        if after == before:
            return
        await self._put(after)
        settled = before.pending.keys() - after.pending.keys()
        if published := sorted(scope for scope in settled if stored[scope].node == self._node):
            log.info("kill_switch.published", routes=published)
        for scope, turn in stored.items():
            if _is_on(before, scope) != _is_on(after, scope):
                route = {"route": scope} if scope != ALL_ROUTES else {}
                write = "kill_switch.on" if turn.on else "kill_switch.off"
                log.warning(write, reason=turn.reason, node=turn.node, **route)

    async def _put(self, state: KillSwitchState) -> None:
        """Put a state in force. A file that cannot be read stays: it counts as on until somebody turns that."""
        if state.is_unreadable:
            self._keeper.follow(state)
            return
        try:
            await self._keeper.put(state)
        except OSError as error:  # the others' turn holds here, too, until this control ends
            log.error("kill_switch.not_written", reason=error.strerror)
            self._keeper.follow(state)


def share_kill_switch(
    store: Store, keeper: KillSwitchKeeper, insert: Insert, fleet: FleetParts, node: str
) -> SharedKillSwitch | None:
    """Return the kill switch of all nodes, which follows what others announce; None if no other node has the store."""
    if not store.is_shared:
        return None
    shared = SharedKillSwitch(store, keeper, insert, fleet.clock, node)
    fleet.feed.subscribe(Topic.KILL_SWITCH, shared.follow)
    return shared


def _since(state: KillSwitchState, scope: str) -> float | None:
    """Return when a scope was last turned, as far as its state shows it."""
    if scope == ALL_ROUTES:
        return moment(state.since)
    killed = state.routes.get(scope)
    return None if killed is None else moment(killed.since)


def _is_on(state: KillSwitchState, scope: str) -> bool:
    return state.on if scope == ALL_ROUTES else scope in state.routes


def _event_of(scope: str, turn: PendingTurn) -> Event:
    """Return the event of a turn as it was made: it has the same id, and so is stored once."""
    return replace(turn_event(turn.on, turn.reason, scope or None, turn.since), id=turn.event)
