"""Files of GoReplay: its own, and what its format allows."""

import gzip
from pathlib import Path

import pytest

from strangler.imports.values import ImportRefusedError
from strangler.recordings.recorded import RecordedBody, RecordedPair, raw_bytes, raw_headers
from strangler.recordings.sources import from_gor
from strangler.recordings.sources.from_gor import SEPARATOR, gor_pairs
from strangler.recordings.sources.open_source import open_source
from strangler.recordings.sources.pairs import Passed

FILES = Path(__file__).parent / "files"
AT = 1_796_000_000_000_000_000
ID = "d77649f37f00000168223769"


def payload(kind: int, raw: bytes, key: str = ID, at: int = AT, took: int = 0) -> bytes:
    return f"{kind} {key} {at} {took}\n".encode() + raw + SEPARATOR


def get(target: bytes, more: bytes = b"") -> bytes:
    return b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n" + more + b"\r\n"


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def found(*payloads: bytes, piece: int = 0) -> tuple[list[RecordedPair], list[tuple[int, str]]]:
    data = b"".join(payloads)
    size = piece or len(data)
    chunks = [data[at : at + size] for at in range(0, len(data), size)]
    pairs: list[RecordedPair] = []
    passed: list[tuple[int, str]] = []
    for number, item in gor_pairs(iter(chunks)):
        if isinstance(item, Passed):
            passed.append((number, item.why))
        else:
            pairs.append(item)
    return pairs, passed


def targets(pairs: list[RecordedPair]) -> list[bytes]:
    return [raw_bytes(each.request.target) for each in pairs]


def read_file(path: Path) -> tuple[list[RecordedPair], list[tuple[int, Passed]]]:
    with open_source(path) as source:
        assert (source.source, source.format) == ("gor", "GoReplay")
        items = list(source.pairs)
    pairs = [item for _, item in items if isinstance(item, RecordedPair)]
    return pairs, [(number, item) for number, item in items if isinstance(item, Passed)]


@pytest.mark.parametrize("name", ["shop.gor", "shop.gor.gz"])
def test_a_real_file_is_read(name: str) -> None:
    pairs, passed = read_file(FILES / name)
    assert targets(pairs)[:2] == [b"/stream", b"/api/orders?limit=2"]
    assert [each.at for each in pairs] == sorted(each.at for each in pairs)
    assert len({each.caller for each in pairs}) == 2
    assert passed == [(1, from_gor.ALONE)]
    login = next(each for each in pairs if each.request.target == "/login")
    assert login.request.body == RecordedBody(text="user=ana&password=hunter2")
    assert login.response is not None
    assert login.response.status == 201
    assert login.response.ms is not None


def test_a_real_chunked_body_is_joined() -> None:
    pairs, _ = read_file(FILES / "shop.gor")
    order = next(each for each in pairs if each.request.method == "POST")
    assert order.request.body == RecordedBody(text='{"name": "grün", "password": "hunter2"}')
    assert b"Transfer-Encoding" not in dict(raw_headers(order.request.headers))


@pytest.mark.parametrize("piece", [0, 1, 7, 64])
def test_request_and_response_are_paired_by_their_id(piece: int) -> None:
    pairs, passed = found(
        payload(1, get(b"/a"), at=AT),
        payload(2, OK, key="f" * 24, at=AT + 5_000_000, took=1_000_000),
        payload(2, OK, at=AT + 2_000_000, took=500_000),
        payload(1, get(b"/b"), key="f" * 24, at=AT + 1),
        piece=piece,
    )
    assert targets(pairs) == [b"/a", b"/b"]
    assert [None if each.response is None else each.response.ms for each in pairs] == [2.5, 6.0]
    assert passed == []


def test_the_connection_is_the_caller() -> None:
    keys = ["d77649f37f000001" + "0" * 8, "d77649f37f000001" + "1" * 8, "e" * 24, "a" * 40]
    pairs, _ = found(*(payload(1, get(b"/"), key=key) for key in keys))
    assert [each.caller for each in pairs] == ["d77649f37f000001", "d77649f37f000001", "e" * 16, ""]


