"""docs/rollout.md: its commands print what it shows, and its tables are complete."""

import asyncio
import re
import shlex
from dataclasses import fields
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from strangler.cli import main
from strangler.config.load import load
from strangler.core.documents import RolloutsDocument
from strangler.core.rollout.advance import happen
from strangler.core.rollout.machine import NoTransitionError, RolloutEvent, RolloutState, possible_commands
from strangler.core.rollout.position import Position, WaitsFor
from strangler.core.rollout_settings import ErrorSettings, EvidenceSettings, LatencySettings, RolloutSettings
from strangler.ipc.metrics import FAMILIES
from strangler.store.events.event import Kind
from tests.cli.scripted_admin import ScriptedAdmin, serving

PAGE = (Path(__file__).parents[2] / "docs" / "rollout.md").read_text()
README = (Path(__file__).parents[2] / "README.md").read_text()
RECORDED = Path(__file__).with_name("rollout_recorded.json")
"""The rollouts that the proxy of `strangler demo --rollout` had at the time of the page's `rollout status`."""


def sessions(page: str, language: str) -> list[tuple[str, str]]:
    """Return each `$ strangler …` of a page's blocks with the output below it."""
    blocks = re.findall(rf"^```{language}\n(\$ strangler .*?)^```$", page, re.M | re.S)
    return [pair for block in blocks for pair in re.findall(r"^\$ strangler (.+)\n((?:(?!\$ ).*\n)*)", block, re.M)]


def routes(tmp_path: Path) -> Path:
    """Return the file with the routes.yaml of the quick start."""
    text = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.M | re.S)[0]
    file = tmp_path / "routes.yaml"
    file.write_text(text)
    return file


def first_step(tmp_path: Path) -> tuple[Position, RolloutSettings]:
    """Return the position of the quick start once it is started, and its plan."""
    settings = load(routes(tmp_path), {}).settings
    assert settings is not None
    (route,) = settings.routes
    assert route.rollout is not None
    return happen(Position(), route.rollout, RolloutEvent.START, 0.0)[0], route.rollout


def test_its_routes_load_without_a_problem(tmp_path: Path) -> None:
    loaded = load(routes(tmp_path), {})
    assert (loaded.problems, loaded.warnings) == ((), ())


@pytest.fixture(autouse=True)
def _no_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands fold no row then."""
    monkeypatch.delenv("COLUMNS", raising=False)


async def test_its_sessions_print_what_it_shows(tmp_path: Path) -> None:
    recorded = msgspec.json.decode(RECORDED.read_bytes(), type=RolloutsDocument)
    begun, plan = first_step(tmp_path)
    with pytest.raises(NoTransitionError) as refused:
        happen(begun, plan, RolloutEvent.APPROVE, 1.0)
    started = msgspec.structs.replace(
        recorded.rollouts[0], state=begun.state.value, percent=begun.percent, why="it begins", notes=[]
    )
    found = sessions(PAGE, "console")
    assert [shlex.split(command)[1] for command, _ in found] == ["start", "status", "status", "approve"]
    for command, output in found:
        admin = ScriptedAdmin(recorded.rollouts, after=started)
        if "approve" in command:
            admin.refusal = (409, str(refused.value))
        assert await printed(admin, command) == output, command


async def test_the_readme_shows_the_same_status() -> None:
    ((command, output),) = (pair for pair in sessions(README, "text") if pair[0].startswith("rollout status"))
    recorded = msgspec.json.decode(RECORDED.read_bytes(), type=RolloutsDocument)
    assert await printed(ScriptedAdmin(recorded.rollouts), command) == output


async def printed(admin: ScriptedAdmin, command: str) -> str:
    """Return the output of a command at this proxy, with the port of the page."""
    async with serving(admin):
        words = [*shlex.split(command), "--admin", admin.url]
        result = await asyncio.to_thread(CliRunner().invoke, main, words, catch_exceptions=False)
    text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:8081", result.output)
    return "".join(line.rstrip() + "\n" for line in text.splitlines())


def rows(header: str) -> list[list[str]]:
    """Return the cells of the table with this header."""
    body = PAGE.partition(header)[2].partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in body.splitlines() if "`" in line]


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_it_names_each_key() -> None:
    named = {key for row in rows("| key of `rollout` |") for key in names(row[0])}
    nested = {"evidence": EvidenceSettings, "errors": ErrorSettings, "latency": LatencySettings}
    keys = {"back.hold"} | {f"{key}.{each.name}" for key, kind in nested.items() for each in fields(kind)}
    plain = {each.name.removesuffix("_s") for each in fields(RolloutSettings)} - nested.keys() - {"back_hold"}
    assert named == keys | plain


def test_it_has_the_commands_of_each_state() -> None:
    found = {names(row[0])[0]: tuple(names(row[2])) for row in rows("| state | meaning |")}
    assert found == {state.value: possible_commands(state) for state in RolloutState}


def test_it_names_all_that_a_rollout_waits_for() -> None:
    assert {names(row[0])[0] for row in rows("| `waits_for` |")} == {each.value for each in WaitsFor}


def test_it_names_each_event_and_metric() -> None:
    events = {names(row[0])[0] for row in rows("| event | when |")}
    assert events == {kind.value for kind in Kind if kind.value.startswith("rollout.")}
    metrics = {names(row[0])[0].partition("{")[0] for row in rows("| metric | value |")}
    assert metrics == {name for name in FAMILIES if name.startswith("strangler_rollout_")}


def test_its_commands_exist() -> None:
    used = set(re.findall(r"`strangler rollout ([a-z]+)", PAGE)) | {
        command.split()[1] for command, _ in sessions(PAGE, "console")
    }
    group = main.get_command(main.make_context("strangler", ["serve"], resilient_parsing=True), "rollout")
    assert used <= set(group.commands)  # type: ignore[union-attr]  # a group
