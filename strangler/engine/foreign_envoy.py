"""The files for an Envoy that somebody else runs beside this process, as another container of a pod."""

import asyncio
import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import structlog

from strangler.engine.admin_socket import AdminError, AdminSocket
from strangler.engine.binary import version_text
from strangler.engine.confirmation import Confirmation
from strangler.engine.delivery import Delivery, DeliveryError
from strangler.engine.living import ADMIN_SOCKET
from strangler.engine.own_envoy import TELEMETRY_SOCKET, Intake
from strangler.engine.rendering import Wanted
from strangler.engine.sockets_in_folders import listen_in
from strangler.engine.written_files import put
from strangler.envoy.place import EnvoyPlace
from strangler.envoy.resources import BOOTSTRAP, EnvoyResources

UNHEARD: Final = "no Envoy responds at {}; start one with `envoy -c {}`"
RESTART_NEEDED: Final = "restart the Envoy that follows {}: its bootstrap has changed"

log = structlog.get_logger()


class ForeignEnvoy:
    """The owner of the folder that the other Envoy follows. It is neither started nor ended from here."""

    def __init__(self, folder: Path, name: str, receiver_socket: str, intake: Intake) -> None:
        """`name` is that of no other process."""
        self.admin = AdminSocket(folder / ADMIN_SOCKET)
        self.problem: str | None = None
        """The thing that somebody has to do about that Envoy; None: nothing."""
        self._folder = folder
        self._name = name
        self._receiver_socket = receiver_socket
        self._intake = intake
        self._telemetry: socket.socket | None = None
        self._delivery: Delivery | None = None
        self._version = ""

    @property
    def version(self) -> str:
        """The version of the Envoy that was heard last; empty: none was."""
        return self._version

    @property
    def pid(self) -> int | None:
        """None: its process may be in another container."""
        return None

    @property
    def has_died(self) -> bool:
        """False: whoever runs it starts it again."""
        return False

    async def adopt(self, wanted: Wanted) -> bool:
        """Begin to write files, and to read access records. Raises DeliveryError."""
        self._delivery = Delivery(self._folder, self._name, wanted.layer)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._telemetry = listen_in(self._folder, TELEMETRY_SOCKET)
        except OSError as error:
            raise DeliveryError(f"--envoy-files: cannot write in {self._folder}: {error.strerror or error}") from error
        self._intake.serve(self._telemetry)
        return True

    async def restart(self, wanted: Wanted) -> None:
        """Do as `bring`: there is nothing to start."""
        await self.bring(wanted)

    async def bring(self, wanted: Wanted) -> None:
        """Write settings; if an Envoy follows them, return once it has taken them. Raises DeliveryError."""
        assert self._delivery is not None
        resources = await asyncio.to_thread(wanted.at, self._place())
        is_heard = await self._uptime_s() is not None
        self._put_bootstrap(resources)
        if is_heard:
            await self._delivery.deliver(resources, wanted.layer, self.confirmation)
        else:
            self._delivery.write_all(resources, wanted.layer)
        await self.look()

    async def look(self) -> None:
        """Note whether an Envoy responds, and whether it has the present bootstrap."""
        before = self.problem
        uptime_s = await self._uptime_s()
        if uptime_s is None:
            self.problem = UNHEARD.format(self._folder / ADMIN_SOCKET, self._folder / BOOTSTRAP)
        elif time.time() - self._bootstrap_written() < uptime_s:
            self.problem = RESTART_NEEDED.format(self._folder)
        else:
            self.problem = None
        if self.problem is not None and self.problem != before:
            log.warning("envoy.needs_attention", problem=self.problem)

    @property
    def confirmation(self) -> Confirmation:
        """The wait for its word. Why it refuses a file stands in its own log alone."""
        return Confirmation(self.admin, lambda: "its log says why")

    def write_runtime(self) -> None:
        """Write the kill switch's state at once. Raises OSError."""
        if self._delivery is not None:
            self._delivery.write_runtime()

    async def confirm_runtime(self) -> None:
        """Return once Envoy has taken it; at once if none is heard. Raises DeliveryError."""
        if self._delivery is not None and await self._uptime_s() is not None:
            await self._delivery.confirm_runtime(self.confirmation)

    @property
    def runtime(self) -> dict[str, Any]:
        """The runtime that Envoy should have."""
        return {} if self._delivery is None else self._delivery.runtime

    async def end(self, until: float, is_interrupted: Callable[[], bool]) -> bool:
        """Leave that Envoy running, and its files."""
        await self.let_go()
        return True

    async def let_go(self) -> None:
        """Read no more access records."""
        if self._telemetry is not None:
            self._intake.release(self._telemetry)
            self._telemetry = None

    async def _uptime_s(self) -> float | None:
        """Return how long that Envoy runs; None if none responds, or it does not serve yet."""
        try:
            info = json.loads(await self.admin.get("/server_info"))
        except (AdminError, ValueError):
            return None
        self._version = version_text(str(info.get("version", "")))
        return float(str(info.get("uptime_current_epoch", "0s")).rstrip("s")) if info.get("state") == "LIVE" else None

    def _bootstrap_written(self) -> float:
        try:
            return (self._folder / BOOTSTRAP).stat().st_mtime
        except OSError:
            return 0.0

    def _put_bootstrap(self, resources: EnvoyResources) -> None:
        """Write the bootstrap if it has changed: its date says since when an Envoy needs a restart."""
        content = resources.bootstrap_file()
        path = self._folder / BOOTSTRAP
        try:
            if not path.exists() or path.read_bytes() != content:
                put(self._folder, BOOTSTRAP, content)
        except OSError as error:
            raise DeliveryError(f"--envoy-files: cannot write in {self._folder}: {error.strerror or error}") from error

    def _place(self) -> EnvoyPlace:
        """Return the place of an Envoy whose working directory is not known."""
        folder = self._folder
        return EnvoyPlace(
            str(folder), str(folder / ADMIN_SOCKET), str(folder / TELEMETRY_SOCKET), self._receiver_socket
        )
