"""The Envoy that this process runs: adopted or started, replaced without a gap, started again when it dies."""

import asyncio
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Protocol

import structlog

from strangler.core.settings import Settings
from strangler.engine import living
from strangler.engine.admin_socket import AdminSocket
from strangler.engine.binary import EnvoyBinary
from strangler.engine.confirmation import Confirmation, UnconfirmedError, wait_until_live
from strangler.engine.delivery import Delivery, DeliveryError
from strangler.engine.draining import drain, end, has_ended_within
from strangler.engine.envoy_process import PARENT_GRACE_S, Command, EnvoyProcess, digest, options, start
from strangler.engine.living import ADMIN_SOCKET, LivingEnvoy
from strangler.engine.log_lines import EnvoyLog
from strangler.engine.rendering import Wanted, system_ca
from strangler.engine.sockets_in_folders import listen_in
from strangler.engine.written_files import put
from strangler.envoy.place import EnvoyPlace
from strangler.envoy.resources import BOOTSTRAP

TELEMETRY_SOCKET: Final = "telemetry.sock"
ADOPT_TIMEOUT_S: Final = 10.0
"""How long an Envoy that was left to us may take to respond: one that is stopped is replaced."""

log = structlog.get_logger()


class Intake(Protocol):
    """The part that reads access records."""

    def serve(self, listener: socket.socket) -> None: ...
    def release(self, listener: socket.socket) -> None: ...


