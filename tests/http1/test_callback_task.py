"""A story is run by the events of its connection; nothing that happens is missed, and nothing is run twice."""

import asyncio
import sys

import pytest

from strangler.http1.callback_task import CallbackTask, Timer


def new_task() -> tuple[list[str], list[Exception], CallbackTask]:
    crashes: list[Exception] = []
    return [], crashes, CallbackTask(crashes.append)


def test_it_runs_to_its_first_wait_and_goes_on_when_woken() -> None:
    log, _, task = new_task()

    async def tell() -> None:
        for word in ("one", "two", "three"):
            log.append(word)
            await task

    task.begin(tell())
    assert log == ["one"]
    task.wake()
    assert log == ["one", "two"]
    task.wake()
    task.wake()
    assert (log, task.is_over) == (["one", "two", "three"], True)


def test_a_wake_while_it_runs_lets_it_look_again() -> None:
    log, _, task = new_task()

    async def tell() -> None:
        log.append("begun")
        task.wake()  # what it is about to wait for happens while it runs
        await task
        log.append("looked again")
        await task
        log.append("woken")

    task.begin(tell())
    assert log == ["begun", "looked again"]
    task.wake()
    assert log == ["begun", "looked again", "woken"]


def test_many_wakes_while_it_runs_count_as_one() -> None:
    log, _, task = new_task()

    async def tell() -> None:
        task.wake()
        task.wake()
        await task
        log.append("once")
        await task
        log.append("twice")

    task.begin(tell())
    assert log == ["once"]


def test_a_wake_before_it_begins_is_not_lost() -> None:
    log, _, task = new_task()

    async def tell() -> None:
        await task
        log.append("looked")

    task.wake()
    task.begin(tell())
    assert log == ["looked"]


def test_waits_within_awaited_coroutines_are_waits_of_the_story() -> None:
    log, _, task = new_task()

    async def inner() -> str:
        await task
        return "from within"

    async def tell() -> None:
        log.append(await inner())

    task.begin(tell())
    assert log == []
    task.wake()
    assert log == ["from within"]


def test_a_crash_is_told_once_and_ends_it() -> None:
    _, crashes, task = new_task()

    async def tell() -> None:
        await task
        raise RuntimeError("a bug")

    task.begin(tell())
    task.wake()
    task.wake()
    assert ([str(crash) for crash in crashes], task.is_over) == (["a bug"], True)


def test_two_stories_may_wake_each_other() -> None:
    log, _, first = new_task()
    second = CallbackTask(lambda crash: pytest.fail(str(crash)))

    async def run_first() -> None:
        await first
        log.append("first")
        second.wake()
        log.append("first goes on")

    async def run_second() -> None:
        await second
        log.append("second")
        first.wake()

    first.begin(run_first())
    second.begin(run_second())
    first.wake()
    assert log == ["first", "second", "first goes on"]


def test_thousands_of_waits_do_not_grow_the_stack() -> None:
    _, _, task = new_task()
    depths = set()

    async def tell() -> None:
        for _ in range(5000):
            depths.add(len(list(frames())))
            await task

    def frames() -> "list[object]":
        found, frame = [], sys._getframe()
        while frame is not None:
            found.append(frame)
            frame = frame.f_back  # type: ignore[assignment]
        return found

    task.begin(tell())
    while not task.is_over:
        task.wake()
    assert len(depths) <= 2  # `begin` and `wake` stand at different depths


async def test_an_alarm_wakes_and_says_so() -> None:
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    task = CallbackTask(lambda crash: pytest.fail(str(crash)))

    async def tell() -> None:
        timer = Timer(loop, task, 0.0004)  # below the loop's resolution
        while not timer.has_expired:
            await task
        over.set()

    task.begin(tell())
    await asyncio.wait_for(over.wait(), 10)


async def test_an_alarm_that_is_cancelled_stays_silent() -> None:
    loop = asyncio.get_running_loop()
    _, _, task = new_task()
    timer = Timer(loop, task, 0.001)
    timer.cancel()
    await asyncio.sleep(0.01)
    assert not timer.has_expired
