"""`strangler check`."""

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from strangler.cli import main
from tests.config.files import TOP

RESPONSES = "responses begin within: legacy 60s (default), orders 10s (default)\n"


def _check(folder: Path, text: str, *options: str) -> Result:
    path = folder / "routes.yaml"
    path.write_text(text)
    return CliRunner().invoke(main, ["check", "-c", str(path), *options])


def test_a_right_file_is_summed_up(tmp_path: Path) -> None:
    result = _check(tmp_path, TOP)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"{tmp_path}/routes.yaml: ok: 2 upstreams, 1 route\n{RESPONSES}"


def test_problems_go_to_standard_error_and_end_with_2(tmp_path: Path) -> None:
    result = _check(tmp_path, TOP + "workers: x\nstat: y\n")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines() == [
        f"{tmp_path}/routes.yaml:7:10: workers is 'x'; it must be a whole number from 1 to 256, or auto",
        f"{tmp_path}/routes.yaml:8:1: unknown key 'stat'; did you mean 'state'?",
        f"{tmp_path}/routes.yaml: 2 problems",
    ]


def test_warnings_and_keys_that_do_nothing_yet_end_with_0(tmp_path: Path) -> None:
    result = _check(tmp_path, TOP.replace("orders}", "orders, split: {percent: 5}, gate: {}}"))
    assert result.exit_code == 0
    assert "routes.yaml:6:70: warning: route 'a': split.sticky is empty" in result.stderr
    assert "warning: route 'a': gate is set and nothing is compared" in result.stderr
    assert result.stdout == f"{tmp_path}/routes.yaml: ok: 2 upstreams, 1 route, 2 warnings\n{RESPONSES}"


def test_json_says_the_same(tmp_path: Path) -> None:
    result = _check(tmp_path, TOP + "workers: x\n", "--json")
    assert result.exit_code == 2
    data = json.loads(result.stdout)
    assert data["ok"] is False
    assert data["problems"] == [
        {
            "file": f"{tmp_path}/routes.yaml",
            "line": 7,
            "column": 10,
            "where": "",
            "what": "workers is 'x'",
            "way_out": "it must be a whole number from 1 to 256, or auto",
            "severity": "error",
        }
    ]
    good = json.loads(_check(tmp_path, TOP, "--json").stdout)
    assert (good["ok"], good["upstreams"], good["routes"], good["problems"]) == (True, 2, 1, [])


def test_a_missing_file_says_how_to_name_another(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["check", "-c", str(tmp_path / "no.yaml")])
    assert result.exit_code == 2
    assert "the file cannot be read: No such file or directory; name another one with -c" in result.stderr


def test_a_folder_in_its_place_says_where_it_may_come_from(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["check", str(tmp_path)])
    assert result.exit_code == 2
    assert (
        f"{tmp_path}: this is a folder, not a file; name another one with -c; container engines create a folder where"
        in result.stderr
    )


