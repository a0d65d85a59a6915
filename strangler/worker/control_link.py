"""The link from a worker to control, as the parts of a worker see it."""

from typing import Protocol

from strangler.ipc.messages import ToControl


class ControlLink(Protocol):
    """A link that sends a message if no waiting is needed; else the message is lost, and counted."""

    @property
    def is_connected(self) -> bool: ...

    def offer(self, message: ToControl) -> bool: ...


class NoLink:
    """A link that never has a connection."""

    is_connected = False

    def offer(self, message: ToControl) -> bool:
        """Return False: the message is lost."""
        return False


NO_LINK = NoLink()
