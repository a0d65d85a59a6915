"""How a path can be read. The attacker's view, over whole requests, is in test_plan.py."""

import pytest

from strangler.core.routing.path import (
    Oddity,
    climbs,
    decode_segments,
    has_one_reading,
    is_clean,
    is_well_encoded,
    malformed,
    readings,
)


@pytest.mark.parametrize(
    "path",
    ["/", "/api/orders/7", "/api/orders/", "/v1.2/app.min.js", "/a/b..c/x...", "/a:b@c,d=e+f!$&'()*~_-", "/{x}|<>"],
)
def test_a_path_of_plain_bytes_is_clean(path: str) -> None:
    assert is_clean(path.encode())


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"*", id="asterisk"),
        pytest.param(b"a/b", id="no slash at the front"),
        pytest.param(b"/a//b", id="two slashes"),
        pytest.param(b"/a/./b", id="dot"),
        pytest.param(b"/a/..", id="dots at the end"),
        pytest.param(b"/.well-known/x", id="a name that starts with a dot"),
        pytest.param(b"/a%41", id="percent"),
        pytest.param(b"/a;v=1", id="parameter"),
        pytest.param(b"/a\\b", id="backslash"),
        pytest.param(b"/a#b", id="fragment"),
        pytest.param(b"/a\x00", id="NUL"),
        pytest.param(b"/a\x1fb", id="control"),
        pytest.param(b"/a\x7fb", id="DEL"),
        pytest.param(b"/a b", id="space"),
        pytest.param("/café".encode(), id="raw UTF-8"),
    ],
)
def test_a_path_with_special_bytes_is_not_clean(path: bytes) -> None:
    assert not is_clean(path)


@pytest.mark.parametrize(
    ("path", "oddity"),
    [
        (b"/a#b", Oddity.FRAGMENT),
        (b"/a\x00b", Oddity.CONTROL),
        (b"/a\nb", Oddity.CONTROL),
        (b"/a\x7f", Oddity.CONTROL),
        (b"/a b", Oddity.CONTROL),
        (b"/a%00b", Oddity.CONTROL),
        (b"/a%1F", Oddity.CONTROL),
        (b"/a%0a", Oddity.CONTROL),
        (b"/a%7f", Oddity.CONTROL),
        (b"", Oddity.NOT_A_PATH),
        (b"orders", Oddity.NOT_A_PATH),
        (b"/a%20b", None),
        (b"/a%2500", None),  # NUL only to those who decode twice: no text for them, and no error
        (b"/a%zz", None),
        (b"/a%ff", None),
    ],
)
def test_control_characters_and_fragments_are_malformed(path: bytes, oddity: Oddity | None) -> None:
    assert malformed(path) == oddity
    assert oddity is None or oddity.is_malformed


@pytest.mark.parametrize(
    ("path", "is_well"),
    [
        (b"/caf%C3%A9", True),
        ("/café".encode(), True),
        (b"/a%20b", True),
        (b"/100%", False),
        (b"/100%2", False),
        (b"/%zz", False),
        (b"/%u002e", False),
        (b"/%ff", False),
        (b"/\xff", False),
        (b"/%c0%ae", False),  # overlong `.`
        (b"/%e0%80%af", False),  # overlong `/`
        (b"/%ed%a0%80", False),  # half of a surrogate pair
    ],
)
def test_percent_encodings_must_be_whole_and_utf8(path: bytes, is_well: bool) -> None:
    assert is_well_encoded(path) is is_well


@pytest.mark.parametrize("path", [b"/caf%C3%A9", b"/a%20b", b"/.well-known/x", b"/a/..b", "/café".encode()])
def test_encoded_letters_have_one_reading(path: bytes) -> None:
    assert has_one_reading(path)


def test_segments_are_split_before_they_are_decoded() -> None:
    assert decode_segments(b"/a%2Fb/c%20d/") == [b"a/b", b"c d", b""]


