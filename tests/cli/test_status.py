"""The lines of `strangler status` above its tables."""

from io import StringIO

import msgspec
import pytest
from rich.console import Console
from rich.text import Text

from strangler.cli._tables import notices, percent
from strangler.control.api_reference.examples import STATUS
from strangler.core.documents import KillSwitchStatus, LedgerStatus, RouteKillSwitch


@pytest.mark.parametrize(
    ("ledger", "line"),
    [
        (
            LedgerStatus(0.254, {"legacy": 9, "quiet": 0, "probed": 7}, 0),
            "ledger: 9 endpoints (9 legacy); candidates served 25.4 % of the requests of the last 7 days",
        ),
        (
            LedgerStatus(1.0, {"deletable": 1}, 0),
            "ledger: 1 endpoint (1 deletable); candidates served 100 % of the requests of the last 7 days",
        ),
        (LedgerStatus(0.0, {"legacy": 0, "probed": 3}, 0), None),
        (None, None),
    ],
    ids=["several endpoints", "one", "only probes", "no ledger"],
)
def test_one_line_says_how_far_the_migration_is(ledger: LedgerStatus | None, line: str | None) -> None:
    status = msgspec.structs.replace(STATUS, ledger=ledger)
    assert [found for found in notices(status) if found.startswith("ledger")] == ([] if line is None else [line])


KILLED = {"orders": RouteKillSwitch("slow [/]", "2026-11-23T08:00:00.123Z"), "gone": RouteKillSwitch("", None)}


def test_a_line_for_each_route_that_the_kill_switch_is_on_for() -> None:
    status = msgspec.structs.replace(STATUS, kill_switch=KillSwitchStatus(False, "", None, KILLED))
    console = Console(width=200, file=StringIO())
    for line in notices(status)[:2]:
        console.print(line)
    assert isinstance(console.file, StringIO)
    assert console.file.getvalue().splitlines() == [
        "kill switch ON for route 'orders' since 2026-11-23T08:00:00.123Z: slow [/]",
        "kill switch ON for route 'gone' since an unknown time (routes.yaml has no such route now)",
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"killed": True}, "killed"),
        ({"killed": True, "enabled": False}, "disabled"),
        ({"killed": True, "passthrough": True}, "passthrough"),
        ({}, "25%"),
    ],
    ids=["killed", "disabled", "passthrough", "neither"],
)
def test_the_percent_of_a_route_that_the_kill_switch_is_on_for(changes: dict[str, bool], expected: str) -> None:
    route = msgspec.structs.replace(STATUS.routes[0], percent=25.0, passthrough=False, enabled=True, retire=None)
    assert Text.from_markup(percent(msgspec.structs.replace(route, **changes))).plain == expected
