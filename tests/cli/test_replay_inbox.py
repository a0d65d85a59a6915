"""Findings on their way into the inbox: in batches, never waited for, and what is lost is said once and counted."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

import click
import pytest

from strangler.cli._replay_inbox import MAX_BATCH, MAX_BATCH_BYTES, MAX_WAITING_BYTES, TOO_SLOW, InboxBatches
from strangler.core.documents import ReplayInbox
from strangler.store.evidence.findings import Finding
from tests.store.evidence.pairs import match


class Store:
    """A store that fails while it is away."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.is_away = False

    def __call__(self, findings: Sequence[Finding]) -> None:
        if self.is_away:
            raise click.ClickException("no proxy responds")
        self.batches.append(len(findings))


async def through(inbox: InboxBatches, *findings: Finding) -> ReplayInbox:
    for finding in findings:
        inbox.add(finding)
    inbox.end()
    await inbox.run()
    return inbox.result()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.01)


def inbox_of(store: Callable[[Sequence[Finding]], object]) -> tuple[InboxBatches, list[str]]:
    lines: list[str] = []
    return InboxBatches(store, lines.append), lines


async def test_all_are_stored_in_batches() -> None:
    store = Store()
    inbox, lines = inbox_of(store)
    assert await through(inbox, *[match()] * (2 * MAX_BATCH + 1)) == ReplayInbox(2 * MAX_BATCH + 1, 0, None)
    assert store.batches == [MAX_BATCH, MAX_BATCH, 1]
    assert lines == []


async def test_a_batch_is_bounded_in_bytes_and_has_one_at_least() -> None:
    store = Store()
    inbox, _ = inbox_of(store)
    large = replace(match(), sample=b"x" * (MAX_BATCH_BYTES + 1))
    small = replace(match(), sample=b"x" * (MAX_BATCH_BYTES // 2))
    await through(inbox, large, large, small, small, match())
    assert store.batches == [1, 1, 1, 2]


async def test_nothing_is_stored_of_an_empty_replay() -> None:
    store = Store()
    inbox, _ = inbox_of(store)
    assert await through(inbox) == ReplayInbox(0, 0, None)
    assert store.batches == []


async def test_a_failure_is_said_once_and_the_next_batch_is_tried() -> None:
    store = Store()
    inbox, lines = inbox_of(store)
    running = asyncio.create_task(inbox.run())
    store.is_away = True
    for _ in range(MAX_BATCH + 1):
        inbox.add(match())
    await until(lambda: inbox.result().not_stored > MAX_BATCH)
    store.is_away = False
    inbox.add(match())
    inbox.end()
    await running
    assert inbox.result() == ReplayInbox(1, MAX_BATCH + 1, "no proxy responds")
    assert lines == ["findings are not put into the inbox: no proxy responds; the replay goes on"]


async def test_what_waits_is_bounded() -> None:
    store = Store()
    inbox, lines = inbox_of(store)
    large = replace(match(), sample=b"x" * (MAX_WAITING_BYTES // 3))
    assert await through(inbox, *[large] * 5) == ReplayInbox(2, 3, TOO_SLOW)
    assert lines == [f"findings are not put into the inbox: {TOO_SLOW}; the replay goes on"]


async def test_a_bug_in_the_store_is_no_lost_batch() -> None:
    def store(_: Sequence[Finding]) -> None:
        raise ZeroDivisionError

    inbox, _ = inbox_of(store)
    with pytest.raises(ZeroDivisionError):
        await through(inbox, match())
