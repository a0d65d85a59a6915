"""HAR 1.2: all that its specification requires, and what was recorded."""

import base64
import json
from typing import Any

import pytest

from strangler.imports.har import entries
from strangler.imports.values import ImportOptions, LoggedCall
from strangler.recordings.exports.to_har import HarFormat
from strangler.recordings.recorded import RecordedBody, RecordedPair, RecordedResponse
from tests.recordings.exports.pairs import AT, TO, exported, recorded, responded

NUMBER = (int, float)
REQUIRED: dict[str, dict[str, Any]] = {
    "log": {"version": str, "creator": dict, "entries": list},
    "creator": {"name": str, "version": str},
    "entry": {
        "startedDateTime": str, "time": NUMBER, "request": dict, "response": dict, "cache": dict, "timings": dict,
    },
    "request": {
        "method": str, "url": str, "httpVersion": str, "cookies": list, "headers": list, "queryString": list,
        "headersSize": int, "bodySize": int,
    },
    "response": {
        "status": int, "statusText": str, "httpVersion": str, "cookies": list, "headers": list, "content": dict,
        "redirectURL": str, "headersSize": int, "bodySize": int,
    },
    "content": {"size": int, "mimeType": str},
    "postData": {"mimeType": str, "text": str},
    "timings": {"send": NUMBER, "wait": NUMBER, "receive": NUMBER},
    "pair": {"name": str, "value": str},
}  # fmt: skip
"""The fields that http://www.softwareishard.com/blog/har-12-spec/ does not call optional."""


def check(kind: str, value: Any) -> None:
    for name, types in REQUIRED[kind].items():
        assert isinstance(value[name], types), (kind, name, value)


def har(*pairs: RecordedPair) -> list[dict[str, Any]]:
    """Return the entries of an export that has all that is required."""
    text, _ = exported(HarFormat(TO), *pairs)
    log = json.loads(text)["log"]
    check("log", log)
    check("creator", log["creator"])
    for entry in log["entries"]:
        request, response = entry["request"], entry["response"]
        for kind, value in (("entry", entry), ("request", request), ("response", response)):
            check(kind, value)
        check("content", response["content"])
        check("timings", entry["timings"])
        assert entry["time"] == sum(entry["timings"].values())
        if "postData" in request:
            check("postData", request["postData"])
        for pair in [*request["headers"], *request["cookies"], *request["queryString"], *response["headers"]]:
            check("pair", pair)
    return list(log["entries"])


def test_no_pair_is_a_log_without_entries() -> None:
    assert har() == []


def test_pairs_are_entries_in_their_order() -> None:
    assert [entry["request"]["url"] for entry in har(recorded(b"/a"), recorded(b"/b?x=1"))] == [
        "http://127.0.0.1:8080/a",
        "http://127.0.0.1:8080/b?x=1",
    ]


def test_a_request_is_all_there() -> None:
    fields = ((b"Cookie", b"a=1; b"), (b"X-A", b"1"), (b"x-a", b"2"))
    (entry,) = har(recorded(b"/?q=a+b&e=%C3%BC&f", *fields))
    request = entry["request"]
    assert entry["startedDateTime"] == "2025-11-30T10:53:20.123456Z"
    assert request["cookies"] == [{"name": "a", "value": "1"}, {"name": "b", "value": ""}]
    assert [(pair["name"], pair["value"]) for pair in request["queryString"]] == [("q", "a b"), ("e", "ü"), ("f", "")]
    names = [(pair["name"], pair["value"]) for pair in request["headers"]]
    assert names == [("Host", "127.0.0.1:8080"), ("Cookie", "a=1; b"), ("X-A", "1"), ("x-a", "2")]


@pytest.mark.parametrize("data", [b"", b"text", "ü".encode(), b"\xff\x00"])
def test_bodies_are_text_or_base64(data: bytes) -> None:
    content_type = (b"Content-Type", b"a/b")
    (entry,) = har(recorded(b"/", content_type, method="POST", body=data, response=responded(data, content_type)))
    post, content = entry["request"]["postData"], entry["response"]["content"]
    for found, encoding in ((post, post.get("_encoding")), (content, content.get("encoding"))):
        assert found["mimeType"] == "a/b"
        assert data == (base64.b64decode(found["text"]) if encoding == "base64" else found["text"].encode())
    assert (entry["request"]["bodySize"], content["size"]) == (len(data), len(data))


def test_a_body_that_was_not_kept_has_its_size() -> None:
    response = RecordedResponse(200, (), RecordedBody(omitted=5000), None)
    (entry,) = har(recorded(response=response))
    assert (entry["response"]["content"]["size"], "text" in entry["response"]["content"]) == (5000, False)


def test_without_a_response_the_status_is_0() -> None:
    pair = recorded()
    (entry,) = har(RecordedPair(at=AT, caller="", request=pair.request))
    assert entry["response"]["status"] == 0


def test_redacted_fields_are_named_in_a_comment() -> None:
    (entry,) = har(recorded(b"/", (b"Authorization", b"redacted:0123abcd")))
    assert entry["request"]["comment"] == "left out, since the values are redacted: header Authorization"
    assert len(entry["request"]["headers"]) == 1


def test_what_has_no_url_is_left_out() -> None:
    _, counts = exported(HarFormat(TO), recorded(b"*", method="OPTIONS"))
    assert (counts.written, counts.unsendable.total()) == (0, 1)


def test_the_ledger_imports_it() -> None:
    created = recorded(b"/b", method="POST", response=responded(b"", status=404))
    text, _ = exported(HarFormat(TO), recorded(b"/a?x=1"), created)
    calls = [call for _, call in entries(text, "a.har", ImportOptions())]
    assert [(call.method, call.path, call.status) for call in calls if isinstance(call, LoggedCall)] == [
        ("GET", b"/a", 200),
        ("POST", b"/b", 404),
    ]
    assert isinstance(calls[0], LoggedCall)
    assert calls[0].at == pytest.approx(AT, abs=0.001)
