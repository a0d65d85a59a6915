"""The kill switch of this node: its file in the state folder, and the parts that follow it."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from strangler.control.links import LinksState
from strangler.state import kill_switch
from strangler.state.kill_switch import KillSwitchState


class KillSwitchListener(Protocol):
    """A part that follows the kill switch."""

    def turned(self, kill_switch: KillSwitchState) -> None: ...


class KillSwitchKeeper:
    """Puts states of the kill switch in force. `turning` is held from reading the state to putting the next one."""

    def __init__(self, folder: Path, links: LinksState, listeners: Sequence[KillSwitchListener]) -> None:
        self.turning = asyncio.Lock()
        self._folder = folder
        self._links = links
        self._listeners = listeners

    @property
    def state(self) -> KillSwitchState:
        """The state in force."""
        return self._links.kill_switch

    async def put(self, state: KillSwitchState) -> None:
        """Write a state to the state folder, then send it to all workers. Raises OSError; nothing changes then."""
        await asyncio.to_thread(kill_switch.write, self._folder, state)
        self.follow(state)

    def follow(self, state: KillSwitchState) -> None:
        """Send a state to all workers and to all that follow it, without a word in the file."""
        for listener in self._listeners:
            listener.turned(state)
