"""The kill switch on disk."""

from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from strangler.state.kill_switch import MAX_NAMES_BYTES, OFF, KilledRoute, KillSwitchState, fits, read, write

ORDERS = KilledRoute("orders answers nonsense", "2026-11-23T08:00:00.123Z")
NOW = "2026-11-30T08:00:00.123Z"


def test_it_is_off_until_it_is_turned(tmp_path: Path) -> None:
    assert read(tmp_path) == OFF


@pytest.mark.parametrize("routes", [{}, {"orders": ORDERS, "/ü \n": KilledRoute("", None)}], ids=["none", "two"])
def test_it_is_read_as_it_was_written(tmp_path: Path, routes: dict[str, KilledRoute]) -> None:
    state = KillSwitchState(True, "orders answers nonsense", "2026-11-23T08:00:00.123Z", routes)
    write(tmp_path, state)
    assert read(tmp_path) == state


def test_a_file_without_routes_is_on_for_none_by_itself(tmp_path: Path) -> None:
    (tmp_path / "kill-switch.json").write_bytes(b'{"on":true,"reason":"why","since":"2026-11-23T08:00:00.123Z"}')
    assert read(tmp_path) == KillSwitchState(True, "why", "2026-11-23T08:00:00.123Z", {})


@dataclass(frozen=True, slots=True)
class _FormerState:
    """The state as the version before single routes reads it."""

    on: bool
    reason: str
    since: str | None


def test_a_former_version_reads_what_it_knows(tmp_path: Path) -> None:
    write(tmp_path, KillSwitchState(False, "why", None, {"orders": ORDERS}))
    content = (tmp_path / "kill-switch.json").read_bytes()
    assert msgspec.json.decode(content, type=_FormerState) == _FormerState(False, "why", None)


@pytest.mark.parametrize(
    "content",
    [b"{", b"", b"{}", b'{"on":false,"reason":"","since":null,"routes":["orders"]}'],
    ids=["torn", "empty", "without a state", "routes of another form"],
)
def test_a_file_that_cannot_be_read_counts_as_on(tmp_path: Path, content: bytes) -> None:
    write(tmp_path, OFF)
    (tmp_path / "kill-switch.json").write_bytes(content)
    found = read(tmp_path)
    assert (found.on, found.is_on_for("orders")) == (True, True)


def test_each_route_is_turned_by_itself() -> None:
    state = OFF.turned_for("orders", True, "slow", NOW).turned_for("users", True, "", NOW)
    assert state == KillSwitchState(
        False, "", None, {"orders": KilledRoute("slow", NOW), "users": KilledRoute("", NOW)}
    )
    assert [state.is_on_for(name) for name in ("orders", "users", "Orders", "")] == [True, True, False, False]
    assert state.turned_for("orders", False, "", NOW).routes == {"users": KilledRoute("", NOW)}
    assert OFF.routes == {}


def test_the_switch_for_all_and_those_of_routes_leave_each_other_as_they_are() -> None:
    state = OFF.turned_for("orders", True, "slow", NOW).turned(True, "all", NOW)
    assert (state.on, state.routes) == (True, {"orders": KilledRoute("slow", NOW)})
    assert state.turned_for("orders", False, "", NOW) == KillSwitchState(True, "all", NOW)
    assert state.turned(False, "", NOW).routes == {"orders": KilledRoute("slow", NOW)}


@pytest.mark.parametrize("reason", ["", "slow"], ids=["no reason", "the same reason"])
def test_a_switch_that_is_so_already_stays_as_it_is(reason: str) -> None:
    state = OFF.turned_for("orders", True, "slow", NOW).turned(True, "slow", NOW)
    assert state.turned(True, reason, "later") is state
    assert state.turned_for("orders", True, reason, "later") is state
    assert OFF.turned(False, reason, "later") is OFF
    assert OFF.turned_for("orders", False, reason, "later") is OFF


def test_another_reason_is_the_newer_one() -> None:
    state = OFF.turned_for("orders", True, "slow", NOW).turned_for("orders", True, "wrong", "later")
    assert state.routes == {"orders": KilledRoute("wrong", "later")}


def test_names_that_an_environment_variable_has_no_room_for_do_not_fit() -> None:
    assert fits(["orders"])
    assert fits(["r" * (MAX_NAMES_BYTES - 4)])
    assert not fits(["r" * (MAX_NAMES_BYTES - 3)])
    assert not fits(["\x01" * (MAX_NAMES_BYTES // 6)]), "what is escaped counts as it is written"
