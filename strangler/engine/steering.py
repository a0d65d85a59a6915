"""The work on one Envoy, one thing after the other: taking it over, bringing it settings, starting it again."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final, Protocol

import structlog

from strangler.engine.admin_socket import AdminSocket
from strangler.engine.binary import EnvoyBinary
from strangler.engine.delivery import DeliveryError
from strangler.engine.ownership import Ownership
from strangler.engine.rendering import Wanted
from strangler.engine.validation import ValidationError, refusal_of_wanted
from strangler.ipc.process import restart_delay_s

LOOK_EVERY_S: Final = 2.0
"""How often to look whether an Envoy that somebody else runs responds."""

QUIET_S: Final = 60.0
"""An Envoy that lived this long did not crash in a loop."""

log = structlog.get_logger()


class EngineError(Exception):
    """This process cannot do its work; the message says why."""


class Envoy(Protocol):
    """An Envoy that this process runs, or one that somebody else runs beside it."""

    @property
    def version(self) -> str: ...
    @property
    def pid(self) -> int | None: ...
    @property
    def has_died(self) -> bool: ...
    @property
    def problem(self) -> str | None: ...
    @property
    def admin(self) -> AdminSocket | None: ...

    async def adopt(self, wanted: Wanted) -> bool: ...
    async def restart(self, wanted: Wanted) -> None: ...
    async def bring(self, wanted: Wanted) -> None: ...
    async def look(self) -> None: ...
    async def end(self, until: float, is_interrupted: Callable[[], bool]) -> bool: ...
    async def let_go(self) -> None: ...


class SteeringListener(Protocol):
    """The part of the process that reports."""

    def accepts(self) -> None:
        """Envoy takes connections, or goes on to."""

    def confirmed(self, wanted: Wanted) -> None:
        """Envoy has taken these settings."""

    def changed(self) -> None:
        """Envoy, or what is wrong with it, may be another."""


class Steering:
    """Brings Envoy the settings that were wanted last. `is_standby`: what cannot begin is an error at once."""

    def __init__(
        self,
        envoy: Envoy,
        ownership: Ownership,
        first: Wanted,
        binary: EnvoyBinary | None,
        listener: SteeringListener,
        *,
        is_standby: bool,
    ) -> None:
        """`binary` validates settings; None: they are not validated before Envoy gets them."""
        self.wake = asyncio.Event()
        """Set when something may have to be done."""
        self.is_owner = False
        self.problem = ""
        """Why Envoy does not have what is wanted; empty: it has."""
        self._envoy = envoy
        self._ownership = ownership
        self._present = first
        self._next: Callable[[], Wanted] | None = None
        self._binary = binary
        self._listener = listener
        self._is_standby = is_standby
        self._stopping = asyncio.Event()
        self._deaths = 0
        self._began: float | None = None
        self._failures = 0
        self._failed: Wanted | None = None
        self._retry_due = float("inf")

    def stop(self) -> None:
        """Have `run` return once what it does now is done."""
        self._stopping.set()
        self.wake.set()

    def want(self, decoded: Callable[[], Wanted]) -> None:
        """Have Envoy get these settings next; earlier ones that it has not got are left out. A thread decodes them."""
        self._next = decoded
        self.wake.set()

    async def run(self, is_served: Callable[[], bool]) -> None:
        """Take Envoy over, and bring it all that changes, until `stop`. Raises EngineError.

        `is_served` returns whether an Envoy of an earlier process serves, which we shall adopt.
        """
        await self._take_over(is_served)
        self._is_standby = False
        while not self._stopping.is_set():
            self._listener.changed()
            await self._wait()
            if self._envoy.has_died:
                await self._revive()
            elif self._next is not None:
                decoded, self._next = self._next, None
                self._failures = 0
                await self._bring(await asyncio.to_thread(decoded))
            elif self._is_due():
                await self._bring(replace(self._failed or self._present, now=time.time()))
            await self._envoy.look()

    async def _take_over(self, is_served: Callable[[], bool]) -> None:
        """Become the owner of Envoy, which a process before this one may still have, and have it serve."""
        if not self._ownership.try_take():
            await self._check_first()
            if await asyncio.to_thread(is_served):
                self._listener.accepts()
            await self._ownership.wait()
        self.is_owner = True
        try:
            is_adopted = await self._envoy.adopt(self._present)
        except DeliveryError as error:
            raise EngineError(str(error)) from error
        if is_adopted:
            self._began = time.monotonic()
            self._listener.accepts()
            await self._bring(self._present)
        else:
            await self._check_first()
            await self._revive()

    async def _check_first(self) -> None:
        """Look whether Envoy takes the first settings. Raises EngineError if there is nothing else that serves."""
        reason = await self._refusal(self._present)
        if reason is not None and (self._is_standby or self.is_owner):
            raise EngineError(f"Envoy {self._envoy.version} refuses the settings: {reason}")

    async def _revive(self) -> None:
        """Start Envoy, since none lives; ever later, while it keeps dying."""
        if self._began is not None:
            self._deaths = 1 if time.monotonic() - self._began >= QUIET_S else self._deaths + 1
            delay_s = restart_delay_s(self._deaths)
            event = "envoy.died" if self._deaths == 1 else "envoy.crash_loop"
            log.error(event, child_pid=self._envoy.pid, deaths_in_a_row=self._deaths, restart_in_s=delay_s)
            self._listener.changed()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay_s):
                    await self._stopping.wait()
                    return
        self._began = time.monotonic()
        try:
            await self._envoy.restart(self._present)
        except DeliveryError as error:
            if self._is_standby:
                raise EngineError(str(error)) from error
            log.error("envoy.start_failed", reason=str(error))
            self.problem = str(error)
            self.wake.set()
            return
        self._confirm(self._present)

    async def _wait(self) -> None:
        """Wait until something may have to be done."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, min(self._due_in_s(), LOOK_EVERY_S))):
                await self.wake.wait()
        self.wake.clear()

    def _due_in_s(self) -> float:
        """Return how long until the same settings are to be brought again."""
        change = self._present.next_change
        until_change_s = float("inf") if change is None else change - time.time()
        return min(self._retry_due - time.monotonic(), until_change_s)

    def _is_due(self) -> bool:
        return self._due_in_s() <= 0

    async def _bring(self, wanted: Wanted) -> None:
        """Bring settings to Envoy. What it refuses changes nothing, and is reported."""
        self._retry_due, self._failed = float("inf"), None
        reason = await self._refusal(wanted)
        if reason is None:
            try:
                await self._envoy.bring(wanted)
            except DeliveryError as error:  # it may be the disk: what was validated is tried again
                reason = str(error)
                self._failures += 1
                self._retry_due = time.monotonic() + max(1.0, restart_delay_s(self._failures + 1))
                self._failed = wanted
        if reason is None:
            self._confirm(wanted)
        elif reason != self.problem:
            self.problem = reason
            log.error("envoy.refused", generation=wanted.generation, reason=reason)

    async def _refusal(self, wanted: Wanted) -> str | None:
        """Return why Envoy refuses settings, as far as it can be asked without running them."""
        if self._binary is None:
            return None
        try:
            return await asyncio.to_thread(refusal_of_wanted, wanted, self._binary)
        except ValidationError as error:
            log.warning("envoy.not_validated", reason=str(error))
            return None

    def _confirm(self, wanted: Wanted) -> None:
        """Note that Envoy serves these settings."""
        self._present = wanted
        self._failures = 0
        if self.problem:
            log.info("envoy.recovered", generation=wanted.generation)
        self.problem = ""
        self._listener.accepts()
        self._listener.confirmed(wanted)
