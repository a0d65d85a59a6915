"""The word that all workers accept: said once, to whoever waits for it."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from strangler.supervisor.announcement import LOOK_EVERY_S, Announcement
from strangler.supervisor.phase import Phase
from strangler.supervisor.predecessor import Predecessor
from strangler.supervisor.service_manager import ServiceManager
from tests.supervisor.stage import Stage


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield listener


def announcement(stage: Stage) -> Announcement:
    former = Predecessor(None, False, stage.life, stage.clock, lambda: None)
    return Announcement(stage.life, stage.workers, stage.sockets, ServiceManager(), former)


def test_where_nobody_waits_nothing_is_looked_at(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    made = announcement(stage)
    assert made.next_look(stage.now) == float("inf")
    made.advance()


def test_systemd_hears_once_that_workers_and_admin_serve(stage: Stage, systemd: socket.socket) -> None:
    made = announcement(stage)
    made.advance()
    made.serves_admin = True
    made.advance()
    assert made.next_look(stage.now) == stage.now + LOOK_EVERY_S
    stage.pipes.counts.publish(0, 0)
    for _ in range(2):
        made.advance()
    assert systemd.recv(100) == b"READY=1"
    with pytest.raises(BlockingIOError):
        systemd.recv(100)
    assert made.next_look(stage.now) == float("inf")


def test_a_proxy_that_ends_before_it_was_ready_says_nothing(stage: Stage, systemd: socket.socket) -> None:
    made = announcement(stage)
    made.serves_admin = True
    stage.life.enter(Phase.ANNOUNCING)
    stage.pipes.counts.publish(0, 0)
    made.advance()
    with pytest.raises(BlockingIOError):
        systemd.recv(100)
