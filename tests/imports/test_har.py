"""HAR 1.2: the requests of a browser."""

import json
from typing import Any

import pytest

from strangler.imports.har import entries
from strangler.imports.values import ImportOptions, ImportRefusedError, LoggedCall, Unread

AT = 971211336.25


def entry(url: str = "https://shop.example/a?b=c#d", method: str = "GET", **more: Any) -> dict[str, Any]:
    headers = [{"name": "Accept", "value": "*/*"}, {"name": "user-agent", "value": "Firefox/140"}]
    return {
        "startedDateTime": "2000-10-10T22:55:36.250+02:00",
        "time": 12.5,
        "request": {"method": method, "url": url, "httpVersion": "HTTP/2", "headers": headers, "cookies": []},
        "response": {"status": 200, "content": {"text": "x"}},
        "cache": {},
        **more,
    }


def har(*written: Any) -> bytes:
    return json.dumps({"log": {"version": "1.2", "creator": {"name": "Firefox"}, "entries": list(written)}}).encode()


def read(data: bytes, host: str = "") -> list[LoggedCall | Unread]:
    found = list(entries(data, "shop.har", ImportOptions(host=host)))
    assert [number for number, _ in found] == list(range(1, len(found) + 1))
    return [item for _, item in found]


def test_an_entry_is_a_call() -> None:
    assert read(har(entry())) == [
        LoggedCall(AT, "GET", b"/a", b"b=c", 200, "Firefox/140", "shop.example", 0.0125),
    ]


SKIPPED = {
    "from the cache": (entry(_fromCache="disk"), Unread.FROM_CACHE),
    "a data URL": (entry("data:text/plain,x"), Unread.NOT_HTTP),
    "a websocket": (entry("wss://shop.example/ws"), Unread.NOT_HTTP),
    "an extension": (entry("chrome-extension://x/y.js"), Unread.NOT_HTTP),
    "no time": (entry(startedDateTime=""), Unread.BAD_TIME),
    "no request": ({"response": {}}, Unread.BAD_FORM),
    "nonsense": (7, Unread.BAD_FORM),
}


@pytest.mark.parametrize(("written", "reason"), SKIPPED.values(), ids=SKIPPED)
def test_an_entry_that_is_no_call_has_a_reason(written: object, reason: Unread) -> None:
    assert read(har(written)) == [reason]


def test_a_request_without_a_response_has_no_status() -> None:
    (call,) = read(har(entry(response={"status": 0}, time=-1)))
    assert isinstance(call, LoggedCall)
    assert (call.status, call.duration_s) == (None, None)


SEVERAL = har(entry(), entry("https://cdn.example/x.js"), entry("http://SHOP.example:8080/b"))


def test_entries_to_several_hosts_need_a_choice() -> None:
    with pytest.raises(
        ImportRefusedError, match=r"2 hosts: name one with --host: shop\.example \(2\), cdn\.example \(1\)"
    ):
        read(SEVERAL)


def test_of_several_hosts_one_is_read() -> None:
    calls = read(SEVERAL, "shop.example:443")
    assert [call if isinstance(call, Unread) else call.path for call in calls] == [b"/a", Unread.OTHER_HOST, b"/b"]


def test_a_host_without_requests_is_refused() -> None:
    with pytest.raises(ImportRefusedError, match=r"no request to api\.example; it has shop\.example \(2\)"):
        read(SEVERAL, "api.example")


@pytest.mark.parametrize("data", [b"{", b"{}", b'{"log":7}', b'{"log":{"entries":7}}'])
def test_what_is_no_har_is_refused(data: bytes) -> None:
    with pytest.raises(ImportRefusedError, match=r"shop\.har is no valid HAR"):
        read(data)
