"""docs/replay.md: its commands print what it shows, and its tables are complete."""

import re
import shlex
from itertools import count
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from strangler.cli import main
from strangler.config.load import load
from strangler.recordings.recorded import Header
from tests.cli.replaying import order, upstream
from tests.cli.test_rollout_docs import sessions
from tests.recordings.made import written
from tests.replay.rig import pair

PAGE = (Path(__file__).parents[2] / "docs" / "replay.md").read_text()
HEADER = Header(
    made="2026-11-30T15:27:41.459Z", by="strangler 0.1.0", source="gor", from_="traffic.gor", redacted=False
)


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)


def blocks() -> list[str]:
    return re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.M | re.S)


def test_its_routes_load_without_a_problem() -> None:
    Path("routes.yaml").write_text(blocks()[0])
    loaded = load(Path("routes.yaml"), {})
    assert (loaded.problems, loaded.warnings) == ((), ())


def test_its_sessions_print_what_it_shows() -> None:
    found = sessions(PAGE, "console")
    assert ["--self" in command for command, _ in found] == [False, True]
    ticks = count()

    def legacy(method: str, path: str) -> tuple[int, Any]:
        return 200, {"id": 7, "price": 1, "at": next(ticks)}

    def orders(method: str, path: str) -> tuple[int, Any]:
        return 200, {"id": 7, "price": "1" if path.endswith("/7") else 1, "at": 0}

    pairs = [order(7 if at % 10 == 0 else 1, response=b'{"id": 7, "price": 1, "at": 0}') for at in range(120)]
    pairs.append(pair(b"/api/orders", method="POST", body=b"{}"))
    written(Path("traffic.rec"), pairs, header=HEADER)
    with upstream(legacy) as old, upstream(orders) as new:
        next(ticks)  # the recording has the first
        ports = {"8000": str(old.port), "8001": str(new.port)}
        Path("routes.yaml").write_text(_with_ports(blocks()[0], ports))
        for command, output in found:
            result = CliRunner().invoke(main, shlex.split(command), catch_exceptions=False)
            printed = _with_ports(result.output, {real: named for named, real in ports.items()})
            assert _steady(printed).splitlines() == _steady(output).splitlines(), command


def _with_ports(text: str, ports: dict[str, str]) -> str:
    return re.sub(r"127\.0\.0\.1:(\d+)", lambda found: f"127.0.0.1:{ports.get(found[1], found[1])}", text)


def _steady(text: str) -> str:
    """Return an output without its times, and without blanks at the ends of lines."""
    text = re.sub(r"in \d+\.\d s", "in 0.4 s", text)
    return "".join(line.rstrip() + "\n" for line in text.splitlines())


def options() -> dict[str, click.Parameter]:
    group = main.get_command(main.make_context("strangler", ["serve"], resilient_parsing=True), "replay")
    assert group is not None
    return {name: each for each in group.params for name in each.opts if name.startswith("-")}


def test_it_names_each_option() -> None:
    table = PAGE.partition("| option | |")[2].partition("\n\n")[0]
    named = {word for line in table.splitlines() for word in re.findall(r"`(--?[a-z-]+)", line.split(" | ")[0])}
    assert named == options().keys() - {"--config"}


def test_it_names_each_value_of_an_option() -> None:
    for name, option in options().items():
        values = option.type.choices if isinstance(option.type, click.Choice) else ()
        assert {value for value in values if value not in PAGE.partition("## Where")[0]} == set(), name


def test_the_options_that_it_uses_exist() -> None:
    lines = [line for line in PAGE.splitlines() if "strangler replay" in line]
    used = {word for line in lines for word in re.findall(r"(?<![\w-])--[a-z-]+", line)}
    assert used
    assert used <= options().keys()


def test_its_map_of_callers_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_OF_ANN", "abc")
    monkeypatch.setenv("SESSION_OF_BOB", "def")
    monkeypatch.setenv("PASSWORD_OF_ALL", "ghi")
    Path("callers.yaml").write_text(blocks()[1])
    Path("routes.yaml").write_text(blocks()[0])
    written(Path("a.rec"), [])
    words = ["replay", "a.rec", "--no-inbox", "--callers", "callers.yaml"]
    assert "nothing was sent" in CliRunner().invoke(main, words, catch_exceptions=False).stdout
