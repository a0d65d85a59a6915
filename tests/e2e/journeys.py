"""A real application behind a real proxy, and the commands with which somebody records and replays its visits."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import urlopen

import msgspec

from strangler.core.documents import ReplayDocument
from tests.replay.visitor import Visitor

_DEADLINE_S = 30.0
_FIRST = ".first"


class Done(NamedTuple):
    """A command that has ended. `plan` is what it printed on standard error."""

    code: int
    output: str
    plan: str


@dataclass(frozen=True, slots=True)
class Journey:
    """A folder with routes.yaml, where a proxy runs and commands are typed."""

    folder: Path
    port: int
    databases: tuple[Path, ...]

    @property
    def routes(self) -> Path:
        return self.folder / "routes.yaml"

    def keep_databases(self) -> None:
        """Keep the databases as they are now for `as_new`."""
        for database in self.databases:
            shutil.copy(database, database.with_suffix(_FIRST))

    def as_new(self) -> None:
        """Let the applications have what they had at first: they open their databases for each request."""
        for database in self.databases:
            shutil.copy(database.with_suffix(_FIRST), database)

    def run(self, *words: str) -> Done:
        done = subprocess.run(
            _command(*words), cwd=self.folder, capture_output=True, text=True, env=_environ(), check=False
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Done(done.returncode, done.stdout, done.stderr)

    def replay(self, *words: str) -> Done:
        """Replay as fast as it goes, on applications as they were at first."""
        self.as_new()
        return self.run("replay", *words, "--speed", "max")

    def replayed(self, *words: str) -> ReplayDocument:
        """Replay so without the inbox, and return the result."""
        done = self.replay(*words, "--no-inbox", "--json")
        assert done.code < 2, done.plan
        document = msgspec.json.decode(done.output, type=ReplayDocument)
        assert document.passed == (done.code == 0)
        return document

    def recorded(self, name: str, visit: Callable[[int], Visitor], *words: str) -> str:
        """Record a visit through the proxy, all of it, and return the name of the file."""
        self.as_new()
        command = _command("record", "--all", *words, "-o", name)
        with subprocess.Popen(command, cwd=self.folder, stdout=subprocess.PIPE, text=True, env=_environ()) as process:
            try:
                self.until(lambda: self._recording() is not None)
                count = len(visit(self.port).recording)
                self.until(lambda: (self._recording() or {})["pairs"] == count)
                process.send_signal(signal.SIGINT)
                output, _ = process.communicate(timeout=_DEADLINE_S)
            finally:
                process.kill()
        assert process.returncode == 0, output
        self.until(lambda: self._recording() is None)
        return name

    def _recording(self) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self.ask("/api/status")["recording"]
        return found

    def ask(self, path: str) -> Any:
        """Return a document of the admin listener."""
        running = json.loads((self.folder / "state" / "running.json").read_text())
        with urlopen(f"http://{running['admin']}{path}", timeout=_DEADLINE_S) as response:
            return json.load(response)

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline, "it never came true"
            time.sleep(0.02)

    def write_routes(self, text: str) -> None:
        """Replace routes.yaml, and wait until the proxy follows it."""
        before = self.ask("/api/status")["config"]["generation"]
        draft = self.folder / ".routes.yaml.swp"
        draft.write_text(text)
        draft.replace(self.routes)
        self.until(lambda: bool(self.ask("/api/status")["config"]["generation"] > before))


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "strangler", *words]


def _environ() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "200", "STRANGLER_USER": "ana"}
