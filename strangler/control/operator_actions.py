"""The actions of an operator on the running proxy. Each of them is audited."""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

import structlog

from strangler.config.edit import unknown_route
from strangler.control.events.changes import turn_event
from strangler.control.shadow.route_table import ShadowRouteTable
from strangler.control.shadow.stop_switch import StopSwitch
from strangler.control.switch_keeper import KillSwitchKeeper
from strangler.core.settings import Settings
from strangler.state import kill_switch
from strangler.state.kill_switch import KillSwitchState
from strangler.store.events.event import Event
from strangler.store.evidence.audits import write_audit
from strangler.store.store import Store, StoreError
from strangler.times import utc_now

AUDIT_WAIT_S = 1.0
MAX_NAME = 100
"""The most characters of a name of the outside world in a message."""

log = structlog.get_logger()


class TurnRefusedError(Exception):
    """The kill switch cannot be turned so; the message says why. `status` is that of the response."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class SharedTurns(Protocol):
    """The part that shares turns with other nodes."""

    def turned(
        self, before: KillSwitchState, on: bool, reason: str, route: str | None, actor: str, event: str
    ) -> KillSwitchState: ...
    async def publish(self, route: str | None) -> None: ...
    async def refresh(self) -> None: ...


class Operator:
    """Turns the kill switch, resumes shadows, and writes the audit."""

    def __init__(
        self,
        store: Store,
        keeper: KillSwitchKeeper,
        table: ShadowRouteTable,
        switch: StopSwitch,
        publish: Callable[[Event], object],
        shared: SharedTurns | None = None,
    ) -> None:
        """`publish` takes the event of a turn; `shared` is None without other nodes."""
        self._store = store
        self._keeper = keeper
        self._table = table
        self._switch = switch
        self._publish = publish
        self._shared = shared

    async def turn_kill_switch(self, on: bool, reason: str, actor: str, route: str | None = None) -> KillSwitchState:
        """Turn the switch for a route, or for all (None). Write it to the state folder, send it to all workers, then
        publish it to other nodes and audit it: a store that cannot be written costs these, never the switch. Nothing
        changes if it is so already.

        Raises OSError and TurnRefusedError; nothing changes then.
        """
        state = await self._turn(on, reason, actor, route)
        if state is None and self._shared is not None:
            await self._shared.refresh()  # another node may have turned it a moment ago
            state = await self._turn(on, reason, actor, route)
        if state is None:
            return self._keeper.state
        if self._shared is None:
            await self.audit(actor, "kill-switch", route or "", reason, "on" if on else "off")
            return state
        _log_audit(actor, "kill-switch", route or "", reason, "on" if on else "off")
        await self._shared.publish(route)
        return self._keeper.state

    async def _turn(self, on: bool, reason: str, actor: str, route: str | None) -> KillSwitchState | None:
        """Put the state after a turn in force, and return it; None if it is so already."""
        async with self._keeper.turning:  # each turn begins with what the one before it has written
            before = self._keeper.state
            if route is not None:
                check_turn(self._table.settings, before, on, route)
            turned = turn_event(on, reason, route)
            state = self._turned(before, on, reason, route, actor, turned)
            if state is before:
                return None
            await self._keeper.put(state)
            self._publish(turned)
            log_turn(on, reason, route)
        return state

    def _turned(
        self, before: KillSwitchState, on: bool, reason: str, route: str | None, actor: str, turned: Event
    ) -> KillSwitchState:
        if self._shared is not None:
            return self._shared.turned(before, on, reason, route, actor, turned.id)
        now = utc_now()
        return before.turned(on, reason, now) if route is None else before.turned_for(route, on, reason, now)

    async def resume_shadows(self, name: str, actor: str, why: str) -> bool:
        """Start a route's shadows again after they stopped by themselves. Return False if they have not."""
        route = self._table.routes.get(name)
        stopped = route.stopped if route is not None else None
        if stopped is None or not self._switch.resume(name, f"{actor}: {why}" if why else actor):
            return False
        await self.audit(actor, "shadow resume", name, why, stopped)
        return True

    async def audit(self, actor: str, what: str, route: str, why: str, detail: str) -> None:
        """Record what an operator did: in the log always, in the store if it can be written."""
        _log_audit(actor, what, route, why, detail)
        now = time.time()
        writing = asyncio.ensure_future(
            self._store.call(lambda connection: write_audit(connection, now, actor, what, route, why, detail))
        )
        await asyncio.wait([writing], timeout=AUDIT_WAIT_S)  # a disk that hangs does not hold up the action
        writing.add_done_callback(_take_failure)


def check_turn(settings: Settings, state: KillSwitchState, on: bool, route: str) -> None:
    """Raise TurnRefusedError if the kill switch cannot be turned for this route.

    It can be turned off for a route that routes.yaml no longer has.
    """
    if route in state.routes:
        return
    found = next((each for each in settings.routes if each.name == route), None)
    if found is None:
        names = [each.name for each in settings.routes]
        raise TurnRefusedError(404, unknown_route(route[:MAX_NAME], list(dict.fromkeys([*names, *state.routes]))))
    if on and found.is_passthrough:
        raise TurnRefusedError(
            409,
            f"route '{route}' has passthrough: {found.candidate}; legacy has never served its requests, so the kill"
            " switch does not apply",
        )
    if on and not kill_switch.fits([*state.routes, route]):
        raise TurnRefusedError(
            409,
            f"the kill switch is on for {len(state.routes)} single routes, and a worker cannot be started with more"
            " names; turn it on for all routes",
        )


def log_turn(on: bool, reason: str, route: str | None, since: str | None = None) -> None:
    """Log that the kill switch was turned or, with `since`, that it is on at a start."""
    fields = {"route": route, "reason": reason, "since": since}
    log.warning(
        "kill_switch.on" if on else "kill_switch.off",
        **{name: value for name, value in fields.items() if value is not None},
    )


def _log_audit(actor: str, what: str, route: str, why: str, detail: str) -> None:
    log.info("audit", who=actor, what=what, route=route, why=why, detail=detail)


def _take_failure(writing: "asyncio.Future[None]") -> None:
    """Log a bug; the store itself logs that it cannot be written."""
    if not writing.cancelled() and (failure := writing.exception()) is not None and not isinstance(failure, StoreError):
        log.error("audit.crash", error=repr(failure), exc_info=failure)
