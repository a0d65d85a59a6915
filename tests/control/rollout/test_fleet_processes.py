"""The rollout of three nodes that are processes, with a real leader, while they are killed, stopped and cut off."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import psycopg
import pytest

from strangler.control.rollout.requested import COUNTS, CountsRequest
from strangler.store.evidence.stored_rollouts import StoredPosition
from tests.control.fleet.database import Server

PATIENCE_S: Final = 120.0
ARCHIVE: Final = """
CREATE TABLE archive (kind text, content bytea);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO archive VALUES (NEW.kind, NEW.content); RETURN NULL; END $$;
CREATE TRIGGER note AFTER INSERT ON requests FOR EACH ROW EXECUTE FUNCTION note();
"""
"""All requests that were ever committed, whoever has taken them."""


class Node:
    """A process, and the lines that it has printed."""

    def __init__(self, url: str, name: str, folder: Path, hold_s: float, off_s: float) -> None:
        self.name = name
        self.lines: list[dict[str, Any]] = []
        (folder / name).mkdir(exist_ok=True)
        module = "tests.control.rollout.fleet_process"
        command = [sys.executable, "-m", module, url, name, str(folder / name), str(hold_s), str(off_s)]
        with open(folder / f"{name}.log", "ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
            )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(json.loads(line))

    def _last(self, key: str, default: object) -> Any:
        return next((line[key] for line in reversed(self.lines) if key in line), default)

    @property
    def leads(self) -> bool:
        return bool(self._last("leads", False))

    @property
    def state(self) -> str:
        return str(self._last("state", ""))

    @property
    def percents(self) -> list[float]:
        return [line["percent"] for line in self.lines if "percent" in line]

    @property
    def percent(self) -> float:
        return float(self._last("percent", 0.0))

    def when(self, percent: float) -> float:
        """Return the time at which its workers got a percent."""
        return next(float(line["at"]) for line in self.lines if line.get("percent") == percent)

    def do(self, what: str) -> None:
        assert self.process.stdin is not None
        print(what, file=self.process.stdin, flush=True)

    def has_done(self, what: str) -> bool:
        assert not any(line.get("refused") == what for line in self.lines), self.lines
        return any(line.get("done") == what for line in self.lines)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


@contextmanager
def nodes(url: str, folder: Path, *, hold_s: float, off_s: float = 0.0) -> Iterator[list[Node]]:
    """Start three nodes, of which the last has a clock that is off."""
    found = [Node(url, name, folder, hold_s, off) for name, off in (("a", 0.0), ("b", 0.0), ("c", off_s))]
    try:
        until(lambda: any(node.leads for node in found))
        yield found
    finally:
        for node in found:
            node.close()


def until(condition: Callable[[], object], patience_s: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def leader_of(found: list[Node]) -> Node:
    until(lambda: any(node.leads and node.process.poll() is None for node in found))
    return next(node for node in found if node.leads and node.process.poll() is None)


@pytest.fixture
def url(postgres: Server, database: str) -> str:
    with postgres.connect(database) as connection:
        connection.execute(ARCHIVE.encode())
    return postgres.url(database)


def test_three_nodes_climb_to_the_end_one_with_a_clock_that_is_an_hour_off(url: str, tmp_path: Path) -> None:
    with nodes(url, tmp_path, hold_s=1.0, off_s=3600.0) as found:
        follower = next(node for node in found if not node.leads)
        follower.do("start")
        until(lambda: all(node.percent == 100 for node in found))
        assert follower.has_done("start")
        for node in found:
            assert node.percents == [1, 5, 25, 50, 100]
        for percent in (1, 5, 25, 50, 100):
            times = [node.when(percent) for node in found]
            assert max(times) - min(times) < 3.0, "1 s on a machine that does nothing else"


def test_a_leader_that_is_killed_or_stopped_is_replaced_and_no_caller_moves_back(url: str, tmp_path: Path) -> None:
    with nodes(url, tmp_path, hold_s=2.0) as found:
        leader = leader_of(found)
        leader.do("start")
        until(lambda: leader.percent == 5)
        leader.process.send_signal(signal.SIGKILL)
        leader.process.wait()
        rest = [node for node in found if node is not leader]
        until(lambda: all(node.percent >= 25 for node in rest))
        second = leader_of(rest)
        (third,) = [node for node in rest if node is not second]
        second.process.send_signal(signal.SIGSTOP)
        until(lambda: third.leads and third.percent == 100)
        second.process.send_signal(signal.SIGCONT)
        until(lambda: second.percent == 100)
        for node in found:
            assert node.percents == sorted(set(node.percents)), f"a caller moved back at {node.name}"
        with psycopg.connect(url) as connection:
            rows = connection.execute("SELECT count(*) FROM events WHERE type = 'rollout.stepped'").fetchone()
        assert rows == (5,)


def test_what_nodes_have_counted_is_counted_once_while_they_are_killed(url: str, tmp_path: Path) -> None:
    with nodes(url, tmp_path, hold_s=3600.0) as found:
        leader = leader_of(found)
        leader.do("start")
        until(lambda: all(node.percent == 1 for node in found))
        for _ in range(2):
            victim = leader_of([node for node in found if node.process.poll() is None])
            counted = _requests_of(url)
            until(lambda counted=counted: _requests_of(url) > counted)  # type: ignore[misc]
            victim.process.send_signal(signal.SIGKILL)
            victim.process.wait()
        (last,) = [node for node in found if node.process.poll() is None]
        until(lambda: last.leads)
        counted = _requests_of(url)
        until(lambda: _requests_of(url) > counted)
    with psycopg.connect(url) as connection:
        position = _position(connection)
        since = position.position.since
        archived = connection.execute("SELECT content FROM archive WHERE kind = %s", (COUNTS,)).fetchall()
        waiting = connection.execute("SELECT content FROM requests WHERE kind = %s", (COUNTS,)).fetchall()
        counted = position.position.counts.candidate.requests
    assert counted == _served(archived, since) - _served(waiting, since) > 0


def test_a_breaker_at_a_follower_falls_at_all_nodes(url: str, tmp_path: Path) -> None:
    with nodes(url, tmp_path, hold_s=1.0) as found:
        leader = leader_of(found)
        leader.do("start")
        until(lambda: all(node.percent >= 5 for node in found))
        follower = next(node for node in found if node is not leader)
        follower.do("breaker")
        until(lambda: all(node.percent == 0 and node.state == "paused" for node in found))
        leader.do("resume")
        until(lambda: all(node.percent >= 1 for node in found))


def test_a_store_that_goes_away_holds_all_and_they_go_on_by_themselves(
    postgres: Server, url: str, tmp_path: Path
) -> None:
    with nodes(url, tmp_path, hold_s=2.0) as found:
        leader_of(found).do("start")
        until(lambda: all(node.percent == 5 for node in found))
        postgres.stop(signal.SIGKILL)
        try:
            found[0].do("back")
            until(lambda: found[0].has_done("back"))
            assert [node.percent for node in found] == [1, 5, 5] or found[1].percent == 25
        finally:
            postgres.start()
        until(lambda: all(node.state == "backing" and node.percent <= 1 for node in found))


def _requests_of(url: str) -> int:
    with psycopg.connect(url) as connection:
        return _position(connection).position.counts.candidate.requests


def _position(connection: "psycopg.Connection[Any]") -> StoredPosition:
    row = connection.execute("SELECT content FROM rollout_positions").fetchone()
    assert row is not None
    return msgspec.json.decode(row[0], type=StoredPosition)


def _served(rows: list[tuple[bytes]], since: float) -> int:
    requests = [msgspec.json.decode(content, type=CountsRequest) for (content,) in rows]
    steps = [step for request in requests for step in request.groups.values() if step.since == since]
    return sum(step.counts.candidate.requests for step in steps)
