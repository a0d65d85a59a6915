"""A story is run by the events of its connection; nothing that happens is missed, and nothing is run twice."""

import asyncio
import sys

import pytest

from strangler.http1.story import Alarm, Story


def told() -> tuple[list[str], list[Exception], Story]:
    crashes: list[Exception] = []
    return [], crashes, Story(crashes.append)


def test_it_runs_to_its_first_wait_and_goes_on_when_woken() -> None:
    said, _, story = told()

    async def tell() -> None:
        for word in ("one", "two", "three"):
            said.append(word)
            await story

    story.begin(tell())
    assert said == ["one"]
    story.wake()
    assert said == ["one", "two"]
    story.wake()
    story.wake()
    assert (said, story.is_over) == (["one", "two", "three"], True)


def test_a_wake_while_it_runs_lets_it_look_again() -> None:
    said, _, story = told()

    async def tell() -> None:
        said.append("begun")
        story.wake()  # what it is about to wait for happens while it runs
        await story
        said.append("looked again")
        await story
        said.append("woken")

    story.begin(tell())
    assert said == ["begun", "looked again"]
    story.wake()
    assert said == ["begun", "looked again", "woken"]


def test_many_wakes_while_it_runs_count_as_one() -> None:
    said, _, story = told()

    async def tell() -> None:
        story.wake()
        story.wake()
        await story
        said.append("once")
        await story
        said.append("twice")

    story.begin(tell())
    assert said == ["once"]


def test_a_wake_before_it_begins_is_not_lost() -> None:
    said, _, story = told()

    async def tell() -> None:
        await story
        said.append("looked")

    story.wake()
    story.begin(tell())
    assert said == ["looked"]


def test_waits_within_awaited_coroutines_are_waits_of_the_story() -> None:
    said, _, story = told()

    async def inner() -> str:
        await story
        return "from within"

    async def tell() -> None:
        said.append(await inner())

    story.begin(tell())
    assert said == []
    story.wake()
    assert said == ["from within"]


def test_a_crash_is_told_once_and_ends_it() -> None:
    _, crashes, story = told()

    async def tell() -> None:
        await story
        raise RuntimeError("a bug")

    story.begin(tell())
    story.wake()
    story.wake()
    assert ([str(crash) for crash in crashes], story.is_over) == (["a bug"], True)


def test_two_stories_may_wake_each_other() -> None:
    said, _, first = told()
    second = Story(lambda crash: pytest.fail(str(crash)))

    async def tell_first() -> None:
        await first
        said.append("first")
        second.wake()
        said.append("first goes on")

    async def tell_second() -> None:
        await second
        said.append("second")
        first.wake()

    first.begin(tell_first())
    second.begin(tell_second())
    first.wake()
    assert said == ["first", "second", "first goes on"]


def test_thousands_of_waits_do_not_grow_the_stack() -> None:
    _, _, story = told()
    depths = set()

    async def tell() -> None:
        for _ in range(5000):
            depths.add(len(list(frames())))
            await story

    def frames() -> "list[object]":
        found, frame = [], sys._getframe()
        while frame is not None:
            found.append(frame)
            frame = frame.f_back  # type: ignore[assignment]
        return found

    story.begin(tell())
    while not story.is_over:
        story.wake()
    assert len(depths) <= 2  # `begin` and `wake` stand at different depths


async def test_an_alarm_wakes_and_says_so() -> None:
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    story = Story(lambda crash: pytest.fail(str(crash)))

    async def tell() -> None:
        alarm = Alarm(loop, story, 0.0004)  # below the loop's resolution
        while not alarm.has_rung:
            await story
        over.set()

    story.begin(tell())
    await asyncio.wait_for(over.wait(), 10)


async def test_an_alarm_that_is_cancelled_stays_silent() -> None:
    loop = asyncio.get_running_loop()
    _, _, story = told()
    alarm = Alarm(loop, story, 0.001)
    alarm.cancel()
    await asyncio.sleep(0.01)
    assert not alarm.has_rung
