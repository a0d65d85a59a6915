"""Which release a response belongs to, and what is kept of releases."""

from dataclasses import replace

import pytest

from strangler.store.connection import Connection
from strangler.store.evidence import stored_releases
from strangler.store.evidence.releases_state import ReleasesState
from strangler.store.evidence.stored_releases import (
    FOLDED,
    MAX_RELEASES,
    Release,
    current_release,
    load_releases,
    name_in_header,
    name_problem,
    name_release,
    save_releases,
)
from tests.factories import route
from tests.store.evidence.pairs import NOON, json_response

NAMED = route("orders")
BY_HEADER = replace(NAMED, release_header="x-release")


def of(name: str | None) -> object:
    return json_response({}, headers=() if name is None else ((b"X-Release", name.encode()),))


def see(state: ReleasesState, name: str | None, at: float = NOON, by: object = BY_HEADER) -> str:
    return state.see(by, of(name), at, at)  # type: ignore[arg-type]


def test_a_response_belongs_to_the_release_that_it_names() -> None:
    state = ReleasesState()
    assert [see(state, name, NOON + at) for at, name in enumerate(("1", "2", "1"))] == ["1", "2", "1"]
    assert state.current("orders") == "1"


def test_a_response_without_the_header_belongs_to_the_current_release() -> None:
    state = ReleasesState()
    assert see(state, None) == ""
    see(state, "1")
    assert see(state, None, NOON + 1) == "1"
    assert see(state, "  ", NOON + 1) == "1"


def test_without_a_header_in_routes_yaml_it_is_the_one_that_was_named_when_the_candidate_was_asked() -> None:
    state = ReleasesState()
    state.name("orders", "1", NOON)
    state.name("orders", "2", NOON + 10)
    assert see(state, "9", NOON + 11, NAMED) == "2"
    assert state.see(NAMED, of("9"), NOON + 9, NOON + 12) == "1"  # type: ignore[arg-type]


def test_a_release_that_a_person_has_named_is_seen_with_each_response() -> None:
    state = ReleasesState()
    state.name("orders", "1", NOON)
    see(state, None, NOON + 50, NAMED)
    assert [(release.first_seen, release.last_seen) for release in state.unsaved()[0]] == [(NOON, NOON + 50)]


def test_a_change_is_told_once() -> None:
    changes: list[tuple[str, str, str, float]] = []
    state = ReleasesState(lambda *change: changes.append(change))
    state.name("orders", "1", NOON)
    state.name("orders", "1", NOON + 1)
    for at in range(2, 100):
        see(state, "2", NOON + at)
    assert [change[:3] for change in changes] == [("orders", "", "1"), ("orders", "1", "2")]


def test_a_header_that_differs_with_each_response_is_folded() -> None:
    state = ReleasesState()
    names = {see(state, f"r{number}", NOON + number) for number in range(5000)}
    assert len(names) == MAX_RELEASES + 1
    assert FOLDED in names
    assert state.current("orders") == FOLDED
    rows, evicted = state.unsaved()
    assert len(rows) <= MAX_RELEASES + 2
    assert evicted == []


def test_a_name_that_was_not_seen_for_long_makes_room() -> None:
    state = ReleasesState()
    for number in range(MAX_RELEASES):
        see(state, f"r{number}", NOON + 100 * number)
    later = NOON + 100 * MAX_RELEASES + stored_releases.STALE_S
    assert see(state, "new", later) == "new"
    assert state.unsaved()[1] == [("orders", "r0")]


def test_what_a_person_names_always_has_room() -> None:
    state = ReleasesState()
    for number in range(MAX_RELEASES):
        see(state, f"r{number}", NOON + number)
    state.name("orders", "mine", NOON + 500)
    assert state.current("orders") == "mine"
    assert len(state.unsaved()[1]) == 1


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        pytest.param(b"v1.4", "v1.4", id="plain"),
        pytest.param("größe".encode(), "größe", id="not ASCII"),
        pytest.param(b"a\x1b[31mb", "a?[31mb", id="control characters"),
        pytest.param(b"\xff\xfe", "\\xff\\xfe", id="not UTF-8"),
        pytest.param(b"x" * 500, "x" * 100, id="long"),
    ],
)
def test_a_name_in_a_header_is_printable_and_short(raw: bytes, name: str) -> None:
    assert name_in_header(raw) == name


@pytest.mark.parametrize("name", ["", " v1", "v1 ", "x" * 101, "a\nb", "…"], ids=repr)
def test_a_name_that_cannot_be_given_is_said(name: str) -> None:
    assert name_problem(name)


def test_a_name_that_can_be_given_is_taken() -> None:
    assert name_problem("2026-11-29 build 7 (größe)") is None


def test_the_store_gives_back_what_it_was_given(connection: Connection) -> None:
    state = ReleasesState()
    see(state, "1", NOON)
    see(state, "2", NOON + 100)
    save_releases(connection, state.unsaved()[0])
    assert state.unsaved() == ([], [])
    again = ReleasesState()
    again.restore(load_releases(connection))
    assert again.current("orders") == current_release(connection, "orders") == "2"
    assert see(again, None, NOON + 101) == "2"
    assert see(again, "1", NOON + 102) == "1"


def test_what_could_not_be_stored_is_stored_the_next_time() -> None:
    state = ReleasesState()
    see(state, "1", NOON)
    first = state.unsaved()
    state.not_saved(*first)
    assert state.unsaved() == first


def test_a_name_is_given_without_a_proxy_too(connection: Connection) -> None:
    assert name_release(connection, "orders", "1", NOON) == ""
    assert name_release(connection, "orders", "2", NOON + 10) == "1"
    assert [(load_release.name, load_release.is_current) for load_release in load_releases(connection, "orders")] == [
        ("2", True),
        ("1", False),
    ]
    state = ReleasesState()
    state.restore(load_releases(connection))
    assert state.current("orders") == "2"


def test_what_was_set_aside_gets_no_more_pairs() -> None:
    state = ReleasesState()
    see(state, "1")
    state.begin_anew("orders", NOON + 1, ["1@then"])
    assert state.current("orders") == "1"
    assert state.is_set_aside("orders", "1@then")
    assert see(state, "1@then", NOON + 2) == FOLDED
    assert see(state, "1", NOON + 3) == "1"
    again = ReleasesState()
    again.restore([Release("orders", "1@then", NOON, NOON, era="then")])
    assert again.is_set_aside("orders", "1@then")
    assert again.current("orders") == ""
