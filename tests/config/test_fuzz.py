"""Whatever the text, reading it ends in settings or in problems: never in an exception, never in both or neither."""

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from strangler.config.edit import EditError, set_percent
from strangler.config.json_schema import json_schema
from strangler.config.load import Loaded
from strangler.config.source_files import Files
from strangler.core.routing.snapshot import Snapshot
from tests.config.files import TOP, read
from tests.config.test_load import EVERYTHING, LITTLE

_UNHURRIED = settings(deadline=None, max_examples=200)  # a busy machine is no failure
_KEYS = sorted({key for shape in json_schema()["$defs"].values() for key in shape.get("properties", {})})
_SCRAPS = st.sampled_from(
    [*_KEYS, "{", "}", "[", "]", ": ", "- ", "\n", "  ", "\t", "'", '"', "&a ", "*a", "<<: ", "!!", "${", "}", "~", "null", "%",
     "#", "|\n", ">\n", "?", ",", "0", "-1", "1e9", "12:30", "no", "\x00", "\u2028", "é", "\ud800", "---\n", "...\n", "/", "{id}",
     "legacy", "orders", "$.a", "http://", "header:", "\ufeff", "9" * 50]
)  # fmt: skip


def _holds(loaded: Loaded) -> None:
    assert (loaded.settings is None) == bool(loaded.problems)
    for problem in (*loaded.problems, *loaded.warnings):
        assert "\n" not in str(problem)
        assert problem.way_out or problem.what
    if loaded.settings is not None:
        Snapshot(loaded.settings, 1)


@_UNHURRIED
@given(st.binary(max_size=200))
def test_random_bytes_never_raise(data: bytes) -> None:
    _holds(read(data))


@_UNHURRIED
@given(st.text(max_size=200))
def test_random_text_never_raises(text: str) -> None:
    _holds(read(text))


@_UNHURRIED
@given(st.lists(_SCRAPS, max_size=40).map("".join))
def test_scraps_of_yaml_never_raise(text: str) -> None:
    _holds(read(text))
    _holds(read(TOP + text))


@_UNHURRIED
@given(st.sampled_from([EVERYTHING, LITTLE]), st.data())
def test_a_right_file_with_a_scrap_in_it_never_raises(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    cut = data.draw(st.integers(0, 30))
    mutated = text[:start] + data.draw(_SCRAPS) + text[start + cut :]
    _holds(read(mutated))
    with suppress(EditError):
        _holds(set_percent(Files("f", mutated), "orders", 5, {}).loaded)


@_UNHURRIED
@given(st.data())
def test_a_value_of_another_kind_never_raises(data: st.DataObject) -> None:
    """Each line of the full file with its value replaced by something else."""
    lines = EVERYTHING.splitlines()
    number = data.draw(st.sampled_from([n for n, line in enumerate(lines) if ":" in line]))
    key = lines[number].partition(":")[0]
    value = data.draw(
        st.sampled_from(["", "x", "[]", "{}", "[{}]", "{a: b}", "[[x]]", "-1", "99999999999999999999", '""'])
    )
    lines[number] = f"{key}: {value}"
    _holds(read("\n".join(lines)))
