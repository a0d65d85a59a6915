"""The program that is started beside the running one."""

import os
import signal
import sys
from collections.abc import Callable, Iterator

import pytest

from strangler.ipc.start import SupervisorStart
from strangler.supervisor.successor import Step, Successor

StartSuccessor = Callable[[str], Successor]


@pytest.fixture
def start() -> Iterator[StartSuccessor]:
    """Start a program of Python in the place of the next supervisor."""
    started = list[Successor]()
    given_fd = os.open(os.devnull, os.O_RDONLY)

    def start_one(program: str) -> Successor:
        given = SupervisorStart(
            run="run",
            term=2,
            generation=1,
            version="0",
            folder="state",
            lock_fd=given_fd,
            listeners=(),
            link_fd=given_fd,
            channel_fd=-1,
            stderr_fd=-1,
        )
        started.append(Successor([sys.executable, "-c", program], given, deadline=60.0))
        return started[-1]

    yield start_one
    for successor in started:
        successor.kill()
        successor.close()
    os.close(given_fd)


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        pytest.param("raise SystemExit('Error: no such route')", "no such route", id="what it wrote"),
        pytest.param("1 / 0", "ZeroDivisionError: division by zero", id="the last line of a traceback"),
        pytest.param("raise SystemExit(3)", "exit code 3", id="its status, if it wrote nothing"),
        pytest.param(f"import os; os.kill(os.getpid(), {signal.SIGKILL:d})", "killed by SIGKILL", id="a signal"),
    ],
)
def test_why_it_ended_is_known(start: StartSuccessor, program: str, reason: str) -> None:
    successor = start(program)
    successor.process.wait(30)
    assert successor.has_died
    assert successor.reason() == reason


def test_one_that_hangs_is_said_not_to_go_on(start: StartSuccessor) -> None:
    successor = start("import time; time.sleep(60)")
    assert successor.reason() == "it makes no progress"
    successor.kill()
    assert successor.has_died


@pytest.mark.parametrize(
    ("step", "due"), [(Step.STARTING, 60.0), (Step.CLEARING, 5.0), (Step.YIELDED, 60.0), (Step.SERVING, float("inf"))]
)
def test_only_the_deadline_of_its_step_counts(start: StartSuccessor, step: Step, due: float) -> None:
    """Else a supervisor that drains would wake up all the time for one that has passed."""
    successor = start("pass")
    successor.step, successor.clear_deadline = step, 5.0
    assert successor.next_due == due
