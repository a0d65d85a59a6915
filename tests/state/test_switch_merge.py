"""The kill switch of a node and that of the store, put together: of each scope, the later turn."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.state.kill_switch import OFF, KilledRoute, KillSwitchState, PendingTurn
from strangler.state.switch_merge import merge, moment, whole_ms, with_turn
from strangler.store.stored_kill_switch import StoredTurn
from strangler.times import rfc3339

AT = 1_795_000_000.0


def turn(on: bool, after_s: float, reason: str = "") -> PendingTurn:
    return PendingTurn(on, reason, AT + after_s, "ana", "id", is_own_time=False)


def stored(on: bool, after_s: float, reason: str = "") -> StoredTurn:
    return StoredTurn(on, reason, AT + after_s, "node-b", "ben")


ON = KillSwitchState(True, "here", rfc3339(AT + 5))
ORDERS = KillSwitchState(False, "", None, {"orders": KilledRoute("here", rfc3339(AT + 5))})


@pytest.mark.parametrize(
    ("local", "rows", "on", "routes", "unpublished"),
    [
        pytest.param(OFF, {}, False, [], [], id="nobody has turned it"),
        pytest.param(OFF, {"": stored(True, 1)}, True, [], [], id="another node has"),
        pytest.param(ON, {}, True, [], [""], id="the store has lost it"),
        pytest.param(ON, {"": stored(False, 1)}, True, [], [""], id="the later turn is here"),
        pytest.param(ON, {"": stored(False, 9)}, False, [], [], id="the later turn is in the store"),
        pytest.param(ON, {"": stored(False, 5)}, False, [], [], id="at the same time, the store's"),
        pytest.param(ORDERS, {"orders": stored(False, 9)}, False, [], [], id="a route is off by now"),
        pytest.param(ORDERS, {"orders": stored(False, 1)}, False, ["orders"], ["orders"], id="a route is on again"),
        pytest.param(
            ORDERS, {"users": stored(True, 1)}, False, ["orders", "users"], ["orders"], id="another route, unknown here"
        ),
        pytest.param(
            with_turn(ORDERS, "orders", turn(False, 7)),
            {"orders": stored(True, 6)},
            False,
            [],
            ["orders"],
            id="turned off here after it was turned on elsewhere",
        ),
        pytest.param(
            with_turn(ORDERS, "orders", turn(False, 7)),
            {"orders": stored(True, 8)},
            False,
            ["orders"],
            [],
            id="turned off here before it was turned on elsewhere",
        ),
    ],
)
def test_the_later_turn_of_each_scope_holds(
    local: KillSwitchState, rows: dict[str, StoredTurn], on: bool, routes: list[str], unpublished: list[str]
) -> None:
    found = merge(local, rows)
    assert (found.state.on, sorted(found.state.routes), sorted(found.unpublished)) == (on, routes, unpublished)
    assert found.state.pending.keys() <= found.unpublished.keys()


def test_a_file_that_cannot_be_read_is_on_here_and_nowhere_else() -> None:
    broken = KillSwitchState(True, "kill-switch.json cannot be read", None)
    rows = {"": stored(False, 1), "orders": stored(True, 1)}
    found = merge(broken, rows, damaged_at=AT + 3)
    assert (found.state.on, found.state.reason, found.unpublished) == (True, broken.reason, {})
    assert [*found.state.routes] == ["orders"], "the store still has it"
    assert not merge(broken, {"": stored(False, 4)}, damaged_at=AT + 3).state.on, "somebody has decided since"


def test_a_turn_that_changes_nothing_is_none() -> None:
    assert with_turn(ON, "", turn(True, 9)) is ON
    assert with_turn(OFF, "orders", turn(False, 9)) is OFF


def test_a_time_that_is_no_time_is_never_published() -> None:
    assert merge(KillSwitchState(True, "by hand", "yesterday"), {}).unpublished == {}


@given(st.floats(1e9, 4e9, allow_nan=False))
def test_times_are_the_same_in_the_file_and_in_the_store(at: float) -> None:
    assert moment(rfc3339(whole_ms(at))) == whole_ms(at)


TURNS = st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["", "orders"]), st.booleans()), max_size=12)


@given(TURNS)
def test_all_nodes_end_alike_whichever_publishes_first(turns: list[tuple[int, str, bool]]) -> None:
    """Three nodes turn it while the store is away; each then publishes and reads, and at last all read."""
    nodes = [OFF, OFF, OFF]
    for number, (node, scope, on) in enumerate(turns):
        nodes[node] = with_turn(nodes[node], scope, turn(on, number, str(number)))
    rows: dict[str, StoredTurn] = {}
    for state in nodes:
        rows |= {
            scope: StoredTurn(each.on, each.reason, each.since, "", "")
            for scope, each in merge(state, rows).unpublished.items()
        }
    ends = [merge(state, rows) for state in nodes]
    assert all(end.unpublished == {} and end.state.pending == {} for end in ends)
    assert len({(end.state.on, end.state.reason, tuple(sorted(end.state.routes))) for end in ends}) == 1
