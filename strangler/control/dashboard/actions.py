"""What an operator can do on a page: turn the kill switch, and say what is known of a difference.

All of it is audited.
"""

import asyncio
import time
from collections.abc import Mapping
from sqlite3 import Connection
from typing import Any, Final

from strangler.control.dashboard.evidence import EvidenceState
from strangler.control.dashboard.pages import Control
from strangler.control.shadow.evidence import set_state
from strangler.control.shadow.reviews import ReviewError, accept_rule, write_rule
from strangler.control.store import StoreError

_MAX_TEXT = 400
_STATES: Final = ("known", "fixed", "accepted")


class ActionError(Exception):
    """Nothing was done; the message says why. `status` is that of the answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


async def turn(state: Control, on: bool, reason: str, who: str) -> None:
    """The kill switch. The switch comes first: a store that cannot be written costs the audit, never the switch."""
    if on and not reason:
        raise ActionError(400, "Say why: the reason is shown to everybody while the switch is on.")
    try:
        await state.turn_kill_switch(on, reason[:_MAX_TEXT])
    except OSError as error:
        raise ActionError(507, f"The state folder cannot be written: {error.strerror}.") from error
    await state.audit(who, "kill-switch", "", reason[:_MAX_TEXT], "on" if on else "off")


async def review(state: Control, evidence: EvidenceState, name: str, said: Mapping[str, str], who: str) -> None:
    """`said`: state, owner, why, until; empty where nothing was said. To accept writes a rule into routes.yaml."""
    word = said["state"]
    if word not in _STATES:
        raise ActionError(400, f"A difference can be {', '.join(_STATES)}.")
    owner, why, until = (said[key][:_MAX_TEXT] or None for key in ("owner", "why", "until"))
    row = await evidence.signature(state.store, state.settings, name)
    if row is None:
        raise ActionError(404, "There is no such difference.")
    if word == "accepted":
        await _accept(state, row, owner, until, why)

    def work(connection: Connection) -> bool:
        return set_state(connection, name, word, time.time(), owner=owner, why=why, until=until)

    try:
        is_done = await state.store.call(work)
    except StoreError as error:
        raise ActionError(507, f"The store cannot be written: {error}.") from error
    finally:
        evidence.forget()
    if not is_done:
        raise ActionError(404, "There is no such difference any more.")
    await state.audit(who, word, row["route"], why or "", f"{row['id']} {row['in']} {row['path'] or ''} {row['kind']}")


async def _accept(
    state: Control, row: Mapping[str, Any], owner: str | None, until: str | None, why: str | None
) -> None:
    if why is None:
        raise ActionError(400, "Say why it is allowed: the reason is kept in routes.yaml.")
    reload = state.reload
    try:
        rule = accept_rule(row, owner, until, why)
        await asyncio.to_thread(write_rule, reload.path, reload.environ, row["route"], rule)
    except ReviewError as error:
        raise ActionError(409, f"Nothing was changed: {error}.") from error
