"""Commands on a route whose percent is moved by a rollout: what they read, and what they refuse."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from strangler.cli import main
from strangler.core.documents import RolloutDocument, RolloutStatus
from strangler.core.percents import rollouts_of
from tests.factories import route, settings

FILE = """\
version: 1
state: state
upstreams:
  legacy: {url: "http://127.0.0.1:8000"}
  orders: {url: "http://127.0.0.1:8001"}
routes:
  - name: orders
    match: {prefix: /api/orders}
    candidate: orders
    split: {sticky: ["header:X-User-Id"]}
    shadow: {percent: 5, of: any}
    gate: {min_pairs: 10}
    rollout:
      steps: [5, 25, 50] # by Friday
"""
BY_HAND = FILE[: FILE.index("    rollout:")]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a routes.yaml and an empty state folder."""
    monkeypatch.chdir(tmp_path)
    Path("routes.yaml").write_text(FILE)
    Path("state").mkdir()
    return tmp_path


def reach(**percents: float) -> None:
    """Keep percents, as a proxy does at each move."""
    kept = {group: {"percent": percent, "moves": 3} for group, percent in percents.items()}
    Path("state/rollout.json").write_text(json.dumps(kept))


def run(*words: str) -> Result:
    return CliRunner().invoke(main, list(words), catch_exceptions=False)


def test_shift_writes_nothing_and_says_what_to_do_instead(folder: Path) -> None:
    reach(orders=25)
    for words in (["50"], ["50", "--force", "--why", "now"], ["50", "--dry-run"], ["0", "--json"]):
        result = run("shift", "orders", *words)
        assert result.exit_code == 1
        assert result.stdout == ""
    assert Path("routes.yaml").read_text() == FILE
    assert not list(Path("state").glob("*.db"))
    assert run("shift", "orders", "50").stderr.splitlines() == [
        "routes.yaml: nothing was changed: route 'orders' has a rollout, which moves its percent",
        "it is at 25 %, by the state folder; no proxy runs",
        "  strangler rollout status orders",
        "  strangler rollout start orders",
        "  strangler rollout pause orders",
        "  strangler rollout resume orders",
        "  strangler rollout approve orders",
        "  strangler rollout back orders",
        "to move it by hand, replace its `rollout` on line 13 by `split: {percent: 50}`",
    ]


def test_the_way_out_that_shift_names_is_one(folder: Path) -> None:
    Path("routes.yaml").write_text(BY_HAND.replace("split: {", "split: {percent: 50, "))
    assert run("check").exit_code == 0
    assert run("shift", "orders", "25").exit_code == 0


def test_a_rollout_of_the_defaults_is_left_by_a_percent_in_the_route(folder: Path) -> None:
    defaults = "defaults: {routes: {rollout: {steps: [5, 50]}}}\n"
    Path("routes.yaml").write_text(BY_HAND.replace("routes:\n", f"{defaults}routes:\n", 1))
    result = run("shift", "orders", "25")
    assert result.exit_code == 1
    assert "write `split: {percent: 25}` into the route: that of `defaults` is not for it then" in result.stderr


def test_a_rollout_in_an_included_file_is_named_with_it(folder: Path) -> None:
    top, _, routes = FILE.partition("routes:\n")
    Path("teams.yaml").write_text(f"routes:\n{routes}")
    Path("routes.yaml").write_text(f"{top}include: [teams.yaml]\n")
    result = run("shift", "orders", "25")
    assert result.exit_code == 1
    assert "replace its `rollout` on line 8 of teams.yaml by" in result.stderr


