"""`strangler rollout`: all rollouts, one of them, and the commands of a person, at a proxy whose rollouts are given."""

import asyncio
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from strangler.cli import main
from strangler.core.documents import RolloutRequest, RolloutsDocument, RolloutStatus
from tests.cli.rollout_documents import LACKING, look, move, rollout
from tests.cli.scripted_admin import ScriptedAdmin, serving

Run = Callable[..., Awaitable[Result]]


@pytest.fixture
async def admin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ScriptedAdmin]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)  # no row is folded then
    monkeypatch.setenv("STRANGLER_USER", "ana")
    async with serving(ScriptedAdmin([rollout()])) as admin:
        yield admin


@pytest.fixture
def run(admin: ScriptedAdmin) -> Run:
    async def run_rollout(*arguments: str, **environ: str) -> Result:
        words = ["rollout", *arguments, "--admin", admin.url]
        return await asyncio.to_thread(CliRunner().invoke, main, words, env=environ, catch_exceptions=False)

    return run_rollout


def lines(result: Result) -> list[str]:
    return [line.rstrip() for line in result.output.splitlines()]


def approval(route: str = "orders") -> RolloutStatus:
    return rollout(
        route,
        waits_for="approve",
        why=f"50 % waits for an approval: strangler rollout approve {route} 50",
        looks=[look(verdict="good", candidate=(9120, 3, 99.2), callers=410, reasons=())],
    )


def paused(route: str = "users") -> RolloutStatus:
    return rollout(
        route,
        state="paused",
        percent=0.0,
        step=0,
        waits_for="resume",
        why="it was paused when the candidate's breaker opened",
        commands=["resume"],
        looks=[],
        moves=[],
    )


# All rollouts


async def test_each_rollout_has_a_row_and_what_a_person_must_do_is_below(admin: ScriptedAdmin, run: Run) -> None:
    admin.rollouts = [approval(), paused(), rollout("carts", until="2026-11-30T14:32:11.000Z", waits_for="hold")]
    result = await run("status", COLUMNS="110")
    assert result.exit_code == 0
    assert lines(result) == [
        "route   state    percent            since             waits for                    last look",
        "orders  running  1 5 [25] 50 100    2026-11-30 14:02  approval of 50 %             good 14:05",
        "users   paused   [0] 1 5 25 50 100  2026-11-30 14:02  resume                       -",
        "carts   running  1 5 [25] 50 100    2026-11-30 14:02  hold until 2026-11-30 14:32  not enough 14:05",
        "",
        "orders: 50 % waits for an approval: strangler rollout approve orders 50",
        "users: it was paused when the candidate's breaker opened: strangler rollout resume users",
    ]


async def test_routes_of_a_group_are_one_row_so_that_no_number_is_counted_twice(admin: ScriptedAdmin, run: Run) -> None:
    admin.rollouts = [rollout("orders", group="shop"), rollout("users"), rollout("carts", group="shop")]
    rows = [line.split("  ")[0] for line in lines(await run("status"))]
    assert rows == ["route", "orders + carts (shop)", "users"]
    admin.rollouts = [rollout("orders"), rollout("carts", group="orders")]
    assert lines(await run("status"))[1].startswith("orders + carts  ")


@pytest.mark.parametrize(("columns", "titles"), [(80, 4), (110, 6), (160, 9)], ids=["narrow", "medium", "wide"])
async def test_a_narrow_terminal_has_fewer_columns_and_no_line_is_too_long(
    admin: ScriptedAdmin, run: Run, columns: int, titles: int
) -> None:
    admin.rollouts = [rollout("orders", group="checkout"), rollout("carts", group="checkout"), rollout("users")]
    found = lines(await run("status", COLUMNS=str(columns)))
    assert len([text for text in found[0].split("  ") if text.strip()]) == titles
    assert max(map(len, found)) <= columns


