"""How many workers there are to be, and who follows whom."""

from collections.abc import Iterator

import pytest

from strangler.ipc.process import has_ended
from strangler.supervisor.worker_pipes import WorkerPipes
from strangler.supervisor.workers import Workers


@pytest.fixture
def pipes() -> Iterator[WorkerPipes]:
    pipes = WorkerPipes()
    yield pipes
    pipes.close()


@pytest.fixture
def workers(pipes: WorkerPipes) -> Workers:
    """Two, named, without processes."""
    workers = Workers(2, pipes)
    for place in workers.places:
        place.instance = f"run-1-{place.index}"
    return workers


@pytest.mark.parametrize(("count", "indices"), [(1, [0]), (2, [0, 1]), (4, [0, 1, 2, 3])])
def test_there_are_as_many_workers_as_are_wanted(workers: Workers, count: int, indices: list[int]) -> None:
    workers.fit(count)
    assert [place.index for place in workers.places] == indices


def test_those_that_leave_do_not_count(workers: Workers) -> None:
    workers.places[0].is_leaving = True
    workers.fit(2)
    assert [place.index for place in workers.places if not place.is_leaving] == [1, 1]


def test_one_that_drains_is_followed_at_once(workers: Workers) -> None:
    workers.places[1].restarts = 3
    for _ in range(2):  # it may be said twice
        workers.replace(["run-1-1", "unknown"])
    first, leaving, new = workers.places
    assert not first.is_leaving
    assert (leaving.is_leaving, leaving.has_successor) == (True, True)
    assert (new.index, new.restarts, new.due) == (1, 4, 0.0)


def test_all_accept_once_each_has_said_so(workers: Workers, pipes: WorkerPipes) -> None:
    pipes.counts.publish(0, 0)
    assert not workers.all_accept
    pipes.counts.publish(1, 3)
    assert workers.all_accept


def test_a_dead_worker_accepts_no_more_unless_another_follows_it(workers: Workers, pipes: WorkerPipes) -> None:
    for index in range(2):
        pipes.counts.publish(index, 0)
    workers.places[1].has_successor = True
    workers.on_death(workers.places[1])
    assert workers.all_accept
    workers.on_death(workers.places[0])
    assert not workers.all_accept


def test_nobody_is_started_for_a_place_that_is_forgotten(workers: Workers) -> None:
    workers.remove(workers.places[0])
    assert [place.index for place in workers.places] == [1]
    workers.remove_unfilled()
    assert workers.places == []


def test_a_drain_cuts_the_lifeline(workers: Workers, pipes: WorkerPipes) -> None:
    assert not has_ended(pipes.lifeline_fd)
    workers.drain()
    workers.drain()
    assert has_ended(pipes.lifeline_fd)
