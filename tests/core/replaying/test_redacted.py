"""Marks of redacted secrets: put in from this run's responses or by hand, and never sent."""

import json

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from strangler.core.compare import Redactor
from strangler.core.privacy.secrets import MARK
from strangler.core.replaying.given import read_given, replaced_marks
from strangler.core.replaying.learned import CallerValues, LearnedValues
from strangler.core.replaying.substitute import substitute
from tests.core.replaying.conversations import fields_of, learned, request, response, sent

MARKED, OTHER = "redacted:0a1b2c3d", "redacted:deadbeef"
_FORM = "application/x-www-form-urlencoded"


def test_a_mark_is_replaced_wherever_the_secret_stood() -> None:
    mark = Redactor.of(b"key", []).mark("recorded secret")
    login = response({"token": mark}, Set_Cookie=f"sid={mark}"), response({"token": "t0ken"}, Set_Cookie="sid=s3ss")
    values = learned(("/login", *login))
    assert fields_of(sent(values, headers={"Authorization": f"Bearer {mark}"}))["Authorization"] == "Bearer s3ss"
    assert sent(values, "/x", {"a": {"token": mark}}).body == b'{"a": {"token": "s3ss"}}'
    assert sent(values, f"/x?t={mark.replace(':', '%3A')}").target == b"/x?t=s3ss"


def test_a_mark_within_a_value() -> None:
    values = learned(("/a", response({"k": f"v1.{MARKED}.z"}), response({"k": "v1.fresh/1.z"})))
    assert fields_of(sent(values, headers={"Authorization": f"Bearer {MARKED}"})) == {"Authorization": "Bearer fresh/1"}


@pytest.mark.parametrize(
    ("target", "expected", "places"),
    [
        (f"/a?token={MARKED}", "/a", ["query:token"]),
        (f"/a?x=1&token={MARKED}&y=2", "/a?x=1&y=2", ["query:token"]),
        (f"/a?token={MARKED}&u={OTHER}&y=2#f", "/a?y=2#f", ["query:token", "query:u"]),
        ("/a?y=2&token=redacted%3a0a1b2c3d&u=" + OTHER, "/a?y=2", ["query:token", "query:u"]),
        (f"/a?x=1&a={MARKED}&y=2&b={MARKED}&z=3", "/a?x=1&y=2&z=3", ["query:a", "query:b"]),
        (f"/a?x=1&id=3b52a23f-{MARKED}6652d9", "/a?x=1", ["query:id"]),  # digits of an id that look like a card's
    ],
)
def test_a_parameter_with_a_mark_is_left_out(target: str, expected: str, places: list[str]) -> None:
    done = substitute(request(target), CallerValues())
    assert (done.request.target.decode(), [*done.left_out], done.unsendable) == (expected, places, ())


@pytest.mark.parametrize(
    ("before", "after", "places"),
    [
        ({"Cookie": f"a=1; sid={MARKED}; b=2"}, {"Cookie": "a=1; b=2"}, ["cookie:sid"]),
        ({"Cookie": f"a=1; sid={MARKED}"}, {"Cookie": "a=1"}, ["cookie:sid"]),
        ({"Cookie": f"sid={MARKED}", "X": "1"}, {"X": "1"}, ["cookie:sid"]),
        ({"Authorization": f"Bearer {MARKED}", "X": "1"}, {"X": "1"}, ["header:authorization"]),
        ({"Authorization": f"Basic {MARKED}"}, {}, ["header:authorization"]),
        ({"Referer": f"https://s/a?t={MARKED}&u=1"}, {"Referer": "https://s/a?u=1"}, ["header:referer query:t"]),
        ({"Referer": f"https://s/{MARKED}"}, {}, ["header:referer"]),
    ],
)
def test_a_field_with_a_mark_is_left_out(before: dict[str, str], after: dict[str, str], places: list[str]) -> None:
    done = substitute(request(headers=before), CallerValues())
    assert (fields_of(done), [*done.left_out], done.unsendable) == (after, places, ())


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("X-Forwarded-For", MARKED, "198.19.44.61"),
        ("X-Forwarded-For", f"{MARKED}, 10.0.0.1, {OTHER}", "198.19.44.61, 10.0.0.1, 198.19.190.239"),
        ("X-Real-IP", OTHER, "198.19.190.239"),
        ("True-Client-IP", OTHER, "198.19.190.239"),
        ("CF-Connecting-IP", OTHER, "198.19.190.239"),
        ("Forwarded", MARKED, "for=198.19.44.61"),
        ("Forwarded", f"for={MARKED};proto=https", "for=198.19.44.61;proto=https"),
    ],
)
def test_a_client_has_an_address_that_nobody_has_and_that_is_no_loss(name: str, before: str, after: str) -> None:
    done = substitute(request(headers={name: before}), CallerValues())
    assert (fields_of(done), done.left_out, done.unsendable) == ({name: after}, (), ())


def test_an_address_that_is_handed_in_goes_before() -> None:
    given, _ = read_given([], {"*": {"header:x-forwarded-for": "192.0.2.7", "X-Real-IP": "192.0.2.8"}})
    headers = {"X-Forwarded-For": MARKED, "X-Real-IP": OTHER}
    done = substitute(request(headers=headers), CallerValues(), given.of("ann"))
    assert fields_of(done) == {"X-Forwarded-For": "192.0.2.7", "X-Real-IP": "192.0.2.8"}


