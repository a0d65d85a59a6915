"""`strangler export envoy`: files that Envoy takes, losses with their places, and what differs from what lies there."""

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from strangler.cli import main
from strangler.config.load import load
from strangler.engine.binary import find
from strangler.envoy.place import EnvoyPlace, Switches
from strangler.envoy.render import render

ROUTES = """\
version: 1
upstreams:
  legacy: {url: "http://127.0.0.1:8000"}
  orders: {url: "http://127.0.0.1:8001", breaker: {trials: 3}}
routes:
  - {name: orders, match: {prefix: /api/orders}, candidate: orders, split: {percent: 25, sticky: ["cookie:sid"]}}
  - {name: reports, match: {path: "/reports/{id}"}, candidate: orders, enabled: false}
"""

Export = Callable[..., Result]


@pytest.fixture
def export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Export:
    """The command in a folder with a routes.yaml, whose text may be another."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, text: str = ROUTES) -> Result:
        (tmp_path / "routes.yaml").write_text(text)
        return CliRunner().invoke(main, ["export", "envoy", *arguments])

    return run


def _is_valid(file: Path) -> bool:
    done = subprocess.run(
        [str(find("").path), "--mode", "validate", "-c", file.name, "--log-level", "critical"],
        cwd=file.parent,
        check=False,
        capture_output=True,
    )
    return done.returncode == 0


def test_the_files_are_those_that_envoy_follows(export: Export, tmp_path: Path) -> None:
    done = export("-o", "out")
    assert done.exit_code == 0
    files = sorted(file.name for file in (tmp_path / "out").iterdir())
    assert files == ["bootstrap.json", "cds.json", "lds.json", "rds.json", "rtds.json"]
    bootstrap = json.loads((tmp_path / "out" / "bootstrap.json").read_text())
    source = bootstrap["dynamic_resources"]["cds_config"]["path_config_source"]["path"]
    assert source == f"{tmp_path}/out/cds.json"
    assert _is_valid(tmp_path / "out" / "bootstrap.json")


def test_the_folder_where_envoy_runs_may_be_another(export: Export, tmp_path: Path) -> None:
    assert export("-o", "out", "--folder", "/etc/envoy").exit_code == 0
    assert "/etc/envoy/lds.json" in (tmp_path / "out" / "bootstrap.json").read_text()
    assert export("--check", "out").exit_code == 0


def test_one_static_file_holds_everything(export: Export, tmp_path: Path) -> None:
    assert export("--static", "-o", "envoy.json").exit_code == 0
    assert _is_valid(tmp_path / "envoy.json")
    assert "path_config_source" not in (tmp_path / "envoy.json").read_text()
    printed = export("--static")
    assert json.loads(printed.stdout) == json.loads((tmp_path / "envoy.json").read_text())


def test_a_loss_is_named_with_its_place_on_standard_error(export: Export) -> None:
    done = export("--static")
    assert "routes.yaml:4:60: warning: upstream 'orders': breaker.trials is not kept by Envoy; " in done.stderr
    assert "(route 'orders', route 'reports')" in done.stderr
    assert "Envoy" not in done.stdout.partition("{")[0]


def test_strict_exits_with_1_if_anything_is_lost(export: Export, tmp_path: Path) -> None:
    assert export("-o", "out", "--strict").exit_code == 1
    assert (tmp_path / "out" / "cds.json").exists()
    calm = "timeouts: {response: 60s}, bulkhead: {waiting: 0}, retry: false"
    lossless = ROUTES.replace('8000"', f'8000", {calm}').replace("breaker: {trials: 3}", calm)
    lossless = lossless.replace("candidate: orders", "candidate: orders, fallback: false")
    done = export("-o", "out", "--strict", text=lossless)
    assert (done.exit_code, done.stderr) == (0, "")


@pytest.mark.parametrize("form", [["-o", "out"], ["--static", "-o", "out"]], ids=["files", "static"])
def test_check_says_that_nothing_differs(export: Export, form: list[str]) -> None:
    assert export(*form).exit_code == 0
    done = export("--check", "out")
    assert (done.exit_code, done.stdout) == (0, "out: as routes.yaml says\n")


CHANGES = [
    ("8001", "8009", "upstream 'orders': url is 8001 there, not 8009"),
    ("percent: 25", "percent: 26", "route 'orders': split differs"),
    ("cookie:sid", "cookie:other", 'route \'orders\': split.sticky is "sid" there, not "other"'),
    ("/api/orders", "/api/all", 'route \'orders\': match is "/api/orders" there, not "/api/all"'),
    ("  - {name: reports", "  # - {name: reports", "route 'reports': is there and not in routes.yaml"),
    (", enabled: false", "", "route 'reports': is missing there"),
    ("breaker: {trials: 3}", "breaker: false", "upstream 'orders': breaker is 100 there, not 0"),
    (", sticky:", ", override: X-Arm, sticky:", "route 'orders': is missing there"),
]


@pytest.mark.parametrize("form", [["-o", "out"], ["--static", "-o", "out"]], ids=["files", "static"])
@pytest.mark.parametrize(("old", "new", "line"), CHANGES, ids=[new for _, new, _ in CHANGES])
def test_check_names_the_route_and_the_key(export: Export, form: list[str], old: str, new: str, line: str) -> None:
    assert export(*form).exit_code == 0
    changed = ROUTES.replace(old, new)
    assert changed != ROUTES
    done = export("--check", "out", text=changed)
    assert done.exit_code == 1
    assert f"out: {line}" in done.stdout


def test_the_share_of_a_rollout_is_no_matter_of_the_file(export: Export, tmp_path: Path) -> None:
    text = ROUTES.replace("split: {percent: 25, sticky", "rollout: {steps: [5, 100]}, split: {sticky")
    assert export("-o", "out", text=text).exit_code == 0
    settings = load(tmp_path / "routes.yaml", {}).settings
    assert settings is not None
    orders, reports = settings.routes
    climbed = replace(settings, routes=(replace(orders, split=replace(orders.split, percent=5.0)), reports))
    place = EnvoyPlace(f"{tmp_path}/out", "admin.sock", "telemetry.sock", "mirrors.sock")
    routes = render(climbed, place, 7, Switches(is_killed=True), time.time()).files("7")["rds.json"]
    assert (tmp_path / "out" / "rds.json").read_bytes() != routes
    (tmp_path / "out" / "rds.json").write_bytes(routes)
    assert export("--check", "out", text=text).exit_code == 0
    assert "route 'orders': match" in export("--check", "out", text=text.replace("/api/orders", "/other")).stdout


def test_check_finds_the_newest_envoy_of_a_state_folder(export: Export, tmp_path: Path) -> None:
    for number in ("9", "10"):
        text = ROUTES.replace("8001", f"80{number}")
        assert export("-o", f"envoy/{number}", text=text).exit_code == 0
        (tmp_path / "envoy" / number / "process.json").write_text('{"pid": 1}')
    assert export("--check", "envoy", text=ROUTES.replace("8001", "8010")).exit_code == 0
    assert "url is 8010 there" in export("--check", "envoy", text=ROUTES.replace("8001", "809")).stdout


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "name the folder to write into with -o, or write --static for one file"),
        (["--check", "out", "--static"], "--check writes nothing; leave -o, --static and --folder out"),
        (["--check", "nowhere"], "nowhere/bootstrap.json: it cannot be read: No such file or directory"),
        (["--check", "routes.yaml"], "routes.yaml: this is nothing that `strangler export` has written"),
        (["-o", "routes.yaml"], "routes.yaml: the folder cannot be made: File exists"),
        (["--static", "-o", "no/where"], "no/where: it cannot be written: No such file or directory"),
    ],
)
def test_wrong_input_exits_with_2_and_names_the_way_out(export: Export, arguments: list[str], line: str) -> None:
    done = export(*arguments)
    assert done.exit_code == 2
    assert line in done.stderr


def test_a_file_with_problems_exports_nothing(export: Export, tmp_path: Path) -> None:
    done = export("-o", "out", text=ROUTES.replace("percent: 25", "percent: 250"))
    assert done.exit_code == 2
    assert "split.percent is 250" in done.stderr
    assert not (tmp_path / "out").exists()
