"""The rollouts in the store."""

from strangler.core.rollout.evidence import ArmCounts, StepCounts
from strangler.core.rollout.position import Position
from strangler.store.connection import Connection
from strangler.store.evidence.stored_rollouts import MAX_MOVES, StoredMove, StoredPosition, load, save
from tests.core.rollout.draws import GOOD


def move(number: int) -> StoredMove:
    return StoredMove(float(number), 0.0, 1.0, "stepped", "the look was good")


def test_what_is_saved_is_loaded(connection: Connection) -> None:
    position = StoredPosition(Position(percent=25.0, counts=GOOD.counts, moves=3), [0.1, 0.2], 0.2)
    save(connection, {"orders": position}, [("orders", move(1))])
    found = load(connection)["orders"]
    assert (found.kept, found.history) == (position, (move(1),))
    save(connection, {}, [], ["orders"])
    assert load(connection) == {}
    assert connection.execute("SELECT count(*) FROM rollout_moves").fetchone() == (0,)


def test_moves_are_bounded_by_group(connection: Connection) -> None:
    save(connection, {"quiet": StoredPosition(Position())}, [("quiet", move(0))])
    for number in range(MAX_MOVES + 30):
        save(connection, {"orders": StoredPosition(Position())}, [("orders", move(number))])
    found = load(connection)
    assert [each.at for each in found["orders"].history] == [float(number) for number in range(30, MAX_MOVES + 30)]
    assert len(found["quiet"].history) == 1


def test_counts_by_other_buckets_are_not_added_to_ours(connection: Connection) -> None:
    odd = Position(percent=25.0, counts=StepCounts(ArmCounts(1, 0, (1, 0))), moves=2)
    save(connection, {"orders": StoredPosition(odd)}, [])
    found = load(connection)["orders"]
    assert (found.kept, found.percent, found.moves) == (None, 25.0, 2)


def test_a_move_that_cannot_be_read_costs_only_itself(connection: Connection) -> None:
    save(connection, {"orders": StoredPosition(Position())}, [("orders", move(1)), ("orders", move(2))])
    connection.execute("UPDATE rollout_moves SET content = 'x' WHERE id = (SELECT min(id) FROM rollout_moves)")
    assert load(connection)["orders"].history == (move(2),)
