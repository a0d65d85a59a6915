"""Whom an exchange is for."""

from typing import TYPE_CHECKING

from strangler.core.headers import ForwardedFields
from strangler.wire.response import Answer
from strangler.wire.story import Story

if TYPE_CHECKING:
    from strangler.wire.port import ClientPort


class Asker:
    """A client's connection, or one part of an aggregate: it has a story to wake, and a deadline."""

    __slots__ = ("deadline", "forwarded", "port", "story")

    deadline: float
    """Monotonic seconds; `expire` is called some time after it."""
    forwarded: ForwardedFields
    port: "ClientPort"
    story: Story

    def expire(self, now: float) -> None:
        """The deadline has passed."""
        raise NotImplementedError

    def pass_interim(self, answer: Answer) -> None:
        """A 1xx has come."""
        raise NotImplementedError
