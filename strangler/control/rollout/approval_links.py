"""Links that approve a step of a rollout. They are in the events that the webhook gets, and nowhere else.

Nothing signed is stored or logged: a link is made when its event is delivered, and whether it is spent is read from the
position that it is for.
"""

import asyncio
import secrets
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import structlog
from msgspec import Struct

from strangler.control.reload import InForce
from strangler.control.rollout import approval_token
from strangler.control.rollout.approval_token import LASTS_S, Approval
from strangler.core.documents import EventDocument
from strangler.core.rollout.position import Position, awaits
from strangler.core.settings import AdminSettings
from strangler.state.files import APPROVAL_KEY, kept_key
from strangler.state.running import read_running
from strangler.store.events.event import Kind

PATH: Final = "/rollouts/approve"

_MARKER: Final = Kind.ROLLOUT_WAITING.value.encode()
_EVERY_ADDRESS: Final = frozenset({"0.0.0.0", "[::]"})

log = structlog.get_logger()


class _Waiting(Struct, frozen=True):
    """The part of an event's data that a link needs."""

    waits_for: str
    group: str
    to: float
    at: float


class ApprovalLinks:
    """Makes and reads links. The key is made when the first one is needed."""

    def __init__(self, folder: Path, admin: AdminSettings, check_keys: Callable[[], object] = lambda: None) -> None:
        """`check_keys` raises OSError while the key in the folder is not to be used."""
        self.admin = admin
        self._check_keys = check_keys
        self._folder = folder
        self._key: bytes | None = None
        self._reading = asyncio.Lock()
        self._problem: str | None = None

    def adopt(self, in_force: InForce) -> None:
        """Begin links as these settings say, from now on."""
        self.admin = in_force.settings.admin

    async def read(self, token: str, now: float) -> Approval:
        """Return what a token approves. Raises LinkError, and OSError if the key cannot be read.

        No key is made here: nothing can have been signed with one that is not there.
        """
        is_kept = self._key is not None or await asyncio.to_thread((self._folder / APPROVAL_KEY).exists)
        return approval_token.read(await self._kept_key() if is_kept else secrets.token_bytes(32), token, now)

    async def decorated(self, body: bytes) -> bytes:
        """Return an event with `approve_url` in its data, if a rollout waits for an approval by it; else as it is.

        Without a usable key it goes out without a link: what it says is worth more than the link.
        """
        if _MARKER not in body:
            return body
        event = msgspec.json.decode(body, type=EventDocument)
        approval = _approval_of(event)
        if approval is None:
            return body
        try:
            url = await self.url(approval)
        except OSError as error:
            self._note(error.strerror)
            return body
        self._note(None)
        return msgspec.json.encode(msgspec.structs.replace(event, data={**event.data, "approve_url": url}))

    async def url(self, approval: Approval) -> str:
        """Return the link. Raises OSError without a usable key."""
        token = approval_token.sign(await self._kept_key(), approval)
        running = None if self.admin.url else await asyncio.to_thread(read_running, self._folder)
        base = link_base(self.admin, None if running is None else running.admin, socket.gethostname())
        return f"{base}{PATH}?token={token}"

    async def _kept_key(self) -> bytes:
        async with self._reading:
            if self._key is None:
                self._check_keys()
                self._key = await asyncio.to_thread(kept_key, self._folder / APPROVAL_KEY)
            return self._key

    async def take_key(self) -> None:
        """Read the key again when it is needed, since another one may be in the folder."""
        self._key = None

    def _note(self, problem: str | None) -> None:
        if problem is not None and problem != self._problem:
            way_out = f"make {APPROVAL_KEY} in the state folder writable"
            log.warning("rollout.link_failed", reason=problem, way_out=way_out)
        self._problem = problem


def is_pending(position: Position | None, approval: Approval) -> bool:
    """Return whether exactly the announcement that a link was made for still waits: its percent, and its time."""
    return position is not None and awaits(position, approval.percent, approval.at)


def link_base(admin: AdminSettings, listening: str | None, host_name: str) -> str:
    """Return the beginning of links: `admin.url`, else made of the address at which the admin listener is.

    `listening`: its actual address; None: not known. An address that stands for all of them is no name to go to, so
    `host_name` takes its place.
    """
    if admin.url is not None:
        return admin.url
    host, _, port = (listening or str(admin.listen)).rpartition(":")
    scheme = "http" if admin.tls is None else "https"
    return f"{scheme}://{host_name if host in _EVERY_ADDRESS else host}:{port}"


def _approval_of(event: EventDocument) -> Approval | None:
    if event.type != Kind.ROLLOUT_WAITING:
        return None
    try:
        data = msgspec.convert(event.data, type=_Waiting)
    except msgspec.ValidationError:  # an event of another version of this program
        return None
    if data.waits_for != "approve":
        return None
    return Approval(data.group, data.to, data.at, data.at + LASTS_S)
