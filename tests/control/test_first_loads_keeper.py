"""The time when a route's `retire` was first loaded survives reloads and restarts, and a folder that is full."""

from dataclasses import replace
from pathlib import Path

from strangler.control.first_loads_keeper import FirstLoadsKeeper
from strangler.control.reload import InForce
from strangler.core.first_loads import first_loads, with_first_loads
from strangler.core.retire_settings import RetireSettings
from strangler.core.settings import Settings
from strangler.state.retire_file import read
from tests.control.control import in_force
from tests.factories import route, settings

RETIRE = RetireSettings(2_000_000_000, None, None, 410, ())


def loaded(*names: str, known: FirstLoadsKeeper, now: float) -> InForce:
    """Settings as a reload makes them."""
    made: Settings = settings([route(name, retire=RETIRE) for name in names])
    return in_force(with_first_loads(made, known.known, now))


def test_each_route_keeps_its_time(tmp_path: Path) -> None:
    keeper = FirstLoadsKeeper(tmp_path)
    keeper.adopt(loaded("a", known=keeper, now=10))
    keeper.adopt(loaded("a", "b", known=keeper, now=20))
    assert read(tmp_path) == {"a": 10, "b": 20}
    again = FirstLoadsKeeper(tmp_path)
    assert first_loads(loaded("a", "b", known=again, now=30).settings) == {"a": 10, "b": 20}


def test_a_route_that_no_longer_ends_begins_anew(tmp_path: Path) -> None:
    keeper = FirstLoadsKeeper(tmp_path)
    keeper.adopt(loaded("a", known=keeper, now=10))
    keeper.adopt(loaded(known=keeper, now=20))
    assert read(tmp_path) == {}
    assert first_loads(loaded("a", known=keeper, now=30).settings) == {"a": 30}


def test_a_folder_that_cannot_be_written_costs_no_reload(tmp_path: Path) -> None:
    (tmp_path / "retire.json.new").mkdir()
    keeper = FirstLoadsKeeper(tmp_path)
    keeper.adopt(loaded("a", known=keeper, now=10))
    assert read(tmp_path) == {}
    assert first_loads(loaded("a", known=keeper, now=30).settings) == {"a": 10}
    (tmp_path / "retire.json.new").rmdir()
    keeper.adopt(loaded("a", known=keeper, now=40))
    assert read(tmp_path) == {"a": 10}


def test_nothing_is_written_for_routes_that_stay(tmp_path: Path) -> None:
    keeper = FirstLoadsKeeper(tmp_path)
    keeper.adopt(in_force(replace(settings([route("a")]))))
    assert list(tmp_path.iterdir()) == []
