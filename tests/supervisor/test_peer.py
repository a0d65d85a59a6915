"""The talk between supervisors: lines of JSON, handed on as they come."""

import selectors
import socket
from collections.abc import Iterator

import pytest

from strangler.supervisor.origin import OriginLink
from strangler.supervisor.peer import MAX_LINE_BYTES, Message, Peer, pair


class Listening:
    """A peer in a loop, and what the loop was told."""

    def __init__(self) -> None:
        self.peer, self.other = pair()
        self.messages: list[Message] = []
        self.ends = 0
        self.closes_after_one = False
        self._selector = selectors.DefaultSelector()
        self.peer.watch(self._selector, self._on_message, self._on_closed)

    def turn(self) -> None:
        for key, events in self._selector.select(0):
            key.data(events)

    def close(self) -> None:
        self.peer.close()
        self.other.close()
        self._selector.close()

    def _on_message(self, message: Message) -> None:
        self.messages.append(message)
        if self.closes_after_one:
            self.peer.close()

    def _on_closed(self) -> None:
        self.ends += 1
        self.peer.close()


@pytest.fixture
def listening() -> Iterator[Listening]:
    listening = Listening()
    yield listening
    listening.close()


def test_messages_are_handed_on_once_they_are_whole(listening: Listening) -> None:
    listening.other.sendall(b'{"ready":true}\n{"pid":')
    listening.turn()
    assert listening.messages == [{"ready": True}]
    listening.other.sendall(b"7}\n")
    listening.turn()
    assert listening.messages == [{"ready": True}, {"pid": 7}]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="closed"),
        pytest.param(b"nonsense\n", id="no JSON"),
        pytest.param(b"[]\n", id="no object"),
    ],
)
def test_a_talk_that_cannot_go_on_has_ended_once(listening: Listening, data: bytes) -> None:
    listening.other.sendall(data)
    listening.other.close()
    for _ in range(2):
        listening.turn()
    assert (listening.messages, listening.ends) == ([], 1)


def test_a_line_without_end_ends_the_talk(listening: Listening) -> None:
    sent = 0
    while not listening.ends and sent < 2 * MAX_LINE_BYTES:
        sent += listening.other.send(b"x" * 65536)
        listening.turn()
    assert listening.ends == 1


def test_nothing_is_handed_on_after_the_end_was_closed(listening: Listening) -> None:
    listening.closes_after_one = True
    listening.other.sendall(b"{}\n{}\n")
    listening.turn()
    assert len(listening.messages) == 1
    listening.peer.close()
    assert not listening.peer.is_open


def test_sending_to_one_that_has_gone_is_no_error(listening: Listening) -> None:
    listening.other.close()
    listening.peer.send(ready=True)
    listening.peer.close()
    listening.peer.send(ready=True)


def test_without_an_origin_nothing_is_said_or_heard() -> None:
    link = OriginLink(None)
    with selectors.DefaultSelector() as selector:
        link.watch(selector, lambda: None)
        assert not selector.get_map()
    link.send(pid=7)
    link.close()
    assert link.fd is None


def test_an_origin_hears_until_the_link_is_closed() -> None:
    ours, theirs = socket.socketpair()
    link = OriginLink(theirs.detach())
    peer = Peer(ours)
    assert link.fd is not None
    link.send(pid=7)
    assert peer.receive() == [{"pid": 7}]
    link.close()
    assert link.fd is None
    with pytest.raises(EOFError):
        peer.receive()
    peer.close()
