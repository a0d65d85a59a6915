"""Where the proxy is, and how its latest restart went, as files of the state folder."""

import os
from pathlib import Path

from strangler.state.folder import hold, is_known
from strangler.state.running import (
    Restart,
    Running,
    draining_pid,
    read_restart,
    remove_running,
    write_restart,
    write_running,
)


def test_each_restart_has_the_next_number(tmp_path: Path) -> None:
    assert read_restart(tmp_path) is None
    write_restart(tmp_path, 11)
    write_restart(tmp_path, 11, "it did not get ready")
    assert read_restart(tmp_path) == Restart(2, 11, "it did not get ready")


def test_a_restart_that_cannot_be_noted_is_no_error(tmp_path: Path) -> None:
    write_restart(tmp_path / "gone", 11)
    assert read_restart(tmp_path / "gone") is None


def test_only_a_proxy_that_says_so_drains(tmp_path: Path) -> None:
    with hold(tmp_path):
        assert draining_pid(tmp_path) is None
        write_running(tmp_path, Running(11, "127.0.0.1:1", "127.0.0.1:2"))
        assert draining_pid(tmp_path) is None
        write_running(tmp_path, Running(11, "127.0.0.1:1", "127.0.0.1:2", is_draining=True))
        assert draining_pid(tmp_path) == 11
        remove_running(tmp_path)
        assert draining_pid(tmp_path) is None


def test_a_folder_without_files_is_not_known(tmp_path: Path) -> None:
    assert not is_known(tmp_path / "gone")
    assert not is_known(tmp_path)
    write_restart(tmp_path, os.getpid())
    assert is_known(tmp_path)
