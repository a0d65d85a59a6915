"""The whole story of a cutover, under load: 0 -> by header only -> 10 % -> 50 % -> 100 % -> rollback.

Keep-alive clients never pause while somebody edits routes.yaml. None of them tries again by itself: that would hide a
lost request.
"""

import asyncio
import json
import os
import re
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import ClientSession

from benchmarks.line import FAILURES, Line
from strangler.demo.children import ChildrenState, free_ports

CLIENTS = 6
USERS_PER_CLIENT = 60
PAUSE_S = 0.008
PHASE_S = 1.5

ROUTES = """\
version: 1
listen: 127.0.0.1:{proxy}
admin: {{listen: 127.0.0.1:{admin}}}
workers: 2
state: {state}
upstreams:
  legacy: {{url: "http://127.0.0.1:{legacy}"}}
  orders: {{url: "http://127.0.0.1:{candidate}"}}
routes:
  - name: orders
    match: {{prefix: /api/orders}}
    candidate: orders
    split:
      percent: {percent}
      sticky: ["header:X-User-Id"]
      headers: {headers}
"""


@dataclass(frozen=True, slots=True)
class Response:
    """A response that a client got. told_by: the arm that the body betrays, whatever the proxy's header says."""

    user: int
    beta: bool
    status: int
    arm: str
    arm_in_body: str


@dataclass(slots=True)
class LoadState:
    """All that the clients sent and got, in order for each user."""

    sent: int = 0
    responses: list[Response] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


class Rig:
    """The shop, its candidate and the real proxy, with a hand on routes.yaml."""

    def __init__(self, folder: Path) -> None:
        self._children = ChildrenState(folder)
        self._legacy, self._candidate, self._proxy, self._admin = free_ports(4)
        self._file = folder / "routes.yaml"
        self._folder = folder

    @property
    def proxy_port(self) -> int:
        return self._proxy

    async def start(self) -> None:
        shop = (sys.executable, "-m", "legacy_stub", "--data", str(self._folder / "shop.db"))
        legacy = (*shop, "--port", str(self._legacy))
        candidate = (*shop, "--port", str(self._candidate), "--candidate", "orders")
        proxy = (sys.executable, "-m", "strangler", "serve", "-c", str(self._file))
        self._file.write_text(self._routes(percent="0", headers="{}"))
        await self._children.start("legacy", *legacy, ready=f"http://127.0.0.1:{self._legacy}/healthz")
        await self._children.start("candidate", *candidate, ready=f"http://127.0.0.1:{self._candidate}/healthz")
        await self._children.start("proxy", *proxy, ready=f"http://127.0.0.1:{self._admin}/readyz")

    async def stop(self) -> None:
        assert await self._children.stop() == []

    def save(self, *, percent: str, headers: str = "{}") -> None:
        """Replace the file as most editors do: write beside it, then rename."""
        draft = self._file.with_suffix(".draft")
        draft.write_text(self._routes(percent, headers))
        os.replace(draft, self._file)

    def overwrite(self, *, percent: str, headers: str = "{}") -> None:
        """Write the file in place, as others do."""
        self._file.write_text(self._routes(percent, headers))

    async def requests_by_arm(self, total: int) -> Counter[str]:
        """The proxy's own numbers for the route, once they add up to `total`, or what they are after 5 s."""
        for _ in range(50):
            counted = await self._requests_by_arm()
            if counted.total() == total:
                break
            await asyncio.sleep(0.1)
        return counted

    async def _requests_by_arm(self) -> Counter[str]:
        async with (
            ClientSession() as client,
            client.get(f"http://127.0.0.1:{self._admin}/metrics") as response,
        ):
            text = await response.text()
        counted: Counter[str] = Counter()
        for labels, value in re.findall(r"^strangler_requests_total\{(.*)\} (\S+)$", text, re.MULTILINE):
            if 'route="orders"' in labels:
                counted[re.findall(r'arm="(\w+)"', labels)[0]] += int(float(value))
        return counted

    def _routes(self, percent: str, headers: str) -> str:
        return ROUTES.format(
            proxy=self._proxy,
            admin=self._admin,
            legacy=self._legacy,
            candidate=self._candidate,
            state=self._folder / "state",
            percent=percent,
            headers=headers,
        )


@asynccontextmanager
async def _rig(folder: Path) -> AsyncIterator[Rig]:
    rig = Rig(folder)
    try:
        await rig.start()
        yield rig
    finally:
        await rig.stop()


@asynccontextmanager
async def _load_on(port: int) -> AsyncIterator[LoadState]:
    """Constant load until the end of the block; by then every request has its answer."""
    load, stop = LoadState(), asyncio.Event()
    clients = [asyncio.create_task(_client(number, port, load, stop)) for number in range(CLIENTS)]
    try:
        yield load
    finally:
        stop.set()
        await asyncio.gather(*clients)


