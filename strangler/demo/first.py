"""Run several jobs at once until the first of them ends."""

import asyncio
from collections.abc import Coroutine
from typing import Any


async def first_of(*jobs: Coroutine[Any, Any, object], timeout_s: float | None = None) -> bool:
    """Run the jobs until one ends, then cancel the others. Return False if none ended in time.

    Raises what that job raised.
    """
    tasks = [asyncio.create_task(job) for job in jobs]
    try:
        done, _ = await asyncio.wait(tasks, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
    return bool(done)
