"""The end of a client's connection: how long it may take, and for whom it is extended."""

import asyncio
from typing import Any, cast

import pytest

from strangler.http1.closing import FLUSH_S, Closing


class Transport:
    """Holds bytes that have not left."""

    def __init__(self, unsent_bytes: int, *, is_tls: bool = False) -> None:
        self.unsent_bytes = unsent_bytes
        self.is_tls = is_tls
        self.calls: list[str] = []

    def get_write_buffer_size(self) -> int:
        return self.unsent_bytes

    def get_extra_info(self, name: str) -> None:
        return None

    def can_write_eof(self) -> bool:
        return not self.is_tls

    def close(self) -> None:
        self.calls.append("close")

    def write_eof(self) -> None:
        self.calls.append("write_eof")


def closing(transport: Transport, *, linger: bool = False) -> Closing:
    return Closing(cast(asyncio.Transport, cast(Any, transport)), linger=linger)


@pytest.mark.parametrize(
    ("linger", "unsent_bytes", "wait_s", "call"),
    [
        pytest.param(False, 0, FLUSH_S, "close", id="all has left"),
        pytest.param(False, 10, FLUSH_S, "close", id="bytes are left"),
        pytest.param(True, 0, 2.0, "write_eof", id="the client may still send"),
        pytest.param(True, 10, FLUSH_S, "write_eof", id="the client may still send, and bytes are left"),
    ],
)
def test_how_a_close_begins(linger: bool, unsent_bytes: int, wait_s: float, call: str) -> None:
    transport = Transport(unsent_bytes)
    assert closing(transport, linger=linger).wait_s == wait_s
    assert transport.calls == [call]


def test_a_client_that_reads_on_gets_more_time_and_one_that_does_not_gets_none() -> None:
    transport = Transport(100)
    begun = closing(transport)
    transport.unsent_bytes = 60
    assert begun.try_extend()
    assert not begun.try_extend()
    transport.unsent_bytes = 0
    assert not begun.try_extend()


@pytest.mark.parametrize("linger", [False, True])
def test_over_tls_every_close_reads_on_for_a_while(linger: bool) -> None:
    transport = Transport(100, is_tls=True)
    begun = closing(transport, linger=linger)
    assert transport.calls == ["close"]
    assert begun.wait_s == 2.0
    assert begun.try_extend()  # the first look tells how much is left
    assert begun.wait_s == FLUSH_S
    assert not begun.try_extend()
