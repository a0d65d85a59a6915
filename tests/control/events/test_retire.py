"""Brownouts and sunsets are events, each once, and the status says what is in force. Time is an argument."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from strangler.cli._tables import notices, percent
from strangler.config.load import parse
from strangler.control.admin import application
from strangler.control.app import ControlApp
from strangler.control.retire_status import retire_status
from strangler.core.retire_text import brownouts_text, retire_text
from strangler.core.settings import Settings
from strangler.ipc.messages import Report, ValueCell
from tests.control.control import control_of, in_force

ROUTES = """\
version: 1
admin: {listen: 127.0.0.1:0}
state: state
upstreams:
  legacy: {url: http://127.0.0.1:8000}
routes:
  - name: orders
    match: {prefix: /api/orders}
    retire: RETIRE
"""
RETIRE = (
    "{sunset: 2040-03-01, since: 2026-12-01, link: 'https://example.com/ends',"
    " brownouts: [{from: 2040-02-01T09:00Z, to: 2040-02-01T10:00Z}]}"
)
BROWNOUT = {"route": "orders", "from": "2040-02-01T09:00:00Z", "to": "2040-02-01T10:00:00Z"}


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


BEFORE, OFF, OVER, GONE = (at(f"2040-{text}") for text in ("01-31", "02-01T09:30", "02-01T10:00", "03-01"))


def text(retire: str = RETIRE) -> str:
    return ROUTES.replace("RETIRE", retire)


def loaded(text: str) -> Settings:
    settings = parse(text, "routes.yaml", {}).settings
    assert settings is not None
    return settings


def refuse(app: ControlApp, count: int) -> None:
    """As if a worker had refused so many requests."""
    labels = ("orders", "", "", "5xx")
    app.links.totals.take("worker", Report([ValueCell("strangler_requests_total", labels, count)], [], []))


async def events(app: ControlApp) -> list[tuple[str, Any]]:
    entries = await app.read_events(0, 0.0, 100)
    found = [(entry.event.type, entry.event.data) for entry in entries]
    return [(kind.removeprefix("retire."), data) for kind, data in found if kind.startswith("retire.")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "routes.yaml").write_text(text())
    return tmp_path


@asynccontextmanager
async def control(folder: Path, now: float) -> AsyncIterator[ControlApp]:
    async with control_of(folder, {}) as app:
        await app.events.retire.look(now)
        yield app


async def test_each_is_reported_once_even_across_restarts(folder: Path) -> None:
    async with control(folder, BEFORE) as app:
        refuse(app, 2)
        await app.events.retire.look(OFF)
        await app.events.retire.look(OFF + 1)
        assert await events(app) == [("brownout_began", {**BROWNOUT, "sunset": "2040-03-01T00:00:00Z"})]
        refuse(app, 7)
    async with control(folder, OFF + 2) as app:
        assert len(await events(app)) == 1
        refuse(app, 9)
        await app.events.retire.look(OVER)
        assert (await events(app))[1:] == [("brownout_ended", {**BROWNOUT, "refused": 7})]
    async with control(folder, OVER + 1) as app:
        await app.events.retire.look(GONE)
        sunset = {"route": "orders", "sunset": "2040-03-01T00:00:00Z", "status": 410}
        found = await events(app)
        assert len(found) == 3
        assert found[2][0] == "sunset"
        assert sunset.items() <= found[2][1].items()
    async with control(folder, GONE + 1) as app:
        assert len(await events(app)) == 3


async def test_what_happened_while_the_proxy_was_down_is_reported_at_the_start(folder: Path) -> None:
    async with control(folder, OFF):
        pass
    async with control(folder, GONE) as app:
        assert [kind for kind, _ in await events(app)] == ["brownout_began", "brownout_ended", "sunset"]


async def test_a_brownout_that_nobody_saw_is_not_reported(folder: Path) -> None:
    async with control(folder, OVER) as app:
        assert await events(app) == []


async def test_a_postponed_sunset_is_reported_again(folder: Path) -> None:
    async with control(folder, GONE) as app:
        app.events.retire.adopt(in_force(loaded(text("{sunset: 2040-03-02}"))))
        await app.events.retire.look(GONE)
        assert [kind for kind, _ in await events(app)] == ["sunset"]
        await app.events.retire.look(at("2040-03-02"))
        assert [data["sunset"] for _, data in await events(app)] == ["2040-03-01T00:00:00Z", "2040-03-02T00:00:00Z"]


async def test_a_brownout_whose_end_is_moved_goes_on(folder: Path) -> None:
    async with control(folder, OFF) as app:
        app.events.retire.adopt(in_force(loaded(text(RETIRE.replace("T10:00Z", "T11:00Z")))))
        await app.events.retire.look(OVER)
        assert [kind for kind, _ in await events(app)] == ["brownout_began"]
        await app.events.retire.look(OVER + 3600)
        assert (await events(app))[1][1]["to"] == "2040-02-01T11:00:00Z"


@pytest.mark.parametrize("retire", ["null, candidate: legacy", "{sunset: 2040-03-01}"], ids=["retire", "brownout"])
async def test_a_brownout_that_is_taken_out_is_over(folder: Path, retire: str) -> None:
    made = loaded(text(retire.partition(",")[0] + "\n    candidate: legacy"))
    async with control(folder, OFF) as app:
        app.events.retire.adopt(in_force(made))
        await app.events.retire.look(OFF)
        assert [kind for kind, _ in await events(app)] == ["brownout_began", "brownout_ended"]


@pytest.mark.parametrize("route", [None, "orders"], ids=["for all routes", "for this one"])
async def test_the_kill_switch_ends_a_brownout_and_holds_a_sunset_back(folder: Path, route: str | None) -> None:
    async with control(folder, OFF) as app:
        await app.turn_kill_switch(True, "emergency", "ana", route)
        await app.events.retire.look(OFF + 1)
        await app.events.retire.look(GONE)
        assert [kind for kind, _ in await events(app)] == ["brownout_began", "brownout_ended"]
        await app.turn_kill_switch(False, "", "ana", route)
        await app.events.retire.look(GONE + 1)
        await app.turn_kill_switch(True, "emergency", "ana", route)
        await app.events.retire.look(GONE + 2)
        await app.turn_kill_switch(False, "", "ana", route)
        await app.events.retire.look(GONE + 3)
        assert [kind for kind, _ in await events(app)][2:] == ["sunset"]


async def test_a_store_that_fails_costs_no_event(folder: Path) -> None:
    async with control(folder, BEFORE) as app:
        store = app.store.folder / "strangler.db"
        store.rename(store.with_name("kept"))
        store.mkdir()
        await app.events.retire.look(OFF)
        store.rmdir()
        store.with_name("kept").rename(store)
        await app.events.retire.look(OFF + 1)
        assert [kind for kind, _ in await events(app)] == ["brownout_began"]


IN_FORCE = [
    (BEFORE, False, "announced", "ends on 2040-03-01 00:00 UTC"),
    (OFF, False, "brownout", "off in a brownout: every request is refused with 503 (1,234 since the start)"),
    (GONE, False, "retired", "retired since 2040-03-01 00:00 UTC: every request is refused with 410"),
    (OFF, True, "suspended", "served although it is to be off"),
    (GONE, True, "suspended", "the kill switch is on; sunset 2040-03-01 00:00 UTC"),
    (BEFORE, True, "announced", "ends on"),
]


@pytest.mark.parametrize(("now", "is_killed", "expected", "words"), IN_FORCE)
def test_the_status_says_what_is_in_force(now: float, is_killed: bool, expected: str, words: str) -> None:
    (route,) = loaded(text()).routes
    status = retire_status(route, 1234, is_killed=is_killed, now=now)
    assert status is not None
    assert (status.in_force, status.sunset, status.deprecated) == (
        expected,
        "2040-03-01T00:00:00Z",
        "2026-12-01T00:00:00Z",
    )
    assert words in retire_text(status)
    assert brownouts_text(status) == "2040-02-01 09:00 UTC to 2040-02-01 10:00 UTC"


async def test_pages_and_commands_show_it(folder: Path) -> None:
    (folder / "routes.yaml").write_text(text("{sunset: 2026-03-01}"))
    async with control_of(folder, {}) as app:
        refuse(app, 5)
        status = app.status()
        assert any("retired since 2026-03-01 00:00 UTC" in line for line in notices(status))
        assert percent(status.routes[0]) == "[yellow]retired[/]"
        assert status.routes[0].retire is not None
        assert status.routes[0].retire.refused == 5
        async with TestClient(TestServer(application(app), host="127.0.0.1")) as client:
            page = await (await client.get("/routes/orders")).text()
            overview = await (await client.get("/")).text()
            query = {"method": "GET", "url": "/api/orders/7"}
            explanation = await (await client.get("/api/explain", params=query)).json()
    assert "retired since 2026-03-01 00:00 UTC: every request is refused with 410 (5 since the start)" in page
    assert '<span class="tag warn">retired</span>' in overview
    assert (explanation["reason"], explanation["arm"]) == ("retired", None)
