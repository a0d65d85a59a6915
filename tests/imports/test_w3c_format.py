"""The extended log format of IIS and of CloudFront."""

import pytest

from strangler.imports.log_reading import recognised
from strangler.imports.values import ImportOptions, LoggedCall, Unread
from strangler.imports.w3c_format import extended

AT = 971211336.0
IIS = (
    b"#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) "
    b"sc-status sc-substatus sc-win32-status time-taken"
)
CLOUDFRONT = (
    b"#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) "
    b"cs(User-Agent) cs-uri-query time-taken"
)

CASES = {
    "IIS": (
        IIS,
        b"2000-10-10 20:55:36 10.0.0.1 GET /Orders/7.aspx id=3&x=/ 443 - 203.0.113.7 Mozilla/5.0+(X11) - 200 0 0 46\r",
        LoggedCall(AT, "GET", b"/Orders/7.aspx", b"id=3&x=/", 200, "Mozilla/5.0 (X11)", "", 0.046),
    ),
    "IIS, no query and no caller": (
        IIS,
        "2000-10-10 20:55:36 10.0.0.1 POST /café - 443 - 203.0.113.7 - - 404 0 2 0".encode(),
        LoggedCall(AT, "POST", b"/caf%C3%A9", b"", 404, "", "", 0.0),
    ),
    "CloudFront": (
        CLOUDFRONT,
        b"2000-10-10\t20:55:36\tFRA2\t512\t203.0.113.7\tGET\td1.cloudfront.net\t/a\t200\t-\tMozilla/5.0%20(X11)\tb=c\t0.046",
        LoggedCall(AT, "GET", b"/a", b"b=c", 200, "Mozilla/5.0 (X11)", "d1.cloudfront.net", 0.046),
    ),
    "no request": (IIS, b"2000-10-10 20:55:36 10.0.0.1 - - - 443 - 203.0.113.7 - - 400 0 0 1", Unread.NO_REQUEST),
    "no time": (IIS, b"yesterday 20:55:36 10.0.0.1 GET /a - 443 - 203.0.113.7 - - 200 0 0 1", Unread.BAD_TIME),
    "another number of columns": (IIS, b"2000-10-10 20:55:36 GET /a", Unread.BAD_FORM),
    "a column that is named twice": (
        b"#Fields: date time cs-method cs-method cs-uri-stem",
        b"2000-10-10 20:55:36 GET PUT /a",
        LoggedCall(AT, "PUT", b"/a"),
    ),
    "no directive before it": (b"#Version: 1.0", b"2000-10-10 20:55:36 GET /a", Unread.BAD_FORM),
}


@pytest.mark.parametrize(("directive", "line", "expected"), CASES.values(), ids=CASES)
def test_a_line_is_read_by_the_columns_of_its_directive(directive: bytes, line: bytes, expected: object) -> None:
    parse = extended()
    assert parse(directive) == Unread.OTHER_EVENT
    assert parse(line) == expected


def test_a_later_directive_changes_the_columns() -> None:
    parse = extended()
    parse(b"#Fields: date time cs-method cs-uri-stem")
    assert parse(b"2000-10-10 20:55:36 GET /a") == LoggedCall(AT, "GET", b"/a")
    parse(b"#Fields: cs-uri-stem cs-method date time")
    assert parse(b"/a GET 2000-10-10 20:55:36") == LoggedCall(AT, "GET", b"/a")


def test_the_format_is_known_by_its_directive() -> None:
    found = recognised([b"#Software: IIS", IIS, CASES["IIS"][1]], ImportOptions())
    assert found is not None
    assert found[0] == "W3C extended"
