"""Envoy's word on the files that it follows: which versions it has loaded, and whether it has refused one."""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from strangler.engine.admin_socket import AdminError, AdminSocket

CONFIRM_TIMEOUT_S: Final = 60.0
"""2,000 routes take 0.6 s on a free core."""

LIVE_TIMEOUT_S: Final = 60.0
"""Clusters whose names cannot be resolved delay the start by some seconds."""

_FIRST_PAUSE_S: Final = 0.002
_LONGEST_PAUSE_S: Final = 0.1
_REASON_LOOKS: Final = 250

CLUSTERS: Final = r"cluster_manager\.cds"
LISTENERS: Final = r"listener_manager\.lds"
ROUTES: Final = r"http\..*\.rds\.routes"
RUNTIME: Final = "runtime"


class RefusedError(Exception):
    """Envoy has refused a file; the message says why."""


class UnconfirmedError(Exception):
    """Envoy has neither taken nor refused a file in time, or does not respond."""


@dataclass(frozen=True, slots=True)
class FileStatus:
    """The versions of files of one kind, and how many Envoy has refused, by its statistics."""

    versions: frozenset[str] = frozenset()
    refusals: int = 0


@dataclass(slots=True)
class Confirmation:
    """The wait for Envoy's word. `reason` returns the line of its log that says why it has refused something."""

    admin: AdminSocket
    reason: Callable[[], str | None]
    timeout_s: float = CONFIRM_TIMEOUT_S

    async def seen(self, kind: str) -> FileStatus:
        """Return what Envoy says now about the files of a kind. Raises AdminError."""
        pattern = rf"^{kind}\.(version_text|update_rejected|update_failure)$"
        return parsed((await self.admin.get(f"/stats?filter={quote(pattern, safe='')}")).decode(errors="replace"))

    async def wait(self, kind: str, version: Callable[[], str], before: FileStatus) -> None:
        """Return once all of that kind have the version that is wanted then. Raises RefusedError or UnconfirmedError.

        `before` is what was seen before the file was written. Where nothing of the kind is followed yet, as routes
        without a listener, there is nothing to wait for.
        """
        deadline = time.monotonic() + self.timeout_s
        pause_s = _FIRST_PAUSE_S
        problem = "it goes on with the files before"
        while time.monotonic() < deadline:
            try:
                seen = await self.seen(kind)
            except AdminError as error:
                problem = str(error)
            else:
                if seen.versions <= {version()} and (seen.versions or kind == ROUTES):
                    return
                if seen.refusals > before.refusals:
                    raise RefusedError(await self._why())
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
        raise UnconfirmedError(f"Envoy has not confirmed the new files within {self.timeout_s:.0f} s: {problem}")

    async def _why(self) -> str:
        """Return the line of the log, which may come a moment after the statistics."""
        for _ in range(_REASON_LOOKS):
            if self.reason() is None:
                await asyncio.sleep(_FIRST_PAUSE_S)
        return self.reason() or "its log does not say why"


async def wait_until_live(admin: AdminSocket, has_ended: Callable[[], bool], timeout_s: float = LIVE_TIMEOUT_S) -> None:
    """Return once Envoy serves. Raises UnconfirmedError."""
    deadline = time.monotonic() + timeout_s
    pause_s = _FIRST_PAUSE_S
    while time.monotonic() < deadline:
        if has_ended():
            raise UnconfirmedError("Envoy has ended before it served")
        if await is_live(admin):
            return
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
    raise UnconfirmedError(f"Envoy does not serve after {timeout_s:.0f} s")


async def is_live(admin: AdminSocket) -> bool:
    """Return whether Envoy responds, and serves."""
    try:
        return bool(json.loads(await admin.get("/server_info")).get("state") == "LIVE")
    except (AdminError, ValueError):
        return False


def parsed(text: str) -> FileStatus:
    """Read lines of `/stats`: `http.clients.rds.routes.version_text: "5"`, `runtime.update_rejected: 0`."""
    versions: set[str] = set()
    refusals = 0
    for line in text.splitlines():
        name, _, value = line.partition(": ")
        if name.endswith(".version_text"):
            versions.add(value.strip().strip('"'))
        elif value.strip().isdecimal():
            refusals += int(value)
    return FileStatus(frozenset(versions), refusals)
