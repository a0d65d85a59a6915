"""Rollouts in `strangler report`: where each stands, when it was moved, by which numbers, and who decided."""

import json
import re
import sqlite3
import time
from contextlib import closing
from html import unescape
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer
from click.testing import CliRunner

from strangler.cli import main
from strangler.cli._rollout_section import rollout_section
from strangler.control.admin import application
from strangler.core.documents import ReportDocument, RolloutReport
from strangler.core.rollout.judgement import ArmNumbers, LookRecord, LookVerdict
from strangler.core.rollout.machine import RolloutState
from strangler.core.rollout.position import Position
from strangler.core.rollout_settings import RolloutSettings
from strangler.core.settings import RouteSettings
from strangler.state.files import STORE
from strangler.store.evidence import reading, stored_rollouts
from strangler.store.evidence.access import file_location
from strangler.store.evidence.rollout_history import rollout_reports
from strangler.store.evidence.tables import prepare
from strangler.times import rfc3339
from tests import factories as f
from tests.cli.rollout_documents import look, move
from tests.control.control import control_of

ROUTES = """\
version: 1
admin: {{listen: 127.0.0.1:0}}
state: {state}
upstreams:
  legacy: {{url: http://127.0.0.1:8000}}
  orders: {{url: http://127.0.0.1:8001}}
defaults: {{routes: {{rollout: {{steps: [1, 5]}}}}}}
routes:
  - {{name: orders, match: {{prefix: /orders}}, candidate: orders, split: &shop {{group: shop, sticky: [client_ip]}}}}
  - {{name: carts, match: {{prefix: /carts}}, candidate: orders, split: *shop}}
  - {{name: users, match: {{prefix: /users}}, candidate: orders, split: {{sticky: [client_ip]}}}}
"""
AT = time.time() - 3600
GOOD = LookRecord(AT + 60, 1.0, LookVerdict.GOOD, (), ArmNumbers(9000, 9, 120.0), ArmNumbers(700, 0, 99.5), callers=41)
BAD = LookRecord(
    AT + 240, 5.0, LookVerdict.BAD, ("it failed more",), ArmNumbers(9100, 9, 121.0), ArmNumbers(3500, 88, None), 140
)
MOVES = [
    stored_rollouts.StoredMove(AT, 0.0, 0.0, "start", "release 1.4", "ana"),
    stored_rollouts.StoredMove(AT, 0.0, 1.0, "stepped", "it begins"),
    stored_rollouts.StoredMove(AT + 60, 1.0, 5.0, "waiting", "5 % waits for an approval", look=GOOD),
    stored_rollouts.StoredMove(AT + 90, 1.0, 5.0, "approve", "looks <b>well</b>", "ben"),
    stored_rollouts.StoredMove(AT + 120, 1.0, 5.0, "stepped", "the look was good", look=GOOD),
    stored_rollouts.StoredMove(AT + 240, 5.0, 1.0, "failed", "3 looks in a row were bad", look=BAD),
]


def fill(folder: Path) -> None:
    """Write the rollout of a group as control does."""
    folder.mkdir(exist_ok=True)
    with closing(sqlite3.connect(folder / STORE)) as connection, connection:
        prepare(connection)
        connection.executescript(stored_rollouts.SCHEMA)
        position = Position(state=RolloutState.RUNNING, percent=1.0, since=AT + 240, looks=(GOOD, BAD))
        stored_rollouts.save(
            connection, {"shop": stored_rollouts.StoredPosition(position)}, [("shop", each) for each in MOVES]
        )


def climbing(name: str, group: str, *steps: float) -> RouteSettings:
    """A route with a rollout."""
    return f.route(name, percent=0, group=group, rollout=RolloutSettings(steps=steps))


def columns(text: str, title: str) -> list[list[str]]:
    """Return the cells of the table below a title, as text."""
    table = text.partition(f"<h4>{title}</h4>")[2].partition("</table>")[0]
    rows = re.findall(r"<tr>(<td.*?)</tr>", table)
    return [[unescape(re.sub(r"<[^>]+>", "", cell)) for cell in row.split("</td>")[:-1]] for row in rows]


def test_the_history_is_that_of_the_store(tmp_path: Path) -> None:
    fill(tmp_path)
    settings = f.settings([climbing("orders", "shop", 1.0, 5.0), climbing("carts", "shop", 1.0, 5.0)])
    with reading.reader(file_location(tmp_path), looks_over=True) as reader:
        (found,) = rollout_reports(reader, settings)
    assert (found.group, found.routes, found.state, found.percent) == ("shop", ["orders", "carts"], "running", 1.0)
    assert found.steps == [1.0, 5.0]
    assert [(each.what, each.from_, each.to, each.who) for each in found.moves] == [
        (each.what, each.from_percent, each.to_percent, each.who) for each in MOVES
    ]
    by = found.moves[-1].look
    assert by is not None
    assert (by.at, by.percent, by.verdict, by.reasons, by.callers) == (
        *(rfc3339(BAD.at), 5.0, "bad", ["it failed more"], 140),
    )
    assert (by.candidate.requests, by.candidate.failed, by.candidate.p95_ms) == (3500, 88, None)


