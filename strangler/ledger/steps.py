"""Work in steps of some milliseconds: a generator that yields after each, run at once or with pauses."""

import asyncio
from collections.abc import Generator
from typing import TypeVar

_T = TypeVar("_T")


def at_once(steps: Generator[None, None, _T]) -> _T:
    """Run all steps, and return what they return."""
    while True:
        try:
            next(steps)
        except StopIteration as ended:
            found: _T = ended.value
            return found


async def with_pauses(steps: Generator[None, None, _T]) -> _T:
    """Run steps with a pause between them, in which others may run. If it is cancelled, it ends after the last step."""
    cancelled: asyncio.CancelledError | None = None
    while True:
        try:
            next(steps)
        except StopIteration as ended:
            if cancelled is not None:
                raise cancelled from None
            found: _T = ended.value
            return found
        if cancelled is None:
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError as error:
                cancelled = error
