"""Members of JSON that are taken out of a text."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.recordings.exports.json_members import NotRemovableError, without_members


def is_x(value: bytes) -> bool:
    return value == b"x"


@pytest.mark.parametrize(
    ("text", "expected", "names"),
    [
        ('{"a": "x"}', "{}", ["a"]),
        ('{"a": "x", "b": 1}', '{ "b": 1}', ["a"]),
        ('{"b": 1, "a": "x"}', '{"b": 1}', ["a"]),
        ('{"b": 1 , "a": "x", "c": "x" }', '{"b": 1 }', ["a", "c"]),
        ('{"a":"x","b":1,"c":"x","d":2,"e":"x"}', '{"b":1,"d":2}', ["a", "c", "e"]),
        ('[{"a": "x"}, {"b": {"c": "x", "d": 1.50}}]', '[{}, {"b": { "d": 1.50}}]', ["a", "c"]),
        (' {"b": "\\u0078", "a": [1,  2], "s": ",{}\\"x"} ', ' { "a": [1,  2], "s": ",{}\\"x"} ', ["b"]),
        ('{"a": {}, "b": []}', '{"a": {}, "b": []}', []),
        ("7", "7", []),
    ],
)
def test_a_member_goes_and_every_other_byte_stays(text: str, expected: str, names: list[str]) -> None:
    assert without_members(text, is_x) == (expected, names)
    json.loads(expected)


@pytest.mark.parametrize(
    "text", ['"x"', '["x"]', '{"a": ["x"]}', '{"x": 1}', '{"a": }', "", "[" * 100_000, "[" * 600 + "]" * 600]
)
def test_what_is_no_member_cannot_go(text: str) -> None:
    with pytest.raises(NotRemovableError):
        without_members(text, is_x)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text('xy"\\,{}[]: é'),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('ab"\\,'), inner, max_size=5),
    max_leaves=25,
)


def pruned(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: pruned(item) for name, item in value.items() if item != "x"}
    return [pruned(item) for item in value] if isinstance(value, list) else value


def has_others(value: Any, *, is_member: bool = False) -> bool:
    """Return whether an `x` is somewhere else than as the value of a member."""
    if isinstance(value, dict):
        return any(has_others(item, is_member=True) for item in value.values())
    if isinstance(value, list):
        return any(map(has_others, value))
    return value == "x" and not is_member


@given(VALUES, st.sampled_from([None, 0, 2]))
def test_it_is_as_if_the_members_had_never_been_there(value: Any, indent: int | None) -> None:
    text = json.dumps(value, indent=indent)
    if has_others(value):
        with pytest.raises(NotRemovableError):
            without_members(text, is_x)
        return
    assert json.loads(without_members(text, is_x)[0]) == pruned(value)
