"""Conditions of routes as expressions of Envoy, and the guard: both agree with our own matching, path by path."""

import re
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.core.routing.path import LONGEST_UNUSUAL, decode_segments, has_one_reading, is_clean, malformed
from strangler.core.routing.snapshot import Snapshot
from strangler.core.settings import MatchSettings
from strangler.envoy.matching import conditions, literal_head, method_condition, precedence
from strangler.envoy.path_guard import CLEAN, LONG, ODD_QUERY
from tests import factories as f

PIECES = (
    "a",
    "/",
    ".",
    "..",
    "%2e",
    "%2F",
    "%20",
    "%41",
    "!",
    "%21",
    "%c3%a9",
    "%C3",
    "é",
    ";",
    "\\",
    "%",
    "%25",
    "%5C",
)


def match(prefix: str | None = None, path: str | None = None, **changes: Any) -> MatchSettings:
    return f.route(prefix=prefix, path=path, **changes).match


def is_matched(conditions: dict[str, Any], path: str) -> bool:
    """Return what Envoy does with the condition on the path."""
    if "path" in conditions:
        return bool(path == conditions["path"])
    if "prefix" in conditions:
        return path.startswith(conditions["prefix"])
    if "path_separated_prefix" in conditions:
        prefix = conditions["path_separated_prefix"]
        return path == prefix or path.startswith(f"{prefix}/")
    return re.fullmatch(conditions["safe_regex"]["regex"], path) is not None


@pytest.mark.parametrize(
    ("prefix", "path", "expected"),
    [
        ("/", None, {"prefix": ""}),
        ("/api/orders/", None, {"path_separated_prefix": "/api/orders"}),
        (None, "/end/", {"path": "/end/"}),
        (None, "/", {"path": "/"}),
        ("/a/{x}", None, {"safe_regex": {"regex": "/a/[^/]+(?:/.*)?"}}),
        (None, "/a!", {"safe_regex": {"regex": "/a(?:!|%21)"}}),
        (None, "/é", {"safe_regex": {"regex": "/%[cC]3%[aA]9"}}),
        (None, "/a%20b", {"safe_regex": {"regex": "/a%20b"}}),
    ],
)
def test_paths_are_conditions_of_envoy(prefix: str | None, path: str | None, expected: dict[str, Any]) -> None:
    assert conditions(match(prefix, path)) == expected


def test_a_clean_path_has_one_meaning_and_only_encodings_that_it_needs() -> None:
    for pieces in product(PIECES, repeat=3):
        path = f"/x{''.join(pieces)}"
        raw = path.encode()
        if re.fullmatch(CLEAN, path):
            assert malformed(raw) is None
            assert is_clean(raw) or has_one_reading(raw)
            assert not re.search("%(?:2[ef]|4[1-9]|5[a])", path, re.IGNORECASE)
        elif is_clean(raw):
            raise AssertionError(f"{path} is plain, and the guard takes it")


@given(st.lists(st.sampled_from([*PIECES, "b", "{x}", "users"]), max_size=6).map("".join))
def test_clean_paths_match_as_ours_do(text: str) -> None:
    path = f"/{text}"
    if not re.fullmatch(CLEAN, path):
        return
    for route in ROUTES:
        decoded = decode_segments(path.encode())
        own = Snapshot(f.settings([route]), 1).table.find(f.head(path), decoded) is not None
        assert is_matched(conditions(route.match), path) is own, f"{route.match} {path}"


ROUTES = [
    *(f.route(prefix=each) for each in ("/", "/a", "/a/b", "/{n}", "/a/{n}", "/a!", "/é", "/a%20b", "/users/{n}/b")),
    *(f.route(path=each) for each in ("/", "/a", "/a/", "/{n}", "/a/{n}/", "/a!b", "/é/{n}", "/.a")),
]


@pytest.mark.parametrize(("extra", "is_long"), [(0, False), (1, True)])
def test_a_long_path_is_legacys(extra: int, is_long: bool) -> None:
    path = "/" + "x" * (LONGEST_UNUSUAL - 1 + extra)
    assert (re.fullmatch(LONG, f"{path}?q={'y' * 99}") is not None) is is_long


@pytest.mark.parametrize(
    ("query", "is_odd"),
    [
        ("a=1&b=2", False),
        ("a=%20&b=x+y", False),
        ("", False),
        ("&&=%41", False),
        ("%61=1", True),
        ("a=1&b+c=2", True),
        ("a=%", True),
        ("a=%4", True),
        ("a=%zz", True),
        ("a=%4z&b=1", True),
        ("a%", True),
    ],
)
def test_a_query_is_odd_if_a_name_is_encoded_or_an_encoding_is_bad(query: str, is_odd: bool) -> None:
    assert (re.fullmatch(ODD_QUERY, f"/x?{query}") is not None) is is_odd
    assert re.fullmatch(ODD_QUERY, "/x%20+") is None


@pytest.mark.parametrize("written", ["a b", "a+b", "a%20b", "%61 b", "a%2Bb", "é", "%C3%A9", "x&y", "x%26y"])
@pytest.mark.parametrize("value", ["a b", "a+b", "é", "x&y"])
def test_a_value_of_the_query_matches_however_it_is_written(value: str, written: str) -> None:
    raw = written.replace(" ", "+")
    pattern = conditions(match("/", query={"q": value}))["query_parameters"][0]["string_match"]["safe_regex"]["regex"]
    if not raw.isascii() or "&" in raw:
        return
    own = Snapshot(f.settings([f.route(prefix="/", query={"q": value})]), 1).plan(f.head(f"/?q={raw}"), lambda: 0.5)
    assert (re.fullmatch(pattern, raw) is not None) is (own.route is not None)


def test_headers_are_exact_and_host_is_a_pseudo_header() -> None:
    found = conditions(match("/", headers={"X-Version": "2", "Host": "a"}))["headers"]
    assert found == [
        {"name": "x-version", "string_match": {"exact": "2"}},
        {"name": ":authority", "string_match": {"exact": "a"}},
    ]


def test_methods_are_one_condition() -> None:
    assert method_condition(["GET"]) == {"name": ":method", "string_match": {"exact": "GET"}}
    assert method_condition(["M-SEARCH", "GET"])["string_match"] == {"safe_regex": {"regex": "GET|M\\-SEARCH"}}


@pytest.mark.parametrize(
    ("prefix", "path", "head"),
    [
        ("/api/orders", None, ("api", "orders")),
        ("/api/{x}/lines", None, ("api",)),
        (None, "/end/", ("end",)),
        ("/", None, ()),
        ("/a/b!/c", None, ("a",)),
    ],
)
def test_the_literal_head_ends_at_the_first_segment_with_several_writings(
    prefix: str | None, path: str | None, head: tuple[str, ...]
) -> None:
    assert literal_head(match(prefix, path)) == head


def test_precedence_is_that_of_the_routing_table() -> None:
    ordered = [
        match(path="/a/b"),
        match(path="/a/{x}"),
        match(path="/{x}/b"),
        match("/a/b/c"),
        match("/a/{x}/c"),
        match("/a/b", methods=["GET"]),
        match("/a/b", headers={"x": "1", "y": "1"}),
        match("/a/b", headers={"x": "1"}),
        match("/a/b", query={"q": "1"}),
        match("/a/b"),
        match("/a"),
        match("/"),
    ]
    ranks = [precedence(each, 0) for each in ordered]
    assert ranks == sorted(ranks)
    assert precedence(match("/a"), 1) < precedence(match("/a"), 2)
