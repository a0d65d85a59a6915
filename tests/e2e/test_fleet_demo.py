"""`strangler demo --fleet` as somebody runs it: a PostgreSQL of its own, three nodes, and a leader that is killed."""

import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest
from click.testing import CliRunner

from strangler.cli import main
from strangler.config.load import load
from strangler.demo.children import ChildrenState
from strangler.demo.fleet_routes import NodePlace, fleet_routes_yaml
from strangler.demo.fleet_texts import FleetEnd
from strangler.demo.fleet_views import NodeCounts
from strangler.demo.postgres_server import PLACES, NoPostgresError, prepare_postgres
from tests.e2e.test_demo import demo
from tests.needs import require


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder for temporary files whose path is short enough for a socket."""
    require("" if any(list(Path("/").glob(place[1:])) for place in PLACES) else "PostgreSQL (Debian: postgresql)")
    with TemporaryDirectory(dir="/tmp", prefix="demo-") as folder:
        Path(folder).chmod(0o755)  # the database runs as another user
        yield Path(folder)


async def test_a_killed_leader_costs_nothing_and_every_node_has_counted_all(short: Path) -> None:
    async with demo(short, "--fleet", "--duration", "20s") as screen:
        killed = await screen.until(r"kill -9 \d+: the control process of node (\w), which leads", timeout_s=200)
        leads = await screen.until(r"node (\w) leads, [\d.]+ s later", timeout_s=60)
        assert await screen.rest() == 0, screen.text
    assert {killed, leads} <= {"a", "b", "c"}
    requests, errors = _numbers(screen.text, r"^(\d+) requests, (\d+) errors\.$")
    assert (requests > 100, errors) == (True, 0), screen.text
    assert set(_numbers(screen.text, r"^Calls in the ledger: node a (\d+), node b (\d+), node c (\d+)\.$")) == {
        requests
    }
    shadowed, *pairs, dropped = _numbers(
        screen.text, r"^Comparisons of (\d+) requests: node a (\d+), node b (\d+), node c (\d+); (\d+) were dropped\.$"
    )
    assert len(set(pairs)) == 1
    assert 0 < pairs[0] + dropped <= shadowed
    assert list(short.iterdir()) == []


async def test_ctrl_c_leaves_nothing_behind_but_other_processes(short: Path) -> None:
    async with demo(short, "--fleet") as screen:
        await screen.until(r"by a +by b +by c", timeout_s=200)
        begun = psutil.Process(screen.process.pid).children(recursive=True)
        assert len([each for each in begun if "strangler.control" in each.cmdline()]) == 3
        screen.process.send_signal(signal.SIGINT)
        assert await screen.rest() == 0, screen.text
    _, alive = psutil.wait_procs(begun, timeout=10)
    assert alive == []
    assert list(short.iterdir()) == []
    assert "Traceback" not in screen.text


async def test_its_server_ends_with_a_killed_demo(short: Path) -> None:
    async with demo(short, "--fleet") as screen:
        await screen.until(r"Running: 3 nodes", timeout_s=200)
        begun = psutil.Process(screen.process.pid).children(recursive=True)
        screen.process.kill()
        await screen.process.wait()
    _, alive = psutil.wait_procs(begun, timeout=20)
    assert alive == []


def _numbers(text: str, pattern: str) -> list[int]:
    found = re.search(pattern, text, re.MULTILINE)
    assert found, text
    return [int(group) for group in found.groups()]


def test_without_a_server_it_says_what_to_install() -> None:
    with pytest.raises(NoPostgresError, match="apt-get install postgresql"):
        prepare_postgres("/nowhere", places=("/nowhere/*/bin",))


def test_without_psycopg_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    result = CliRunner().invoke(main, ["demo", "--fleet"])
    assert (result.exit_code, "pip install 'strangler[postgres]'" in result.output) == (1, True), result.output


def test_a_path_that_is_too_long_for_a_socket_is_said(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = short / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    with pytest.raises(NoPostgresError, match="set TMPDIR to a shorter one"):
        prepare_postgres("")
    assert list(long.iterdir()) == []


def test_two_demos_at_once_are_refused() -> None:
    result = CliRunner().invoke(main, ["demo", "--fleet", "--rollout"])
    assert (result.exit_code, "leave one out" in result.output) == (2, True)


async def test_a_server_that_cannot_be_made_is_named(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(short))
    server = prepare_postgres("")
    (server.folder / "data").mkdir()
    (server.folder / "data" / "in-the-way").touch()
    with pytest.raises(Exception, match=r"(?s)initdb of PostgreSQL failed.*not empty"):
        await server.start(ChildrenState(short))


@pytest.mark.parametrize("name", ["a", "b"])
def test_its_routes_are_of_every_node(tmp_path: Path, name: str) -> None:
    first, other = NodePlace("a", 1000, 1001, tmp_path / "a"), NodePlace("b", 1002, 1003, tmp_path / "b")
    file = tmp_path / "routes.yaml"
    file.write_text(fleet_routes_yaml(first, "postgresql://strangler@/strangler?host=/tmp/x", 1, 2))
    loaded = load(file, {} if name == "a" else other.environ("a secret of sixteen characters"))
    assert (loaded.problems, loaded.warnings) == ((), ())
    assert loaded.settings is not None
    assert (loaded.settings.node, str(loaded.settings.admin.listen.port)) == (
        name,
        "1001" if name == "a" else "1003",
    )


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        (NodeCounts(9, 4), "Calls in the ledger: node a 9.\nComparisons of 5 requests: node a 4; 1 were dropped."),
        (NodeCounts(None, None), "Calls in the ledger: node a says nothing."),
    ],
    ids=["all", "nothing"],
)
def test_the_end_says_what_each_node_has_counted(counts: NodeCounts, text: str) -> None:
    end = FleetEnd(10, 1, 5, ["a"], [counts], 1)
    assert text in end.text()
    assert end.is_complete is (counts.calls == 9)
