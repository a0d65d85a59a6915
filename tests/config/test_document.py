"""YAML text to a tree with places: all that is odd about YAML is a problem with a place, never a surprise."""

import time

import pytest

from strangler.config import reader
from strangler.config.document import Scalar
from tests.config.files import TOP, problems, read

_BROKEN: list[tuple[str, str | bytes, str]] = [
    ("empty", "", "f:1:1: the file is empty"),
    ("blank", " \n\n", "f:1:1: the file is empty"),
    ("comments only", "# a\n# b\n", "f:1:1: the file is empty"),
    ("a word", "hello", "f:1:1: the file is not a mapping"),
    ("a list", "- a\n- b\n", "f:1:1: the file is not a mapping"),
    ("tab as indentation", "a:\n\tb: 1", "f:2:1: the line is indented with a tab; YAML allows only spaces there"),
    ("tab after spaces", "a:\n  b: 1\n \tc: 2", "the line is indented with a tab"),
    ("two colons", "a: b: c", "f:1:5: a second ': ' stands where a value has begun"),
    ("open list", "a: [1, 2", "f:2:1: a list that starts with '[' is not closed"),
    ("open mapping", "a: {b", "f:2:1: a mapping that starts with '{' is not closed"),
    ("open quote", "a: 'b", "f:1:4: a quoted text starts here and is not closed; add the closing quote"),
    ("open quote, two lines on", "a: 'b\nc: d\ne: f\n", "f:1:4: a quoted text starts here and is not closed"),
    ("open quote that another one closes", 'a: "b\nc: "d"\n', "f:1:4: a quoted text starts here and is not closed"),
    ("open quote in a key", '"a: b\nc: "d"\n', "f:1:1: a quoted text starts here and is not closed"),
    ("open quote in a list of its own", "a: ['b, c]\nd: ['e']\n", "f:1:5: a quoted text starts here and is not closed"),
    ("a name in a path of a flow mapping", "a: {b: /c/{id}}", 'inside { }, a path with {name} needs quotes; write "/orders/{id}"'),
    ("at sign", "a: @b", "f:1:4: a value cannot start with '@'; put it in quotes"),
    ("IPv6 address", "listen: [::1]:80", "f:1:10: no value can start here; put a value that starts with '['"),
    ("variable in a flow mapping", "a: {b: ${C}}", 'the \'}\' of a variable ends the mapping; put it in quotes, as "${NAME}"'),
    ("version of YAML", "%YAML 9.9\n---\na: 1", "take the line that starts with %YAML out"),
    ("python tag", "!!python/object/apply:os.system [id]", "f:1:1: the tag '!!python/object/apply:os.system' is not understood"),
    ("local tag", TOP + "workers: !x 1", "f:7:10: the tag '!x' is not understood"),
    ("two documents", TOP + "---\nversion: 1\n", "f:7:1: a second document starts here"),
    ("same key twice", TOP + "version: 1\n", "f:7:1: the key 'version' is already on line 1; take one of the two out"),
    ("anchor in itself", "a: &a\n  b: *a\n", "f:2:6: the alias '*a' stands inside its own anchor"),
    ("no such anchor", "a: *b\n", "f:1:4: no anchor '&b' stands before this alias"),
    ("a list as key", "? [a]\n: b\n", "f:1:3: a key must be a plain word"),
    ("merge of a word", TOP + "log: {<<: x}", "f:7:7: `<<` merges mappings only"),
    ("too deep", "[" * 100, "f:1:65: values are nested deeper than 64 levels"),
    ("deeper than the parser takes", "[" * 100_000, ": values are nested deeper than 64 levels"),
    ("binary", b"\x7fELF\x00\x00", "f:1:1: the character U+007F is not text"),
    ("NUL", b"version: 1\n\x00", "f:2:1: the character U+0000 is not text; this looks like a binary file"),
    ("Latin-1", "état: 1".encode("latin-1"), "f:1:1: byte 0xE9 is not UTF-8; save the file as UTF-8"),
    ("UTF-16", "a: 1".encode("utf-16"), "f:1:1: this is not text in UTF-8"),
    ("bell", "a: \x07", "f:1:4: the character U+0007 is not text"),
    ("lone surrogate", "a: \ud800", "f:1:4: the character U+D800 is not text"),
    ("missing variable", TOP + "state: ${NOPE}", "f:7:8: the environment variable NOPE is not set; set it, or write ${NOPE:-default}"),
    ("open variable", TOP + "state: ${NOPE", "f:7:8: '${NOPE' has no closing brace"),
    ("bad variable", TOP + "state: ${1}", "f:7:8: '${1}' is not a variable"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line"), [case[1:] for case in _BROKEN], ids=[case[0] for case in _BROKEN])
def test_text_that_is_not_right_has_a_place_and_a_way_out(text: str | bytes, line: str) -> None:
    assert any(line in problem for problem in problems(text)), problems(text)


def test_a_large_file_is_refused_at_once() -> None:
    start = time.process_time()
    assert problems(b"a" * (50 << 20)) == ["f: the file is larger than 16 MiB; is it the right file?"]
    assert time.process_time() - start < 0.5


def test_aliases_cannot_blow_a_file_up() -> None:
    levels = "".join(f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 10)}]\n" for n in range(12))
    start = time.process_time()
    found = problems(f"a0: &a0 [{', '.join('x' * 10)}]\n{levels}")
    assert any("aliases expand the file to more than 200000 values" in problem for problem in found)
    assert time.process_time() - start < 2