READINGS = [
    pytest.param(b"/a/../b", [b"/a/../b", b"/b"], id="dots"),
    pytest.param(b"/a/./b", [b"/a/./b", b"/a/b"], id="one dot"),
    pytest.param(b"/a/b/.", [b"/a/b/.", b"/a/b/"], id="a dot at the end leaves a slash"),
    pytest.param(b"/a/b/..", [b"/a/b/..", b"/a/"], id="dots at the end leave a slash"),
    pytest.param(b"/../a", [b"/../a", b"/a"], id="dots at the root stay there"),
    pytest.param(b"/a/%2e%2e/b", [b"/a/../b", b"/b"], id="encoded dots"),
    pytest.param(b"/a/.%2E/b", [b"/a/../b", b"/b"], id="half encoded dots"),
    pytest.param(b"/a%2fb", [b"/a/b"], id="encoded slash"),
    pytest.param(b"/a\\b", [b"/a\\b", b"/a/b"], id="backslash"),
    pytest.param(b"/a%5cb", [b"/a\\b", b"/a/b"], id="encoded backslash"),
    pytest.param(b"/a//b", [b"/a//b", b"/a/b"], id="empty segment"),
    pytest.param(b"/a;v=1/b", [b"/a;v=1/b", b"/a/b"], id="parameter"),
    pytest.param(b"/a/..;/b", [b"/a/..;/b", b"/a/../b", b"/b"], id="dots that hide behind a parameter"),
    pytest.param(b"/a/%252e%252e/b", [b"/a/%2e%2e/b", b"/a/../b", b"/b"], id="dots encoded twice"),
    pytest.param(b"/a/%252e%252e%252fb", [b"/b"], id="dots and slash encoded twice"),
    pytest.param(b"/a/%25252e%25252e/b", [b"/b"], id="dots encoded three times"),
    pytest.param(b"/a/..%5c..%5cb", [b"/b"], id="dots between encoded backslashes"),
    pytest.param(b"/a/b%2Fc/../..", [b"/a/", b"/"], id="dots resolved before and after decoding"),
    pytest.param(b"/a/b\\c/../..", [b"/a/", b"/"], id="dots resolved with and without backslashes as slashes"),
]


@pytest.mark.parametrize(("path", "expected"), READINGS)
def test_readings_hold_what_a_server_could_see(path: bytes, expected: list[bytes]) -> None:
    found = {b"/" + b"/".join(reading) for reading in readings(path) if not isinstance(reading, Oddity)}
    assert set(expected) <= found


@pytest.mark.parametrize(
    ("path", "readings_text"),
    [
        (b"/a/../b", {b"/a/../b", b"/b"}),
        (b"/a;v=1", {b"/a;v=1", b"/a"}),
        (b"/a//b", {b"/a//b", b"/a/b"}),
    ],
)
def test_readings_hold_nothing_else(path: bytes, readings_text: set[bytes]) -> None:
    assert {b"/" + b"/".join(reading) for reading in readings(path) if not isinstance(reading, Oddity)} == readings_text


@pytest.mark.parametrize(
    "path", [b"/a%25ff", b"/a%2500", b"/%25c0%25ae"], ids=["not UTF-8 in the end", "NUL in the end", "overlong"]
)
def test_a_reading_that_is_no_text_is_a_bad_encoding(path: bytes) -> None:
    assert Oddity.BAD_ENCODING in list(readings(path))


def test_a_tangle_of_readings_is_left_at_some_point() -> None:
    assert list(readings(b"/;/..\\..//%2e%252f/..;/a%255c.." * 40))[-1] is Oddity.TANGLED


@pytest.mark.parametrize(
    ("path", "does"),
    [
        (b"/", False),
        (b"/a/..", False),
        (b"/a/b/../..", False),
        (b"/..", True),
        (b"/a/../..", True),
        (b"/%2e%2e/a", True),
        (b"/a/..;/..;/b", True),
        (b"/a/%252e%252e%252f../b", True),
        (b"/..\\a", True),
        (b"//../a", True),
        (b"/a%2fb/../..", True),
    ],
)
def test_climbing_out_is_seen_in_every_reading(path: bytes, does: bool) -> None:
    assert climbs(path) is does