async def test_a_wide_terminal_has_the_figures_of_the_last_look(admin: ScriptedAdmin, run: Run) -> None:
    admin.rollouts = [rollout(looks=[look(legacy=(31360, 12, 120.4), candidate=(9120, 40, 99.2), callers=1410)])]
    _, row = lines(await run("status"))
    assert row.endswith("not enough 14:05  12 of 31,360 (<0.1 %)  40 of 9,120 (0.439 %)    1,410")


@pytest.mark.parametrize("more", [[], ["--json"]], ids=["text", "json"])
async def test_without_a_rollout_it_says_what_to_write(admin: ScriptedAdmin, run: Run, more: list[str]) -> None:
    admin.rollouts = []
    result = await run("status", *more)
    assert result.exit_code == 0
    if more:
        assert json.loads(result.stdout) == {"rollouts": []}
    else:
        assert "rollout: {steps: [1, 5, 25, 50, 100]}" in result.output
        assert "strangler rollout start ROUTE" in result.output


# One rollout


async def test_one_rollout_says_where_it_stands_why_it_waits_and_what_moved_it(admin: ScriptedAdmin, run: Run) -> None:
    admin.rollouts = [
        rollout(
            group="checkout",
            failed_looks=2,
            looks=[look("14:04", legacy=(300, 1, None), candidate=(100, 0, None)), look()],
            moves=[
                move("13:02", "start", 0.0, 0.0, "release 1.4", "ana"),
                move("13:32", "stepped", 0.0, 1.0, "it begins"),
                move("13:59", "approve", 5.0, 25.0, "looks well", "ben"),
                move("14:01", "kill_switch", 25.0, 25.0, "the kill switch is off"),
            ],
            notes=["beyond 50 % legacy goes cold; shadow.of: candidate keeps it warm"],
        ),
        rollout("carts", group="checkout"),
    ]
    result = await run("status", "orders", COLUMNS="100")
    assert result.exit_code == 0
    assert lines(result) == [
        "orders: running at 25 %, step 3 of 5",
        "group      checkout: it moves as one with carts, and the numbers are their sum",
        "ladder     1 5 [25] 50 100",
        "since      2026-11-30 14:02 UTC",
        "waits for  evidence",
        f"why        {LACKING}",
        "next       nothing: it goes on by itself",
        "callers    3 different ones of the candidate",
        "bad looks  2 in a row",
        "commands   pause, approve, back",
        "",
        "last look 2026-11-30 14:05:11 UTC at 25 %: not enough",
        "arm                       failed     p95  callers",
        "legacy     12 of 31,360 (<0.1 %)  120 ms",
        "candidate         0 of 120 (0 %)   99 ms        3",
        f"- {LACKING}",
        "",
        "look         at %  verdict            failed, legacy     p95  failed, candidate    p95  callers",
        "11-30 14:04    25  not enough     1 of 300 (0.333 %)       -     0 of 100 (0 %)      -        3",
        "11-30 14:05    25  not enough  12 of 31,360 (<0.1 %)  120 ms     0 of 120 (0 %)  99 ms        3",
        "",
        "moved        what         percent  who  why",
        "11-30 13:02  start            0 %  ana  release 1.4",
        "11-30 13:32  stepped      0 → 1 %       it begins",
        "11-30 13:59  approve         25 %  ben  looks well",
        "11-30 14:01  kill switch     25 %       the kill switch is off",
        "",
        "note: beyond 50 % legacy goes cold; shadow.of: candidate keeps it warm",
    ]


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (rollout(state="waiting", waits_for="start", commands=["start"]), "`strangler rollout start orders`"),
        (approval(), "`strangler rollout approve orders 50`; or `strangler rollout back orders`"),
        (paused("orders"), "`strangler rollout resume orders`"),
        (
            rollout(state="paused", waits_for="resume", commands=["resume", "back"]),
            "`strangler rollout resume orders`; or `strangler rollout back orders`",
        ),
        (rollout(waits_for="gate"), "`strangler ready orders` says what the gate lacks"),
        (rollout(waits_for="kill_switch"), "turn the kill switch off, or enable the route;"),
        (rollout(waits_for="within", until="2026-12-01T09:00:00.000Z"), "nothing: it goes on by itself"),
        (rollout(state="backing", waits_for="hold"), "nothing: it goes down by itself"),
        (rollout(state="done", percent=100.0, step=5, waits_for=None), "nothing: the last step has held"),
    ],
    ids=["start", "approve", "resume", "resume or back", "gate", "kill switch", "window", "backing", "done"],
)
async def test_it_says_what_a_person_can_do(admin: ScriptedAdmin, run: Run, status: RolloutStatus, text: str) -> None:
    admin.rollouts = [status]
    (line,) = [line for line in lines(await run("status", "orders")) if line.startswith("next ")]
    assert line.removeprefix("next").strip().startswith(text)


