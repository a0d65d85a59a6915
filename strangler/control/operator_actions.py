"""The actions of an operator on the running proxy. Each of them is audited."""

import asyncio
import time
from collections.abc import Sequence
from typing import Protocol

import structlog

from strangler.control.links import LinksState
from strangler.control.shadow.route_table import ShadowRouteTable
from strangler.control.shadow.stop_switch import StopSwitch
from strangler.evidence.audits import write_audit
from strangler.state import kill_switch
from strangler.state.kill_switch import KillSwitchState
from strangler.state.store import Store, StoreError
from strangler.times import utc_now

AUDIT_WAIT_S = 1.0

log = structlog.get_logger()


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
    ) -> None:
        self._store = store
        self._links = links
        self._table = table
        self._switch = switch
        self._listeners = listeners

    async def turn_kill_switch(self, on: bool, reason: str, actor: str) -> KillSwitchState:
        """Write the switch to the state folder, send it to all workers, then audit it: a store that cannot be written
        costs the audit, never the switch. Nothing changes if it is so already. Raises OSError; nothing changes then."""
        before = self._links.kill_switch
        if before.on == on and (not on or reason in ("", before.reason)):
            return before
        state = KillSwitchState(on, reason, utc_now())
        await asyncio.to_thread(kill_switch.write, self._store.folder, state)
        for listener in self._listeners:
            listener.turned(state)
        log.warning("kill_switch.on" if on else "kill_switch.off", reason=reason)
        await self.audit(actor, "kill-switch", "", reason, "on" if on else "off")
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


def _take_failure(writing: "asyncio.Future[None]") -> None:
    """Log a bug; the store itself logs that it cannot be written."""
    if not writing.cancelled() and (failure := writing.exception()) is not None and not isinstance(failure, StoreError):
        log.error("audit.crash", error=repr(failure), exc_info=failure)
