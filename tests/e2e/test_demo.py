"""`strangler demo` as a newcomer runs it: a real process, its screen, its signals."""

import asyncio
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
from aiohttp import ClientSession, DummyCookieJar, web
from multidict import CIMultiDict

from strangler.config.load import load
from strangler.demo import traffic
from strangler.demo.children import ChildDiedError, ChildrenState, free_ports
from strangler.demo.first import first_of
from strangler.demo.routes import Ports, routes_yaml
from strangler.demo.tally import SeenRequest, Summary, TallyState, summarise
from tests.served import served

DEMO = (sys.executable, "-m", "strangler", "demo")


class Screen:
    """The demo's output, line by line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.text = ""

    async def until(self, pattern: str, timeout_s: float = 40) -> str:
        """Read on until a line matches, and return its first group."""
        assert self.process.stdout is not None
        async with asyncio.timeout(timeout_s):
            while line := (await self.process.stdout.readline()).decode():
                self.text += line
                if found := re.search(pattern, line):
                    return found[1] if found.groups() else found[0]
        raise AssertionError(f"{pattern!r} never came:\n{self.text}")

    async def rest(self) -> int:
        """Read to the end; the exit code."""
        assert self.process.stdout is not None
        async with asyncio.timeout(40):
            self.text += (await self.process.stdout.read()).decode()
            return await self.process.wait()


@asynccontextmanager
async def demo(tmp_path: Path, *options: str) -> AsyncIterator[Screen]:
    """Run `strangler demo`, with a folder for what is temporary."""
    process = await asyncio.create_subprocess_exec(
        *(*DEMO, *options),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path)},
    )
    try:
        yield Screen(process)
    finally:
        if process.returncode is None:
            process.terminate()  # not kill: its children are its own to stop
            await asyncio.wait_for(process.wait(), 20)


def _below(process: asyncio.subprocess.Process) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


class TestOnScreen:
    async def test_ctrl_c_leaves_nothing_behind(self, tmp_path: Path) -> None:
        async with demo(tmp_path) as screen:
            routes = Path(await screen.until(r"routes +(\S+)"))
            await screen.until("requests")
            begun = _below(screen.process)
            assert len(begun) >= 4  # legacy, candidate, supervisor and what it starts
            screen.process.send_signal(signal.SIGINT)
            assert await screen.rest() == 0, screen.text
        _, alive = psutil.wait_procs(begun, timeout=5)
        assert alive == []
        assert not routes.parent.exists()
        assert "Traceback" not in screen.text

    async def test_duration_ends_it_and_no_visitor_saw_an_error(self, tmp_path: Path) -> None:
        async with demo(tmp_path, "--duration", "6s") as screen:
            assert await screen.rest() == 0, screen.text
        total = re.search(r"^(\d+) requests, (\d+) errors\.$", screen.text, re.MULTILINE)
        assert total, screen.text
        assert int(total[1]) > 50
        assert int(total[2]) == 0, screen.text
        visits = re.search(r"^Shadows changed nothing: (\d+) visits counted, (\d+) made\.$", screen.text, re.MULTILINE)
        assert visits, screen.text
        assert int(visits[1]) == int(visits[2]) > 50
        assert re.search(r"candidate +\d+%", screen.text)

    async def test_an_edit_of_its_routes_moves_the_traffic(self, tmp_path: Path) -> None:
        async with demo(tmp_path) as screen:
            proxy = (await screen.until(r"through the proxy +(\S+)")).rstrip("/")
            routes = Path(await screen.until(r"routes +(\S+)"))
            text = routes.read_text()
            assert "percent: 25" in text
            routes.write_text(text.replace("percent: 25", "percent: 100"))
            await screen.until(r"candidate 100%")
            async with ClientSession() as client, client.get(f"{proxy}/api/orders/7") as response:
                assert response.headers["X-Strangler-Arm"] == "candidate"
                assert "warehouse" in await response.json()

    async def test_a_killed_demo_leaves_no_process_behind(self, tmp_path: Path) -> None:
        async with demo(tmp_path) as screen:
            await screen.until("requests")
            begun = _below(screen.process)
            screen.process.kill()
            await screen.process.wait()
        _, alive = psutil.wait_procs(begun, timeout=10)
        assert alive == []

    async def test_keep_leaves_the_folder(self, tmp_path: Path) -> None:
        async with demo(tmp_path, "--duration", "1s", "--keep") as screen:
            folder = Path(await screen.until(r"Kept: (\S+)"))
            assert await screen.rest() == 0
        assert {"routes.yaml", "proxy.log", "legacy.log", "candidate.log"} <= {path.name for path in folder.iterdir()}

    async def test_a_process_that_dies_ends_the_demo_and_is_named(self, tmp_path: Path) -> None:
        async with demo(tmp_path) as screen:
            await screen.until("requests")
            (candidate,) = [child for child in _below(screen.process) if "--candidate" in child.cmdline()]
            candidate.kill()
            assert await screen.rest() == 1
        assert "candidate ended with exit code -9" in screen.text

    async def test_a_bad_duration_is_refused_with_the_way_out(self, tmp_path: Path) -> None:
        async with demo(tmp_path, "--duration", "20") as screen:
            assert await screen.rest() == 2
        assert "20s" in screen.text


class TestChildren:
    async def test_a_taken_port_is_told_with_the_last_words(self, tmp_path: Path) -> None:
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        children = ChildrenState(tmp_path)
        with pytest.raises(ChildDiedError, match=r"(?s)legacy ended with exit code 1.*already in use"):
            await children.start(
                *("legacy", sys.executable, "-m", "legacy_stub", "--port", str(port)),
                ready=f"http://127.0.0.1:{port}/healthz",
            )
        assert await children.stop() == []
        server.close()

    async def test_free_ports_differ(self) -> None:
        assert len(set(free_ports(20))) == 20

    async def test_first_of_cancels_the_others_and_raises(self) -> None:
        cancelled = asyncio.Event()

        async def wait_for_ever() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

        async def fail() -> None:
            raise ValueError("first")

        with pytest.raises(ValueError, match="first"):
            await first_of(wait_for_ever(), fail())
        assert cancelled.is_set()
        assert await first_of(wait_for_ever(), timeout_s=0.01) is False


class TestTraffic:
    @pytest.fixture
    async def shop(self, tmp_path: Path) -> AsyncIterator[str]:
        """The URL of a shop without a proxy."""
        (port,) = free_ports(1)
        children, url = ChildrenState(tmp_path), f"http://127.0.0.1:{port}"
        shop = ("legacy", sys.executable, "-m", "legacy_stub", "--port", str(port))
        await children.start(*shop, ready=f"{url}/healthz")
        try:
            yield url
        finally:
            await children.stop()

    async def _visit(self, url: str, seconds: float) -> TallyState:
        tally, closing = TallyState(), asyncio.Event()
        sending = asyncio.create_task(traffic.send(url, tally, closing))
        await asyncio.wait([sending], timeout=seconds)
        closing.set()
        await asyncio.wait_for(sending, 5)
        return tally

    async def test_visitors_meet_no_error_at_the_shop_itself(self, shop: str) -> None:
        tally = await self._visit(shop, 4)
        assert tally.requests > 30
        assert tally.errors == 0

    async def test_visitors_and_the_shop_count_the_same_visits(self, shop: str) -> None:
        tally = await self._visit(shop, 4)
        assert tally.visits_made == tally.visits_counted > 30

    async def test_what_asks_in_a_visitors_name_shows(self, shop: str) -> None:
        """A middleman that asks the shop for each page once more, with the visitor's cookie."""
        doubled = 0

        async def ask_twice(request: web.Request) -> web.Response:
            nonlocal doubled
            body, headers = await request.read(), {k: v for k, v in request.headers.items() if k != "Host"}
            url = shop + request.path_qs
            async with ClientSession(cookie_jar=DummyCookieJar(), auto_decompress=False) as client:
                if request.path == "/products" and "sid=" in headers.get("Cookie", ""):
                    doubled += 1
                    async with client.get(url, headers=headers):
                        pass
                async with client.request(
                    request.method, url, data=body, headers=headers, allow_redirects=False
                ) as response:
                    kept = [(k, v) for k, v in response.headers.items() if k not in ("Transfer-Encoding", "Connection")]
                    return web.Response(status=response.status, body=await response.read(), headers=CIMultiDict(kept))

        async with served(ask_twice) as port:
            tally = await self._visit(f"http://127.0.0.1:{port}", 4)
        assert doubled > 0
        assert tally.visits_counted == tally.visits_made + doubled
        assert tally.visits().startswith("Shadows changed something: ")