def test_it_runs_as_a_program_on_the_file_of_this_folder(tmp_path: Path) -> None:
    (tmp_path / "routes.yaml").write_text(TOP.replace("http://127.0.0.1:8001", "${ORDERS}"))
    run = [sys.executable, "-m", "strangler", "check"]
    here = str(Path(__file__).parents[2])
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": here}
    without = subprocess.run(run, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert without.returncode == 2
    assert "routes.yaml:4:17: the environment variable ORDERS is not set" in without.stderr
    assert "Traceback" not in without.stderr
    set_now = subprocess.run(run, cwd=tmp_path, env=environ | {"ORDERS": "http://a"}, capture_output=True, check=False)
    assert set_now.returncode == 0


@pytest.mark.parametrize("words", [["check", "-c", "-"], ["check", "-"]], ids=["-c -", "-"])
def test_it_reads_standard_input(words: list[str], tmp_path: Path) -> None:
    run = partial(_run, tmp_path, *words)
    assert run(text=TOP) == (0, f"<stdin>: ok: 2 upstreams, 1 route\n{RESPONSES}", "")
    status, _, output = run(text=TOP + "workers: x\n")
    assert (status, output.splitlines()[0]) == (
        2,
        "<stdin>:7:10: workers is 'x'; it must be a whole number from 1 to 256, or auto",
    )


def test_other_commands_that_only_read_do_so_too_and_those_that_write_refuse_it(tmp_path: Path) -> None:
    status, output, _ = _run(tmp_path, "explain", "GET", "/a", "-c", "-", text=TOP)
    assert status == 0
    assert output.startswith("route     a\n")
    for words in (["serve"], ["shift", "a", "5"]):
        status, _, output = _run(tmp_path, *words, "-c", "-", text=TOP)
        assert (status, output) == (
            2,
            "-: this command needs a file of its own, not standard input; name it with -c\n",
        )


def test_the_file_may_be_named_without_an_option_but_not_twice(tmp_path: Path) -> None:
    path = tmp_path / "other.yaml"
    path.write_text(TOP)
    result = CliRunner().invoke(main, ["check", str(path)])
    assert (result.exit_code, result.stdout) == (0, f"{path}: ok: 2 upstreams, 1 route\n{RESPONSES}")
    result = CliRunner().invoke(main, ["check", str(path), "-c", str(path)])
    assert result.exit_code == 2
    assert "FILE and -c both name a file; keep one of them" in result.stderr


def _run(folder: Path, *words: str, text: str) -> tuple[int, str, str]:
    """A command with a text on its standard input: exit code, standard output, standard error."""
    environ = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-m", "strangler", *words],
        cwd=folder, env=environ, input=text, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_it_tells_how_long_responses_may_take_and_who_says_so(tmp_path: Path) -> None:
    text = TOP.replace("orders}", "orders, timeouts: {response: 5s}}")
    result = _check(tmp_path, text)
    assert result.stdout.splitlines()[1:] == [
        RESPONSES.strip(),
        "route 'a': responses of orders begin within 5s (route)",
    ]
    timeouts = json.loads(_check(tmp_path, text, "--json").stdout)["timeouts"]
    assert timeouts["upstreams"]["legacy"] == {"response_s": 60.0, "source": "default"}
    assert timeouts["routes"] == {"a": {"response_s": 5.0, "source": "route"}}


SHADOWED = TOP.replace("orders}", "orders, shadow: {SHADOW}}")


@pytest.mark.parametrize(
    ("shadow", "expected"),
    [
        pytest.param(
            "percent: 10",
            "shadows repeat at most 10.2 % of its requests at orders and 0.2 % at legacy (baseline: only those without "
            "credentials); a difference is checked again up to 30 times, at orders alone",
            id="of legacy",
        ),
        pytest.param(
            "percent: 100, of: candidate, baseline: {share: 5%, credentials: true}",
            "shadows repeat at most 5 % of its requests at orders and 105 % at legacy (baseline: all of them); "
            "a difference is checked again up to 30 times, at legacy alone",
            id="of the candidate",
        ),
        pytest.param(
            "percent: 1, of: any, baseline: 0",
            "shadows repeat at most 1 % of its requests at orders and 1 % at legacy; "
            "a difference is checked again up to 30 times, at orders or legacy alone",
            id="of any",
        ),
        pytest.param(
            "percent: 10, recheck: 0, baseline: 0, methods: [GET, POST], writes: dry_run",
            "shadows repeat at most 10 % of its requests at orders and 0 % at legacy; "
            "orders gets OPTIONS before writes",
            id="dry runs",
        ),
    ],
)
def test_it_tells_what_shadows_ask_of_each_arm(tmp_path: Path, shadow: str, expected: str) -> None:
    result = _check(tmp_path, SHADOWED.replace("SHADOW", shadow))
    assert result.exit_code == 0
    assert result.stdout.splitlines()[2:] == [f"route 'a': {expected}"]


def test_json_tells_what_shadows_ask_of_each_arm(tmp_path: Path) -> None:
    data = json.loads(_check(tmp_path, SHADOWED.replace("SHADOW", "percent: 10"), "--json").stdout)
    (extra,) = data["extra_requests"]
    assert (extra["route"], extra["candidates"], extra["looks"]) == ("a", ["orders"], 30)
    assert (extra["candidate_percent"], extra["legacy_percent"]) == (10.2, 0.2)
    assert json.loads(_check(tmp_path, TOP, "--json").stdout)["extra_requests"] == []


@pytest.mark.parametrize("shadow", ["", ", shadow: {percent: 0}"], ids=["none", "0 %"])
def test_it_tells_nothing_of_routes_without_shadows(tmp_path: Path, shadow: str) -> None:
    result = _check(tmp_path, TOP.replace("orders}", f"orders{shadow}}}"))
    assert (result.exit_code, len(result.stdout.splitlines())) == (0, 2)
