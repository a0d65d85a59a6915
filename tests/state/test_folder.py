"""The state folder: one proxy at a time."""

import os
import shutil
from pathlib import Path
from threading import Event, Thread

import pytest

from strangler.state.folder import hold
from strangler.state.lock import FolderError, is_held
from strangler.state.running import Running, read_running, write_running


def test_the_folder_is_made_for_its_user_only(tmp_path: Path) -> None:
    with hold(tmp_path / "a" / "state"):
        assert (tmp_path / "a" / "state").stat().st_mode & 0o777 == 0o700


def test_a_second_proxy_is_told_who_uses_the_folder(tmp_path: Path) -> None:
    with hold(tmp_path), pytest.raises(FolderError, match=f"pid {os.getpid()}.*`state` of its own"), hold(tmp_path):
        pass


def test_the_folder_is_free_again_afterwards(tmp_path: Path) -> None:
    with hold(tmp_path) as state:
        assert not state.was_killed
    with hold(tmp_path) as state:
        assert not state.was_killed


def test_a_killed_proxy_is_noticed_by_the_next(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("4711")
    with hold(tmp_path) as state:
        assert state.was_killed


def test_where_the_proxy_is_can_be_read_while_it_runs(tmp_path: Path) -> None:
    running = Running(1, "127.0.0.1:8080", "127.0.0.1:8081")
    with hold(tmp_path):
        write_running(tmp_path, running)
        assert read_running(tmp_path) == running
    assert read_running(tmp_path) is None


def test_a_copy_of_a_folder_does_not_lead_to_the_proxy_of_the_first(tmp_path: Path) -> None:
    running = Running(1, "127.0.0.1:8080", "127.0.0.1:8081")
    first, copy = tmp_path / "first", tmp_path / "copy"
    with hold(first):
        write_running(first, running)
        shutil.copytree(first, copy)
        assert read_running(first) == running
        assert read_running(copy) is None
        with hold(copy):  # a proxy that begins there has not said yet where it is
            assert read_running(copy) is None


def test_to_look_who_uses_a_folder_never_keeps_a_proxy_out_of_it(tmp_path: Path) -> None:
    over = Event()

    def look() -> None:
        while not over.is_set():
            is_held(tmp_path)

    looking = Thread(target=look)
    looking.start()
    try:
        for _ in range(50):
            with hold(tmp_path):
                assert is_held(tmp_path)
    finally:
        over.set()
        looking.join()
    assert not is_held(tmp_path)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FolderError, match="state: cannot use the folder"), hold(tmp_path / "file" / "state"):
        pass
