"""The numbers of batches: one that is repeated adds nothing, on either engine."""

from strangler.store.connection import Connection
from strangler.store.numbered_batches import KEPT_S, is_new_batch, prune


def test_a_batch_is_new_once_and_numbers_begin_anew_with_each_run(connection: Connection) -> None:
    def is_new(sender: str, run: str, number: int) -> bool:
        return is_new_batch(connection, sender, run, number, 1.0)

    assert is_new("a", "r1", 1)
    assert not is_new("a", "r1", 1)
    assert is_new("a", "r1", 2)
    assert not is_new("a", "r1", 1)
    assert is_new("b", "r1", 1)
    assert is_new("a", "r0", 1)


def test_the_numbers_of_a_sender_are_forgotten_once_it_was_silent_for_long(connection: Connection) -> None:
    is_new_batch(connection, "a", "r1", 1, 5000.0)
    prune(connection, 6000.0)
    assert not is_new_batch(connection, "a", "r1", 1, 6000.0)
    prune(connection, 5001.0 + KEPT_S)
    assert is_new_batch(connection, "a", "r1", 1, 5001.0 + KEPT_S)
