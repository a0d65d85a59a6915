"""The receivers of a control process: one for the proxies of others, and one for the Envoy of this node."""

from dataclasses import dataclass

from strangler.control.receiver.server import ReceiverServer


@dataclass(frozen=True, slots=True)
class Receivers:
    """The receivers that there are; None: there is none."""

    of_others: ReceiverServer | None
    of_envoy: ReceiverServer | None

    @property
    def all(self) -> tuple[ReceiverServer, ...]:
        """The receivers that there are, as a list."""
        return tuple(each for each in (self.of_others, self.of_envoy) if each is not None)
