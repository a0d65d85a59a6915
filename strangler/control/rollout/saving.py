"""The writing of rollouts: positions, moves, events and audits in one transaction, none without the others."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from functools import partial
from typing import Final, Protocol

from strangler.control.rollout.climb import ClimbState, Unsaved
from strangler.control.rollout.climbs import ClimbsState
from strangler.store.connection import Connection
from strangler.store.events.event import Event
from strangler.store.evidence import stored_rollouts
from strangler.store.evidence.audits import write_audit
from strangler.store.evidence.stored_rollouts import StoredPosition
from strangler.store.store import Store, StoreError

SAVE_COUNTS_EVERY_S: Final = 5.0
"""How often counts are stored that nothing was decided by yet: a killed control loses those of this time."""


class Publisher(Protocol):
    """The part that stores events within a transaction, and sends them afterwards."""

    def insert(self, connection: Connection, events: Sequence[Event]) -> None: ...
    def on_stored(self, events: Sequence[Event]) -> None: ...


class RolloutSaver:
    """Writes rollouts to the store."""

    def __init__(self, store: Store, publisher: Publisher, climbs: ClimbsState) -> None:
        self.hint = asyncio.Event()
        """Set if there is something to be stored that should not wait."""
        self._store = store
        self._publisher = publisher
        self._climbs = climbs
        self._counts_saved = 0.0
        self._writing: asyncio.Task[bool] | None = None

    @property
    def problem(self) -> str | None:
        """Why the store cannot be written, so that nothing climbs."""
        return self._store.problem

    async def complete(self, writing: Coroutine[None, None, bool]) -> bool:
        """Return the result of a change of the store. It goes on if the caller is cancelled: `settle` awaits it."""
        self._writing = asyncio.create_task(writing)
        return await asyncio.shield(self._writing)

    async def settle(self) -> None:
        """Wait for a change that is being stored."""
        if self._writing is not None:
            await asyncio.wait([self._writing])

    async def save(self, now: float, *, is_last: bool = False) -> None:
        """Store what has changed; counts alone every few seconds, and at last. `now` is Unix time."""
        are_counts_due = is_last or not 0 <= now - self._counts_saved < SAVE_COUNTS_EVERY_S
        climbs = self._climbs.all()
        due = [climb for climb in climbs if climb.is_changed or (are_counts_due and climb.has_new_counts)]
        if not due and not self._climbs.gone:
            return
        is_stored = await self.complete(self._save(due))
        self._counts_saved = now if is_stored and are_counts_due else self._counts_saved

    async def _save(self, due: Sequence[ClimbState]) -> bool:
        unsaved = [(climb, climb.unsaved) for climb in due]
        for climb in due:
            climb.unsaved, climb.is_changed, climb.has_new_counts = Unsaved(), False, False
        positions = {climb.group: climb.stored(climb.position) for climb in due}
        gone = tuple(self._climbs.gone)
        is_stored = False
        try:
            is_stored = await self.write(positions, [(climb.group, each) for climb, each in unsaved], gone)
        finally:
            if not is_stored:
                for climb, each in unsaved:
                    each.add(climb.unsaved)
                    climb.unsaved, climb.is_changed = each, True
        if is_stored:
            self._climbs.gone.difference_update(gone)
        return is_stored

    async def write(
        self,
        positions: Mapping[str, StoredPosition],
        unsaved: Sequence[tuple[str, Unsaved]],
        gone: Sequence[str] = (),
    ) -> bool:
        """Store positions, what belongs to each group, and which groups are `gone`; return False if that fails."""
        events = [event for _, each in unsaved for event in each.events]
        try:
            await self._store.call(partial(write_rollouts, self._publisher, positions, unsaved, gone))
        except StoreError:  # logged by the store itself, and in the status
            return False
        self._publisher.on_stored(events)
        return True


def write_rollouts(
    publisher: Publisher,
    positions: Mapping[str, StoredPosition],
    unsaved: Sequence[tuple[str, Unsaved]],
    gone: Sequence[str],
    connection: Connection,
) -> None:
    """Write positions, what belongs to each group, and which groups are `gone`, in the caller's transaction."""
    stored_rollouts.save(connection, positions, [(group, move) for group, each in unsaved for move in each.moves], gone)
    for _, each in unsaved:
        for audit in each.audits:
            write_audit(connection, audit.at, audit.actor, audit.what, audit.route, audit.why, audit.detail)
    publisher.insert(connection, [event for _, each in unsaved for event in each.events])  # last: it takes turns
