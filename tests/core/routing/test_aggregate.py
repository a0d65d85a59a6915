"""Joining: whatever the parts say, the whole is JSON with exactly the fields that are written."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from strangler.core.fault import Fault
from strangler.core.routing.aggregate import (
    Joined,
    Part,
    PartFailure,
    PartResponse,
    failure_item,
    join,
    part_failed,
    read_part,
)
from strangler.core.settings import AggregatePart, MatchSettings

JSON = [(b"Content-Type", b"application/json")]


def part(name: str = "a", path: str = "/x", required: bool = True, match: str = "/p/{id}") -> Part:
    settings = AggregatePart(name, "orders", path, required, None)
    return Part(settings, MatchSettings(None, match, (), None, (), ()))


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), _VALUES, min_size=1, max_size=4))
def test_the_whole_holds_each_part_under_its_name(values: dict[str, object]) -> None:
    parts = [part(name) for name in values]
    responses = [read_part(200, JSON, json.dumps(value).encode(), 0.1) for value in values.values()]
    whole = join(parts, responses)
    assert isinstance(whole, Joined)
    assert list(json.loads(whole.body).items()) == list(values.items())


_FRAGMENTS = [
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b'"',
    b"\\",
    b"1",
    b"-",
    b"e5",
    b'"b"',
    b"null",
    b" ",
    b"\n",
    b"\xff",
    b"\x00",
    b"/*",
]


@given(st.lists(st.sampled_from(_FRAGMENTS), max_size=12).map(b"".join))
@example(b'1,"b":2')
@example(b'1}{"b":2')
@example(b"1//")
@example(b"NaN")
def test_no_answer_reaches_beyond_its_field(body: bytes) -> None:
    response = read_part(200, JSON, body, 0.1)
    other = PartResponse(b"true", JSON)
    if isinstance(response, PartResponse):
        whole = join([part("a"), part("b")], [response, other])
        assert isinstance(whole, Joined)
        pairs = json.loads(whole.body, object_pairs_hook=list)
        assert [name for name, _ in pairs] == ["a", "b"]
        assert pairs[1] == ("b", True)
    else:
        assert response.reason == "not_json"


TARGETS = {
    "a name": ("/v2/{id}", "/p/{id}", b"/p/7", None, b"/v2/7"),
    "encoded as it came": ("/v2/{id}/x", "/p/{id}", b"/p/%c3%A9%20", None, b"/v2/%c3%A9%20/x"),
    "two names in another order": ("/{b}/{a}", "/p/{a}/{b}", b"/p/1/2", None, b"/2/1"),
    "no names": ("/fixed", "/p/{id}", b"/p/7", None, b"/fixed"),
    "the client's query": ("/v2/{id}", "/p/{id}", b"/p/7", b"a=%20&a", b"/v2/7?a=%20&a"),
    "an empty query": ("/v2/{id}", "/p/{id}", b"/p/7", b"", b"/v2/7?"),
    "behind its own": ("/v2/{id}?full=1", "/p/{id}", b"/p/7", b"a=b", b"/v2/7?full=1&a=b"),
    "its own alone": ("/v2/{id}?full=1", "/p/{id}", b"/p/7", None, b"/v2/7?full=1"),
    "a trailing slash": ("/v2/{id}/", "/p/{id}", b"/p/7", None, b"/v2/7/"),
    "what looks like a pattern stays": ("/v2/{id}", "/p/{id}", b"/p/{id}", None, b"/v2/{id}"),
}


@pytest.mark.parametrize("case", TARGETS.values(), ids=TARGETS)
def test_the_target_of_a_part(case: tuple[str, str, bytes, bytes | None, bytes]) -> None:
    path, match, request_path, query, target = case
    assert part(path=path, match=match).target(request_path, query) == target


def test_the_first_required_part_that_failed_is_told() -> None:
    failed = part_failed(Fault.TIMEOUT, 0.5)
    parts = [part("a", required=False), part("b"), part("c")]
    found = join(parts, [failed, failed, part_failed(Fault.RESET, 0.1)])
    assert isinstance(found, tuple)
    assert (found[0], found[1]) == (parts[1], failed)
    assert isinstance(failed, PartFailure)
    assert (failed.problem.status, failed.problem.fault) == (504, "timeout")


def test_a_name_cannot_end_the_header_that_tells_it() -> None:
    assert (
        failure_item(part('a b"\r\nX: é'), part_failed(Fault.OPEN, 0.0)) == b"a%20b%22%0D%0AX%3A%20%C3%A9;reason=open"
    )
