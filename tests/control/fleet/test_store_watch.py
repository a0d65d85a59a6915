"""An outage of the shared store is an event when it has lasted for a moment, and another when it is over."""

from collections.abc import Mapping
from typing import Any

from strangler.control.fleet.store_watch import StoreWatch
from strangler.store.events.event import Kind


class Recorder:
    """Keeps what is published."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Mapping[str, Any]]] = []

    def publish(self, kind: Kind, subject: str, data: Mapping[str, Any]) -> None:
        assert subject == "store"
        self.events.append((kind.value, data))


def watch(problems: Mapping[int, str | None], until_s: int) -> list[tuple[str, Mapping[str, Any]]]:
    """Look twice a second; `problems` are those that begin at a second."""
    recorder, now, problem = Recorder(), 0.0, problems.get(0)
    watched = StoreWatch("a", lambda: problem, recorder, lambda: now)
    while now <= until_s:
        problem = problems.get(int(now), problem) if now == int(now) else problem
        watched.look()
        now += 0.5
    return recorder.events


def test_an_outage_has_an_event_at_its_begin_and_another_at_its_end() -> None:
    assert watch({5: "refused", 30: None}, 60) == [
        ("store.away", {"node": "a", "reason": "refused"}),
        ("store.back", {"node": "a", "away_s": 25.0}),
    ]


def test_a_moment_is_no_outage() -> None:
    assert watch({5: "refused", 6: None}, 60) == []


def test_an_outage_with_moments_of_contact_is_a_single_one() -> None:
    found = watch({5: "refused", 10: None, 11: "slow", 20: None, 21: "refused", 30: None}, 60)
    assert [kind for kind, _ in found] == ["store.away", "store.back"]


def test_a_store_that_is_away_from_the_start_is_an_outage() -> None:
    assert [kind for kind, _ in watch({0: "refused"}, 10)] == ["store.away"]
