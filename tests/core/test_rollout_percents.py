"""The percents of rollouts in settings: what they have reached, and what they begin with."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.core.rollout_percents import rollout_groups, taken_over, with_percents
from strangler.core.rollout_settings import RolloutSettings
from strangler.core.settings import RouteSettings, Settings
from tests.factories import route, settings

PLAN = RolloutSettings()
OTHER = RolloutSettings(steps=(50.0,))


def of(name: str, percent: float = 0.0, rollout: RolloutSettings | None = PLAN, **more: Any) -> RouteSettings:
    return route(name, percent=percent, rollout=rollout, **more)


def percents(made: Settings) -> dict[str, float]:
    return {each.name: each.split.percent for each in made.routes}


def test_only_routes_with_a_rollout_get_the_percent_of_their_group() -> None:
    made = settings([of("a", group="g"), of("b", group="g"), of("c", 7, None, group="g"), of("d", 3)])
    assert percents(with_percents(made, {"g": 25.0, "c": 99.0})) == {"a": 25, "b": 25, "c": 7, "d": 0}
    assert {group: [each.name for each in routes] for group, routes in rollout_groups(made).items()} == {
        "g": ["a", "b"],
        "d": ["d"],
    }


def test_settings_without_a_rollout_are_the_same_object() -> None:
    made = settings([of("a", 7, None)])
    assert with_percents(made, {"a": 25.0}) is made


CASES = [
    pytest.param([of("a", 25)], [of("a", rollout=OTHER)], {"a": 25}, id="another plan keeps the percent"),
    pytest.param([of("a", 25, None)], [of("a")], {"a": 25}, id="split.percent is taken over"),
    pytest.param([], [of("a")], {"a": 0}, id="a new route begins at 0"),
    pytest.param([of("a", 25)], [of("b", prefix="/a")], {"b": 25}, id="another name of the same requests"),
    pytest.param([of("a", 25)], [of("b", prefix="/a", candidate="v2")], {"b": 0}, id="another name and candidate"),
    pytest.param([of("a", 25)], [of("a", 5, None)], {"a": 5}, id="without a rollout the file counts"),
    pytest.param([of("a", 25)], [of("a", group="g")], {"a": 25}, id="another group"),
    pytest.param(
        [of("a", 25, group="g")], [of("a", group="g"), of("b", group="g")], {"a": 25, "b": 25}, id="a route comes in"
    ),
    pytest.param(
        [of("a", 5, None), of("b", 25, None)],
        [of("a", group="g"), of("b", group="g")],
        {"a": 25, "b": 25},
        id="nobody moves back",
    ),
    pytest.param([of("a", 25, None, enabled=False)], [of("a")], {"a": 0}, id="a disabled route had nobody there"),
]


@pytest.mark.parametrize(("before", "after", "begins"), CASES)
def test_a_rollout_begins_where_the_route_is(
    before: list[RouteSettings], after: list[RouteSettings], begins: dict[str, float]
) -> None:
    assert percents(taken_over(settings(before), settings(after))) == begins


_ROUTES = st.lists(
    st.builds(
        of,
        name=st.sampled_from("abcd"),
        percent=st.sampled_from([0.0, 5.0, 25.0, 100.0]),
        rollout=st.sampled_from([None, PLAN]),
        group=st.sampled_from([None, "g"]),
    ),
    unique_by=lambda each: each.name,
)


@given(_ROUTES)
def test_the_same_file_again_moves_no_group(routes: list[RouteSettings]) -> None:
    in_force = with_percents(settings(routes), {"g": 25.0, "a": 5.0})
    assert taken_over(in_force, with_percents(in_force, {})) == in_force
