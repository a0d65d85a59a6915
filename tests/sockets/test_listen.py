"""Listening sockets: where they are, and what is said if they cannot be."""

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from strangler.core.listener_settings import Address
from strangler.sockets.listen import ListenError, close_all, listen_at, listen_locally, remove_dead, where


def test_port_0_lets_the_system_choose() -> None:
    sockets = listen_at(Address("127.0.0.1", 0), "listen")
    with socket.create_connection(("127.0.0.1", where(sockets[0]).port), timeout=1):
        pass
    close_all(sockets)
    assert sockets == []


def test_all_addresses_of_a_name_share_one_port() -> None:
    sockets = listen_at(Address("localhost", 0), "listen")
    assert len({where(listener).port for listener in sockets}) == 1
    close_all(sockets)


def test_a_port_that_is_taken_is_named_with_the_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ListenError, match=rf"^admin.listen: 127.0.0.1:{port} is taken by another program"):
            listen_at(Address("127.0.0.1", port), "admin.listen")


def test_an_address_of_another_machine_is_named() -> None:
    with pytest.raises(ListenError, match=r"listen: 192\.0\.2\.1 is not an address of this machine"):
        listen_at(Address("192.0.2.1", 0), "listen")


def test_a_name_that_does_not_resolve_is_named() -> None:
    with pytest.raises(ListenError, match=r"listen: cannot resolve no-such-host\.invalid"):
        listen_at(Address("no-such-host.invalid", 80), "listen")


def test_the_local_socket_replaces_what_a_killed_proxy_left(tmp_path: Path) -> None:
    first, path = listen_locally(tmp_path)
    first.close()
    second, same = listen_locally(tmp_path)
    assert same == path
    with second, socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_a_deep_state_folder_does_not_exceed_what_a_socket_path_may_hold(tmp_path: Path) -> None:
    folder = tmp_path / ("deep" * 30)
    folder.mkdir()
    listener, path = listen_locally(folder)
    with listener, socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    assert path.parent.stat().st_mode & 0o777 == 0o700
    path.unlink()
    path.parent.rmdir()


class TestUnixSockets:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return tmp_path / "s.sock"

    def listen(self, path: Path, **options: Any) -> socket.socket:
        (listener,) = listen_at(Address(f"unix:{path}", 0), "listen", **options)
        return listener

    def test_it_serves_at_its_path_with_its_mode(self, path: Path) -> None:
        with self.listen(path, mode=0o606) as listener, socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            assert stat.S_IMODE(path.stat().st_mode) == 0o606
            assert where(listener) == Address(f"unix:{path}", 0)
            assert os.listdir(path.parent) == [path.name]

    def test_the_file_of_a_dead_program_is_taken_over(self, path: Path) -> None:
        self.listen(path).close()
        assert path.exists()
        with self.listen(path), socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))

    def test_a_live_socket_is_not_taken_over(self, path: Path) -> None:
        with self.listen(path), pytest.raises(ListenError, match="is taken by another program; stop it"):
            self.listen(path)

    @pytest.mark.parametrize("make", [Path.touch, Path.mkdir], ids=["file", "folder"])
    def test_what_is_no_socket_stays(self, path: Path, make: Callable[[Path], None]) -> None:
        make(path)
        with pytest.raises(ListenError, match="is there already, and is no socket"):
            self.listen(path)
        assert path.exists()

    def test_a_folder_that_is_missing_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(ListenError, match="No such file or directory; make the folder"):
            self.listen(tmp_path / "none" / "s.sock")

    def test_an_unknown_group_is_named(self, path: Path) -> None:
        with pytest.raises(ListenError, match="listen: there is no group 'nosuchgroup' on this machine"):
            self.listen(path, group="nosuchgroup")
        assert os.listdir(path.parent) == []

    def test_a_group_may_be_a_number(self, path: Path) -> None:
        with self.listen(path, group=str(os.getgid())):
            assert path.stat().st_gid == os.getgid()

    def test_a_path_that_is_too_long_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(ListenError, match="is longer than 100 bytes; choose a shorter one"):
            self.listen(tmp_path / ("x" * 120))

    def test_only_a_dead_socket_is_removed(self, path: Path) -> None:
        with self.listen(path):
            remove_dead(str(path))
            assert path.exists()
        remove_dead(str(path))
        assert not path.exists()
        path.touch()
        remove_dead(str(path))
        assert path.exists()


def test_the_any_address_of_ipv6_takes_ipv4_too() -> None:
    (listener,) = listen_at(Address("::", 0), "listen")
    with listener, socket.create_connection(("127.0.0.1", listener.getsockname()[1]), 5):
        pass