@contextmanager
def proxy(documents: dict[str, Any]) -> Iterator[str]:
    """Serve documents by path, as the admin listener does."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = documents.get(self.path)
            content = msgspec.json.encode({"title": "no such route", "status": 404} if found is None else found)
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


STATUS = RolloutStatus(
    route="orders", group="orders", state="running", percent=25.0, step=2, steps=[5.0, 25.0, 50.0], since=None,
    until=None, waits_for="approve", why="50 % waits for an approval", commands=["pause", "approve", "back"],
    callers=40, failed_looks=0, looks=[], moves=[], notes=[],
)  # fmt: skip


def test_shift_has_the_running_proxy_say_where_it_stands(folder: Path) -> None:
    reach(orders=5)
    with proxy({"/api/rollouts/orders": STATUS}) as url:
        result = run("shift", "orders", "50", "--admin", url)
    assert result.exit_code == 1
    _, standing, *commands, _ = result.stderr.splitlines()
    assert standing == "it is running at 25 %: 50 % waits for an approval"
    assert [line.split()[2] for line in commands] == ["status", "pause", "approve", "back"]


def test_shift_is_refused_even_if_the_proxy_says_nothing(folder: Path) -> None:
    with proxy({}) as url:
        result = run("shift", "orders", "50", "--admin", url)
    assert result.exit_code == 1
    assert "to move it by hand, replace its `rollout` on line 13" in result.stderr
    assert " at " not in result.stderr.splitlines()[1]


def explained(*headers: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("explain", "GET", "/api/orders", "--json", *headers).stdout)
    return found


def test_explain_reads_the_percent_that_the_state_folder_keeps(folder: Path) -> None:
    assert explained()["detail"] == "the rollout of group 'orders' is at 0%: every request goes to legacy"
    reach(orders=100)
    found = explained("-H", "X-User-Id: 9")
    assert (found["arm"], found["detail"]) == (
        "candidate",
        "the rollout of group 'orders' is at 100%: every request goes to the candidate",
    )
    reach(orders=25)
    assert explained("-H", "X-User-Id: 9")["detail"].endswith("25% of the rollout of group 'orders'")
    assert explained()["detail"] == (
        "none of header x-user-id is present: by chance, 25% of such requests go to the candidate, as far as its"
        " rollout is"
    )


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"orders": 5}', '{"orders": {"percent": "5"}}', "\x00"])
def test_a_state_folder_that_keeps_nothing_readable_means_0(folder: Path, content: str) -> None:
    Path("state/rollout.json").write_text(content)
    assert "is at 0%" in explained()["detail"]


LINE = '192.0.2.9 - - [20/Nov/2026:08:00:00 +0000] "GET /api/orders HTTP/1.1" 200 12 "-" "a"\n'


def test_the_ledger_has_the_percent_in_force_and_names_the_rollout(folder: Path) -> None:
    Path("access.log").write_text(LINE)
    assert run("ledger", "import", "access.log").exit_code == 0
    reach(orders=25)
    found = run("ledger", "--json")
    (row,) = json.loads(found.stdout)["rows"]
    assert row["state"] == "splitting"
    result = run("ledger", "show", "GET /api/orders")
    assert "Route 'orders' sends 25 % of the callers to its candidate, and its rollout moves them" in result.stdout
    assert "strangler rollout status orders" in result.stdout


def test_the_report_has_the_percent_in_force(folder: Path) -> None:
    Path("access.log").write_text(LINE)
    assert run("ledger", "import", "access.log").exit_code == 0  # makes the store
    reach(orders=25)
    result = run("report")
    assert result.exit_code == 0, result.output
    assert "25 % of callers" in Path("report.html").read_text()


NOTES = [
    pytest.param(FILE, FILE, "route 'orders': the rollout goes on from 25 %", id="the same"),
    pytest.param(
        FILE,
        FILE.replace("[5, 25, 50]", "[5, 25, 80]") + "      hold: 2h\n      errors: {floor: 1%}\n      latency: null\n",
        "route 'orders': the rollout goes on from 25 %; steps: [5, 25, 50] to [5, 25, 80]; hold: 30m to 2h; errors:"
        " {ratio 1.5, floor 0.1%} to {ratio 1.5, floor 1%}; latency: {ratio 1.3} to null",
        id="another plan",
    ),
    pytest.param(
        FILE,
        FILE.replace("[5, 25, 50]", "[5, 50]"),
        "route 'orders': the rollout pauses, because 25 % is none of its steps any more; steps: [5, 25, 50] to [5, 50]",
        id="its step is gone",
    ),
    pytest.param(
        FILE,
        BY_HAND.replace("split: {", "split: {percent: 10, "),
        "route 'orders': the rollout ends at 25 %, and split.percent counts: 10 %",
        id="left",
    ),
    pytest.param(
        BY_HAND.replace("split: {", "split: {percent: 10, "),
        FILE,
        "route 'orders': a rollout of 5, 25, 50 % begins at 10 %, and waits for `strangler rollout start orders`",
        id="taken over",
    ),
    pytest.param(
        FILE,
        FILE.partition("routes:")[0] + "routes: []\n",
        "route 'orders': the rollout ends at 25 %, and the route is gone",
        id="gone",
    ),
]  # fmt: skip


def planned(before: str, after: str, *more: str) -> dict[str, Any]:
    Path("routes.yaml").write_text(before)
    Path("new.yaml").write_text(after)
    Path("access.log").write_text(
        '192.0.2.9 - - [20/Nov/2026:08:00:00 +0000] "GET /api/orders HTTP/1.1" 200 12 "-" "a"\n'
    )
    result = run("plan", "new.yaml", "--against", "access.log", "--json", *more)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@pytest.mark.parametrize(("before", "after", "note"), NOTES)
def test_plan_says_what_becomes_of_a_rollout(folder: Path, before: str, after: str, note: str) -> None:
    reach(orders=25)
    assert [each for each in planned(before, after)["notes"] if each.startswith(note)]


def test_plan_moves_callers_only_where_the_percent_in_force_changes(folder: Path) -> None:
    reach(orders=25)
    by_hand = BY_HAND.replace("split: {", "split: {percent: 10, ")
    assert planned(FILE, FILE)["changes"] == []
    assert planned(by_hand, FILE)["changes"] == []
    (change,) = planned(FILE, by_hand)["changes"]
    assert (change["from"], change["to"]) == ("orders 25 %", "orders 10 %")


def test_plan_without_a_file_in_force_begins_at_0(folder: Path) -> None:
    reach(orders=25)
    Path("new.yaml").write_text(FILE)
    Path("access.log").write_text(LINE)
    result = run("plan", "new.yaml", "--from-nothing", "--against", "access.log")
    assert "a rollout of 5, 25, 50 % begins at 0 %" in result.stdout


def gate(before: Path | str, after: str) -> Result:
    Path("old.yaml").write_text(str(before))
    Path("routes.yaml").write_text(after)
    return run("check", "--gate", "--against", "old.yaml")


def test_check_gate_finds_no_raise_in_a_rollout(folder: Path) -> None:
    for before in (FILE, BY_HAND.replace("split: {", "split: {percent: 10, ")):
        result = gate(before, FILE)
        assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "against old.yaml: no percent rises")


def test_check_gate_judges_what_takes_the_place_of_a_rollout(folder: Path) -> None:
    """The file alone does not have the percent in force, so it counts from 0; the running proxy knows it."""
    by_hand = BY_HAND.replace("split: {", "split: {percent: 10, ")
    result = gate(FILE, by_hand)
    assert result.exit_code == 1
    assert "route 'orders': 0 % to 10 %: NOT allowed" in result.stdout
    in_force = settings([route("orders", prefix="/api/orders", percent=25)])
    with proxy({"/api/rollout": RolloutDocument(rollouts_of(in_force))}) as url:
        assert "no percent rises" in run("check", "--gate", "--admin", url).stdout
