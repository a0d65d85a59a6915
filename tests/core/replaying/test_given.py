"""Values that are handed in: what they replace, and every kind of bad input with its place."""

import pytest

from strangler.core.replaying.given import GivenHeaders, read_given, with_given
from strangler.core.replaying.learned import CallerValues
from strangler.core.replaying.request_message import RequestMessage
from strangler.core.replaying.substitute import substitute
from tests.core.replaying.conversations import fields_of, learned, request, response

MARKED = "redacted:0a1b2c3d"
_FORM = "application/x-www-form-urlencoded"


def test_a_callers_field_goes_before_that_of_all() -> None:
    headers, problems = read_given(["X-Key: a", "X-Tenant: t:1"], {"ana": {"x-key": "b"}})
    assert problems == []
    assert headers.of("ana") == {"x-key": ("x-key", "b"), "x-tenant": ("X-Tenant", "t:1")}
    assert headers.of("eve") == {"x-key": ("X-Key", "a"), "x-tenant": ("X-Tenant", "t:1")}


def test_a_field_takes_the_place_of_all_of_its_name() -> None:
    headers = [(b"Accept", b"*/*"), (b"X-KEY", b"1"), (b"X-Key", b"2"), (b"A", b"b")]
    given = {"x-key": ("X-Key", "new"), "x-more": ("X-More", "m")}
    assert with_given(headers, given) == [(b"Accept", b"*/*"), (b"X-KEY", b"new"), (b"A", b"b"), (b"X-More", b"m")]


@pytest.mark.parametrize(
    ("recorded", "expected"),
    [
        ([b"a=1; sid=x; b=2"], [b"a=1; b=2; sid=new"]),
        ([b"a=1;  b=2"], [b"a=1;  b=2; sid=new"]),
        ([b"sid=x"], [b"sid=new"]),
        ([], [b"sid=new"]),
        ([b"sid=x", b"a=1"], [b"a=1; sid=new"]),
    ],
)
def test_a_cookie_takes_the_place_of_its_name_alone(recorded: list[bytes], expected: list[bytes]) -> None:
    fields = with_given([(b"Cookie", value) for value in recorded], {"cookie": ("Cookie", "sid=new")})
    assert [value for _, value in fields] == expected


def test_what_is_handed_in_goes_before_what_was_learned() -> None:
    values = learned(("/", response({"token": "k3J9dZq1W8sLx0Yv"}), response({"token": "Aa7Tt2Rr5Ee8Ww1Q"})))
    message = request(headers={"Authorization": "Bearer k3J9dZq1W8sLx0Yv", "X": "k3J9dZq1W8sLx0Yv"})
    done = substitute(message, values, {"authorization": ("Authorization", "k3J9dZq1W8sLx0Yv mine")})
    assert fields_of(done) == {"Authorization": "k3J9dZq1W8sLx0Yv mine", "X": "Aa7Tt2Rr5Ee8Ww1Q"}


@pytest.mark.parametrize(
    ("options", "document", "problem"),
    [
        (["Authorization"], None, "--header 'Authorization': write it as 'Name: value'"),
        (["A b: c"], None, "--header 'A b': this is no name of a header field"),
        ([": c"], None, "--header '': this is no name of a header field"),
        (["A:"], None, "--header 'A': the value is empty"),
        (["A: b\nC: d"], None, "--header 'A': the value has a line break or another control character"),
        (
            ["Content-Length: 3"],
            None,
            "--header 'Content-Length': this field belongs to the connection and cannot be set",
        ),
        (["A: 1", "a: 2"], None, "--header 'a': the field is given twice"),
        (
            ["A: redacted:0a1b2c3d"],
            None,
            "--header 'A': the value is the mark of a redacted secret; write the secret itself",
        ),
        ([], [], "--callers: the file must be a mapping, CALLER: {Header: value}"),
        ([], {7: {"A": "b"}}, "--callers: the caller 7 is no text; write it in quotes"),
        ([], {"ana": "A: b"}, "--callers: 'ana': must be a mapping, {Header: value}"),
        ([], {"ana": None}, "--callers: 'ana': must be a mapping, {Header: value}"),
        ([], {"ana": {"A": 7}}, "--callers: 'ana': 'A': the value must be a text, not int; write it in quotes"),
        ([], {"ana": {"A": None}}, "--callers: 'ana': 'A': the value must be a text, not NoneType; write it in quotes"),
        ([], {"ana": {1: "b"}}, "--callers: 'ana': '1': this is no name of a header field"),
        (
            [],
            {"ana": {"path:a": "b"}},
            "--callers: 'ana': 'path:a': this is no place of a request; write it as the account of a replay has it,"
            " such as body:password",
        ),
        ([], {"a\x1b[2J": {"A": ""}}, "--callers: 'a␛[2J': 'A': the value is empty"),
    ],
)
def test_bad_input_is_named_with_its_place(options: list[str], document: object, problem: str) -> None:
    assert read_given(options, document) == (
        GivenHeaders({"a": ("A", "1")} if len(options) == 2 else {}, *_empty(document)),
        [problem],
    )


