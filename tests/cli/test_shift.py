"""`strangler shift`."""

import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from strangler.cli import main
from strangler.config.replace import ChangedMeanwhileError, replace_content

_FILE = """\
# Routes of the shop.
version: 1
upstreams:
  legacy: {url: "http://127.0.0.1:8000"}
  orders: {url: "http://127.0.0.1:8001"}   # new

routes:
  - name: orders
    match:    {prefix: /api/orders}
    candidate: orders
    split:
        percent:  5    # since Monday
        sticky: [ "cookie:sid" ]
"""


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path of a file in a folder of its own; the state folder is beside it."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "shop" / "routes.yaml"
    file.parent.mkdir()
    file.write_text(_FILE)
    return file


def _shift(path: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["shift", *words, "-c", str(path)])


def test_the_percent_changes_and_the_change_is_shown(path: Path) -> None:
    result = _shift(path, "orders", "25%")
    assert result.exit_code == 0
    assert path.read_text() == _FILE.replace("percent:  5 ", "percent:  25 ")
    assert result.stdout == (
        f"--- {path}\n+++ {path}\n@@ -11,3 +11,3 @@\n"
        "     split:\n-        percent:  5    # since Monday\n+        percent:  25    # since Monday\n"
        '         sticky: [ "cookie:sid" ]\n'
        f"{path}: route 'orders' shifted from 5 % to 25 %\n"
        "verdict: not enough evidence; nothing was compared yet\n"
    )


def test_a_dry_run_shows_the_change_and_makes_none(path: Path) -> None:
    result = _shift(path, "orders", "0.5", "--dry-run")
    assert result.exit_code == 0
    assert "+        percent:  0.5    # since Monday\n" in result.stdout
    assert "would be shifted from 5 % to 0.5 %" in result.stdout
    assert path.read_text() == _FILE


def test_json_says_what_was_done(path: Path) -> None:
    data = json.loads(_shift(path, "orders", "100", "--json").stdout)
    assert (data["route"], data["from"], data["to"], data["changed"]) == ("orders", 5, 100, True)
    assert "no response of the candidate gets a shadow" in data["warnings"][0]["what"]
    again = json.loads(_shift(path, "orders", "100", "--json").stdout)
    assert (again["changed"], again["diff"]) == (False, "")


def test_the_percent_that_is_there_already_is_no_change(path: Path) -> None:
    before = path.stat().st_mtime_ns
    result = _shift(path, "orders", "5")
    assert result.exit_code == 0
    output, verdict = result.stdout.splitlines()
    assert output == f"{path}: route 'orders' is at 5 % already"
    assert verdict.startswith("verdict: nothing has been compared yet")
    assert not Path(".strangler").exists()
    assert path.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("order", "5"), "unknown route 'order'; did you mean 'orders'?"),
        (("orders", "120"), "120 is not possible; it must be 0 to 100"),
        (("orders", "0.001"), "two decimals at most"),
        (("orders", "half"), "write a percent such as 25"),
    ],
)
def test_a_bad_route_or_percent_changes_nothing_and_ends_with_2(
    path: Path, words: tuple[str, ...], reason: str
) -> None:
    result = _shift(path, *words)
    assert result.exit_code == 2
    assert reason in result.stderr
    assert path.read_text() == _FILE


def test_a_file_with_other_problems_is_refused_with_them(path: Path) -> None:
    path.write_text(_FILE + "workers: x\n")
    result = _shift(path, "orders", "6")
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        f"{path}:14:10: workers is 'x'; it must be a whole number from 1 to 256, or auto",
        f"{path}: nothing was changed, because the file would have problems",
    ]
    assert path.read_text() == _FILE + "workers: x\n"


def test_a_percent_out_of_range_can_be_put_right(path: Path) -> None:
    path.write_text(_FILE.replace("percent:  5 ", "percent:  500 "))
    result = _shift(path, "orders", "50")
    assert result.exit_code == 0
    assert "route 'orders' shifted to 50 %\n" in result.stdout


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"", b"a" * (17 << 20)], ids=["binary", "empty", "large"])
def test_what_is_no_text_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    result = _shift(path, "orders", "5")
    assert result.exit_code == 2
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert path.read_bytes() == content


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    result = _shift(tmp_path / "no.yaml", "orders", "5")
    assert result.exit_code == 2
    assert "cannot be read: No such file or directory; name another one with -c" in result.stderr


def test_mode_and_byte_order_mark_stay(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbf" + _FILE.encode())
    path.chmod(0o640)
    assert _shift(path, "orders", "7").exit_code == 0
    assert path.read_bytes() == b"\xef\xbb\xbf" + _FILE.replace("percent:  5 ", "percent:  7 ").encode()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [file.name for file in path.parent.iterdir()] == ["routes.yaml"]


def test_a_symbolic_link_stays_one(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link" / "routes.yaml"
    link.parent.mkdir()
    link.symlink_to(path)
    assert _shift(link, "orders", "8").exit_code == 0
    assert link.is_symlink()
    assert "percent:  8 " in path.read_text()


def test_the_shell_completes_names_of_routes(path: Path) -> None:
    words = {"COMP_WORDS": f"strangler shift -c {path} or", "COMP_CWORD": "4", "_STRANGLER_COMPLETE": "bash_complete"}
    result = CliRunner().invoke(main, prog_name="strangler", env=words)
    assert result.stdout == "plain,orders\n"


def test_what_somebody_else_wrote_meanwhile_is_not_lost(path: Path) -> None:
    with pytest.raises(ChangedMeanwhileError):
        replace_content(path, b"what was read", b"new")
    assert path.read_text() == _FILE
    assert [file.name for file in path.parent.iterdir()] == ["routes.yaml"]


def test_a_forced_shift_that_cannot_be_written_down_says_so(path: Path) -> None:
    path.write_text(f"state: {path}\n" + _FILE.replace("    split:", "    gate: {}\n    split:"))
    result = _shift(path, "orders", "25", "--force", "--why", "a test")
    assert result.exit_code == 1
    assert "route 'orders' is shifted, but the audit cannot be written: " in result.stderr
    assert "percent:  25 " in path.read_text()
