"""Whatever a client sends ends in answers and in the connection's end, and only whole, valid requests go on."""

import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.core.http.headers import ForwardedFields
from strangler.core.http.problem import Problem
from strangler.core.http.trust import TrustedProxies
from strangler.http1.request import Request, parse_request
from tests.fuzz.bytes import REQUESTS, pieces
from tests.fuzz.effort import examples
from tests.fuzz.plane import Plane, plane
from tests.fuzz.strict import read_stream
from tests.http1.scripted import responding, send
from tests.http1.strict_reader import read_requests

_RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
_OURS = {200, 400, 405, 408, 413, 414, 417, 431, 501, 502, 503, 504, 505}
_FORWARDED = ForwardedFields("192.0.2.7", b"http", TrustedProxies(()))


@pytest.fixture(scope="module")
def serving() -> Iterator[Plane]:
    with plane(responding(send(_RESPONSE))) as made:
        yield made


@examples(700)
@given(REQUESTS)
def test_a_head_is_a_request_or_a_problem(data: bytes) -> None:
    raw = data.split(b"\r\n\r\n", 1)[0] + b"\r\n\r\n"
    found = parse_request(raw, _FORWARDED, Request)
    if isinstance(found, Problem):
        assert 400 <= found.status <= 505
        return
    without_framing = re.sub(rb"(?im)^(content-length|transfer-encoding):.*\r\n", b"", raw)
    (strict,) = read_stream(without_framing)
    assert (found.method, found.target) == (strict.method, strict.target)


@examples(350)
@given(pieces(REQUESTS))
def test_what_goes_on_is_what_a_strict_reader_reads(serving: Plane, sent: list[bytes]) -> None:
    serving.runner.run(_check_stream(serving, sent))
    serving.hold()


async def _check_stream(serving: Plane, sent: list[bytes]) -> None:
    await serving.upstream.renew()
    client = await serving.exchange(sent, waits=False)
    wanted = read_stream(b"".join(sent))
    got = [read_requests(request.raw) for request in serving.upstream.requests]
    assert all(len(messages) == 1 and messages[0].is_complete for messages in got)
    for (message,), strict in zip(got, wanted, strict=False):
        method, target, version = message.start.split(b" ")
        assert (method, target, message.body, version) == (strict.method, strict.target, strict.body, b"HTTP/1.1")
        assert len(message.values(b"host")) == 1
    assert len(got) <= len(wanted)
    responded = bytes(client.received)
    assert not responded or responded.startswith(b"HTTP/1.1 ")
    assert {int(status) for status in _STATUS.findall(responded)} <= _OURS


@examples(80)
@given(
    st.binary(max_size=200),
    st.sampled_from([b"GET ", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"]),
)
def test_bytes_without_sense_end_the_connection(serving: Plane, data: bytes, start: bytes) -> None:
    client = serving.runner.run(serving.exchange([start + data], waits=False))
    assert client.end in ("eof", "reset")
    serving.hold()
