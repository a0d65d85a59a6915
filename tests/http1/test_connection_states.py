"""The states of both kinds of connections: the tables are whole, the docs show them."""

from collections.abc import Mapping
from enum import StrEnum
from itertools import product
from pathlib import Path
from typing import cast

import pytest

from strangler.core.transitions import diagram, next_state
from strangler.http1 import client_states, upstream_states
from strangler.http1.client_states import ClientEvent, ClientState
from strangler.http1.upstream_states import UpstreamEvent, UpstreamState

Table = Mapping[tuple[StrEnum, StrEnum], StrEnum]


CLIENT = cast(Table, client_states.TRANSITIONS)
UPSTREAM = cast(Table, upstream_states.TRANSITIONS)
MISSING = [
    *((CLIENT, *pair) for pair in product(ClientState, ClientEvent) if pair not in client_states.TRANSITIONS),
    *((UPSTREAM, *pair) for pair in product(UpstreamState, UpstreamEvent) if pair not in upstream_states.TRANSITIONS),
]


@pytest.mark.parametrize(
    ("table", "state", "event"),
    [pytest.param(*row, id=f"{type(row[1]).__name__} {row[1]}, {row[2]}") for row in MISSING],
)
def test_a_missing_pair_is_an_error_that_names_both(table: Table, state: StrEnum, event: StrEnum) -> None:
    with pytest.raises(ValueError, match=f"{type(state).__name__}.*{state.name}.*{event.name}"):
        next_state(table, state, event)


@pytest.mark.parametrize(
    ("table", "states", "first", "last"),
    [
        pytest.param(CLIENT, set(ClientState), ClientState.HEAD, ClientState.CLOSED, id="client"),
        pytest.param(UPSTREAM, set(UpstreamState), UpstreamState.IDLE, UpstreamState.CLOSED, id="upstream"),
    ],
)
def test_every_state_is_reached_and_all_but_the_last_are_left(
    table: Table, states: set[StrEnum], first: StrEnum, last: StrEnum
) -> None:
    moves = {(before, after) for (before, _), after in table.items() if before is not after}
    assert {after for _, after in moves} | {first} == states
    assert {before for before, _ in moves} == states - {last}


@pytest.mark.parametrize("event", [ClientEvent.ENDED, ClientEvent.LOST])
@pytest.mark.parametrize("state", [state for state in ClientState if state is not ClientState.CLOSED])
def test_a_client_connection_can_end_in_every_state(state: ClientState, event: ClientEvent) -> None:
    assert next_state(client_states.TRANSITIONS, state, event) in {ClientState.CLOSING, ClientState.CLOSED}


@pytest.mark.parametrize("state", UpstreamState)
def test_an_upstream_connection_can_end_in_every_state(state: UpstreamState) -> None:
    assert next_state(upstream_states.TRANSITIONS, state, UpstreamEvent.ENDED) is UpstreamState.CLOSED


@pytest.mark.parametrize(
    "visible",
    [
        pytest.param(diagram(client_states.TRANSITIONS, ClientState.HEAD), id="client"),
        pytest.param(diagram(upstream_states.TRANSITIONS, UpstreamState.IDLE), id="upstream"),
    ],
)
def test_the_diagrams_in_the_docs_are_the_tables(visible: str) -> None:
    page = Path(__file__).parents[2] / "docs" / "connections.md"
    assert f"```mermaid\n{visible}\n```\n" in page.read_text()