class OwnEnvoy:
    """The owner of the Envoys of a folder: the one that serves, and those that only finish their requests."""

    def __init__(
        self,
        folder: Path,
        name: str,
        receiver_socket: str,
        binary: EnvoyBinary,
        intake: Intake,
        loop: asyncio.AbstractEventLoop,
        on_end: Callable[[], object],
    ) -> None:
        """`folder` is that of all Envoys; `name` is that of no other process. `on_end` is called when an Envoy ends."""
        self.present: EnvoyProcess | None = None
        """The Envoy that serves; None: there is none yet."""
        self.binary = binary
        self._folder = folder
        self._name = name
        self._receiver_socket = receiver_socket
        self._intake = intake
        self._loop = loop
        self._on_end = on_end
        self._delivery: Delivery | None = None
        self._telemetry: dict[Path, socket.socket] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    @property
    def version(self) -> str:
        """The version of the Envoy that serves, which may be another than that of the program."""
        record = None if self.present is None else self.present.envoy.record
        return self.binary.version if record is None else record.version

    @property
    def pid(self) -> int | None:
        """The process that serves."""
        return None if self.present is None else self.present.pid

    @property
    def has_died(self) -> bool:
        """True if there is none that serves."""
        return self.present is None or self.present.has_ended

    @property
    def problem(self) -> None:
        """None: what is wrong with it is put right here."""

    @property
    def admin(self) -> AdminSocket | None:
        """The admin listener of the Envoy that serves."""
        return None if self.present is None else self.present.admin

    async def look(self) -> None:
        """Do nothing: the end of Envoy is noticed by itself."""

    @property
    def confirmation(self) -> Confirmation:
        """The wait for the present Envoy's word."""
        assert self.present is not None
        self.present.log.forget_refusals()
        envoy = self.present
        return Confirmation(envoy.admin, lambda: envoy.log.refusal)

    async def adopt(self, wanted: Wanted) -> bool:
        """Go on with the Envoy that an earlier process has left, as it is; return False if there is none."""
        for envoy in reversed(await asyncio.to_thread(living.living, self._folder)):
            process = self._watched(envoy)
            if process is not None and self.present is not None:
                self._see_off(process, wanted.settings)
            elif process is not None:
                await self._try_take(process, wanted)
        return self.present is not None

    async def restart(self, wanted: Wanted) -> None:
        """Start an Envoy where none lives. Raises DeliveryError."""
        self._forget_present()
        await asyncio.to_thread(living.remove_dead, self._folder)
        try:
            await self._start(wanted, None)
        except DeliveryError:
            if self.present is not None:  # it serves nothing, or not all: better none, and another try
                await end(self.present)
                self._forget_present()
            raise

    async def bring(self, wanted: Wanted) -> None:
        """Bring settings to the present Envoy; return once it has taken them. Raises DeliveryError.

        What it cannot change while it runs, it gets by a hot restart.
        """
        assert self.present is not None
        assert self._delivery is not None
        record = self.present.envoy.record
        resources = await asyncio.to_thread(wanted.at, self._place(self.present.envoy.folder))
        wished = (options(wanted.settings), digest(resources.bootstrap), self.binary.version, False)
        if record is not None and wished == (record.options, record.bootstrap, record.version, record.is_draining):
            await self._delivery.deliver(resources, wanted.layer, self.confirmation)
            return
        await self._replace(wanted)

    def write_runtime(self) -> None:
        """Write the kill switch's state at once. Raises OSError."""
        if self._delivery is not None:
            self._delivery.write_runtime()

    async def confirm_runtime(self) -> None:
        """Return once Envoy has taken it. Raises DeliveryError."""
        if self._delivery is not None and self.present is not None:
            await self._delivery.confirm_runtime(self.confirmation)

    @property
    def runtime(self) -> dict[str, Any]:
        """The runtime that Envoy should have."""
        return {} if self._delivery is None else self._delivery.runtime

    async def end(self, until: float, is_interrupted: Callable[[], bool]) -> bool:
        """Drain the present Envoy; return False if it was interrupted, and goes on."""
        if self.present is None:
            return True
        is_ended = await drain(self.present, until, is_interrupted)
        if is_ended:
            self._forget_present()
            for task in list(self._leaving):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            await asyncio.to_thread(living.kill_all, self._folder)
        return is_ended

    async def let_go(self) -> None:
        """Leave Envoy running, for the process that goes on with it."""
        self._forget_present()
        for task in list(self._leaving):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    # Adopting

    async def _try_take(self, process: EnvoyProcess, wanted: Wanted) -> None:
        if await self._responds(process):
            self._take(process, Delivery(process.envoy.folder, self._name, wanted.layer))
            log.info("envoy.adopted", child_pid=process.pid, version=self.version)
            return
        log.error("envoy.killed", child_pid=process.pid, reason="it does not respond to the process that adopts it")
        await end(process)
        process.close()

    def _watched(self, envoy: LivingEnvoy) -> EnvoyProcess | None:
        pid = envoy.pid
        if pid is None:
            return None
        try:
            envoy_log = EnvoyLog(envoy.folder, self._loop)
        except OSError:
            return None
        try:
            return EnvoyProcess(envoy, pid, envoy_log, self._loop, self._on_end)
        except OSError:  # it has just ended
            envoy_log.close()
            return None

    async def _responds(self, process: EnvoyProcess) -> bool:
        with suppress(UnconfirmedError):
            await wait_until_live(process.admin, lambda: process.has_ended, ADOPT_TIMEOUT_S)
            return True
        return False

    # Starting and replacing

    async def _replace(self, wanted: Wanted) -> None:
        """Start another Envoy that takes over from the present one, which goes on if that fails. Raises DeliveryError.

        Beyond a hot restart, which versions may not have in common, both serve side by side at the same addresses until
        the former one drains.
        """
        former = self.present
        assert former is not None
        while self._leaving:  # an Envoy ends the one before its parent, whatever that is doing
            await asyncio.wait(self._leaving)
        is_hot = True
        try:
            try:
                await self._start(wanted, former.envoy)
            except DeliveryError as error:
                if self.present is not former or former.has_ended:
                    raise
                is_hot = False
                log.warning("envoy.hot_restart_failed", reason=str(error), instead="both serve until the former drains")
                await self._start(wanted, None)
        finally:
            if self.present is not former:
                self._see_off(former, wanted.settings, has_to_drain=not is_hot)

    async def _start(self, wanted: Wanted, parent: LivingEnvoy | None) -> None:
        """Start an Envoy, and take it as the present one once it serves. Raises DeliveryError."""
        number = living.next_number(self._folder)
        folder = self._folder / str(number)
        try:
            folder.mkdir(mode=0o700)
            resources = await asyncio.to_thread(wanted.at, self._place(folder))
            delivery = Delivery(folder, self._name, wanted.layer)
            put(folder, BOOTSTRAP, resources.bootstrap_file())
            delivery.write_all(resources, wanted.layer)
            self._open_telemetry(folder)
            process = start(
                self.binary,
                LivingEnvoy(number, folder, None),
                Command(options(wanted.settings), digest(resources.bootstrap), parent),
                self._loop,
                self._on_end,
            )
        except OSError as error:
            self._clear(folder)
            raise DeliveryError(f"Envoy cannot be started in {folder}: {error.strerror or error}") from error
        except DeliveryError:
            self._clear(folder)
            raise
        try:
            await wait_until_live(process.admin, lambda: process.has_ended)
        except UnconfirmedError as error:
            await end(process)
            reason = process.log.refusal
            process.close()
            self._clear(folder)
            raise DeliveryError(f"{error}: {reason or 'its log is above'}") from error
        self._take(process, delivery)
        log.info("envoy.ready", child_pid=process.pid, version=self.binary.version, generation=wanted.generation)
        await delivery.confirm_all(Confirmation(process.admin, lambda: process.log.refusal))

    def _take(self, process: EnvoyProcess, delivery: Delivery) -> None:
        """Have this Envoy as the present one. A former one is not touched."""
        self.present = process
        self._delivery = delivery
        if process.envoy.folder not in self._telemetry:
            self._open_telemetry(process.envoy.folder)

    def _place(self, folder: Path) -> EnvoyPlace:
        """Return the place of an Envoy whose working directory is its folder: so paths of sockets stay short."""
        return EnvoyPlace(str(folder), ADMIN_SOCKET, TELEMETRY_SOCKET, self._receiver_socket, system_ca())

    # Ending

    def _see_off(self, process: EnvoyProcess, settings: Settings, *, has_to_drain: bool = False) -> None:
        """Wait for the end of an Envoy that another one has replaced, in a task of its own."""
        task = self._loop.create_task(self._follow_to_its_end(process, settings.limits.drain_s, has_to_drain))
        task.set_name(f"leaving-{process.pid}")
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def _follow_to_its_end(self, process: EnvoyProcess, drain_s: float, has_to_drain: bool) -> None:
        try:
            if has_to_drain:
                await drain(process, time.monotonic() + drain_s, lambda: False)
            elif not await has_ended_within(process, drain_s + 2 * PARENT_GRACE_S):
                await end(process)
            log.info("envoy.left", child_pid=process.pid)
        finally:
            process.close()
            self._close_telemetry(process.envoy.folder)
        await asyncio.to_thread(living.remove_dead, self._folder)

    def _forget_present(self) -> None:
        if self.present is not None:
            self.present.close()
            self._close_telemetry(self.present.envoy.folder)
            self.present, self._delivery = None, None

    def _clear(self, folder: Path) -> None:
        self._close_telemetry(folder)
        living.remove_dead(self._folder)

    def _open_telemetry(self, folder: Path) -> None:
        try:
            self._telemetry[folder] = listener = listen_in(folder, TELEMETRY_SOCKET)
        except OSError as error:
            raise DeliveryError(f"cannot make a socket in {folder}: {error.strerror or error}") from error
        self._intake.serve(listener)

    def _close_telemetry(self, folder: Path) -> None:
        listener = self._telemetry.pop(folder, None)
        if listener is not None:
            self._intake.release(listener)
