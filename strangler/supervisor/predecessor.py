"""The supervisor before this one: it serves, makes way, and drains. The first supervisor has no predecessor."""

import os
import selectors
from collections.abc import Callable

from strangler import __version__
from strangler.ipc.messages import ProcessInfo
from strangler.ipc.start import SupervisorStart
from strangler.supervisor.peer import Message, Peer
from strangler.supervisor.phase import LifecycleState, Phase

LAST_WORDS_S = 5.0  # for the last messages that our predecessor's workers have sent to control


class Predecessor:
    """The connection to the predecessor, and what it leaves to us until it has ended. None counts as gone."""

    def __init__(
        self,
        start: SupervisorStart | None,
        is_same_folder: bool,
        life: LifecycleState,
        clock: Callable[[], float],
        on_change: Callable[[], object],
    ) -> None:
        """`on_change` is called when it has made way, and when it is gone."""
        self.workers: list[ProcessInfo] = []
        """Its draining workers, if they report to our control."""
        self.has_left_folder = start is None
        self.forget_due = float("inf")
        """The time after which none of its workers reports any more."""
        self.link_fd = _adopted_link(start, is_same_folder) if start is not None else None
        """The socket at which its workers report to our control, if they do."""
        self._is_same_folder = is_same_folder
        self._life = life
        self._clock = clock
        self._on_change = on_change
        self._has_refused = False
        self._peer = Peer.at(start.channel_fd) if start is not None else None

    @property
    def is_alive(self) -> bool:
        """True until it is gone."""
        return self._peer is not None and self._peer.is_open

    @property
    def shares_listeners(self) -> bool:
        """True if its workers accept at our sockets. After our failure it goes on, even if it has closed its end."""
        return self.is_alive or self._has_refused

    def watch(self, selector: selectors.BaseSelector) -> None:
        """Handle its messages, from the owner's loop."""
        if self._peer is not None:
            self._peer.watch(selector, self._on_message, self._on_gone)

    def say_ready(self, unwanted: tuple[int, ...]) -> None:
        """Report that it may make way. `unwanted`: descriptors of its sockets that we do not listen at."""
        self._send(ready=True, unwanted=unwanted, same_folder=self._is_same_folder)

    def say_serving(self) -> None:
        """Report that we are the proxy from now on."""
        self._send(serving=True)

    def say_failed(self, reason: str) -> None:
        """Report that it has to go on, and why."""
        if self.is_alive:
            self._has_refused = True
            self._send(failed=reason)

    def forget_if_due(self, now: float) -> bool:
        """Forget its workers once their last reports have been read; return True if it was time."""
        if now < self.forget_due:
            return False
        self.forget_due, self.workers = float("inf"), []
        if self.link_fd is not None:
            os.close(self.link_fd)
            self.link_fd = None
        return True

    def close(self) -> None:
        """Close the connection."""
        if self._peer is not None:
            self._peer.close()

    def _send(self, **message: object) -> None:
        if self._peer is not None:
            self._peer.send(**message)

    def _on_message(self, message: Message) -> None:
        if "yours" not in message or self._life.phase is not Phase.STANDBY:
            return
        if self.link_fd is not None:
            self.workers = [
                ProcessInfo("leaving", 0, worker["instance"], worker["pid"], worker["started"], 0)
                for worker in message["yours"]
            ]
        self.has_left_folder = True
        self._on_change()

    def _on_gone(self) -> None:
        """Take over what it held, since it has drained or was killed."""
        self.close()
        self.forget_due = self._clock() + LAST_WORDS_S
        if self._life.phase is Phase.STANDBY:
            self.has_left_folder = True
        self._on_change()


def _adopted_link(start: SupervisorStart, is_same_folder: bool) -> int | None:
    """Return its workers' socket to control, if version and folder are the same as ours; else close that."""
    if is_same_folder and start.version == __version__:
        return start.link_fd
    os.close(start.link_fd)
    return None
