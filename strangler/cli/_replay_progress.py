"""The progress of a replay on standard error: a bar on a terminal, else a line every ten seconds."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from strangler.core.compare import Outcome
from strangler.replay.progress import ReplayProgress

BAR_EVERY_S: Final = 0.2
LINE_EVERY_S: Final = 10.0
_RATE_OVER_S: Final = 5.0
_BAR_WIDTH: Final = 24
_BEHIND_FROM_S: Final = 1.0
"""A request that is due is sent within milliseconds; less than this is no delay worth a word."""


class RateState:
    """Requests a second over the last few seconds."""

    def __init__(self, now: float) -> None:
        self._points: deque[tuple[float, int]] = deque([(now, 0)])

    def rate(self, now: float, sent: int) -> float:
        """Count what was sent until now, and return the rate."""
        self._points.append((now, sent))
        while len(self._points) > 2 and self._points[1][0] <= now - _RATE_OVER_S:
            self._points.popleft()
        began, before = self._points[0]
        return (sent - before) / (now - began) if now > began else 0.0


def share_done(progress: ReplayProgress) -> float:
    """Return the share of the recording that was replayed, 0.0 to 1.0: of what was read, up to 10,000 pairs wait."""
    if not progress.read:
        return 0.0
    done = progress.sent - progress.running + progress.left_out.total()
    return progress.share_read * max(0.0, min(1.0, done / progress.read))


def progress_text(progress: ReplayProgress, rate: float, elapsed_s: float) -> str:
    """Return `42 %, 1,204 sent, 310/s, 3 errors, 12 mismatches, 1:20 left`."""
    mismatches, errors = progress.outcomes[Outcome.MISMATCH], progress.faults.total()
    share = share_done(progress)
    parts = [f"{100 * share:.0f} %", f"{progress.sent:,} sent", _rate(rate)]
    parts += [f"{errors:,} error{'' if errors == 1 else 's'}"]
    parts += [f"{mismatches:,} mismatch{'' if mismatches == 1 else 'es'}"]
    if 0 < share < 1:
        parts.append(f"{_clock(elapsed_s / share - elapsed_s)} left")
    if progress.behind_s >= _BEHIND_FROM_S:
        parts.append(f"behind by {progress.behind_s:,.0f} s")
    return ", ".join(parts)


def _rate(rate: float) -> str:
    return f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@asynccontextmanager
async def progress_visible(
    progress: ReplayProgress, console: Console, line_every_s: float = LINE_EVERY_S
) -> AsyncIterator[None]:
    """Show the progress until the block ends."""
    is_terminal = console.is_terminal
    task = asyncio.create_task(_bar(progress, console) if is_terminal else _lines(progress, console, line_every_s))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _bar(progress: ReplayProgress, console: Console) -> None:
    text = _texts(progress)
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while True:
            live.update(_drawn(progress, text()), refresh=True)
            await asyncio.sleep(BAR_EVERY_S)


async def _lines(progress: ReplayProgress, console: Console, every_s: float) -> None:
    text = _texts(progress)
    while True:
        await asyncio.sleep(every_s)
        console.print(text(), markup=False, soft_wrap=True)


def _texts(progress: ReplayProgress) -> Callable[[], str]:
    started = time.monotonic()
    rates = RateState(started)

    def text() -> str:
        now = time.monotonic()
        return progress_text(progress, rates.rate(now, progress.sent), now - started)

    return text


def _drawn(progress: ReplayProgress, text: str) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    grid.add_row(ProgressBar(total=1.0, completed=share_done(progress), width=_BAR_WIDTH), Text(text))
    return grid