async def test_a_window_that_is_closed_says_when_it_opens(admin: ScriptedAdmin, run: Run) -> None:
    admin.rollouts = [rollout(waits_for="within", until="2026-12-01T09:00:00.000Z")]
    assert "waits for  window, until 2026-12-01 09:00 UTC" in lines(await run("status", "orders"))
    assert "window until 2026-12-01 09:00" in (await run("status")).output


async def test_control_characters_do_not_reach_the_terminal(admin: ScriptedAdmin, run: Run) -> None:
    evil = "a\x1b]0;owned\x07[bold]"
    admin.rollouts = [rollout(why=evil, notes=[evil], moves=[move("14:02", "pause", 1.0, 1.0, evil, evil)])]
    admin.after = admin.rollouts[0]
    for words in (["status"], ["status", "orders"], ["pause", "orders"]):
        output = (await run(*words)).output
        assert "\x1b" not in output
    assert "␛]0;owned␇[bold]" in (await run("status", "orders")).output


async def test_json_is_the_document(admin: ScriptedAdmin, run: Run) -> None:
    admin.rollouts = [rollout(), approval("users")]
    found = (await run("status", "--json")).stdout
    assert msgspec.json.decode(found, type=RolloutsDocument) == RolloutsDocument(admin.rollouts)
    single = (await run("status", "users", "--json")).stdout
    assert msgspec.json.decode(single, type=RolloutStatus) == admin.rollouts[1]
    promised = {"route", "state", "percent", "step", "steps", "since", "until", "waits_for", "looks"}
    assert promised <= json.loads(single).keys()
    assert json.loads(single)["looks"][0].keys() == {
        *("at", "percent", "verdict", "reasons", "legacy", "candidate", "callers"),
    }
    assert json.loads(single)["looks"][0]["legacy"].keys() == {"requests", "failed", "p95_ms"}


async def test_nothing_is_coloured_in_a_pipe(admin: ScriptedAdmin, run: Run) -> None:
    admin.rollouts = [approval(), paused()]
    for words in (["status"], ["status", "orders"]):
        assert "\x1b" not in (await run(*words)).output


# Commands


@pytest.mark.parametrize(
    ("words", "done", "percent"),
    [
        (["start"], "started", None),
        (["pause"], "paused", None),
        (["resume"], "resumed", None),
        (["approve"], "50 % is approved", None),
        (["approve", "50%"], "50 % is approved", 50.0),
        (["back"], "goes back to 0 % by steps", None),
    ],
    ids=["start", "pause", "resume", "approve", "approve a percent", "back"],
)
async def test_a_command_is_sent_with_who_and_why_and_says_what_is_so_now(
    admin: ScriptedAdmin, run: Run, words: list[str], done: str, percent: float | None
) -> None:
    admin.after = rollout(state="running", notes=["legacy goes cold"])
    name, *more = words
    result = await run(name, "orders", *more, "--why", "release 1.4")
    assert result.exit_code == 0, result.output
    assert admin.commands == [(f"/api/rollouts/orders/{name}", RolloutRequest(percent, "ana", "release 1.4"))]
    assert lines(result) == [
        f"rollout of route 'orders': {done}; running at 25 %",
        LACKING,
        "note: legacy goes cold",
    ]


async def test_a_command_names_all_routes_that_it_moves(admin: ScriptedAdmin, run: Run) -> None:
    admin.rollouts = [rollout("orders", group="shop"), rollout("carts", group="shop"), rollout("users", group="shop")]
    admin.after = admin.rollouts[1]
    result = await run("pause", "carts")
    assert lines(result)[0] == "rollout of routes 'orders', 'carts' and 'users': paused; running at 25 %"
    assert [path for path, _ in admin.commands] == ["/api/rollouts/carts/pause"]


async def test_a_command_prints_the_rollout_as_json(admin: ScriptedAdmin, run: Run) -> None:
    admin.after = approval()
    result = await run("pause", "orders", "--json")
    assert msgspec.json.decode(result.stdout, type=RolloutStatus) == admin.after


async def test_a_transition_that_does_not_exist_is_refused_with_those_that_do(admin: ScriptedAdmin, run: Run) -> None:
    admin.refusal = (409, "the rollout is waiting: pause is not possible now, but start")
    result = await run("pause", "orders")
    assert result.exit_code == 1
    assert admin.refusal[1] in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("name", ["status", "start", "pause", "resume", "approve", "back"])
async def test_an_unknown_route_suggests_one_that_is_near(admin: ScriptedAdmin, run: Run, name: str) -> None:
    result = await run(name, "order")
    assert result.exit_code == 1
    assert "unknown route 'order'; did you mean 'orders'?" in result.stderr
    assert admin.commands == []


async def test_a_route_without_a_rollout_says_what_to_write(admin: ScriptedAdmin, run: Run) -> None:
    admin.without = ("users",)
    result = await run("start", "users")
    assert result.exit_code == 1
    assert "route 'users' has no rollout; write `rollout: {}` in it, in place of split.percent" in result.stderr
    assert "those that have one: orders" in result.stderr


@pytest.mark.parametrize("percent", ["101", "many", "-1"])
async def test_a_percent_that_is_none_is_refused_at_once(admin: ScriptedAdmin, run: Run, percent: str) -> None:
    result = await run("approve", "orders", "--", percent)
    assert result.exit_code == 2
    assert admin.commands == []


@pytest.mark.parametrize("words", [["status"], ["status", "--watch"], ["start", "orders"]], ids=" ".join)
def test_without_a_proxy_each_command_says_so(tmp_path: Path, words: list[str]) -> None:
    file = tmp_path / "routes.yaml"
    file.write_text(f"version: 1\nstate: {tmp_path}/state\nupstreams: {{legacy: {{url: 'http://127.0.0.1:1'}}}}\n")
    (tmp_path / "state").mkdir()
    result = CliRunner().invoke(main, ["rollout", *words, "-c", str(file), "--admin", "http://127.0.0.1:1"])
    assert result.exit_code == 1
    assert "no proxy answers at 127.0.0.1:1" in result.stderr
    assert "is `strangler serve` running?" in result.stderr


FILE = """\
version: 1
upstreams: {legacy: {url: "http://127.0.0.1:1"}, orders: {url: "http://127.0.0.1:2"}}
routes:
  - {name: orders, match: {prefix: /orders}, candidate: orders, split: &sticky {sticky: [client_ip]}, rollout: {}}
  - {name: offers, match: {prefix: /offers}, candidate: orders, split: {percent: 5}}
  - {name: others, match: {prefix: /others}, candidate: orders, split: *sticky, rollout: {}}
"""


@pytest.mark.parametrize(
    ("words", "text", "names"),
    [
        ("status", FILE, ["orders", "others"]),
        ("approve", FILE, ["orders", "others"]),
        ("start", FILE.replace("percent: 5", "percent: 500"), ["orders", "offers", "others"]),
        ("start", "routes: [", []),
    ],
    ids=["status", "a command", "a file with problems has all its routes", "a file that cannot be read has none"],
)
def test_the_shell_completes_routes_that_have_a_rollout(
    tmp_path: Path, words: str, text: str, names: list[str]
) -> None:
    path = tmp_path / "routes.yaml"
    path.write_text(text)
    environ = {
        "COMP_WORDS": f"strangler rollout {words} -c {path} o",
        "COMP_CWORD": "5",
        "_STRANGLER_COMPLETE": "bash_complete",
    }
    result = CliRunner().invoke(main, prog_name="strangler", env=environ, catch_exceptions=False)
    assert result.stdout.split() == [f"plain,{name}" for name in names]


# Watching


class Watched:
    """`rollout status --watch` in a process of its own, on a terminal or in a pipe."""

    def __init__(self, admin: ScriptedAdmin, *arguments: str, is_terminal: bool, **environ: str) -> None:
        words = ["rollout", "status", "--watch", "--interval", "50ms", "--admin", admin.url, *arguments]
        self._read, inner = pty.openpty() if is_terminal else os.pipe()
        os.set_blocking(self._read, False)
        known = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "strangler", *words],
            stdin=subprocess.DEVNULL,
            stdout=inner,
            stderr=subprocess.PIPE,
            env=known | {"PYTHONPATH": os.pathsep.join(sys.path), "TERM": "xterm-256color"} | environ,
            start_new_session=True,
        )
        os.close(inner)
        self.output = ""

    async def until(self, *texts: str) -> str:
        async with asyncio.timeout(20):
            while not all(text in self.output for text in texts):
                self._take()
                await asyncio.sleep(0.02)
        return self.output

    def _take(self) -> None:
        try:
            self.output += os.read(self._read, 65536).decode(errors="replace")
        except OSError:  # nothing there, or a terminal whose other side has closed
            return

    async def end(self) -> tuple[int, str]:
        """End it as Ctrl-C does. Return its exit code and what it said on standard error."""
        self.process.send_signal(signal.SIGINT)
        async with asyncio.timeout(20):
            while self.process.poll() is None:
                self._take()
                await asyncio.sleep(0.02)
        assert self.process.stderr is not None
        with self.process.stderr:
            errors = self.process.stderr.read().decode()
        os.close(self._read)
        return self.process.returncode, errors


async def test_watching_follows_the_rollout_and_ends_quietly(admin: ScriptedAdmin) -> None:
    watched = Watched(admin, is_terminal=True)
    await watched.until("orders", "evidence", "Ctrl-C ends")
    admin.rollouts = [approval()]
    await watched.until("approval of 50 %")
    assert await watched.end() == (0, "")
    assert watched.output.rindex("\x1b[?1049l") > watched.output.rindex("orders"), "the terminal is given back"


async def test_watching_one_route_goes_on_after_its_rollout_was_taken_out(admin: ScriptedAdmin) -> None:
    watched = Watched(admin, "orders", is_terminal=True, NO_COLOR="1")
    await watched.until("running at 25 %")
    admin.rollouts = []
    await watched.until("route 'orders' has no rollout now")
    admin.rollouts = [rollout(percent=50.0, step=4)]
    await watched.until("running at 50 %")
    assert await watched.end() == (0, "")
    assert "\x1b[33m" not in watched.output
    assert "\x1b[36m" not in watched.output


async def test_watching_in_a_pipe_is_one_document_a_line(admin: ScriptedAdmin) -> None:
    watched = Watched(admin, "orders", "--json", is_terminal=False)
    await watched.until("\n", "evidence")
    assert await watched.end() == (0, "")
    first = watched.output.splitlines()[0]
    assert msgspec.json.decode(first, type=RolloutStatus) == admin.rollouts[0]
    assert "\x1b" not in watched.output
