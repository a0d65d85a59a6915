"""When a process that died is started again."""

import pytest

from strangler.supervisor import MAX_DELAY_S, restart_delay_s
from strangler.supervisor.places import QUIET_S, PlaceState


@pytest.mark.parametrize(
    ("failures", "delay_s"),
    [
        pytest.param(1, 0.0, id="the first death costs no time"),
        pytest.param(2, 0.5, id="the second a little"),
        pytest.param(3, 1.0, id="then twice as long"),
        pytest.param(7, 16.0, id="and so on"),
        pytest.param(8, MAX_DELAY_S, id="up to the most"),
        pytest.param(100_000, MAX_DELAY_S, id="for ever"),
    ],
)
def test_a_process_that_keeps_dying_is_started_ever_more_rarely(failures: int, delay_s: float) -> None:
    assert restart_delay_s(failures) == delay_s


def test_a_place_is_due_ever_later_while_its_process_keeps_dying() -> None:
    place = PlaceState("worker", 0, due=None, begun=100.0)
    for now, due in ((101.0, 101.0), (102.0, 102.5), (103.0, 104.0)):
        place.schedule(now, "exit code 3")
        assert place.due == due
    assert (place.restarts, place.failures) == (3, 3)


def test_a_process_that_lived_long_does_not_count_as_one_that_keeps_dying() -> None:
    place = PlaceState("worker", 0, due=None, begun=100.0, failures=5)
    place.schedule(100.0 + QUIET_S, "exit code 3")
    assert (place.due, place.failures) == (100.0 + QUIET_S, 1)


def test_a_place_that_is_dismissed_is_not_filled_again() -> None:
    place = PlaceState("worker", 0)
    place.dismiss()
    assert (place.due, place.is_leaving) == (None, True)


def test_a_place_without_a_process_has_nothing_to_tell() -> None:
    place = PlaceState("worker", 0)
    assert place.infos() == []
    assert not place.is_dead
