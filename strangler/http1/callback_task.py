# Compiled with mypyc: see docs/hot-path.md.
"""A coroutine that the events of its connection step, without the event loop in between.

A client connection is served by one `async def` that reads top to bottom (`worker/handler.py`). In an asyncio task,
each of its waits would cost a future, a callback and a turn of the loop: 1.5 to 2 µs, twice a request. Here the
protocol callback resumes the coroutine itself, for 0.3 µs.

The rules are those of a condition variable: `wake` carries no value and says only "look again", so a waiter loops:

    while exchange.response is None and exchange.fault is None:
        await task

The coroutine awaits nothing else: no asyncio future may be awaited in it.
"""

import asyncio
from collections.abc import Callable, Coroutine, Generator


class CallbackTask:
    """Owns one coroutine: steps it when woken, and closes it when the connection is done with."""

    __slots__ = ("_coroutine", "_is_suspended", "_is_woken", "_on_crash")

    def __init__(self, on_crash: Callable[[Exception], None]) -> None:
        self._coroutine: Coroutine[None, None, None] | None = None
        self._is_suspended = False
        self._is_woken = False
        self._on_crash = on_crash

    def begin(self, coroutine: Coroutine[None, None, None]) -> None:
        """Run `coroutine` up to its first wait."""
        self._coroutine = coroutine
        self._step()

    def wake(self) -> None:
        """Let the coroutine look again: now if it waits, else as soon as it next would wait."""
        if self._is_suspended:
            self._is_suspended = False
            self._step()
        else:
            self._is_woken = True

    @property
    def is_over(self) -> bool:
        return self._coroutine is None

    def __await__(self) -> Generator[None, None, None]:
        if self._is_woken:
            self._is_woken = False
            return
        yield

    def _step(self) -> None:
        if self._coroutine is None:
            return
        try:
            self._coroutine.send(None)
        except StopIteration:
            self._coroutine = None
            self._on_crash = _ignore  # it was a method of the owner: kept, owner and task would be a cycle
        except Exception as crash:
            self._coroutine = None
            self._on_crash(crash)
        else:
            self._is_suspended = True


def _ignore(crash: Exception) -> None:
    """Ignore a crash: the task has ended."""


class Timer:
    """Wakes a task after `seconds`. The waiter looks at `has_expired`, not at a clock.

    Timers of the loop are rounded to milliseconds, so one may expire just before its time by the clock; a task that
    then went on waiting for that time would wait for ever.
    """

    __slots__ = ("_handle", "_task", "has_expired")

    def __init__(self, loop: asyncio.AbstractEventLoop, task: CallbackTask, seconds: float) -> None:
        self.has_expired = False
        self._task = task
        self._handle = loop.call_later(seconds, self._expire)

    def cancel(self) -> None:
        self._handle.cancel()

    def _expire(self) -> None:
        self.has_expired = True
        self._task.wake()
