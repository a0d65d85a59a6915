"""Listening sockets: where they are, and what is said if they cannot be."""

import socket
from pathlib import Path

import pytest

from strangler.core.settings import Address
from strangler.sockets.listen import ListenError, close_all, listen_at, listen_locally, where


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