@pytest.mark.parametrize(
    ("before", "after", "places"),
    [
        (f'{{"a":1, "p" : "{MARKED}", "b":2}}', '{"a":1, "b":2}', ["body:$.p"]),
        (f'{{"a": 1, "p": "{MARKED}"}}', '{"a": 1}', ["body:$.p"]),
        (f'{{"p": "{MARKED}"}}', "{}", ["body:$.p"]),
        (f'{{"u":{{"p":"{MARKED}","q":"{OTHER}"}},"c":3}}', '{"u":{},"c":3}', ["body:$.u.p", "body:$.u.q"]),
        (f'[1, "{MARKED}", [2, "{MARKED}"]]', "[1, [2]]", ["body:$[*]", "body:$[*][*]"]),
        (f'{{"{MARKED}": {{"a": 1}}, "b": 2}}', '{"b": 2}', [f"body:$.{MARKED}"]),
    ],
)
def test_a_member_with_a_mark_is_left_out(before: str, after: str, places: list[str]) -> None:
    done = substitute(request("/a", before, kind="application/json"), CallerValues())
    assert (done.request.body.decode(), [*done.left_out], done.unsendable) == (after, places, ())
    assert fields_of(done)["Content-Length"] == str(len(after))


@pytest.mark.parametrize("recorded", [f"3b52-{MARKED}6652d9", f"{MARKED}_x"])
def test_a_mark_within_a_word_of_a_path_is_never_sent(recorded: str) -> None:
    assert substitute(request(f"/a/{recorded}"), CallerValues()).unsendable == ("path",)
    values = learned(("/a", response({"id": recorded}), response({"id": "77e1-99"})))
    assert sent(values, f"/a/{recorded}").target == b"/a/77e1-99"


def test_fields_and_parts_with_a_mark_are_left_out() -> None:
    done = substitute(request("/a", f"a=1&password=redacted%3A0a1b2c3d&b={OTHER}", kind=_FORM), CallerValues())
    assert (done.request.body, done.left_out) == (b"a=1", ("body:password", "body:b"))
    part = '--b\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
    body = part.format("p", MARKED) + part.format("q", "1") + "--b--"
    done = substitute(request("/a", body, kind="multipart/form-data; boundary=b"), CallerValues())
    assert done.request.body.decode().strip() == part.format("q", "1") + "--b--"
    assert done.left_out == ("body:p",)


@pytest.mark.parametrize(
    ("target", "body", "places"),
    [
        (f"/reset/{MARKED}", "", ("path",)),
        ("/a", f"pin {MARKED}", ("body",)),
        (f"/{MARKED}", f"x {MARKED}", ("path", "body")),
    ],
)
def test_where_nothing_can_be_left_out_the_request_is_not_sent(target: str, body: str, places: tuple[str, ...]) -> None:
    done = substitute(request(target, body, kind="text/plain"), CallerValues())
    assert (done.unsendable, done.left_out) == (places, ())


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/octet-stream", f"\x00{MARKED}"),
        ("multipart/form-data; boundary=b", f"--b\r\n\r\n{MARKED}\r\n"),
        ("multipart/form-data", f"--b\r\n\r\n{MARKED}\r\n--b--"),
        ("multipart/form-data; boundary=b", f"--b\r\nContent-Type: image/png\r\n\r\n{MARKED}\r\n--b--"),
        ("multipart/form-data; boundary=b", f"{MARKED}\r\n--b\r\n\r\nx\r\n--b--"),
    ],
)
def test_a_mark_where_no_slot_is_known_is_never_sent(kind: str, body: str) -> None:
    assert substitute(request("/a", body, kind=kind), CallerValues()).unsendable == ("body",)


def test_what_is_handed_in_is_not_counted_as_left_out_and_is_learned_for_its_mark() -> None:
    headers, problems = read_given(["Authorization: Bearer s3cret"], {"ana": {"Cookie": "sid=c00kie"}})
    assert problems == []
    recorded = request(
        "/a", {"t": MARKED}, headers={"Authorization": f"Bearer {MARKED}", "Cookie": f"a=1; sid={OTHER}"}
    )
    values = LearnedValues()
    for mark, value in replaced_marks(recorded.headers, headers.of("ana")):
        values.put("ana", mark, value)
    done = substitute(recorded, values.of("ana"), headers.of("ana"))
    assert (done.left_out, done.unsendable) == ((), ())
    assert done.request.body == b'{"t": "s3cret"}'
    assert fields_of(done)["Authorization"] == "Bearer s3cret"
    assert fields_of(done)["Cookie"] == "a=1; sid=c00kie"


_JSON = st.recursive(
    st.sampled_from([MARKED, OTHER, "x", 1, None, f"a {MARKED}"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", "b", "c", MARKED]), inner, max_size=3)
    ),
    max_leaves=20,
)


@for_all(_JSON, st.sampled_from([(",", ":"), (" , ", " : "), (",\n ", ": ")]))
def test_json_without_its_marks_is_json(tree: object, separators: tuple[str, str]) -> None:
    text = json.dumps(tree, separators=separators)
    done = substitute(request("/a", text, kind="application/json"), CallerValues())
    body = done.request.body.decode()
    assert not MARK.search(body)
    assert done.unsendable == ()
    assert bool(done.left_out) == bool(MARK.search(text))
    if body:
        json.loads(body)


@for_all(st.lists(st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(["1", MARKED, "", OTHER])), max_size=8))
def test_a_form_keeps_all_fields_without_marks(fields: list[tuple[str, str]]) -> None:
    text = "&".join(f"{name}={value}" for name, value in fields)
    done = substitute(request("/a", text, kind=_FORM), CallerValues())
    assert done.request.body.decode() == "&".join(f"{a}={b}" for a, b in fields if "redacted" not in b)
