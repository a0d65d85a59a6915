"""The demo of a rollout: orders climb by themselves, and come back when the visitor breaks the candidate."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from time import time
from typing import Final

import msgspec
from aiohttp import ClientError, ClientSession, ClientTimeout

from strangler.core.documents import ProblemDocument, RolloutRequest, RolloutStatus
from strangler.demo import rollout_texts
from strangler.demo.candidate import CandidateState, Harm
from strangler.demo.keys import Keyboard, KeyInput
from strangler.demo.rollout_lines import HEADER, LinesState
from strangler.demo.rollout_routes import rollout_routes_yaml
from strangler.demo.stage import RELEASE, DemoOptions, Play, Say, Stage, filled_guide
from strangler.demo.tally import TallyState

DEFAULT_HOLD_S: Final = 15.0
MIN_HOLD_S: Final = 1.0
ROUTE: Final = "orders"
BUSY_APPS: Final = 40
_POLL_S: Final = 0.5
_TIMEOUT: Final = ClientTimeout(total=5)
_ALL_FIXED: Final = ("--fixed", "all")
_HARMS: Final = {"b": Harm.SOME, "d": Harm.ALL}
_SIGNALS: Final = {signal.SIGUSR1: "b", signal.SIGUSR2: "d"}


def rollout_play(options: DemoOptions, hold_s: float) -> Play:
    """Return the demo whose route has a rollout. hold_s: the least time on each of its steps."""

    def guide(stage: Stage) -> str:
        return filled_guide(rollout_texts.GUIDE, stage, options, apps=BUSY_APPS)

    async def report(stage: Stage, _: TallyState, say: Say) -> None:
        async with ClientSession(timeout=_TIMEOUT) as session:
            await _Report(stage, session, say, options.strangler).run()

    return Play(
        partial(rollout_routes_yaml, hold_s=hold_s),
        guide,
        report,
        candidate=_ALL_FIXED,
        busy_apps=BUSY_APPS,
        settles_visits=False,  # legacy counts the copies of what the candidate served
    )


class _Report:
    """The rollout as it goes, and the visitor's part in it, on the screen."""

    def __init__(self, stage: Stage, session: ClientSession, say: Say, strangler: str) -> None:
        self._stage = stage
        self._session = session
        self._say = say
        self._resume = f"{strangler} rollout resume {ROUTE} -c {stage.routes}"
        self._candidate = CandidateState(stage.candidate, stage.admin, ROUTE, RELEASE)
        self._lines = LinesState(begun=time())
        self._status: RolloutStatus | None = None
        self._pressed: asyncio.Queue[str] = asyncio.Queue()
        self._is_known: set[str] = set()
        self._trouble = ""

    async def run(self) -> None:
        """Start the rollout, and report until cancelled."""
        with Keyboard(self._pressed.put_nowait) as keyboard, _signals(self._pressed):
            self._say(self._hints(keyboard.input))
            self._say(HEADER)
            await self._begin()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follow())
                group.create_task(self._obey())

    async def _begin(self) -> None:
        try:
            await self._candidate.begin(self._session)
        except (ClientError, TimeoutError) as error:
            self._say(f"{self._now()}  the release cannot be named: {str(error) or type(error).__name__}")
        await self._command("start")

    def _hints(self, key_input: KeyInput) -> str:
        if key_input is KeyInput.NONE:
            return rollout_texts.WITHOUT_KEYS.format(pid=os.getpid(), resume=self._resume)
        enter = " and Enter" if key_input is KeyInput.LINE else ""
        return rollout_texts.KEYS.format(enter=enter)

    async def _follow(self) -> None:
        while True:
            await self._look()
            await asyncio.sleep(_POLL_S)

    async def _look(self) -> None:
        """Read the rollout's status, and print what is new in it."""
        status = await self._ask("GET", "")
        if status is None:
            return
        for line in self._lines.new_lines(status):
            self._say(line)
        before, self._status = self._status, status
        for kind in rollout_texts.occasions(before, status):
            if kind not in self._is_known:
                self._is_known.add(kind)
                self._say(rollout_texts.EXPLAINED[kind].format(resume=self._resume))

    async def _obey(self) -> None:
        """Do what keys and signals say."""
        while True:
            key = await self._pressed.get()
            if key == "r":
                await self._command("resume")
            elif harm := _HARMS.get(key):
                await self._break(key, harm)

    async def _break(self, key: str, harm: Harm) -> None:
        try:
            await self._candidate.toggle(harm, self._session)
        except (ClientError, TimeoutError) as error:
            self._say(f"{self._now()}  {key}: the candidate does not take it: {str(error) or type(error).__name__}")
            return
        text = rollout_texts.BROKEN[self._candidate.harm]
        self._say(f"{self._now()}  {key}: release {self._candidate.release}: {text}")
        hint = rollout_texts.hint_on(self._candidate.harm, self._status)
        if hint:
            self._say(hint)

    async def _command(self, command: str) -> None:
        """Give the rollout a command, and print why if it refuses."""
        if await self._ask("POST", f"/{command}") is not None:
            await self._look()

    async def _ask(self, method: str, path: str) -> RolloutStatus | None:
        """Return the rollout's status; None if there is none, with the reason on the screen, once."""
        body = None if method == "GET" else msgspec.json.encode(RolloutRequest(who="strangler demo"))
        url = f"{self._stage.admin}/api/rollouts/{ROUTE}{path}"
        try:
            async with self._session.request(
                method, url, data=body, headers={"Content-Type": "application/json"}
            ) as response:
                content = await response.read()
                if response.status == 200:
                    self._trouble = ""
                    return msgspec.json.decode(content, type=RolloutStatus)
                trouble = msgspec.json.decode(content, type=ProblemDocument).detail
        except (ClientError, TimeoutError, msgspec.MsgspecError) as error:
            trouble = f"the proxy cannot be asked now: {str(error) or type(error).__name__}"
        if trouble != self._trouble or method != "GET":
            self._trouble = trouble
            self._say(f"{self._now()}  {trouble}")
        return None

    def _now(self) -> str:
        return f"{self._lines.elapsed(time()):>8}"


@contextmanager
def _signals(pressed: asyncio.Queue[str]) -> Iterator[None]:
    """Have signals stand for keys, where there is no terminal."""
    loop = asyncio.get_running_loop()
    for number, key in _SIGNALS.items():
        loop.add_signal_handler(number, pressed.put_nowait, key)
    try:
        yield
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
