"""Sockets that others leave to this process: which key each is for, and what is refused."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from strangler.core.listener_settings import Address
from strangler.ipc.start import ListenerGroup
from strangler.sockets.listen import InheritedState, ListenError, activated, listen_at, where
from strangler.supervisor.notify import Notifier, without_watched_pid


@pytest.fixture
def left() -> Iterator[socket.socket]:
    """A listening socket that was left by others; whoever takes it closes it."""
    listener = socket.create_server(("127.0.0.1", 0))
    yield listener
    listener.detach()


def group(left: socket.socket, key: str, address: str, is_activated: bool = False) -> InheritedState:
    return InheritedState([ListenerGroup(key, address, (left.fileno(),), is_activated)])


@pytest.mark.parametrize(
    ("key", "address", "is_activated"),
    [
        pytest.param("listen", "127.0.0.1:0", False, id="the same key says the same address"),
        pytest.param("listen", "", True, id="the service manager named the key"),
    ],
)
def test_a_key_takes_what_was_its_own(left: socket.socket, key: str, address: str, is_activated: bool) -> None:
    inherited = group(left, key, address, is_activated)
    (taken,) = listen_at(Address("127.0.0.1", 0), "listen", inherited)
    assert taken.fileno() == left.fileno()
    assert not taken.getblocking()
    assert inherited.close_rest() == ()
    assert inherited.has_activated([taken]) == is_activated
    taken.close()


def test_a_socket_of_the_service_manager_is_the_first_listeners_and_of_no_other(left: socket.socket) -> None:
    inherited = group(left, "listen", "", is_activated=True)
    (first,) = listen_at(Address("127.0.0.1", 0), "listen", inherited)
    (second,) = listen_at(Address("127.0.0.1", 0), "listen", inherited)
    assert first.fileno() == left.fileno() != second.fileno()
    assert [inherited.has_activated([listener]) for listener in (first, second)] == [True, False]
    first.close()
    second.close()


def test_of_several_listeners_each_takes_what_was_its_own_in_any_order(left: socket.socket, tmp_path: Path) -> None:
    address = Address(f"unix:{tmp_path / 's.sock'}", 0)
    (unix,) = listen_at(address, "listen")
    inherited = InheritedState(
        [
            ListenerGroup("listen", "127.0.0.1:80", (left.fileno(),), is_activated=True),
            ListenerGroup("listen", str(address), (unix.fileno(),)),
        ]
    )
    (again,) = listen_at(address, "listen", inherited)
    (tcp,) = listen_at(Address("127.0.0.1", 81), "listen", inherited)
    assert (again.fileno(), tcp.fileno()) == (unix.fileno(), left.fileno())
    assert inherited.close_rest() == ()
    again.detach()
    unix.close()
    tcp.close()


@pytest.mark.parametrize("key", ["listen", "admin.listen", "receiver.listen", ""])
def test_an_address_is_taken_over_whatever_key_it_was_for(left: socket.socket, key: str) -> None:
    port = where(left).port
    (taken,) = listen_at(Address("127.0.0.1", port), "listen", group(left, key, "elsewhere:1"))
    assert taken.fileno() == left.fileno()
    taken.close()


def test_what_nobody_listens_at_any_more_is_closed_and_named(left: socket.socket) -> None:
    inherited, port = group(left, "listen", "127.0.0.1:1"), where(left).port
    (made,) = listen_at(Address("127.0.0.1", 0), "listen", inherited)
    assert where(made).port != port
    assert inherited.close_rest() == (left.fileno(),)
    made.close()


def test_a_socket_of_the_service_manager_that_fits_nowhere_is_refused(left: socket.socket) -> None:
    with pytest.raises(ListenError, match=rf"nothing in routes.yaml listens at 127.0.0.1:{where(left).port}"):
        group(left, "", "", is_activated=True).close_rest()
    os.close(left.fileno())


@pytest.mark.parametrize(
    "environ",
    [
        pytest.param({}, id="none"),
        pytest.param({"LISTEN_PID": "1", "LISTEN_FDS": "1"}, id="for another process"),
        pytest.param({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "one"}, id="no number"),
        pytest.param({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "0"}, id="of none"),
    ],
)
def test_without_sockets_for_this_process_there_are_none_and_its_children_see_none(environ: dict[str, str]) -> None:
    assert activated(environ) == ()
    assert environ == {}


@pytest.mark.parametrize(
    ("environ", "watchdog_s"),
    [
        pytest.param({"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "4000000"}, 2.0, id="half of what is asked"),
        pytest.param({"NOTIFY_SOCKET": "/n"}, None, id="not watched"),
        pytest.param({"WATCHDOG_USEC": "4000000"}, None, id="nobody hears"),
        pytest.param({"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "0"}, None, id="off"),
        pytest.param({"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "4000000", "WATCHDOG_PID": "1"}, None, id="not us"),
    ],
)
def test_the_watchdog_hears_twice_as_often_as_it_asks(environ: dict[str, str], watchdog_s: float | None) -> None:
    assert Notifier(environ).watchdog_s == watchdog_s


def test_a_successor_is_watched_in_our_place() -> None:
    environ = {"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "4000000", "WATCHDOG_PID": str(os.getpid() + 1)}
    assert Notifier(environ).watchdog_s is None
    assert Notifier(without_watched_pid(environ)).watchdog_s == 2.0
