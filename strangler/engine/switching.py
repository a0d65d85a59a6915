"""The kill switch at Envoy: written at once, confirmed, and forced through its admin listener if that fails."""

import asyncio
from itertools import islice
from typing import Final, Protocol
from urllib.parse import quote

import structlog

from strangler.engine.admin_socket import AdminError, AdminSocket
from strangler.engine.delivery import DeliveryError

RETRY_S: Final = 2.0
"""How long until the file is written again, after the switch had to be forced."""

_KEYS_AT_ONCE: Final = 100

log = structlog.get_logger()


class Switched(Protocol):
    """The Envoy whose runtime has the switch."""

    @property
    def admin(self) -> AdminSocket | None: ...
    @property
    def runtime(self) -> dict[str, object]: ...

    def write_runtime(self) -> None: ...
    async def confirm_runtime(self) -> None: ...


class Switching:
    """Brings each turn of the kill switch to Envoy, also where no file can be written."""

    def __init__(self, envoy: Switched) -> None:
        self._envoy = envoy
        self._turned = asyncio.Event()
        self._problem: OSError | None = None
        self._forced: set[str] = set()

    def turn(self) -> None:
        """Write the switch's present state. It acts within milliseconds; `run` makes sure of it."""
        try:
            self._envoy.write_runtime()
            self._problem = None
        except OSError as error:
            self._problem = error
        self._turned.set()

    async def run(self) -> None:
        """Confirm each turn, until cancelled."""
        while True:
            await self._turned.wait()
            self._turned.clear()
            while not await self._is_settled():  # noqa: ASYNC110 - it is tried again, not waited for
                await asyncio.sleep(RETRY_S)

    async def _is_settled(self) -> bool:
        """Confirm what was written; return False if it had to be forced, so that the file is still owed."""
        try:
            if self._problem is not None:
                self._envoy.write_runtime()
                self._problem = None
            await self._envoy.confirm_runtime()
            await self._unforce()
        except (OSError, DeliveryError, AdminError) as error:
            await self._force(str(error))
            return False
        return True

    async def _force(self, reason: str) -> None:
        """Set the runtime through the admin listener, whose layer is above that of the file."""
        runtime = {key: str(value) for key, value in self._envoy.runtime.items()}
        try:
            await self._modify(runtime)
            self._forced |= runtime.keys()
            log.warning("envoy.switch_forced", reason=reason)
        except AdminError as error:
            log.error("envoy.switch_unconfirmed", reason=reason, forced=str(error))

    async def _unforce(self) -> None:
        """Let the file's values count again."""
        if self._forced:
            await self._modify(dict.fromkeys(self._forced, ""))
            self._forced.clear()

    async def _modify(self, values: dict[str, str]) -> None:
        admin = self._envoy.admin
        if admin is None:
            return
        rest = iter(values.items())
        while pairs := list(islice(rest, _KEYS_AT_ONCE)):
            await admin.post(
                "/runtime_modify?" + "&".join(f"{quote(key, '')}={quote(value, '')}" for key, value in pairs)
            )
