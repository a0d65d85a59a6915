"""docs/ledger.md: its commands print what it shows, and its tables are complete."""

import re
import shlex
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from strangler.cli import main
from strangler.cli.ledger import command
from strangler.core.ledger.states import State

PAGE = (Path(__file__).parents[2] / "docs" / "ledger.md").read_text()
PAGE_DAY = date(2026, 11, 30)
"""The day on which the page's commands were given."""
SESSIONS = re.findall(r"^```console\n\$ strangler ([^\n]+)\n(.*?)^```$", PAGE, re.M | re.S)


def block(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.M | re.S)
    return str(found)


def moved(days: int) -> Callable[[re.Match[str]], str]:
    """Return what moves a date of a log (`20/Oct/2026`) or of the output (`2026-10-20`) by so many days."""

    def move(found: re.Match[str]) -> str:
        form = "%d/%b/%Y" if "/" in found[0] else "%Y-%m-%d"
        day = datetime.strptime(found[0], form).replace(tzinfo=UTC).date()
        return date.fromordinal(day.toordinal() + days).strftime(form)

    return move


@pytest.mark.skipif(f"{datetime.now(UTC):%H%M}" > "2357", reason="the day may end meanwhile")
def test_its_sessions_print_what_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    later = (datetime.now(UTC).date() - PAGE_DAY).days
    Path("access.log").write_text(re.sub(r"\d\d/\w{3}/\d{4}", moved(later), block("log")))
    Path("routes.yaml").write_text(block("yaml"))
    Path("openapi.yaml").write_text(block("openapi"))
    assert [text.split()[:2] for text, _ in SESSIONS] == [
        *(["ledger", "import"], ["ledger"], ["ledger", "show"], ["ledger", "compare"])
    ]
    for text, expected in SESSIONS:
        result = CliRunner().invoke(main, shlex.split(text), catch_exceptions=False)
        lines = "".join(line.rstrip() + "\n" for line in result.output.splitlines())
        assert re.sub(r"\d{4}-\d\d-\d\d", moved(-later), lines) == expected, text


def rows(header: str) -> list[str]:
    """Return the first cells of the table with this header."""
    body = PAGE.partition(header)[2].partition("\n\n")[0]
    return re.findall(r"^\| `([^`]+)`", body, re.M)


def test_it_names_each_state() -> None:
    assert set(rows("| state | the endpoint |")) == {state.value for state in State}


def test_it_names_each_command() -> None:
    named = [text.split()[2:3] for text in rows("| command | what it does |") if text.startswith("strangler ledger")]
    assert named[0] == []
    assert sorted(name for (name,) in named[1:]) == sorted(command.commands)


def test_it_names_each_option_of_the_table() -> None:
    line = next(line for line in PAGE.splitlines() if line.startswith("| `strangler ledger` |"))
    options = {option for parameter in command.params for option in parameter.opts if option.startswith("--")}
    assert set(re.findall(r"`(--\w+)`", line)) == options - {"--config", "--admin", "--cacert"}
