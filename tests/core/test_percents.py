"""The changes that count as raising a percent, and the gate that holds then."""

from dataclasses import replace
from typing import Any

import pytest

from strangler.core.percents import Raise, raises, rollouts_of
from strangler.core.rollout_settings import RolloutSettings
from strangler.core.settings import AggregatePart, GateSettings, RouteSettings
from strangler.core.source import SOURCES, Source
from tests.factories import route, settings

GATE = GateSettings(3000, 0.999, 0, 1.1, 86400.0)
LOOSE = GateSettings(1, 0.5, 9, 9.0, 0.0)


def at(percent: float, gate: GateSettings | None = GATE, **more: Any) -> RouteSettings:
    this_route = route("orders", percent=percent, is_gated=gate is not None, **more)
    return this_route if gate is None else replace(this_route, gate=gate)


def risen(before: list[RouteSettings], after: list[RouteSettings]) -> list[Raise]:
    return raises(rollouts_of(settings(before)), rollouts_of(settings(after)))


PLAN = RolloutSettings()
PARTS = (AggregatePart("a", "orders", "/a", True, None),)
CASES = [
    pytest.param([at(25, rollout=PLAN)], [at(50)], Raise("orders", 25, 50, GATE), id="more than the rollout had"),
    pytest.param([at(25)], [at(0, candidate="other", rollout=PLAN)], Raise("orders", 0, 25, GATE), id="taken over"),
    pytest.param([at(0, rollout=PLAN)], [at(5)], Raise("orders", 0, 5, GATE), id="a rollout in a file alone"),
    pytest.param([at(5)], [at(25)], Raise("orders", 5, 25, GATE), id="the percent goes up"),
    pytest.param([at(5, enabled=False)], [at(5)], Raise("orders", 0, 5, GATE), id="enabled again"),
    pytest.param([], [at(5)], Raise("orders", 0, 5, GATE), id="a new route"),
    pytest.param([at(5)], [at(5, candidate="other")], Raise("orders", 0, 5, GATE), id="another candidate"),
    pytest.param([at(5)], [at(1, candidate="other")], Raise("orders", 0, 1, GATE), id="another candidate with less"),
    pytest.param(
        [at(5, candidate=None, aggregate=PARTS)],
        [at(5, candidate=None, aggregate=(replace(PARTS[0], path="/b"),))],
        Raise("orders", 0, 5, GATE),
        id="another path of an aggregate",
    ),
    pytest.param([at(5)], [at(25, None)], Raise("orders", 5, 25, GATE), id="its gate taken away"),
    pytest.param([at(5)], [at(25, LOOSE)], Raise("orders", 5, 25, GATE), id="its gate loosened"),
    pytest.param([at(5, None)], [at(25)], Raise("orders", 5, 25, GATE), id="its gate new"),
    pytest.param([at(5, None)], [at(25, None)], Raise("orders", 5, 25, None), id="without any gate"),
    pytest.param(
        [at(5)],
        [replace(at(25, None, prefix="/orders"), name="renamed")],
        Raise("renamed", 0, 25, GATE),
        id="renamed, its gate taken away",
    ),
]


@pytest.mark.parametrize(("before", "after", "expected"), CASES)
def test_a_raise_is_held_by_the_stricter_gate(
    before: list[RouteSettings], after: list[RouteSettings], expected: Raise
) -> None:
    assert risen(before, after) == [expected]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([at(25)], [at(25)]),
        ([at(25)], [at(5)]),
        ([at(25)], [at(100, enabled=False)]),
        ([at(25)], []),
        ([], [at(0)]),
        ([at(25)], [at(0, candidate="other")]),
        ([at(25)], [at(25, LOOSE)]),
    ],
    ids=["as it was", "down", "disabled", "gone", "new at 0", "another candidate at 0", "only its gate is loosened"],
)
def test_what_gives_the_candidate_no_more_callers_is_no_raise(
    before: list[RouteSettings], after: list[RouteSettings]
) -> None:
    assert risen(before, after) == []


def test_each_field_of_the_stricter_gate_holds() -> None:
    gate, other = GateSettings(10, 0.9, 3, 2.0, 60.0), GateSettings(5, 0.99, 1, 3.0, 30.0)
    (found,) = risen([at(5, gate)], [at(6, other)])
    assert found.gate == GateSettings(10, 0.99, 1, 2.0, 60.0)


@pytest.mark.parametrize(
    ("before", "after", "counted"),
    [
        (("live",), ("live", "replay"), ("live",)),
        (("live", "replay"), ("live",), ("live",)),
        (("live",), ("replay",), ("live",)),
        (SOURCES, SOURCES, SOURCES),
    ],
    ids=["one more", "one less", "another one", "the same"],
)
def test_a_gate_counts_what_it_counted_before_and_after(
    before: tuple[Source, ...], after: tuple[Source, ...], counted: tuple[Source, ...]
) -> None:
    gate, other = (GateSettings(1, 0.9, 3, 2.0, 60.0, sources) for sources in (before, after))
    (found,) = risen([at(5, gate)], [at(6, other)])
    assert found.gate is not None
    assert found.gate.sources == counted