def test_a_row_that_cannot_be_read_is_left_out_and_the_others_stay(tmp_path: Path) -> None:
    fill(tmp_path)
    with closing(sqlite3.connect(tmp_path / STORE)) as connection, connection:
        connection.execute("UPDATE rollout_moves SET content = x'7b' WHERE id = 1")
        connection.execute("UPDATE rollout_positions SET content = x'ff'")
    settings = f.settings([climbing("orders", "shop", 1.0, 5.0)])
    with reading.reader(file_location(tmp_path), looks_over=True) as reader:
        (found,) = rollout_reports(reader, settings)
    assert (found.state, found.percent) == ("paused", 0.0)
    assert len(found.moves) == len(MOVES) - 1


def test_a_store_that_never_had_rollouts_has_those_of_the_file(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / STORE)) as connection, connection:
        prepare(connection)
    with reading.reader(file_location(tmp_path), looks_over=True) as reader:
        (found,) = rollout_reports(reader, f.settings([climbing("orders", "orders", 1.0, 5.0)]))
        assert rollout_reports(reader, f.settings([f.route("orders")])) == []
    assert (found.state, found.percent, found.moves) == ("waiting", 0.0, [])


def test_a_section_has_steps_falls_and_decisions_apart() -> None:
    good, bad = look("14:01", "good", reasons=()), look("14:04", "bad", candidate=(3500, 88, None))
    moves = [
        move("13:00", "start", 0.0, 0.0, "release 1.4", "ana"),
        move("13:00", "stepped", 0.0, 1.0, "it begins"),
        move("14:01", "waiting", 1.0, 5.0, "5 % waits for an approval", by=good),
        move("14:02", "approve", 1.0, 5.0, "looks <b>well</b>", "ben"),
        move("14:03", "stepped", 1.0, 5.0, "the look was good", by=good),
        move("14:04", "failed", 5.0, 1.0, "3 looks in a row were bad", by=bad),
        move("14:08", "back", 1.0, 0.0, "complaints", "ana"),
        move("14:08", "stepped", 1.0, 0.0, "going back"),
    ]
    routes = ["orders", "carts"]
    report = RolloutReport(group="s", routes=routes, state="paused", percent=0.0, steps=[1.0, 5.0], moves=moves)
    text = rollout_section([report])
    assert "<h3>orders, carts (they climb as one): paused at 0 %</h3>" in text
    assert columns(text, "Steps entered") == [
        ["2026-11-30 13:00", "0 → 1 %", "-", "-", "-", "-", "-", "it begins"],
        [
            *("2026-11-30 14:03", "1 → 5 %", "12 of 31,360 (<0.1 %)", "0 of 120 (0 %)", "120 ms", "99 ms", "3"),
            "the look was good",
        ],
    ]
    falls = columns(text, "Falls, and steps back")
    assert [(row[1], row[3]) for row in falls] == [("5 → 1 %", "88 of 3,500 (2.51 %)"), ("1 → 0 %", "-")]
    assert falls[0][-1].startswith("3 looks in a row were bad; the candidate has served")
    assert columns(text, "Decisions of people") == [
        ["2026-11-30 13:00", "ana", "start", "0 %", "release 1.4"],
        ["2026-11-30 14:02", "ben", "approve", "5 %", "looks <b>well</b>"],
        ["2026-11-30 14:08", "ana", "back", "1 → 0 %", "complaints"],
    ]
    assert columns(text, "Also") == [["2026-11-30 14:01", "waiting", "5 %", "5 % waits for an approval"]]
    assert "<b>well" not in text


def test_a_rollout_that_nothing_has_moved_says_so_and_without_one_there_is_no_section() -> None:
    report = RolloutReport(group="a", routes=["a"], state="waiting", percent=0.0, steps=[1.0], moves=[])
    assert "Nothing has moved it yet." in rollout_section([report])
    assert "<table>" not in rollout_section([report])
    assert rollout_section([]) == ""


def test_the_report_has_the_rollouts_where_no_proxy_runs(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    file, output = tmp_path / "routes.yaml", tmp_path / "report.html"
    file.write_text(ROUTES.format(state=tmp_path / "state"))
    fill(tmp_path / "state")
    result = CliRunner().invoke(main, ["report", "-o", str(output), "--config", str(file)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    text = output.read_text()
    assert "<h3>orders, carts (they climb as one): running at 1 %</h3>" in text
    assert "<h3>users: waiting at 0 %</h3>" in text
    assert [row[1:4] for row in columns(text, "Steps entered")] == [
        ["0 → 1 %", "-", "-"],
        ["1 → 5 %", "9 of 9,000 (0.1 %)", "0 of 700 (0 %)"],
    ]


async def test_the_api_has_the_same_report(tmp_path: Path) -> None:
    (tmp_path / "routes.yaml").write_text(ROUTES.format(state=tmp_path / "state"))
    fill(tmp_path / "state")
    async with control_of(tmp_path, {}) as control:
        server = TestServer(application(control), host="127.0.0.1")
        async with TestClient(server) as client:
            response = await client.get("/api/report")
            text = await response.text()
    assert response.status == 200
    rollouts = json.loads(text)["rollouts"]
    assert [(each["group"], each["percent"]) for each in rollouts] == [("shop", 1.0), ("users", 0.0)]
    assert rollouts[0]["moves"][-1]["look"]["candidate"] == {"requests": 3500, "failed": 88, "p95_ms": None}
    assert rollouts[0].keys() == {"group", "routes", "state", "percent", "steps", "moves"}
    assert list(json.loads(text)) == list(ReportDocument.__struct_fields__)
