"""Children that are started, die, and are started again or forgotten."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from strangler.supervisor.phase import LifecycleState, Phase
from strangler.supervisor.spawner import Commands
from tests.supervisor.stage import Stage

SHORT_LIVED = "print(flush=True); raise SystemExit(3)"


@pytest.fixture
def unstartable(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path, Commands(worker=("/nonexistent",), control=("/nonexistent",)))
    yield stage
    stage.close()


def test_what_cannot_be_started_is_tried_again_like_what_dies(unstartable: Stage) -> None:
    children = unstartable.children
    assert children.next_due == 0.0
    assert children.start_due(unstartable.now)
    assert [(place.due, place.failures) for place in children.places] == [(unstartable.now, 1)] * 2
    assert children.start_due(unstartable.now)
    assert children.next_due == unstartable.now + 0.5
    assert not children.start_due(unstartable.now)
    assert (children.pids, children.infos()) == (set(), [])


def test_every_start_has_a_name_of_its_own(unstartable: Stage) -> None:
    seen = set[str]()
    for _ in range(3):
        unstartable.children.start_due(float("inf"))
        seen |= {place.instance for place in unstartable.children.places}
    assert len(seen) == 6
    assert all(name.startswith("run-1-0-") for name in seen)


def test_a_worker_that_dies_is_started_again(stage: Stage) -> None:
    stage.run_worker(SHORT_LIVED)
    assert len(stage.children.infos()) == 1
    stage.reap()
    (place,) = stage.workers.places
    assert (place.process, place.due, place.restarts) == (None, stage.now, 1)
    assert not stage.children.reap(stage.now, lambda reason: None)


def test_one_that_leaves_is_forgotten(stage: Stage) -> None:
    stage.run_worker(SHORT_LIVED)
    stage.workers.places[0].is_leaving = True
    stage.reap()
    assert stage.workers.places == []


def test_a_death_before_the_proxy_is_ready_is_the_end_of_it(tmp_path: Path) -> None:
    stage = Stage(tmp_path, life=LifecycleState(Phase.STANDBY))
    stage.run_worker(SHORT_LIVED)
    process = stage.workers.places[0].process
    assert process is not None
    process.wait(30)
    reasons = list[str]()

    def fail(reason: str) -> None:
        reasons.append(reason)
        stage.life.enter(Phase.EMPTYING)

    assert stage.children.reap(stage.now, fail)
    assert reasons == ["worker 0 ended before it was ready (exit code 3); its output is in the log"]
    assert stage.workers.places == []
    stage.close()