def _empty(document: object) -> list[dict[str, dict[str, tuple[str, str]]]]:
    """Return the callers whose own fields could be read: none has any."""
    if not isinstance(document, dict):
        return [{}]
    return [{name: {} for name, fields in document.items() if isinstance(name, str) and isinstance(fields, dict)}]


def test_all_problems_are_found_and_no_secret_is_repeated() -> None:
    _, problems = read_given(["s3cret", "A: s3c\x00ret"], {"ana": {"B": ["s3cret"], "C": "ok"}, 1: {}})
    assert len(problems) == 4
    assert not any("s3cret" in problem for problem in problems[1:])


def test_values_are_not_in_the_text_of_the_object() -> None:
    headers, _ = read_given(["A: s3cret"], {"ana": {"B": "s3cret"}})
    assert "s3cret" not in repr(headers)


@pytest.mark.parametrize(
    ("place", "message", "expected"),
    [
        (
            "body:password",
            request("/login", f"user=ana&password={MARKED}&t=redacted%3A1a1b2c3d", kind=_FORM),
            b"user=ana&password=s%26+3",
        ),
        ("BODY:Password", request("/login", f"PassWord={MARKED}", kind=_FORM), b"PassWord=s%26+3"),
        ("body:$.a.pin", request("/login", {"a": {"pin": MARKED}}), b'{"a": {"pin": "s& 3"}}'),
        (
            "body:pin",
            request(
                "/login",
                f'--b\r\nContent-Disposition: form-data; name="pin"\r\n\r\n{MARKED}\r\n--b--',
                kind="multipart/form-data; boundary=b",
            ),
            b'--b\r\nContent-Disposition: form-data; name="pin"\r\n\r\ns& 3\r\n--b--',
        ),
        ("query:token", request(f"/login?a=1&token={MARKED}"), b"/login?a=1&token=s%26%203"),
        ("cookie:sid", request(headers={"Cookie": f"a=1; sid={MARKED}"}), b"a=1; sid=s%26%203"),
        ("header:authorization", request(headers={"Authorization": f"Basic {MARKED}"}), b"s& 3"),
        ("header:authorization", request(headers={"Authorization": f"Bearer {MARKED}"}), b"s& 3"),
        ("header:x-key", request(headers={"X-Key": f"{MARKED}"}), b"s& 3"),
    ],
)
@pytest.mark.parametrize("caller", ["ana", "*"])
def test_a_value_is_put_where_the_mark_of_a_secret_is_at_its_place(
    caller: str, place: str, message: RequestMessage, expected: bytes
) -> None:
    headers, problems = read_given([], {caller: {place: "s& 3"}})
    assert problems == []
    done = substitute(message, CallerValues(), headers.of("ana")).request
    assert expected in (done.body, done.target, *(value for _, value in done.headers))
    if done.body:
        assert dict(done.headers)[b"Content-Length"] == str(len(done.body)).encode()


def test_a_place_is_left_alone_where_there_is_no_mark_or_its_value_was_learned() -> None:
    headers, _ = read_given([], {"*": {"body:pin": "other", "header:authorization": "Basic YTpi"}})
    message = request("/a", "pin=1", kind=_FORM, headers={"Authorization": f"Bearer {MARKED}"})
    values = CallerValues()
    values.put(MARKED, "learned")
    done = substitute(message, values, headers.of("ana"))
    assert done.request.body == b"pin=1"
    assert fields_of(done)["Authorization"] == "Bearer learned"
    assert done.left_out == ()


def test_a_caller_goes_before_every_caller() -> None:
    headers, _ = read_given(["X: 1"], {"*": {"X": "2", "body:a": "2"}, "ana": {"body:a": "3"}})
    assert headers.of("ana") == {"x": ("X", "2"), "body:a": ("body:a", "3")}
    assert headers.of("eve") == {"x": ("X", "2"), "body:a": ("body:a", "2")}
