"""Editing one number in place: nothing else of the file changes."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strangler.config.edit import Edit, EditError, set_percent
from strangler.config.source_files import Files
from tests.config.files import TOP
from tests.config.test_load import EVERYTHING, LITTLE

_HEAD = TOP.partition("- {name")[0]


def _edit(text: str, percent: float = 30, route: str = "a", **environ: str) -> Edit:
    return set_percent(Files("f", text), route, percent, environ)


_BLOCK = """\
  - name:   a   # the first
    match: {prefix: /a}
%s
    candidate: orders   # new
    # the end
"""

_CASES: list[tuple[str, str, str]] = [
    # a part of the file, and what stands in its place afterwards
    ("a number", "    split:\n      percent: 25 # note\n", "    split:\n      percent: 30 # note\n"),
    ("a percent sign", "    split:\n      percent:  25%\n", "    split:\n      percent:  30%\n"),
    ("quotes", "    split: {percent: '25', sticky: []}\n", "    split: {percent: '30', sticky: []}\n"),
    ("double quotes and a sign", '    split: { percent: "25%" }\n', '    split: { percent: "30%" }\n'),
    ("flow style over lines", "    split: {\n       percent:\n  7, sticky: []}\n", "    split: {\n       percent:\n  30, sticky: []}\n"),
    ("a wrong number", "    split:\n      percent: 250\n", "    split:\n      percent: 30\n"),
    ("no number", "    split:\n      percent:\n", "    split:\n      percent: 30\n"),
    ("no number but a comment", "    split:\n      percent: # none\n", "    split:\n      percent: 30 # none\n"),
    ("null", "    split:\n      percent: ~\n", "    split:\n      percent: 30\n"),
    ("no percent", "    split:\n      # who\n      sticky: [client_ip]\n", "    split:\n      # who\n      percent: 30\n      sticky: [client_ip]\n"),
    ("no percent in flow style", "    split: {sticky: [client_ip]}\n", "    split: {percent: 30, sticky: [client_ip]}\n"),
    ("no percent in roomy flow style", "    split: { sticky: [] }\n", "    split: { percent: 30, sticky: [] }\n"),
    ("an empty split", "    split: {}\n", "    split: {percent: 30}\n"),
    ("a split of nothing", "    split:\n", "    split: {percent: 30}\n"),
    ("a split of nothing but a comment", "    split: # later\n", "    split: {percent: 30} # later\n"),
    ("a null split", "    split: null\n", "    split: {percent: 30}\n"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new"), [case[1:] for case in _CASES], ids=[case[0] for case in _CASES])
def test_only_the_percent_changes(old: str, new: str) -> None:
    edit = _edit(_HEAD + _BLOCK % old.rstrip("\n"))
    assert edit.after.text == _HEAD + _BLOCK % new.rstrip("\n")
    assert edit.loaded.settings is not None
    assert edit.loaded.settings.routes[0].split.percent == 30


def test_a_split_is_added_after_the_candidate() -> None:
    before = _HEAD + _BLOCK % "    enabled: true"
    after = before.replace("# new\n", "# new\n    split:\n      percent: 30\n")
    assert _edit(before).after.text == after


def test_a_split_is_added_to_a_route_in_flow_style() -> None:
    assert _edit(TOP).after.text == TOP.replace("candidate: orders}", "candidate: orders, split: {percent: 30}}")


def test_a_split_is_added_at_the_end_of_a_file_without_a_last_line_end() -> None:
    before = _HEAD + "- name: a\n  match: {prefix: /a}\n  candidate: orders"
    assert _edit(before).after.text == before + "\n  split:\n    percent: 30\n"


def test_a_split_is_added_to_an_aggregate() -> None:
    before = _HEAD + "- match: {prefix: /a}\n  name: a\n  aggregate:\n    x: {upstream: orders, path: /x}\n"
    assert _edit(before).after.text == before.replace("name: a\n", "name: a\n  split:\n    percent: 30\n")


def test_line_ends_of_windows_stay() -> None:
    before = (_HEAD + _BLOCK % "    split:\n      sticky: [client_ip]").replace("\n", "\r\n")
    after = _edit(before).after.text
    assert after == before.replace("      sticky", "      percent: 30\r\n      sticky")
    assert "\n" not in after.replace("\r\n", "")


def test_characters_before_the_place_do_not_shift_it() -> None:
    before = "# ä€😀\n" + _HEAD + _BLOCK % "    split: {percent: 5} # 😀"
    assert _edit(before).after.text == before.replace("percent: 5}", "percent: 30}")


def test_only_the_named_route_changes() -> None:
    before = _HEAD + "".join(
        f"- {{name: {name}, match: {{prefix: /{name}}}, candidate: orders, split: {{percent: 5}}}}\n" for name in "abc"
    )
    assert _edit(before, route="b").after.text == before.replace(
        "/b}, candidate: orders, split: {percent: 5}", "/b}, candidate: orders, split: {percent: 30}"
    )


def test_what_is_said_already_stays_as_it_is() -> None:
    text = TOP.replace("orders}\n", "orders, split: {percent: 30.0}}\n")
    edit = _edit(text)
    assert edit.before.text == edit.after.text == text
    assert edit.changed == ()
    assert edit.old_percent == 30


def test_an_own_percent_beside_a_merge_key_may_change() -> None:
    before = _HEAD + (
        "- {name: z, match: {prefix: /z}, candidate: orders, split: &s {percent: 5, sticky: []}}\n"
        "- {name: a, match: {prefix: /a}, candidate: orders, split: {<<: *s}}\n"
    )
    assert _edit(before).after.text == before.replace("{<<: *s}", "{percent: 30, <<: *s}")


_SHARED = "- {name: z, match: {prefix: /z}, candidate: orders, split: &s {percent: &p 5}}\n"

_REFUSED: list[tuple[str, str, str]] = [
    ("an unknown route", TOP.replace("name: a", "name: orders"), "unknown route 'a'; the file has orders"),
    ("a name that is near", TOP.replace("name: a", "name: aa"), "unknown route 'a'; did you mean 'aa'?"),
    ("no routes", _HEAD.replace("routes:\n", ""), "unknown route 'a'; the file has no routes"),
    ("an alias", _HEAD + _SHARED + "- {name: a, match: {prefix: /a}, candidate: orders, split: *s}\n", "its split comes from an anchor that others use too"),
    ("an anchor that others use", _HEAD + _SHARED.replace("name: z", "name: a") + "- {name: b, match: {prefix: /a}, candidate: orders, split: *s}\n", "an anchor that others use too"),
    ("a shared number", _HEAD + _SHARED + "- {name: a, match: {prefix: /a}, candidate: orders, split: {percent: *p}}\n", "split.percent has an anchor that others use too"),
    ("a merged split", _HEAD + "- &r {name: z, match: {prefix: /z}, candidate: orders, split: {percent: 5}}\n- {<<: *r, name: a, match: {prefix: /a}}\n", "its split comes from an anchor"),
    ("a variable", TOP.replace("orders}\n", 'orders, split: {percent: "${P:-5}"}}\n'), "route 'a': split.percent is ${P:-5}, from the environment; set it there"),
    ("another problem", TOP + "workers: x\n", "the file would have problems"),
    ("a file that is not YAML", TOP + "\tx", "the file has problems"),
    ("an empty file", "", "the file has problems"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "reason"), [case[1:] for case in _REFUSED], ids=[case[0] for case in _REFUSED])
def test_what_cannot_be_edited_safely_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(EditError) as refused:
        _edit(text)
    assert reason in str(refused.value)


def test_the_problems_of_a_refused_file_are_at_hand() -> None:
    with pytest.raises(EditError) as refused:
        _edit(TOP + "workers: x\n")
    assert refused.value.loaded is not None
    assert [problem.line for problem in refused.value.loaded.problems] == [7]


@settings(deadline=None)
@given(st.sampled_from([EVERYTHING, LITTLE]), st.integers(0, 10_000), st.sampled_from(["orders", "order-page"]))
def test_a_shift_there_and_back_is_no_change(text: str, hundredths: int, route: str) -> None:
    first = set_percent(Files("f", text), route, 77.77, {}).after.text
    once = set_percent(Files("f", first), route, hundredths / 100, {}).after.text
    assert set_percent(Files("f", once), route, 77.77, {}).after.text == first
    assert _without_percents(once) == _without_percents(first)


def _without_percents(text: str) -> str:
    return re.sub(r"percent: [\d.]+%?", "", text)
