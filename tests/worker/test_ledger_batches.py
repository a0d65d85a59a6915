"""The ledger's batches: each is kept until control has stored it, so a call counts once, whichever process dies."""

import pytest

from strangler.ipc.messages import LedgerBatch
from strangler.worker.ledger import SEND_EVERY_S, Ledger
from strangler.worker.ledger_names import names_for
from tests import factories
from tests.worker.ledger_control import KeepingControl


class Worker:
    """A ledger with a clock that the test turns."""

    def __init__(self) -> None:
        self.control = KeepingControl()
        self.ledger = Ledger(self.control, lambda: 0.5)
        self.ledger.adopt(names_for(factories.settings()))
        self.now = 100.0

    def call(self, path: str) -> None:
        self.ledger._cells.count_key((path.encode(), b"GET", "", "legacy", 200, b"", ()), 0.001)

    def tick(self, seconds: float = SEND_EVERY_S) -> None:
        self.now += seconds
        self.ledger.tick(self.now, 1_800_000_000 + self.now)

    def sent(self) -> list[tuple[int, list[str]]]:
        """All that was offered: the number and the templates of each batch."""
        return list(map(brief, self.control.batches))


def brief(batch: LedgerBatch) -> tuple[int, list[str]]:
    return batch.number, [each.template for each in batch.sums]


@pytest.fixture
def worker() -> Worker:
    return Worker()


def test_one_batch_at_a_time_is_under_way(worker: Worker) -> None:
    worker.call("/a")
    worker.tick()
    worker.call("/b")
    worker.tick()
    worker.call("/b")
    worker.tick()
    assert worker.sent() == [(1, ["/a"])]
    worker.ledger.stored(1)
    worker.tick()
    assert worker.sent() == [(1, ["/a"]), (2, ["/b"])]
    assert [each.calls for each in worker.control.sums] == [1, 2]
    assert worker.control.sums[1].at == 1_800_000_000 + 100.0 + 3 * SEND_EVERY_S


def test_batches_are_not_sent_more_often_than_needed(worker: Worker) -> None:
    for path in ("/a", "/b", "/c"):
        worker.call(path)
        worker.tick(SEND_EVERY_S / 3)
        worker.ledger.stored(len(worker.control.batches))
    assert worker.sent() == [(1, ["/a"])]
    worker.tick(SEND_EVERY_S)
    assert worker.sent()[1:] == [(2, ["/b", "/c"])]


def test_without_calls_nothing_is_sent(worker: Worker) -> None:
    worker.tick()
    assert worker.sent() == []
    assert list(worker.ledger.knowledge()) == []
    assert worker.ledger.finish(worker.now, 0.0) == []


def test_a_new_control_gets_what_it_may_not_have(worker: Worker) -> None:
    worker.call("/a")
    worker.tick()
    worker.control.is_connected = False
    worker.call("/b")
    worker.tick()
    worker.control.is_connected = True
    assert list(map(brief, worker.ledger.knowledge())) == [(1, ["/a"])]
    worker.tick()
    assert worker.sent() == [(1, ["/a"])], "it is under way again"
    worker.ledger.stored(1)
    worker.tick()
    assert worker.sent()[1:] == [(2, ["/b"])]
    assert [brief(each) for each in worker.ledger.knowledge()] == [(2, ["/b"])]


def test_a_full_link_gets_the_batch_as_soon_as_it_has_room(worker: Worker) -> None:
    worker.call("/a")
    worker.control.has_room = False
    worker.tick()
    worker.call("/b")
    worker.tick()
    assert worker.sent() == []
    worker.control.has_room = True
    worker.tick(0.05)
    worker.tick()
    assert worker.sent() == [(1, ["/a"])]


def test_an_old_word_of_control_does_not_free_a_later_batch(worker: Worker) -> None:
    worker.call("/a")
    worker.tick()
    worker.ledger.stored(1)
    worker.call("/b")
    worker.tick()
    worker.ledger.stored(1)
    assert [brief(each) for each in worker.ledger.knowledge()] == [(2, ["/b"])]


def test_a_worker_that_ends_sends_the_batch_under_way_again_and_all_later_calls(worker: Worker) -> None:
    worker.call("/a")
    worker.tick()
    for number in range(1000):
        worker.call(f"/b/{number}")
    worker.tick(0.01)
    worker.call("/c")
    under_way, last = worker.ledger.finish(worker.now, 1_900_000_000.0)
    assert brief(under_way) == (1, ["/a"])
    assert last.number == 2
    assert {each.template: each.calls for each in last.sums} == {"/b/{}": 1000, "/c": 1}


def test_estimates_are_said_with_the_batch_that_has_them(worker: Worker) -> None:
    for number in range(5000):
        worker.call(f"/b/{number + 1000}")
    worker.tick()
    worker.ledger.stored(1)
    worker.call("/a")
    worker.tick()
    first, second = worker.control.batches
    assert (first.sampled_from, second.sampled_from) == (5000 - 2001, 0)
