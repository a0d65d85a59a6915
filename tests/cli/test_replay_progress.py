"""The progress of a replay: its text, its bar on a terminal, its lines elsewhere."""

import asyncio
import io
from collections import Counter

import pytest
from rich.console import Console

from strangler.cli._replay_progress import RateState, progress_text, progress_visible, share_done
from strangler.replay.progress import ReplayProgress


def progress(**more: object) -> ReplayProgress:
    made = ReplayProgress(share_read=0.42, read=1204, sent=1204)
    for name, value in more.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (progress(), "42 %, 1,204 sent, 310/s, 0 errors, 0 mismatches, 2:18 left"),
        (progress(outcomes=Counter(mismatch=1)), "42 %, 1,204 sent, 310/s, 0 errors, 1 mismatch, 2:18 left"),
        (progress(faults=Counter(connect=1)), "42 %, 1,204 sent, 310/s, 1 error, 0 mismatches, 2:18 left"),
        (progress(share_read=0.0), "0 %, 1,204 sent, 310/s, 0 errors, 0 mismatches"),
        (progress(share_read=1.0), "100 %, 1,204 sent, 310/s, 0 errors, 0 mismatches"),
        (progress(share_read=0.005), "0 %, 1,204 sent, 310/s, 0 errors, 0 mismatches, 5:31:40 left"),
        (progress(behind_s=0.4), "42 %, 1,204 sent, 310/s, 0 errors, 0 mismatches, 2:18 left"),
        (progress(behind_s=31.0), "42 %, 1,204 sent, 310/s, 0 errors, 0 mismatches, 2:18 left, behind by 31 s"),
    ],
    ids=["plain", "a mismatch", "an error", "not begun", "done", "hours", "on time", "late"],
)
def test_the_text_of_a_progress(made: ReplayProgress, text: str) -> None:
    assert progress_text(made, 310.4, 100.0) == text


@pytest.mark.parametrize(
    ("more", "share"),
    [
        ({"read": 0, "sent": 0}, 0.0),
        ({"read": 10_000, "sent": 100, "share_read": 1.0}, 0.01),
        ({"read": 1000, "sent": 520, "running": 20}, 0.21),
        ({"read": 1000, "sent": 500, "left_out": Counter({"a write": 500})}, 0.42),
        ({"read": 1000, "sent": 1000, "share_read": 1.0}, 1.0),
    ],
    ids=["nothing yet", "read ahead", "under way", "left out", "done"],
)
def test_what_is_read_ahead_is_not_done(more: dict[str, object], share: float) -> None:
    assert share_done(progress(**more)) == pytest.approx(share)


def test_a_low_rate_has_a_decimal() -> None:
    assert "0.3/s" in progress_text(progress(), 0.25 + 0.05, 1.0)


def test_the_rate_is_that_of_the_last_seconds() -> None:
    rates = RateState(100.0)
    assert rates.rate(100.0, 0) == 0.0
    assert rates.rate(102.0, 20) == 10.0
    for second in range(3, 60):
        rates.rate(100.0 + second, 20)
    assert rates.rate(160.0, 20) == 0.0


async def visible_on(console: Console, made: ReplayProgress, turns: int = 3, line_every_s: float = 10.0) -> None:
    async with progress_visible(made, console, line_every_s):
        for _ in range(turns):
            await asyncio.sleep(0)


async def test_a_terminal_has_a_bar_that_leaves_nothing_behind() -> None:
    sink = io.StringIO()
    await visible_on(Console(file=sink, force_terminal=True, width=100), progress())
    text = sink.getvalue()
    assert "42 %, 1,204 sent" in text
    assert "━" in text
    assert text.endswith("\x1b[2K"), "its line is cleared"
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1, "the cursor is back"


async def test_without_a_terminal_there_are_only_lines() -> None:
    sink = io.StringIO()
    await visible_on(Console(file=sink, width=1000), progress(sent=0, share_read=1.0), turns=10, line_every_s=0.0)
    lines = sink.getvalue().splitlines()
    assert lines
    assert set(lines) == {"0 %, 0 sent, 0.0/s, 0 errors, 0 mismatches"}
    assert "\x1b" not in sink.getvalue()


async def test_a_short_replay_prints_no_line() -> None:
    sink = io.StringIO()
    await visible_on(Console(file=sink, width=1000), progress())
    assert sink.getvalue() == ""