async def _client(number: int, port: int, load: LoadState, stop: asyncio.Event) -> None:
    """One keep-alive connection, one request after the other, each for the next of this client's own users."""
    line = await Line.to(port)
    turn = 0
    while not stop.is_set():
        user = number * USERS_PER_CLIENT + turn % USERS_PER_CLIENT
        beta = user % 20 == 0
        load.sent += 1
        try:
            async with asyncio.timeout(10):
                load.responses.append(await _ask(line, user, beta))
        except FAILURES as error:
            load.faults.append(f"client {number}, user {user}: {error!r}")
            break
        turn += 1
        await asyncio.sleep(PAUSE_S)
    line.close()
    await line.writer.wait_closed()


async def _ask(line: Line, user: int, beta: bool) -> Response:
    mark = "X-Beta: 1\r\n" if beta else ""
    await line.ask("GET", f"/api/orders/{user % 200 + 1}", f"X-User-Id: {user}\r\n{mark}")
    status, fields = await line.head()
    order = json.loads(await line.body(fields))
    return Response(user, beta, status, fields["x-strangler-arm"], "candidate" if "warehouse" in order else "legacy")


async def _settled(load: LoadState, holds: Callable[[list[Response]], bool]) -> list[Response]:
    """The answers of one phase, from when every worker has the new routes: `holds` for a whole round of users."""
    a_round = CLIENTS * USERS_PER_CLIENT
    async with asyncio.timeout(20):
        begun = len(load.responses)
        while not holds(load.responses[begun:][-a_round:]) or len(load.responses) - begun < a_round:
            await asyncio.sleep(0.1)
            assert load.faults == []
    since = len(load.responses)
    await asyncio.sleep(PHASE_S)
    return load.responses[since:]


def _share(responses: Iterable[Response]) -> float:
    arms = [response.arm for response in responses if not response.beta]
    return arms.count("candidate") / len(arms)


def _beta_only(responses: list[Response]) -> bool:
    return all((response.arm == "candidate") == response.beta for response in responses)


def _share_between(low: float, high: float) -> Callable[[list[Response]], bool]:
    return lambda responses: bool(responses) and low <= _share(responses) <= high


def _all_by(arm: str) -> Callable[[list[Response]], bool]:
    return lambda responses: all(response.arm == arm for response in responses)


def _moves_back(responses: Iterable[Response]) -> set[int]:
    """Users who had been at the candidate and were served by legacy later."""
    moved: set[int] = set()
    back: set[int] = set()
    for response in responses:
        if response.arm == "candidate":
            moved.add(response.user)
        elif response.user in moved:
            back.add(response.user)
    return back


async def test_a_cutover_loses_no_request_and_moves_no_caller_back(tmp_path: Path) -> None:
    async with _rig(tmp_path) as rig:
        async with _load_on(rig.proxy_port) as load:
            nobody = await _settled(load, _all_by("legacy"))
            rig.save(percent="0", headers='{X-Beta: "1"}')
            testers = await _settled(load, _beta_only)
            rises_from = len(load.responses)
            rig.overwrite(percent="10", headers='{X-Beta: "1"}')
            ten = await _settled(load, _share_between(0.05, 0.16))
            rig.save(percent="120", headers='{X-Beta: "1"}')  # a mistake: it must change nothing
            await asyncio.sleep(1)
            mistaken = load.responses[-CLIENTS * USERS_PER_CLIENT :]
            rig.save(percent="50", headers='{X-Beta: "1"}')
            half = await _settled(load, _share_between(0.4, 0.6))
            rig.overwrite(percent="100")
            everybody = await _settled(load, _all_by("candidate"))
            rises_to = len(load.responses)
            rig.save(percent="0")
            rolled_back = await _settled(load, _all_by("legacy"))
        counted = await rig.requests_by_arm(total=load.sent)

    assert load.faults == []
    assert load.sent == len(load.responses)
    assert {response.status for response in load.responses} == {200}
    assert all(response.arm == response.arm_in_body for response in load.responses)
    assert counted == Counter(response.arm for response in load.responses)

    assert _all_by("legacy")(nobody)
    assert _beta_only(testers)
    assert {response.user for response in testers if response.beta}
    assert 0.05 <= _share(ten) <= 0.16
    assert _share(mistaken) == pytest.approx(_share(ten), abs=0.05)
    assert 0.4 <= _share(half) <= 0.6
    assert _all_by("candidate")(everybody)
    assert _all_by("legacy")(rolled_back)
    assert _moves_back(load.responses[rises_from:rises_to]) == set()
