"""The changes that an upstream's settings make in a request, whoever sends it."""

import pytest

from strangler.core.http.headers import DROPPED, DROPPED_TRUSTED
from strangler.core.http.upstream_edits import UpstreamEdits, forwarded_prefix
from strangler.core.settings import HeaderEdits, Url
from tests.factories import upstream

URL = Url("http", "orders", 8001, "")


def test_fields_that_are_set_or_removed_are_not_passed_on() -> None:
    edits = UpstreamEdits(upstream("orders", headers=HeaderEdits((("X-A", "new"), ("X-C", "1")), ("X-b",))))
    assert edits.added == ((b"X-A", b"new"), (b"X-C", b"1"))
    assert edits.added_lines == b"X-A: new\r\nX-C: 1\r\n"
    assert edits.removed == {b"x-a", b"x-b", b"x-c"}
    assert edits.dropped == DROPPED | edits.removed
    assert edits.dropped_from_trusted == DROPPED_TRUSTED | edits.removed


def test_without_edits_the_sets_are_those_that_all_upstreams_share() -> None:
    edits = UpstreamEdits(upstream("orders"))
    assert edits.dropped is DROPPED
    assert edits.dropped_from_trusted is DROPPED_TRUSTED


@pytest.mark.parametrize(
    ("sends", "host", "is_absolute", "expected"),
    [
        pytest.param("preserve", b"shop", False, None, id="the client's line passes"),
        pytest.param("preserve", b"shop", True, b"shop", id="an absolute target stands for the Host field"),
        pytest.param("preserve", b"", False, b"orders:8001", id="a client without Host"),
        pytest.param("upstream", b"shop", False, b"orders:8001", id="host: upstream"),
        pytest.param("upstream", b"shop", True, b"orders:8001", id="host: upstream, absolute target"),
    ],
)
def test_host(sends: str, host: bytes, is_absolute: bool, expected: bytes | None) -> None:
    edits = UpstreamEdits(upstream("orders", host=sends))
    assert edits.new_host(host, URL, is_absolute) == expected


@pytest.mark.parametrize(
    ("received", "is_trusted", "expected"),
    [
        pytest.param(None, True, b"/api", id="nothing in front"),
        pytest.param(b"", True, b"/api", id="empty"),
        pytest.param(b"/shop/", True, b"/shop/api", id="a trusted proxy in front"),
        pytest.param(b"/shop", False, b"/api", id="a client that is not trusted"),
    ],
)
def test_forwarded_prefix(received: bytes | None, is_trusted: bool, expected: bytes) -> None:
    assert forwarded_prefix(b"/api", received, is_trusted=is_trusted) == expected