class TestTally:
    @pytest.mark.parametrize(
        ("seen", "summary"),
        [
            ([], Summary(0, 0, None, None, None)),
            ([SeenRequest(False, "legacy", False, 0.25)], Summary(1, 0, None, 250, 250)),
            (
                [SeenRequest(True, "legacy", False, 0.125), SeenRequest(True, "candidate", True, 0.125)],
                Summary(2, 1, 0.5, 125, 125),
            ),
            ([SeenRequest(True, None, True, None)], Summary(1, 1, None, None, None)),
        ],
        ids=["nothing", "off-route", "both-arms", "no-answer"],
    )
    def test_summary(self, seen: list[SeenRequest], summary: Summary) -> None:
        assert summarise(seen) == summary

    def test_percentiles(self) -> None:
        summary = summarise([SeenRequest(True, "legacy", False, ms / 1000) for ms in range(101)])
        assert summary.p50_ms == pytest.approx(50)
        assert summary.p95_ms == pytest.approx(95)

    def test_a_window_is_taken_once_and_totals_stay(self) -> None:
        tally = TallyState()
        tally.record(SeenRequest(True, "candidate", True, 0.1))
        assert tally.take().candidate_share == 1
        assert tally.take().requests == 0
        assert (tally.requests, tally.errors) == (1, 1)

    @pytest.mark.parametrize(
        ("counted", "line"),
        [
            (7, "Shadows changed nothing: 10 visits counted, 10 made."),
            (9, "Shadows changed something: 12 visits counted, 10 made."),
        ],
        ids=["the-same", "more"],
    )
    def test_visits_are_settled_by_session(self, counted: int, line: str) -> None:
        tally = TallyState()
        tally.settle(3, 3)
        tally.settle(7, counted)
        assert tally.visits() == line

    def test_a_line_reads_well(self) -> None:
        line = Summary(123, 0, 0.25, 1.94, 12.345).line(elapsed_s=65)
        assert line.split() == ["01:05", "123", "candidate", "25%", "0", "1.9", "ms", "12.3", "ms"]


def test_its_routes_load_without_a_problem(tmp_path: Path) -> None:
    file = tmp_path / "routes.yaml"
    file.write_text(routes_yaml(Ports(1000, 1001, 1002, 1003), str(tmp_path / "state")))
    loaded = load(file, {})
    assert (loaded.problems, loaded.warnings) == ((), ())
    assert loaded.settings is not None
    assert [route.split.percent for route in loaded.settings.routes] == [25, 0, 0]
