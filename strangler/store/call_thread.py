"""Threads that run calls one after another, in the order in which they were made. They never hold up the end of the
process, and what waits for them is bounded."""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final, TypeVar

MAX_WAITING: Final = 200
"""The most calls that wait for a thread."""

_T = TypeVar("_T")


class CrowdedError(Exception):
    """Too many calls wait already, or the threads have ended."""


class CallThreads:
    """Daemon threads for calls of one kind. Each call gets the thread's own state, made by `state`."""

    def __init__(self, name: str, count: int, state: Callable[[], Any], end: Callable[[Any], None]) -> None:
        self._waiting: queue.Queue[tuple[Callable[[Any], Any], Future[Any]] | None] = queue.Queue(MAX_WAITING)
        self._state = state
        self._end = end
        self._threads = [
            threading.Thread(target=self._run, name=f"{name}-{number}", daemon=True) for number in range(count)
        ]
        self._is_started = self._is_closed = False

    def submit(self, work: Callable[[Any], _T]) -> "Future[_T]":
        """Have `work` run with a thread's state. Raises CrowdedError."""
        if self._is_closed:
            raise CrowdedError("it is closed")
        if not self._is_started:
            self._is_started = True
            for thread in self._threads:
                thread.start()
        future: Future[_T] = Future()
        try:
            self._waiting.put_nowait((work, future))
        except queue.Full:
            raise CrowdedError(f"{MAX_WAITING} calls wait for it already") from None
        return future

    def close(self, timeout_s: float) -> None:
        """Run what waits, and end the threads; one that hangs is left to itself after a time."""
        self._is_closed = True
        if not self._is_started:
            return
        for _ in self._threads:
            try:
                self._waiting.put(None, timeout=timeout_s)
            except queue.Full:
                return
        for thread in self._threads:
            thread.join(timeout_s)

    def _run(self) -> None:
        state = self._state()
        while (call := self._waiting.get()) is not None:
            work, future = call
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(work(state))
            except BaseException as error:
                future.set_exception(error)
            del call, work, future  # what a call holds goes with it
        self._end(state)
