"""The control process, and the supervisor's channel to it."""

import selectors
import signal
import socket
from collections.abc import Callable

import structlog

from strangler.ipc.channel import Channel
from strangler.ipc.messages import FrameError, FromSupervisor, ToSupervisor
from strangler.supervisor.phase import LifecycleState, Phase
from strangler.supervisor.places import PlaceState

log = structlog.get_logger()


class ControlProcess:
    """The owner of control's place and of our end of the channel."""

    def __init__(
        self, life: LifecycleState, selector: selectors.BaseSelector, on_message: Callable[[ToSupervisor], object]
    ) -> None:
        self.place = PlaceState("control", 0)
        self._life = life
        self._selector = selector
        self._on_message = on_message
        self._channel: Channel | None = None

    @property
    def is_connected(self) -> bool:
        """True if there is a channel."""
        return self._channel is not None

    def connect(self, ours: socket.socket) -> None:
        """Open the channel to a new control process."""
        self.disconnect()
        self._channel = Channel(ours, self._selector, self._on_ready)

    def send(self, message: FromSupervisor) -> None:
        """Send a message, if there is a channel."""
        if self._channel is not None:
            self._channel.send(message)

    def disconnect(self) -> None:
        """Close the channel, if there is one."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def stay(self, now: float) -> None:
        """Keep control after all, or start it again if it has ended."""
        self.place.is_leaving = False
        if self.place.process is None:
            self.place.due = now

    def _on_ready(self, events: int) -> None:
        if self._channel is None:
            return
        try:
            messages = self._channel.turn(events)
        except (EOFError, FrameError) as error:  # without this channel control is useless: have it replaced
            log.debug("control.channel_lost", reason=str(error))
            self.disconnect()
            if self._life.phase is Phase.RUNNING and not self.place.is_leaving:
                self.place.signal(signal.SIGKILL)
            return
        for message in messages:
            self._on_message(message)
