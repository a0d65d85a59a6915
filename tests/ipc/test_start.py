"""The start data of a child: it arrives, and a program started by hand says so."""

import json
import os
from dataclasses import replace

import pytest

from strangler.ipc.start import VARIABLE, ControlStart, StartError, WorkerStart, read_file, to_environ
from strangler.unnamed_files import unnamed_file

WORKER = WorkerStart(1, "run-1-2", (3, 4), ("127.0.0.1:8080", "unix:/run/s"), "/state/link.sock", 5, 7, True, 6, 8, 9)
KILLED = replace(WORKER, killed=False, killed_routes=("orders", "/ü"))
CONTROL = ControlStart("run", "routes.yaml", "/state", 3, 4, 7, "127.0.0.1:8080", (5,), 6, 7)


def test_a_start_arrives_as_it_was_sent() -> None:
    assert WorkerStart.from_environ(to_environ(WORKER)) == WORKER
    assert WorkerStart.from_environ(to_environ(KILLED)) == KILLED
    assert ControlStart.from_environ(to_environ(CONTROL)) == CONTROL


def test_a_supervisor_of_the_version_before_starts_a_worker() -> None:
    start = json.loads(to_environ(WORKER)[VARIABLE])
    del start["killed_routes"]
    assert WorkerStart.from_environ({VARIABLE: json.dumps(start)}) == WORKER


def test_a_program_started_by_hand_says_what_starts_it() -> None:
    with pytest.raises(StartError, match="strangler serve"):
        WorkerStart.from_environ({})


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"index": "one"}'])
def test_a_start_of_another_version_is_refused(text: str) -> None:
    with pytest.raises(StartError, match=VARIABLE):
        WorkerStart.from_environ({VARIABLE: text})


def test_an_unnamed_file_is_read_whole_by_all_who_share_it() -> None:
    content = os.urandom(3 * 1024 * 1024)
    descriptor = unnamed_file(content)
    os.lseek(descriptor, 12345, os.SEEK_SET)  # as another process may leave it
    assert read_file(descriptor) == content
    assert read_file(descriptor) == content
    os.close(descriptor)