def test_a_missing_variable_is_told_once() -> None:
    assert len(problems(TOP + "workers: ${NOPE}")) == 1


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("${A}", "x: [y"),
        ("${B:-a b}", "a b"),
        ("${EMPTY:-a}", "a"),
        ("a${A}b", "ax: [yb"),
        ("$${A}", "${A}"),
        ("$A", "$A"),
        ("${B:-}x", "x"),
    ],
)
def test_variables_are_filled_in_after_the_yaml_is_read(written: str, value: str) -> None:
    loaded = read(f"{TOP}state: {written}", A="x: [y", EMPTY="")
    assert loaded.settings is not None
    assert loaded.settings.state == value


def test_an_empty_variable_is_no_value_where_none_may_be() -> None:
    loaded = read(TOP + 'admin: {token: "${TOKEN:-}"}')
    assert loaded.settings is not None
    assert loaded.settings.admin.token is None


def test_a_variable_may_be_of_any_type() -> None:
    loaded = read(TOP.replace("orders}", 'orders, split: {percent: "${P}"}, fallback: "${F}"}'), P="12.5%", F="off")
    assert loaded.settings is not None
    assert loaded.settings.routes[0].split.percent == 12.5
    assert loaded.settings.routes[0].fallback is None


def test_only_what_is_plainly_nothing_is_nothing() -> None:
    read_back = reader.read("a: null\nb: ~\nc:\nd: 'null'\ne: no\nf: 1_000\ng: 12:30\nh: 1.10\ni: ''\n", "f", {})
    assert read_back.root is not None
    texts = {key: node.text for key, node in read_back.root.values.items() if isinstance(node, Scalar)}
    assert texts == {
        "a": None, "b": None, "c": None, "d": "null", "e": "no", "f": "1_000", "g": "12:30", "h": "1.10", "i": "",
    }  # fmt: skip


def test_anchors_aliases_and_merge_keys_work() -> None:
    text = TOP + (
        "- {name: b, match: {prefix: /b}, candidate: orders, split: &s {percent: 5, sticky: [client_ip]}}\n"
        "- {name: c, match: {prefix: /c}, candidate: orders, split: *s}\n"
        "- {name: d, match: {prefix: /d}, candidate: orders, split: {<<: *s, percent: 7}}\n"
        "- {name: e, match: {prefix: /e}, candidate: orders, split: {percent: 9, <<: [*s]}}\n"
    )
    loaded = read(text)
    assert loaded.settings is not None
    assert [route.split.percent for route in loaded.settings.routes] == [0, 5, 5, 7, 9]
    assert {len(route.split.sticky) for route in loaded.settings.routes[1:]} == {1}


def test_a_byte_order_mark_and_line_ends_of_windows_are_fine() -> None:
    assert problems(b"\xef\xbb\xbf" + TOP.replace("\n", "\r\n").encode()) == []


def test_columns_count_characters() -> None:
    assert problems(TOP + "state: 'ä€😀'\n\"x😀\": 1\n")[0].startswith("f:8:1: unknown key 'x😀'")
