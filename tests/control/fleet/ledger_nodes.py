"""Nodes of a fleet as processes, each with workers that go on when their control is killed."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from strangler.ledger.ledger_state import LedgerState
from strangler.store import stored_ledger
from strangler.store.postgres import connect
from tests.control.fleet.database import Server

PATIENCE_S: Final = 180.0
ENDPOINTS: Final = ("GET /orders", "GET /carts", "POST /orders", "GET /reports", "GET /users")


def until(condition: Callable[[], object], why: Callable[[], object] = lambda: "") -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, why()
        time.sleep(0.02)


class Worker:
    """Counts calls, and sends them in batches. One is under way, and is kept until it is acknowledged."""

    def __init__(self, instance: str) -> None:
        self.instance = instance
        self.counted: Counter[str] = Counter()
        """The calls of all batches that were sent."""
        self.under_way: dict[str, Any] | None = None
        self.number = 0

    def next_batch(self, at: float) -> dict[str, Any]:
        self.number += 1
        calls = {endpoint: 1 + (self.number + place) % 3 for place, endpoint in enumerate(ENDPOINTS)}
        self.counted.update(calls)
        sums = [[endpoint, number, at] for endpoint, number in calls.items()]
        self.under_way = {"instance": self.instance, "number": self.number, "sums": sums}
        return self.under_way


class LedgerNode:
    """A node: its control is a process, which may be killed and started again; its workers are here."""

    def __init__(self, url: str, name: str, folder: Path, ahead_s: float = 0.0) -> None:
        self.name = name
        self.workers = [Worker("run-1-0-1"), Worker("run-1-1-2")]  # as the supervisors of all nodes name them
        self.lines: list[dict[str, Any]] = []
        self.is_counting = True
        self._ahead_s = ahead_s
        self._command = [sys.executable, "-m", "tests.control.fleet.keeping", url, name, str(folder), str(ahead_s)]
        self._lock = threading.Lock()
        self._is_closed = threading.Event()
        self._process = self._start()
        self._sender = threading.Thread(target=self._count)
        self._sender.start()

    def _start(self) -> "subprocess.Popen[str]":
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdin is not None
        self._stdin = self._process.stdin
        self._reader = threading.Thread(target=self._read, args=(self._process,))
        self._reader.start()
        return self._process

    def _read(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            message = json.loads(line)
            self.lines.append(message)
            if "stored" in message:
                instance, number = message["stored"]
                with self._lock:
                    worker = next(each for each in self.workers if each.instance == instance)
                    if worker.under_way is not None and number >= worker.under_way["number"]:
                        worker.under_way = None
        process.stdout.close()

    def _count(self) -> None:
        """Send a batch of each worker that has none under way, as long as it counts."""
        while not self._is_closed.wait(0.05):
            with self._lock:
                idle = [worker for worker in self.workers if worker.under_way is None and self.is_counting]
                batches = [worker.next_batch(time.time() + self._ahead_s) for worker in idle]
            for batch in batches:
                self.send(batch)

    def send(self, message: dict[str, Any]) -> None:
        """Send a line to control; one that is gone does not get it."""
        with suppress(BrokenPipeError, ValueError):
            print(json.dumps(message), file=self._stdin, flush=True)

    @property
    def epoch(self) -> int:
        """The epoch that it leads in by its last line; 0 if it does not."""
        return int(next((line["epoch"] for line in reversed(self.lines) if "epoch" in line), 0))

    @property
    def calls(self) -> int:
        """The calls that its ledger has."""
        return int(next((line["calls"] for line in reversed(self.lines) if "calls" in line), 0))

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        """Kill control, and drop what it has said last: nobody reads that."""
        self._process.kill()
        self._process.wait()
        self._forget_process()

    def restart(self) -> None:
        """Start control again; workers send what is under way."""
        self._start()
        with self._lock:
            again = [worker.under_way for worker in self.workers if worker.under_way is not None]
        for batch in again:
            self.send(batch)

    def expect(self, key: str, text: str) -> None:
        """Wait for a line that says something."""
        until(lambda: any(text in line.get(key, "") for line in self.lines))

    def finish(self) -> None:
        """Count no more, and wait until all that was counted is acknowledged."""
        self.is_counting = False
        until(lambda: all(worker.under_way is None for worker in self.workers), lambda: self.lines[-5:])

    def end(self) -> None:
        """End control in order."""
        self.send({"end": True})
        assert self._process.wait(PATIENCE_S) == 0
        self._forget_process()

    def close(self) -> None:
        self._is_closed.set()
        self._sender.join()
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait()
        self._forget_process()

    def _forget_process(self) -> None:
        self._reader.join()
        with suppress(BrokenPipeError):
            self._stdin.close()
        self.lines.append({"epoch": 0, "calls": 0})


class LedgerFleet:
    """Nodes that share a database."""

    def __init__(self, postgres: Server, database: str, nodes: list[LedgerNode]) -> None:
        self.nodes = nodes
        self.postgres = postgres
        self._database = database

    def leader(self, *, but: LedgerNode | None = None) -> LedgerNode:
        """Return the node that leads, once one does."""
        others = [node for node in self.nodes if node is not but]
        until(lambda: any(node.epoch for node in others))
        return next(node for node in others if node.epoch)

    def followers(self) -> list[LedgerNode]:
        leader = self.leader()
        return [node for node in self.nodes if node is not leader]

    def counted(self) -> Counter[str]:
        """Return the calls that all workers have counted."""
        return sum((worker.counted for node in self.nodes for worker in node.workers), Counter[str]())

    def waiting(self) -> int:
        """Return how many batches wait for the leader."""
        with self.postgres.connect(self._database) as connection:
            return int(connection.execute("SELECT COUNT(*) FROM ledger_batches").fetchone()[0])  # type: ignore[index]

    def stored(self) -> LedgerState:
        """Return the stored ledger."""
        connection = connect(self.postgres.url(self._database), "test")
        try:
            return stored_ledger.load(connection)
        finally:
            connection.close()

    def stored_calls(self) -> Counter[str]:
        rows = self.stored().rows.rows
        return Counter({name: sum(day.legacy for day in row.history.days.values()) for name, row in rows.items()})

    def go_on(self) -> None:
        """Wait until the ledger has all calls that were counted so far."""
        before = self.counted().total()
        until(lambda: self.stored_calls().total() > before)

    def finish(self) -> None:
        """Let all workers end, and the leader take all that waits."""
        for node in self.nodes:
            node.finish()
        until(lambda: self.waiting() == 0)


@contextmanager
def ledger_fleet(postgres: Server, database: str, folder: Path, ahead: tuple[float, ...]) -> Iterator[LedgerFleet]:
    """Start a node for each clock that is ahead of the host's by so many seconds."""
    with ExitStack() as stack:
        nodes = []
        for place, ahead_s in enumerate(ahead):
            node = LedgerNode(postgres.url(database), f"node-{place}", folder, ahead_s)
            stack.callback(node.close)
            nodes.append(node)
        yield LedgerFleet(postgres, database, nodes)
