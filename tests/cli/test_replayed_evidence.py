"""Evidence of replays in commands without a proxy: added to the state folder, shown by source, and judged."""

import json
import os
import sqlite3
import stat
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import click
import msgspec
import pytest
from click.testing import CliRunner, Result

from strangler.cli import main
from strangler.cli._admin import Admin
from strangler.cli._admin_errors import BusyError
from strangler.cli._evidence import find_evidence
from strangler.cli._send_replayed import MAX_TRIES, parts, send_replayed
from strangler.core.documents import MAX_FINDINGS, MAX_REPLAY_BYTES, ReplaysDocument
from strangler.store.evidence.findings import Finding
from tests.cli.test_diffs import ROUTES
from tests.store.evidence.pairs import captured, finding_of, json_response
from tests.store.evidence.test_upgrade_sources import WRITTEN

FINDING = finding_of(json_response({"price": 1}), json_response({"price": "1"}), captured(), source="replay")

MATCH = finding_of(json_response({"price": 1}), json_response({"price": 1}), captured(), source="replay")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "routes.yaml").write_text(ROUTES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def add(*findings: Finding) -> int:
    return find_evidence(Path("routes.yaml"), None).add_replayed(findings, "r1", "ana")


def test_they_are_added_to_a_folder_that_has_no_store_yet() -> None:
    assert add(FINDING, FINDING) == 2
    (row,) = json.loads(run("diffs", "--json").output)["signatures"]
    assert row["sources"] == {"replay": 2}
    assert json.loads(run("diffs", "--source", "live", "--json").output)["signatures"] == []
    assert "(replay)" in run("diffs", "--source", "replay").output
    output = run("diffs", "show", row["id"]).output
    assert "2 times (2 replay)" in output
    assert "(replay)  request r-1" in output
    assert "replay.added" in run("audit").output


def test_nobody_else_may_read_a_store_that_a_command_makes() -> None:
    Path("state").mkdir(mode=0o755)
    before = os.umask(0)
    try:
        add(FINDING)
        run("evidence", "reset", "orders", "--why", "it begins anew")
    finally:
        os.umask(before)
    assert {stat.S_IMODE(each.stat().st_mode) for each in Path("state").iterdir()} == {0o600}


def test_they_are_added_to_a_store_of_the_version_before() -> None:
    Path("state").mkdir()
    with closing(sqlite3.connect("state/strangler.db")) as connection:
        connection.executescript(WRITTEN)
    assert add(FINDING) == 1
    rows = json.loads(run("diffs", "--json").output)["signatures"]
    assert sum(row["sources"].get("live", 0) for row in rows) == 3
    assert sum(row["sources"].get("replay", 0) for row in rows) == 1


def test_the_gate_says_what_counts(folder: Path) -> None:
    add(FINDING)
    output = run("ready", "orders").output
    assert "1 pair of a replay is not counted: gate.from is [live]" in output
    (folder / "routes.yaml").write_text(ROUTES.replace("min_age: 0", "min_age: 0, from: [live, replay]"))
    output = run("ready", "orders").output
    assert "not counted" not in output
    assert "pairs of live and replay" in output
    assert json.loads(run("ready", "orders", "--json").output)["pairs"] == 1


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [("[live, replay]", "[replay, live]", 0), ("[live]", "[live, replay]", 1), ("[live, replay]", "[live]", 1)],
    ids=["counted before and after", "not before", "not after"],
)
def test_a_percent_rises_by_what_its_gate_counts(folder: Path, before: str, after: str, code: int) -> None:
    add(*[replace(MATCH, id=f"{number:026}") for number in range(10)])
    for file, percent, sources in (("old.yaml", 5, before), ("routes.yaml", 25, after)):
        text = ROUTES.replace("percent: 5", f"percent: {percent}")
        (folder / file).write_text(text.replace("{min_pairs: 100", f"{{from: {sources}, min_match: 50%, min_pairs: 10"))
    result = run("check", "--gate", "--against", "old.yaml")
    assert result.exit_code == code, result.output
    assert ("nothing was compared yet" in result.output) is (code == 1)


def test_the_report_says_what_was_counted(folder: Path) -> None:
    add(FINDING)
    assert run("report", "-o", "out.html").exit_code == 0
    assert "counted: live</p>" in Path("out.html").read_text()


def test_an_unknown_route_is_named() -> None:
    with pytest.raises(SystemExit), closing(sqlite3.connect(":memory:")):
        add(replace(FINDING, route="ordres"))
    assert not Path("state/strangler.db").exists()


class TestParts:
    """The findings on their way to a running proxy."""

    def test_a_part_is_bounded_by_number_and_size(self) -> None:
        match = replace(FINDING, outcome="match", differences=(), line=None, sample=None)
        assert [len(part) for part in parts([match] * (2 * MAX_FINDINGS + 1))] == [MAX_FINDINGS, MAX_FINDINGS, 1]
        large = replace(match, endpoint="GET /" + "x" * 60_000)
        found = list(parts([large] * 400))
        assert sum(map(len, found)) == 400
        assert all(len(msgspec.json.encode(part)) < MAX_REPLAY_BYTES for part in found)

    @pytest.mark.parametrize(("busy", "ends"), [(3, True), (MAX_TRIES, False)], ids=["for a while", "for ever"])
    def test_it_waits_while_the_proxy_is_busy(self, busy: int, ends: bool) -> None:
        class Busy(Admin):
            def ask(self, *_: object) -> ReplaysDocument:  # type: ignore[override]
                if len(pauses) < busy:
                    raise BusyError("busy")
                return ReplaysDocument(1, 0)

        pauses: list[float] = []
        admin = Busy("http://127.0.0.1:1", None, None)  # type: ignore[arg-type]
        if ends:
            assert send_replayed(admin, [FINDING], "r1", "ana", pauses.append) == 1
        else:
            with pytest.raises(click.ClickException, match="busy"):
                send_replayed(admin, [FINDING], "r1", "ana", pauses.append)
        assert len(pauses) == min(busy, MAX_TRIES - 1)