def test_what_is_no_pair_is_counted_by_its_line() -> None:
    pairs, passed = found(
        payload(1, get(b"/a")),
        payload(3, OK),
        payload(2, b"HTTP/1.1 junk\r\n\r\n"),
        payload(2, OK, key="b" * 24),
        payload(1, b"\x16\x03\x01", key="c" * 24),
        b"no header" + SEPARATOR,
    )
    assert targets(pairs) == [b"/a"]
    assert pairs[0].response is None
    assert sorted(passed) == [
        (7, from_gor.REPLAYED.why),
        (13, from_gor.NO_RESPONSE.why),
        (18, from_gor.ALONE.why),
        (24, from_gor.NO_REQUEST.why),
        (27, from_gor.NO_PAYLOAD.why),
    ]


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (b"Content-Length: 3\r\n\r\nabcd", RecordedBody(text="abc")),
        (b"Content-Length: 9\r\n\r\nabcd", RecordedBody(text="abcd", cut_from=9)),
        (b"\r\nabcd", RecordedBody(text="abcd")),
        (
            b"Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n1\r\n\xff\r\n0\r\nT: 1\r\n\r\n",
            RecordedBody(base64=b"abc\xff"),
        ),
        (b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n5\r\nab", RecordedBody(omitted=5)),
        (b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", None),
        (b"Content-Length: 0\r\n\r\n", None),
    ],
)
def test_a_response_has_its_body_without_framing(raw: bytes, body: RecordedBody | None) -> None:
    pairs, passed = found(payload(1, get(b"/")), payload(2, b"HTTP/1.1 200 OK\r\n" + raw))
    assert pairs[0].response is not None
    assert pairs[0].response.body == body
    assert passed == []


@pytest.mark.parametrize(
    ("method", "status", "body"), [(b"HEAD", b"200", None), (b"GET", b"304", None), (b"GET", b"204", None)]
)
def test_some_responses_have_no_body(method: bytes, status: bytes, body: None) -> None:
    raw = b"HTTP/1.1 " + status + b" X\r\nContent-Length: 5\r\n\r\n"
    pairs, _ = found(payload(1, method + b" / HTTP/1.1\r\n\r\n"), payload(2, raw))
    assert pairs[0].response is not None
    assert pairs[0].response.body is body


def test_an_interim_response_is_passed_over() -> None:
    pairs, _ = found(payload(1, get(b"/")), payload(2, b"HTTP/1.1 100 Continue\r\n\r\n" + OK))
    assert pairs[0].response is not None
    assert pairs[0].response.status == 200


def test_a_second_request_of_an_id_is_a_pair_of_its_own() -> None:
    pairs, _ = found(payload(1, get(b"/a")), payload(1, get(b"/b"), at=AT + 1), payload(2, OK))
    assert targets(pairs) == [b"/a", b"/b"]
    assert [each.response is None for each in pairs] == [True, False]


def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(from_gor, "_MAX_WAITING", 2)
    keys = [f"{number:024x}" for number in range(5)]
    pairs, passed = found(
        *(payload(1, get(b"/%d" % at), key=key, at=AT + at) for at, key in enumerate(keys)),
        *(payload(2, OK, key=key) for key in keys),
    )
    assert targets(pairs) == [b"/0", b"/1", b"/2", b"/3", b"/4"]
    assert [each.response is None for each in pairs] == [True, True, True, False, False]
    assert [why for _, why in passed] == [from_gor.ALONE.why] * 3


def test_a_long_payload_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(from_gor, "MAX_LINE_BYTES", 1000)
    after = payload(1, get(b"/b"), "e" * 24), payload(3, OK)
    pairs, passed = found(payload(1, get(b"/a")), payload(2, b"x\n" * 3000), *after, piece=100)
    assert targets(pairs) == [b"/a", b"/b"]
    assert passed == [(7, from_gor.TOO_LONG.why), (7 + 3003 + 6, from_gor.REPLAYED.why)]


def test_a_cut_file_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.gor.gz"
    path.write_bytes(gzip.compress(payload(1, get(b"/a")) + payload(2, OK))[:-9])
    _, passed = read_file(path)
    assert "ends too early" in passed[-1][1].why


def test_host_is_refused_where_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(ImportRefusedError, match="--host is for a HAR or a log"), open_source(FILES / "shop.gor", "a"):
        pass
