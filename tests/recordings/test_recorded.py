"""The values of a recording: any bytes come back as they were."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.recordings.recorded import (
    RecordedBody,
    RecordedPair,
    raw_bytes,
    raw_headers,
    raw_text,
    recorded_headers,
)
from tests.recordings.made import pair

_BYTES = st.one_of(st.binary(max_size=40), st.text(max_size=20).map(lambda text: text.encode("utf-8", "replace")))


@given(
    target=_BYTES,
    headers=st.lists(st.tuples(_BYTES, _BYTES), max_size=5),
    body=st.none() | _BYTES,
    response=st.none() | _BYTES,
)
def test_any_bytes_come_back(
    target: bytes, headers: list[tuple[bytes, bytes]], body: bytes | None, response: bytes | None
) -> None:
    line = msgspec.json.encode(pair(target, headers=headers, body=body, response=response))
    back = msgspec.json.decode(line, type=RecordedPair)
    assert b"\n" not in line
    assert raw_bytes(back.request.target) == target
    assert raw_headers(back.request.headers) == headers
    assert (None if back.request.body is None else back.request.body.data) == body
    found = None if back.response is None or back.response.body is None else back.response.body.data
    assert found == response


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("ä".encode(), b'{"text":"\xc3\xa4"}'),
        (b"\xe4", b'{"base64":"5A=="}'),
        (b"", b'{"text":""}'),
    ],
)
def test_a_body_is_text_if_it_is_utf8(data: bytes, expected: bytes) -> None:
    assert msgspec.json.encode(RecordedBody.of(data)) == expected


def test_a_body_that_was_not_kept_is_its_length() -> None:
    body = RecordedBody(omitted=7)
    assert msgspec.json.encode(body) == b'{"omitted":7}'
    assert body.data is None
    assert not body.is_whole


def test_a_body_may_be_cut() -> None:
    body = RecordedBody.of(b"abc", cut_from=9)
    assert msgspec.json.encode(body) == b'{"text":"abc","cut_from":9}'
    assert body.data == b"abc"
    assert not body.is_whole


@pytest.mark.parametrize("text", ["{}", '{"text":"a","base64":"YQ=="}', '{"omitted":-1}', '{"base64":"%%"}'])
def test_a_body_of_no_kind_or_of_two_is_refused(text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text, type=RecordedBody)


def test_a_field_that_is_no_utf8_stands_as_base64() -> None:
    assert msgspec.json.encode(recorded_headers([(b"X", b"\xe4")])) == b'[["X",{"base64":"5A=="}]]'
    assert msgspec.json.encode(raw_text(b"/\xff")) == b'{"base64":"L/8="}'
