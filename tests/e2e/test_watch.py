"""`strangler status --watch` on a terminal: it draws in place, goes on after a restart, and gives the terminal back."""

import asyncio
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.serving import LegacyState, Proxy, legacy

_ENTER, _LEAVE = b"\x1b[?1049h", b"\x1b[?1049l"
_HOME = b"\x1b[H"
_STYLES = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")


class Watcher:
    """The command on a pseudo-terminal of 140 by 40."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._terminal, inner = pty.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 140, 0, 0))
        os.set_blocking(self._terminal, False)
        command = [sys.executable, "-m", "strangler", "status", "--watch", "--interval", "100ms", *arguments]
        environ = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "TERM": "xterm-256color"}
        for name in ("COLUMNS", "LINES"):
            environ.pop(name, None)
        self.process = subprocess.Popen(
            command, cwd=folder, stdin=inner, stdout=inner, stderr=inner, env=environ, start_new_session=True
        )
        os.close(inner)
        self.raw = b""

    def read(self) -> bytes:
        """All that was written so far."""
        while True:
            try:
                data = os.read(self._terminal, 65536)
            except (BlockingIOError, OSError):  # an OSError: the other side has closed
                return self.raw
            if not data:
                return self.raw
            self.raw += data

    def frame(self) -> str:
        """The last frame that is complete, as plain text."""
        frames = self.read().split(_HOME)
        return _STYLES.sub(b"", frames[-2]).decode() if len(frames) > 2 else ""

    async def until(self, *texts: str) -> str:
        try:
            async with asyncio.timeout(15):
                while not all(text in self.frame() for text in texts):  # noqa: ASYNC110 - a terminal has no event
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"{texts} never came; the last frame:\n{self.frame()}") from None
        return self.frame()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._terminal)


@contextmanager
def watching(folder: Path, *arguments: str) -> Iterator[Watcher]:
    watcher = Watcher(folder, *arguments)
    try:
        yield watcher
    finally:
        watcher.close()


@pytest.fixture
async def upstream() -> AsyncIterator[LegacyState]:
    async with legacy() as state:
        yield state


@pytest.fixture
async def proxy(tmp_path: Path, upstream: LegacyState) -> AsyncIterator[Proxy]:
    proxy = Proxy(tmp_path, upstream.port)
    proxy.file.write_text(proxy.routes(100))
    await proxy.start()
    yield proxy
    await proxy.stop()


async def _ended(watcher: Watcher) -> int:
    async with asyncio.timeout(10):
        while watcher.process.poll() is None:
            watcher.read()
            await asyncio.sleep(0.02)
    return watcher.process.returncode


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_shows_traffic_in_place_and_survives_a_restart(proxy: Proxy, number: signal.Signals) -> None:
    with watching(proxy.folder) as watcher:
        frame = await watcher.until("orders", "closed", "generation 1")
        assert re.search(r"legacy +candidate\s+route .* req/s .* req/s ", frame), frame
        for _ in range(20):
            await proxy.get("/api/orders/7")
        row = next(line for line in (await watcher.until("100.0%")).splitlines() if line.startswith("orders "))
        assert re.search(r"100%\s+100\.0%\s+0\.0\s+-\s+-\s+\d+\.\d\s+0\.0%\s+\d+ ms", row), row
        await proxy.stop()
        frame = await watcher.until("away since", "is `strangler serve` running?")
        assert "orders" in frame  # what was seen last
        await proxy.start()
        await watcher.until("listening at", "closed")
        assert "away" not in watcher.frame()
        watcher.process.send_signal(number)
        assert await _ended(watcher) == 0
        assert watcher.raw.count(_ENTER) == watcher.raw.count(_LEAVE) == 1
        assert watcher.raw.rindex(_LEAVE) > watcher.raw.rindex(b"orders")


async def test_problems_of_a_reload_are_seen(proxy: Proxy) -> None:
    with watching(proxy.folder) as watcher:
        await watcher.until("generation 1")
        proxy.file.write_text(proxy.routes(120))
        await watcher.until("routes.yaml is rejected", "split.percent is 120")


async def test_json_is_one_line_each_time(proxy: Proxy) -> None:
    with watching(proxy.folder, "--json") as watcher:
        async with asyncio.timeout(15):
            while watcher.read().count(b"\n") < 2:  # noqa: ASYNC110 - a terminal has no event
                await asyncio.sleep(0.02)
        assert watcher.raw.startswith(b'{"version"')


async def test_without_a_proxy_it_does_not_begin(tmp_path: Path, upstream: LegacyState) -> None:
    proxy = Proxy(tmp_path, upstream.port)
    proxy.file.write_text(proxy.routes())
    with watching(tmp_path) as watcher:
        assert await _ended(watcher) == 1
        assert _ENTER not in watcher.raw
