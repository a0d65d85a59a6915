"""The actions of an operator on the running proxy. Each of them is audited."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from strangler.config.edit import unknown_route
from strangler.control.links import LinksState
from strangler.control.shadow.route_table import ShadowRouteTable
from strangler.control.shadow.stop_switch import StopSwitch
from strangler.core.settings import Settings
from strangler.state import kill_switch
from strangler.state.kill_switch import KillSwitchState
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


class KillSwitchListener(Protocol):
    """A part that follows the kill switch."""

    def turned(self, kill_switch: KillSwitchState) -> None: ...


class Operator:
    """Turns the kill switch, resumes shadows, and writes the audit."""

    def __init__(
        self,
        store: Store,
        links: LinksState,
        table: ShadowRouteTable,
        switch: StopSwitch,
        listeners: Sequence[KillSwitchListener],
        publish_turn: Callable[[bool, str, str | None], object],
    ) -> None:
        self._store = store
        self._links = links
        self._table = table
        self._switch = switch
        self._listeners = listeners
        self._publish_turn = publish_turn
        self._turning = asyncio.Lock()

    async def turn_kill_switch(self, on: bool, reason: str, actor: str, route: str | None = None) -> KillSwitchState:
        """Turn the switch for a route, or for all (None). Write it to the state folder, send it to all workers, then
        audit it: a store that cannot be written costs the audit, never the switch. Nothing changes if it is so already.

        Raises OSError and TurnRefusedError; nothing changes then.
        """
        async with self._turning:  # each turn begins with what the one before it has written
            before = self._links.kill_switch
            if route is not None:
                check_turn(self._table.settings, before, on, route)
            state = _turned(before, on, reason, route)
            if state is before:
                return before
            await asyncio.to_thread(kill_switch.write, self._store.folder, state)
            for listener in self._listeners:
                listener.turned(state)
            self._publish_turn(on, reason, route)
            log_turn(on, reason, route)
        await self.audit(actor, "kill-switch", route or "", reason, "on" if on else "off")
        return state

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
        log.info("audit", who=actor, what=what, route=route, why=why, detail=detail)
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


def _turned(before: KillSwitchState, on: bool, reason: str, route: str | None) -> KillSwitchState:
    now = utc_now()
    return before.turned(on, reason, now) if route is None else before.turned_for(route, on, reason, now)


def _take_failure(writing: "asyncio.Future[None]") -> None:
    """Log a bug; the store itself logs that it cannot be written."""
    if not writing.cancelled() and (failure := writing.exception()) is not None and not isinstance(failure, StoreError):
        log.error("audit.crash", error=repr(failure), exc_info=failure)
