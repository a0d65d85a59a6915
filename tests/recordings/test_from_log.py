"""Access logs: GET requests and statuses."""

from pathlib import Path

import pytest

from strangler.imports.values import ImportRefusedError
from strangler.recordings.recorded import RecordedBody, RecordedPair, raw_headers
from strangler.recordings.sources.open_source import open_source
from strangler.recordings.sources.pairs import Passed

LINE = '{client} - - [10/Oct/2026:13:55:36 +0000] "{request} HTTP/1.1" {status} 12 "-" "curl/8"\n'


def read(tmp_path: Path, text: str, host: str = "") -> list[tuple[int, RecordedPair | Passed]]:
    path = tmp_path / "access.log"
    path.write_text(text)
    with open_source(path, host) as source:
        assert source.source == "log"
        assert "no bodies" in source.notes[0]
        return list(source.pairs)


def line(request: str, client: str = "10.1.2.3", status: str = "200") -> str:
    return LINE.format(request=request, client=client, status=status)


def test_get_requests_become_pairs(tmp_path: Path) -> None:
    found = read(tmp_path, line("GET /a?b=1") + line("POST /a") + "junk\n" + line("GET /b", "10.9.9.9", "404"))
    first, posted, junk, second = (item for _, item in found)
    assert [number for number, _ in found] == [1, 2, 3, 4]
    assert isinstance(first, RecordedPair)
    assert isinstance(second, RecordedPair)
    assert (first.request.target, first.caller) == ("/a?b=1", "10.1.2.3")
    assert raw_headers(first.request.headers) == [(b"User-Agent", b"curl/8")]
    assert first.response is not None
    assert (first.response.status, first.response.body) == (200, RecordedBody(omitted=0))
    assert second.caller == "10.9.9.9"
    assert isinstance(posted, Passed)
    assert "another method than GET" in posted.why
    assert isinstance(junk, Passed)


def test_a_request_without_a_status_has_no_response(tmp_path: Path) -> None:
    [(_, item)] = read(tmp_path, line("GET /a", status="-"))
    assert isinstance(item, RecordedPair)
    assert item.response is None


def test_the_address_stands_behind_a_virtual_host(tmp_path: Path) -> None:
    [(_, item)] = read(tmp_path, "shop.example:443 " + line("GET /a"))
    assert isinstance(item, RecordedPair)
    assert item.caller == "10.1.2.3"
    assert raw_headers(item.request.headers)[0] == (b"Host", b"shop.example")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("GET\0 /\n", "is no text"),
        ("GET /a\nPOST /b\n", "list of endpoints"),
        ("x y\n" * 9, "no form"),
    ],
)
def test_what_is_no_log_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ImportRefusedError, match=message):
        read(tmp_path, text)
