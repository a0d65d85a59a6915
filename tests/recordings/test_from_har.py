"""HAR 1.2: what mitmproxy and a browser write, and what the format allows."""

import json
from pathlib import Path
from typing import Any

import pytest

from strangler.imports.values import ImportRefusedError
from strangler.recordings.recorded import RecordedBody, RecordedPair, raw_headers
from strangler.recordings.sources.from_har import har_pairs
from strangler.recordings.sources.open_source import open_source
from strangler.recordings.sources.pairs import Passed

FILES = Path(__file__).parent / "files"


def entry(url: str = "https://shop.example/a?b=1", **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "startedDateTime": "2027-01-01T00:00:00.500Z",
        "time": 12.5,
        "request": {"method": "GET", "url": url, "headers": []},
        "response": {"status": 200, "headers": [], "content": {"size": 2, "text": "{}"}},
    }
    return made | more


def read(*entries: object, host: str = "") -> list[tuple[int, RecordedPair | Passed]]:
    return list(har_pairs(json.dumps({"log": {"entries": entries}}).encode(), "a.har", host))


def pair_of(made: object) -> RecordedPair:
    [(_, item)] = read(made)
    assert isinstance(item, RecordedPair)
    return item


def test_what_mitmproxy_wrote_is_read() -> None:
    with open_source(FILES / "mitmproxy.har") as source:
        assert (source.source, source.has_addresses) == ("har", False)
        pairs = [item for _, item in source.pairs if isinstance(item, RecordedPair)]
    by_target = {str(each.request.target): each for each in pairs}
    assert len(by_target) == 7 - 1  # /api/orders was asked for by POST and by HEAD
    orders = by_target["/api/orders?limit=2"].response
    assert orders is not None
    assert orders.body == RecordedBody(text='{"orders": [{"id": 1, "mail": "ana@example.com"}]}')
    assert b"Content-Encoding" not in dict(raw_headers(orders.headers))
    assert by_target["/login"].request.body == RecordedBody(text="user=ana&password=hunter2")
    assert by_target["/api/refused"].response is None
    assert {each.caller for each in pairs} == {"har"}


def test_what_chromium_wrote_is_read() -> None:
    with open_source(FILES / "chromium.har") as source:
        items = [item for _, item in source.pairs]
    pairs = [item for item in items if isinstance(item, RecordedPair)]
    assert [item for item in items if isinstance(item, Passed)] == [Passed("served from the browser's cache")]
    page, orders, posted, refused = pairs
    assert page.response is not None
    assert page.response.body is not None
    assert page.response.body.data is not None
    assert page.response.body.data.startswith(b"<!doctype html>")
    assert orders.response is not None
    assert orders.response.body == RecordedBody(text='{"orders": [{"id": 1, "mail": "ana@example.com"}]}')
    assert posted.request.body == RecordedBody(text='{"name":"grün","password":"hunter2"}')
    assert refused.response is None


def test_an_entry_becomes_a_pair() -> None:
    fields = [{"name": ":path", "value": "/a"}, {"name": "accept", "value": "*/*"}, {"name": "cookie", "value": "a=1"}]
    pair = pair_of(entry(request={"method": "GET", "url": "https://shop.example/a?b=1#c", "headers": fields}))
    assert pair.request.target == "/a?b=1"
    assert raw_headers(pair.request.headers) == [(b"accept", b"*/*"), (b"cookie", b"a=1")]
    assert (pair.at, pair.response and pair.response.ms) == (1798761600.5, 12.5)


@pytest.mark.parametrize(
    ("content", "body"),
    [
        ({"size": 2, "text": "/w==", "encoding": "base64"}, RecordedBody(base64=b"\xff")),
        ({"size": 2, "text": "not base64!", "encoding": "base64"}, RecordedBody(omitted=8)),
        ({"size": 2, "text": "ä"}, RecordedBody(text="ä")),
        ({"size": 9}, RecordedBody(omitted=9)),
        ({"size": 0, "text": ""}, None),
        ({"size": -1}, None),
        ({}, None),
    ],
)
def test_a_response_has_the_body_that_was_exported(content: dict[str, Any], body: RecordedBody | None) -> None:
    pair = pair_of(entry(response={"status": 200, "headers": [], "content": content}))
    assert pair.response is not None
    assert pair.response.body == body


def test_a_body_that_was_decoded_has_no_coding() -> None:
    fields = [{"name": "Content-Encoding", "value": "br"}, {"name": "content-type", "value": "a/b"}]
    pair = pair_of(entry(response={"status": 200, "headers": fields, "content": {"text": "x"}}))
    assert pair.response is not None
    assert raw_headers(pair.response.headers) == [(b"content-type", b"a/b")]


@pytest.mark.parametrize("status", [0, -1, None, "200"])
def test_a_request_that_failed_has_no_response(status: object) -> None:
    assert pair_of(entry(response={"status": status, "headers": [], "content": {}})).response is None


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (entry(_fromCache="disk"), "served from the browser's cache"),
        (entry("wss://shop.example/a"), "a request that is not HTTP"),
        (entry("data:text/plain,x"), "a request that is not HTTP"),
        (entry(startedDateTime="yesterday"), "a time that cannot be read"),
        ({"request": 1}, "not in the form of the others"),
        ("x", "not in the form of the others"),
    ],
)
def test_what_is_no_request_is_passed_over(made: object, why: str) -> None:
    assert read(made) == [(1, Passed(why))]


def test_several_hosts_need_a_name() -> None:
    entries = [entry(), entry("https://cdn.example/x"), entry("https://cdn.example/y")]
    with pytest.raises(
        ImportRefusedError, match=r"2 hosts: name one with --host: cdn.example \(2\), shop.example \(1\)"
    ):
        read(*entries)
    with pytest.raises(ImportRefusedError, match=r"no request to other.example; it has cdn.example"):
        read(*entries, host="other.example")
    found = read(*entries, host="SHOP.example")
    assert [type(item) for _, item in found] == [RecordedPair, Passed, Passed]


def test_what_is_no_har_is_refused() -> None:
    with pytest.raises(ImportRefusedError, match="no valid HAR"):
        har_pairs(b'{"log": {"entries": 1}}', "a.har", "")
