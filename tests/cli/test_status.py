"""The lines of `strangler status` above its tables."""

from io import StringIO

import msgspec
import pytest
from rich.console import Console
from rich.text import Text

from strangler.cli._tables import nodes, notices, percent
from strangler.control.api_reference.examples import STATUS
from strangler.core.documents import KillSwitchStatus, LedgerStatus, NodeStatus, RolloutShort, RouteKillSwitch


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


STEPS = [1.0, 5.0, 25.0, 50.0, 100.0]


@pytest.mark.parametrize(
    ("rollout", "text", "command"),
    [
        (None, "25%", None),
        (RolloutShort("running", 3, STEPS, "evidence", "orders"), "25% running 3/5", None),
        (
            RolloutShort("running", 3, STEPS, "approve", "orders"),
            "25% [yellow]running 3/5[/]",
            "its rollout is running, and waits for approval of 50 %: `strangler rollout approve orders`",
        ),
        (
            RolloutShort("paused", 3, STEPS, "resume", "orders"),
            "25% [yellow]paused 3/5[/]",
            "its rollout is paused, and waits for resume: `strangler rollout resume orders`",
        ),
        (RolloutShort("done", 5, STEPS, None, "orders"), "25% done 5/5", None),
    ],
    ids=["no rollout", "running", "an approval", "paused", "done"],
)
def test_a_route_that_climbs_has_its_state_and_step_beside_its_percent(
    rollout: RolloutShort | None, text: str, command: str | None
) -> None:
    (route,) = STATUS.routes
    climbing = msgspec.structs.replace(route, rollout=rollout)
    assert percent(climbing) == text
    lines = [line for line in notices(msgspec.structs.replace(STATUS, routes=[climbing])) if "rollout" in line]
    assert len(lines) == (command is not None)
    assert command is None or command in lines[0]


def test_routes_that_climb_as_one_have_one_line() -> None:
    (route,) = STATUS.routes
    routes = [
        msgspec.structs.replace(route, name=name, rollout=RolloutShort("paused", 3, STEPS, "resume", group))
        for name, group in (("orders", "shop"), ("login", "login"), ("carts", "shop"), ("prices", "shop"))
    ]
    lines = [line for line in notices(msgspec.structs.replace(STATUS, routes=routes)) if "rollout" in line]
    assert [line.partition(": ")[0] for line in lines] == [
        "[yellow]routes 'orders', 'carts' and 'prices'[/]",
        "[yellow]route 'login'[/]",
    ]
    assert "`strangler rollout resume orders`" in lines[0]


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


NODES = STATUS.nodes
ODD = msgspec.structs.replace(NODES[1], digest="0" * 64, is_odd=True)


@pytest.mark.parametrize(
    ("fleet", "expected"),
    [
        (NODES, []),
        (NODES[:1], []),
        (
            [NODES[0], ODD],
            [
                "node 'shop-1' has another routes.yaml than most: 000000000000, not 9f2c1b6d0a3e; rollouts hold until"
                " all have the same"
            ],
        ),
        (
            [NODES[0], msgspec.structs.replace(NODES[1], heard=14.0)],
            ["node 'shop-1' was heard 14 s ago"],
        ),
        (
            [msgspec.structs.replace(node, leader=False) for node in NODES],
            ["no node leads: rollouts hold, and no events are sent"],
        ),
    ],
    ids=["all is well", "a node alone", "another routes.yaml", "a node is gone", "no leader"],
)
def test_lines_say_what_is_wrong_between_nodes(fleet: list[NodeStatus], expected: list[str]) -> None:
    found = [Text.from_markup(line).plain for line in notices(msgspec.structs.replace(STATUS, nodes=fleet))]
    assert [line for line in found if "node" in line and "kill" not in line] == expected


def test_the_table_of_nodes_marks_the_odd_and_the_absent() -> None:
    console = Console(width=100, file=StringIO())
    console.print(nodes([NODES[0], msgspec.structs.replace(ODD, heard=130.0, share=None)]))
    assert isinstance(console.file, StringIO)
    assert [line.split() for line in console.file.getvalue().splitlines()] == [
        ["node", "version", "routes.yaml", "share", "heard"],
        ["shop-0", "1.0.0", "9f2c1b6d0a3e", "51%", "0", "s", "ago", "leads"],
        ["shop-1", "1.0.0", "000000000000", "-", "2", "min", "ago"],
    ]
