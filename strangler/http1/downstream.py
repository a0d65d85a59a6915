# Compiled with mypyc: see docs/hot-path.md.
"""The party that an upstream exchange is made for: a client connection, or one part of an aggregate."""

import asyncio

from strangler.core.http.headers import ForwardedFields
from strangler.core.http.problem import Problem
from strangler.http1.callback_task import CallbackTask
from strangler.http1.response import ResponseHead
from strangler.http1.write_batch import WriteBatch


class Downstream:
    """A client connection, or one part of an aggregate: it has a task to wake, and a deadline."""

    __slots__ = ("deadline", "forwarded", "loop", "task", "write_batch")

    deadline: float
    """Monotonic seconds; `expire` is called some time after it."""
    forwarded: ForwardedFields
    loop: asyncio.AbstractEventLoop
    write_batch: WriteBatch
    task: CallbackTask

    def expire(self, now: float) -> None:
        """End what has passed its deadline."""
        raise NotImplementedError

    def pass_interim(self, response: ResponseHead) -> None:
        """Pass a 1xx on."""
        raise NotImplementedError


class ClientSide(Downstream):
    """A client connection, as tunnels and the worker's `ServerState` see it."""

    __slots__ = ("transport",)

    transport: asyncio.Transport

    @property
    def is_closed(self) -> bool:
        """True once the connection is lost."""
        raise NotImplementedError

    @property
    def is_idle(self) -> bool:
        """True while no request is under way."""
        raise NotImplementedError

    def pause_reading(self) -> None:
        """Stop reading for now."""
        raise NotImplementedError

    def resume_reading(self) -> None:
        """Continue reading."""
        raise NotImplementedError

    def refuse(self, refusal: Problem) -> None:
        """Respond with a problem instead of serving what comes, and close."""
        raise NotImplementedError

    def give_way(self) -> None:
        """Close an idle connection, because another connection needs its place."""
        raise NotImplementedError

    def go_away(self) -> None:
        """Close as soon as no request is under way."""
        raise NotImplementedError

    def abort(self) -> None:
        """Close at once; what was not sent is lost."""
        raise NotImplementedError
