"""Child processes, as the supervisor and the workers need them."""

import os
import resource
import signal
import subprocess
from collections.abc import Iterator

import pytest

from strangler.ipc.process import how_it_ended, make_nicer, raise_file_limit


@pytest.fixture
def few_files() -> Iterator[int]:
    """The soft limit is low, as it is on most systems; yields the hard one."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, before[1]))
    yield before[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_process_may_have_as_many_files_open_as_the_system_allows(few_files: int) -> None:
    assert raise_file_limit() == few_files
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (few_files, few_files)


def test_a_child_can_be_made_to_give_way_and_one_that_has_ended_is_no_error() -> None:
    child = subprocess.Popen(["sleep", "10"])
    make_nicer(child.pid, 3)
    assert os.getpriority(os.PRIO_PROCESS, child.pid) == min(19, os.getpriority(os.PRIO_PROCESS, 0) + 3)
    assert os.sched_getscheduler(child.pid) == os.SCHED_BATCH
    child.kill()
    child.wait()
    make_nicer(child.pid, 3)


@pytest.mark.parametrize(
    ("status", "words"),
    [(0, "exit code 0"), (3, "exit code 3"), (-9, "killed by SIGKILL"), (-99, "killed by signal 99")],
)
def test_an_end_is_told_in_words(status: int, words: str) -> None:
    assert how_it_ended(status) == words


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0, "exit code 0"),
        (3, "exit code 3"),
        (-signal.SIGKILL, "killed by SIGKILL"),
        (-63, "killed by signal 63"),
    ],
)
def test_the_end_of_a_process_is_told_in_words(status: int, words: str) -> None:
    assert how_it_ended(status) == words
