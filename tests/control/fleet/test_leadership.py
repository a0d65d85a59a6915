"""Leadership: a leader is replaced within 10 s, whatever happens to it, and never do two nodes lead at once."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from typing import Any, Final

import pytest

from tests.control.fleet.database import Server
from tests.store.store_proxy import store_proxy

REPLACED_WITHIN_S: Final = 10.0
PATIENCE_S: Final = 30.0


class Node:
    """A process that leads when it may."""

    def __init__(self, url: str, name: str) -> None:
        self.name = name
        self.lines: list[dict[str, Any]] = []
        command = [sys.executable, "-m", "tests.control.fleet.leading", url, name]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(json.loads(line))

    @property
    def epoch(self) -> int:
        """The epoch that it leads in by its last look; 0 if it does not."""
        return next((line["epoch"] for line in reversed(self.lines) if "epoch" in line), 0)

    def do(self, work: str) -> None:
        assert self.process.stdin is not None
        print(work, file=self.process.stdin, flush=True)

    def has(self, key: str) -> bool:
        return any(key in line for line in self.lines)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()


class Fleet:
    """Nodes that share a database."""

    def __init__(self, postgres: Server, database: str, nodes: list[Node]) -> None:
        self.nodes = nodes
        self._postgres = postgres
        self._database = database

    def leader(self) -> Node:
        """Return the node that leads, once one does."""
        until(lambda: any(node.epoch for node in self.nodes))
        return next(node for node in self.nodes if node.epoch)

    def replaced(self, former: Node, within_s: float = REPLACED_WITHIN_S) -> Node:
        """Return the node that leads in place of another, which it does in time."""
        others, began = [node for node in self.nodes if node is not former], time.monotonic()
        until(lambda: any(node.epoch for node in others))
        assert time.monotonic() - began < within_s
        return next(node for node in others if node.epoch)

    def check(self) -> None:
        """Check that what leaders have appended is in the order of their epochs, and no two led at the same time."""
        with self._postgres.connect(self._database) as connection:
            epochs = [epoch for (epoch,) in connection.execute("SELECT epoch FROM appended ORDER BY seq").fetchall()]
        assert epochs == sorted(epochs)
        looks = [line for node in self.nodes for line in list(node.lines) if line.get("epoch")]
        times = {
            epoch: (min(look["to"] for look in looks if look["epoch"] == epoch),
                    max(look["from"] for look in looks if look["epoch"] == epoch))
            for epoch in {look["epoch"] for look in looks}
        }  # fmt: skip
        for former, later in pairwise(sorted(times)):
            assert times[former][1] < times[later][0]

    def appended(self, epoch: int) -> int:
        """Return how often a leader has appended its epoch."""
        with self._postgres.connect(self._database) as connection:
            row = connection.execute("SELECT count(*) FROM appended WHERE epoch = %s", (epoch,)).fetchone()
        assert row is not None
        return int(row[0])


def until(condition: Callable[[], object], patience_s: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def fleet(postgres: Server, database: str, *ports: int | None) -> Iterator[Fleet]:
    """Start a node for each port of the database."""
    with postgres.connect(database) as connection:
        connection.execute(
            "CREATE TABLE appended (seq bigint GENERATED ALWAYS AS IDENTITY, epoch bigint NOT NULL, node text NOT NULL)"
        )
        connection.execute("CREATE TABLE locked (id bigint)")
    nodes: list[Node] = []
    with ExitStack() as stack:
        for number, port in enumerate(ports):
            nodes.append(Node(postgres.url(database, port), f"node-{number}"))
            stack.callback(nodes[-1].close)
        found = Fleet(postgres, database, nodes)
        yield found
        found.check()


def test_a_leader_that_is_killed_is_replaced(postgres: Server, database: str) -> None:
    with fleet(postgres, database, None, None, None) as found:
        former = found.leader()
        until(lambda: found.appended(1) > 3)
        former.process.kill()
        former.process.wait()
        epoch = found.replaced(former).epoch
        until(lambda: found.appended(epoch) > 3)


def test_a_leader_that_was_stopped_acts_no_more_once_it_goes_on(postgres: Server, database: str) -> None:
    with fleet(postgres, database, None, None) as found:
        former = found.leader()
        until(lambda: found.appended(1) > 3)
        former.process.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        successor = found.replaced(former)
        until(lambda: time.monotonic() - began > 15)
        written = found.appended(1)
        former.process.send_signal(signal.SIGCONT)
        until(lambda: former.epoch == 0)
        until(lambda: found.appended(successor.epoch) > 300)
        assert found.appended(1) == written
        assert former.has("gained")
        assert [line["gained"] for line in former.lines if "gained" in line] == [True, False]


def test_a_leader_that_is_cut_off_is_replaced_and_stops_by_itself(postgres: Server, database: str) -> None:
    with store_proxy(postgres.port) as proxy, fleet(postgres, database, proxy.port) as found:
        former = found.leader()
        until(lambda: found.appended(1) > 3)
        other = Node(postgres.url(database), "other")
        found.nodes.append(other)
        try:
            until(lambda: any(line.get("leader") == former.name for line in list(other.lines)))
            proxy.drop()
            epoch = found.replaced(former).epoch
            until(lambda: former.epoch == 0)
            until(lambda: found.appended(epoch) > 3)
            other.process.kill()
            other.process.wait()
            proxy.restore()
            until(lambda: former.epoch > epoch)
        finally:
            other.close()


def test_a_leader_that_is_stopped_within_a_long_result_is_replaced(postgres: Server, database: str) -> None:
    with fleet(postgres, database, None, None) as found:
        former = found.leader()
        former.do("long")
        until(lambda: former.has("reads"))
        former.process.send_signal(signal.SIGSTOP)
        found.replaced(former)
        former.process.send_signal(signal.SIGCONT)
        until(lambda: former.epoch == 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["restarted", "killed"])
def test_the_database_may_go_and_come_back(postgres: Server, database: str, number: signal.Signals) -> None:
    with fleet(postgres, database, None, None) as found:
        former = found.leader().epoch
        postgres.stop(number)
        try:
            until(lambda: not any(node.epoch for node in found.nodes))
        finally:
            postgres.start()
        until(lambda: any(node.epoch > former for node in found.nodes), REPLACED_WITHIN_S)


def test_a_lock_on_a_table_fails_a_call_and_leaves_the_leader(postgres: Server, database: str) -> None:
    with fleet(postgres, database, None, None) as found, postgres.connect(database) as connection:
        leader = found.leader()
        connection.execute("BEGIN")
        connection.execute("LOCK TABLE locked")
        leader.do("lock")
        until(lambda: leader.has("did_not"))
        connection.execute("ROLLBACK")
        written = found.appended(1)
        until(lambda: found.appended(1) > written)
        assert [line for node in found.nodes for line in node.lines if line.get("gained") is False] == []


def test_a_node_that_ends_in_order_is_replaced_at_once(postgres: Server, database: str) -> None:
    with fleet(postgres, database, None, None) as found:
        former = found.leader()
        former.do("end")
        former.process.wait(PATIENCE_S)
        found.replaced(former, within_s=3)
