"""The state folder: one proxy at a time."""

import os
from pathlib import Path

import pytest

from strangler.control.folder import FolderError, Running, hold, read_running, write_running


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


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FolderError, match="state: cannot use the folder"), hold(tmp_path / "file" / "state"):
        pass
