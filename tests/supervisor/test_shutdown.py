"""The steps from the signal to the end, on a clock of their own."""

import signal
import socket

from strangler.ipc.messages import Draining, FrameReader
from strangler.supervisor.phase import Phase
from strangler.supervisor.shutdown import ANNOUNCE_S, GRACE_S
from tests.supervisor.stage import DRAIN_S, Stage

DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"


def test_without_processes_it_ends_at_once(stage: Stage) -> None:
    stage.shutdown.announce()
    assert stage.phase() is Phase.ANNOUNCING
    stage.shutdown.advance()
    assert (stage.phase(), stage.life.exit_status) == (Phase.ENDED, 0)
    assert stage.sockets.listen == []


def test_nothing_is_started_any_more(stage: Stage) -> None:
    stage.shutdown.announce()
    assert not stage.children.start_due(float("inf"))
    assert stage.children.next_due == float("inf")


def test_workers_are_waited_for(stage: Stage) -> None:
    stage.run_worker("import time; print(flush=True); time.sleep(60)")
    stage.shutdown.announce()
    stage.shutdown.advance()
    assert stage.phase() is Phase.EMPTYING
    assert stage.life.deadline == stage.now + DRAIN_S + GRACE_S
    stage.reap()
    stage.shutdown.advance()
    assert (stage.phase(), stage.life.exit_status) == (Phase.ENDED, 0)


def test_a_worker_that_does_not_end_in_time_is_killed(stage: Stage) -> None:
    stage.run_worker(DEAF)
    stage.shutdown.announce()
    stage.shutdown.advance()
    stage.now += DRAIN_S + GRACE_S
    stage.shutdown.advance()
    assert (stage.phase(), stage.life.deadline) == (Phase.EMPTYING, float("inf"))
    stage.reap()
    stage.shutdown.advance()
    assert (stage.phase(), stage.life.exit_status) == (Phase.ENDED, 1)


def test_a_second_signal_ends_it_at_once(stage: Stage) -> None:
    stage.run_worker(DEAF)
    stage.shutdown.announce()
    for _ in range(2):
        stage.shutdown.end_at_once(signal.SIGTERM)
    assert (stage.phase(), stage.life.exit_status) == (Phase.ENDED, 128 + signal.SIGTERM)


def test_control_has_a_moment_to_make_readiness_fail(stage: Stage) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        stage.control.connect(ours)
        stage.shutdown.announce()
        stage.shutdown.advance()
        assert stage.phase() is Phase.ANNOUNCING
        assert FrameReader(Draining).feed(theirs.recv(1000)) == [Draining()]
        stage.shutdown.on_announced()
        stage.shutdown.advance()
        assert stage.phase() is Phase.ENDED


def test_a_control_that_says_nothing_is_not_waited_for(stage: Stage) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        stage.control.connect(ours)
        stage.shutdown.announce()
        stage.now += ANNOUNCE_S
        stage.shutdown.advance()
        assert stage.phase() is Phase.ENDED


def test_sockets_that_a_successor_does_not_listen_at_are_kept_for_a_moment(stage: Stage) -> None:
    unwanted = tuple(listener.fileno() for listener in stage.sockets.listen)
    stage.shutdown.yield_to_successor(unwanted)
    stage.shutdown.advance()
    assert (stage.phase(), stage.sockets.admin) == (Phase.YIELDING, [])
    stage.now += ANNOUNCE_S
    stage.shutdown.advance()
    assert stage.phase() is Phase.ENDED


def test_sockets_that_a_successor_listens_at_too_are_left_at_once(stage: Stage) -> None:
    stage.shutdown.yield_to_successor(())
    stage.shutdown.advance()
    assert stage.phase() is Phase.ENDED
