"""The README is right: its YAML loads, its commands print what it shows, its links lead somewhere."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from strangler.cli import main
from strangler.config.load import load

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def _sessions() -> list[tuple[str, str]]:
    """Each `$ command` of a console block with the output that the README shows."""
    return [
        (command, output)
        for block in _blocks("console")
        for command, output in re.findall(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)
    ]


@pytest.fixture
def routes(tmp_path: Path) -> Path:
    """The README's routes.yaml in an empty folder."""
    (text,) = _blocks("yaml")
    file = tmp_path / "routes.yaml"
    file.write_text(text)
    return file


def test_code_comes_within_the_first_15_lines() -> None:
    assert "```sh" in README.splitlines()[:15]


def test_its_two_commands_are_single_lines_that_need_nothing() -> None:
    first, second = re.findall(r"^python3 -m venv .+$", README, re.MULTILINE)
    assert first.endswith("&& .venv/bin/strangler demo")
    assert second.endswith("&& .venv/bin/python -m pytest")
    assert "\\" not in first + second


def test_its_routes_load_without_a_problem(routes: Path) -> None:
    loaded = load(routes, {})
    assert (loaded.problems, loaded.warnings) == ((), ())


def test_its_sessions_print_what_it_shows(routes: Path) -> None:
    sessions = _sessions()
    assert len(sessions) >= 3
    for command, output in sessions:
        program, *arguments = shlex.split(command)
        assert program == "strangler"
        ran = subprocess.run(
            [sys.executable, "-m", "strangler", *arguments],
            cwd=routes.parent,
            env={"PATH": os.defpath, "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=30,
            check=False,
        )
        assert ran.stdout.decode() == output, command


def test_its_table_of_commands_is_complete() -> None:
    commands = re.findall(r"^\| `strangler (\w[\w-]*)", README, re.MULTILINE)
    assert commands == main.list_commands(main.make_context("strangler", ["serve"], resilient_parsing=True))


@pytest.mark.parametrize("name", re.findall(r"^\| `strangler (\w[\w-]*)", README, re.MULTILINE))
def test_a_command_of_the_table_has_help(name: str) -> None:
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0
    assert result.output.startswith("Usage:")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []
