"""`strangler rollout` at control itself: what its commands do, refuse and record."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from click.testing import CliRunner, Result

from strangler.cli import main
from strangler.control.admin import application
from strangler.control.app import ControlApp
from tests.control.control import control_of

Run = Callable[..., Awaitable[Result]]
ROUTES = """\
version: 1
admin: {listen: 127.0.0.1:0}
state: state
upstreams: {legacy: {url: http://127.0.0.1:1}, orders: {url: http://127.0.0.1:2}}
defaults: {routes: {rollout: {steps: [5, 50], gate: never, approve: [5]}}}
routes:
  - {name: orders, match: {prefix: /orders}, candidate: orders, split: &shop {group: shop, sticky: [client_ip]}}
  - {name: carts, match: {prefix: /carts}, candidate: orders, split: *shop}
  - {name: users, match: {prefix: /users}, passthrough: orders}
"""


@pytest.fixture
async def control(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ControlApp]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setenv("STRANGLER_USER", "ana")
    (tmp_path / "routes.yaml").write_text(ROUTES)
    async with control_of(tmp_path, {}) as app:
        yield app


@pytest.fixture
async def run(control: ControlApp) -> AsyncIterator[Run]:
    async with TestClient(TestServer(application(control), host="127.0.0.1")) as client:
        url = str(client.make_url("/")).rstrip("/")

        async def run_strangler(*words: str) -> Result:
            return await asyncio.to_thread(CliRunner().invoke, main, [*words, "--admin", url], catch_exceptions=False)

        yield run_strangler


def text_of(result: Result) -> str:
    """Return what a command printed; control logs to the same place here."""
    assert result.exit_code == 0, result.output
    return "\n".join(line for line in result.stdout.splitlines() if not line.startswith("20"))


async def rollouts(run: Run) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((await run("rollout", "status", "--json")).stdout)["rollouts"]
    return found


async def test_a_rollout_is_started_approved_paused_resumed_and_sent_back(control: ControlApp, run: Run) -> None:
    assert [(each["route"], each["state"]) for each in await rollouts(run)] == [
        ("orders", "waiting"),
        ("carts", "waiting"),
    ]
    started = text_of(await run("rollout", "start", "carts", "--why", "release 1.4"))
    assert started == "rollout of routes 'orders' and 'carts': started; running at 0 %\nit begins"
    await control.rollouts.tick()
    lines = (await run("rollout", "status")).output.splitlines()
    assert lines[1].split("  ")[0] == "orders + carts (shop)"
    assert "approval of 5 %" in lines[1]
    assert lines[-1].startswith("orders + carts (shop): 5 % waits for an approval: strangler rollout approve orders")
    approved = text_of(await run("rollout", "approve", "orders", "5"))
    assert approved == "rollout of routes 'orders' and 'carts': 5 % is approved; running at 0 %\nit begins"
    await control.rollouts.tick()
    assert {route.name: route.split.percent for route in control.settings.routes} == {
        "orders": 5.0,
        "carts": 5.0,
        "users": 100.0,
    }
    paused = text_of(await run("rollout", "pause", "orders", "--why", "a holiday"))
    assert paused.splitlines() == [
        "rollout of routes 'orders' and 'carts': paused; paused at 5 %",
        "it is paused by ana: a holiday; to go on: strangler rollout resume orders",
    ]
    text_of(await run("rollout", "resume", "orders"))
    back = text_of(await run("rollout", "back", "orders"))
    assert back.startswith("rollout of routes 'orders' and 'carts': goes back to 0 % by steps; paused at 0 %\n")
    assert {each["percent"] for each in await rollouts(run)} == {0.0}


async def test_what_people_did_is_in_the_audit_the_history_and_the_report(control: ControlApp, run: Run) -> None:
    await run("rollout", "start", "orders", "--why", "release 1.4")
    await control.rollouts.tick()
    await run("rollout", "approve", "orders")
    await control.rollouts.tick()
    entries = json.loads((await run("audit", "--json")).stdout)["entries"]
    assert [(each["who"], each["what"], each["route"], each["why"]) for each in reversed(entries)] == [
        ("ana", "rollout start", "orders", "release 1.4"),
        ("ana", "rollout approve", "orders", ""),
    ]
    moves = [line.split()[2:] for line in (await run("rollout", "status", "orders")).output.splitlines()]
    assert ["start", "0", "%", "ana", "release", "1.4"] in moves
    assert ["approve", "5", "%", "ana"] in moves
    assert ["stepped", "0", "→", "5", "%", "it", "begins"] in moves
    pytest.importorskip("matplotlib")
    assert (await run("report", "-o", "report.html")).exit_code == 0
    text = Path("report.html").read_text()
    assert "<h3>orders, carts (they climb as one): running at 5 %</h3>" in text
    assert "release 1.4" in text


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["pause", "orders"], "the rollout is waiting: pause is not possible now, but start"),
        (["resume", "orders"], "the rollout is waiting: resume is not possible now, but start"),
        (["back", "orders"], "the rollout is waiting: back is not possible now, but start"),
        (["approve", "orders", "50"], "50 % cannot be approved now: the next step is 5 %"),
    ],
    ids=["pause", "resume", "back", "approve another step"],
)
async def test_what_is_not_possible_now_is_refused_with_what_is(
    control: ControlApp, run: Run, words: list[str], text: str
) -> None:
    before = await rollouts(run)
    result = await run("rollout", *words)
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"refuses: {text}" in result.stderr
    assert await rollouts(run) == before
    assert json.loads((await run("audit", "--json")).stdout)["entries"] == []


async def test_a_why_that_is_too_long_is_refused_before_anything_is_done(control: ControlApp, run: Run) -> None:
    result = await run("rollout", "start", "orders", "--why", "x" * 401)
    assert result.exit_code == 1
    assert "refuses" in result.stderr
    assert {each["state"] for each in await rollouts(run)} == {"waiting"}


async def test_a_route_that_has_none_and_a_name_that_is_unknown(control: ControlApp, run: Run) -> None:
    result = await run("rollout", "start", "users")
    assert result.exit_code == 1
    assert "route 'users' has no rollout" in result.stderr
    result = await run("rollout", "status", "cart")
    assert result.exit_code == 1
    assert "unknown route 'cart'; did you mean 'carts'?" in result.stderr


async def test_the_status_has_the_state_and_the_step_beside_the_percent(control: ControlApp, run: Run) -> None:
    await run("rollout", "start", "orders")
    await control.rollouts.tick()
    output = (await run("status")).output
    assert "0% running 0/2" in output
    assert (
        "routes 'orders' and 'carts': their rollout is running, and waits for approval of 5 %: `strangler rollout"
        in output
    )
