"""The real Envoy at work: the kill switch by one file, the end of a route, tunnels, bodies that are sent again."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from strangler.core.retire_settings import BrownoutSettings, RetireSettings
from strangler.core.settings import RouteSettings, Settings
from strangler.envoy.place import Switches
from strangler.envoy.render import next_change, render
from strangler.envoy.resources import RUNTIME
from strangler.envoy.runtime import runtime_layer
from tests import factories as f
from tests.envoy.exchanges import Response, exchange, request
from tests.envoy.running import RunningEnvoy, place_in, run_settings, validate, wait_for

SUNSET = 2_000_000_000
RETIRE = RetireSettings(
    sunset=SUNSET,
    since=SUNSET - 86_400,
    link="https://shop.example/end?a=%20b",
    status=410,
    brownouts=(BrownoutSettings(SUNSET - 7200, SUNSET - 3600),),
)
BROWSER = [("Accept", "text/html,application/xhtml+xml,*/*;q=0.8"), ("X-Request-Id", "abc-1")]


def routes() -> list[RouteSettings]:
    return [
        f.route("orders", percent=100, fallback=None),
        f.route("shop", percent=100, override="X-Arm", fallback=None),
        f.route("off", enabled=False),
        f.route("passed", is_passthrough=True, fallback=None),
    ]


def ended() -> Settings:
    return f.settings([f.route("orders", percent=100, retire=RETIRE, fallback=None), f.route("other", percent=100)])


def decided(response: Response) -> tuple[str, str, str]:
    fields = response.fields
    return fields.get("x-route", ""), fields.get("x-strangler-arm", ""), fields.get("x-reason", "")


def ask(port: int, path: str, *fields: tuple[str, str], method: str = "GET") -> Response:
    (response,) = exchange(port, [request(path, method, fields=fields)])
    return response


def switch(started: RunningEnvoy, settings: Settings, switches: Switches, version: str) -> None:
    """Put one file in place, and wait until Envoy has it."""
    resources = render(settings, place_in(started.folder), 1, Switches(), 0.0)
    changed = replace(resources, runtime=runtime_layer(settings, switches))
    started.replace({RUNTIME: changed.files(version)[RUNTIME]})
    entries = runtime_layer(settings, switches)
    wait_for(
        lambda: runtime_of(started) == {name: str(value) for name, value in entries.items()}, "the switch is there"
    )


def runtime_of(started: RunningEnvoy) -> dict[str, str]:
    found = json.loads(started.admin("/runtime"))["entries"]
    return {name: entry["final_value"] for name, entry in found.items() if name.startswith("strangler.")}


def test_the_runtime_alone_switches_routes_off_and_on(tmp_path: Path) -> None:
    settings = f.settings(routes())
    with run_settings(settings, tmp_path) as (started, port):
        assert decided(ask(port, "/orders/1")) == ("orders", "candidate", "percent")
        switch(started, settings, Switches(killed_routes=frozenset({"orders", "passed", "off"})), "2")
        assert decided(ask(port, "/orders/1")) == ("orders", "legacy", "kill_switch")
        assert decided(ask(port, "/shop")) == ("shop", "candidate", "percent")
        switch(started, settings, Switches(is_killed=True), "3")
        assert decided(ask(port, "/orders/1", method="POST")) == ("orders", "legacy", "kill_switch")
        assert decided(ask(port, "/shop", ("X-Arm", "candidate"))) == ("shop", "legacy", "kill_switch")
        assert decided(ask(port, "/off")) == ("off", "legacy", "disabled")
        assert decided(ask(port, "/passed")) == ("passed", "candidate", "percent")
        switch(started, settings, Switches(), "4")
        assert decided(ask(port, "/orders/1")) == ("orders", "candidate", "percent")


@contextmanager
def running(now: float, folder: Path, switches: Switches | None = None) -> Iterator[int]:
    with run_settings(ended(), folder, switches, now=now) as (_, port):
        yield port


def test_a_route_that_ends_announces_it(tmp_path: Path) -> None:
    with running(SUNSET - 86_000, tmp_path) as port:
        response = ask(port, "/orders")
        assert response.status == 200
        assert response.fields["deprecation"] == f"@{SUNSET - 86_400}"
        assert response.fields["sunset"] == "Wed, 18 May 2033 03:33:20 GMT"
        assert response.fields["link"] == '<https://shop.example/end?a=%20b>; rel="sunset"'
        assert "sunset" not in ask(port, "/other").fields


def test_a_brownout_is_told_in_problem_details(tmp_path: Path) -> None:
    with running(SUNSET - 5000, tmp_path) as port:
        response = ask(port, "/orders/7", ("X-Request-Id", 'a"b'), method="POST")
        assert (response.status, response.fields["content-type"]) == (503, "application/problem+json")
        assert json.loads(response.body) == {
            "type": "urn:strangler:fault:brownout",
            "title": "This is switched off until 2033-05-18 02:33:20 UTC, and for good on 2033-05-18 03:33:20 UTC.",
            "status": 503,
            "fault": "brownout",
            "request_id": 'a"b',
            "sunset": "2033-05-18T03:33:20Z",
            "link": "https://shop.example/end?a=%20b",
        }
        assert response.fields["retry-after"] == "Wed, 18 May 2033 02:33:20 GMT"
        assert response.fields["cache-control"] == "no-store"
        assert response.fields["deprecation"] == f"@{SUNSET - 86_400}"
        assert decided(response) == ("orders", "", "brownout")
        assert ask(port, "/other").status == 200


def test_a_browser_gets_a_page(tmp_path: Path) -> None:
    with running(SUNSET, tmp_path) as port:
        response = ask(port, "/orders", *BROWSER)
        assert (response.status, response.fields["content-type"]) == (410, "text/html; charset=utf-8")
        assert b"This page is gone" in response.body
        assert b"abc-1" in response.body
        assert b"end?a=%20b" in response.body
        assert "sunset" not in response.fields
        details = ask(port, "/orders", BROWSER[0], ("X-Request-Id", "<script>"))
        assert details.fields["content-type"] == "application/problem+json"
        assert decided(details) == ("orders", "", "retired")
        assert ask(port, "/orders", method="HEAD").body == b""


def test_a_route_that_has_ended_and_is_switched_off_is_legacys(tmp_path: Path) -> None:
    with running(SUNSET, tmp_path, Switches(killed_routes=frozenset({"orders"}))) as port:
        assert decided(ask(port, "/orders")) == ("orders", "legacy", "kill_switch")


@pytest.mark.parametrize(
    ("now", "changes"),
    [(0.0, SUNSET - 7200), (SUNSET - 7200, SUNSET - 3600), (SUNSET - 3600.5, SUNSET - 3600), (SUNSET - 1, SUNSET)],
)
def test_the_next_change_is_known(now: float, changes: float) -> None:
    assert next_change(ended(), now) == changes


def test_after_the_sunset_nothing_changes() -> None:
    assert next_change(ended(), SUNSET) is None
    assert next_change(f.settings([f.route()]), 0.0) is None


def test_an_arm_that_is_not_exposed_is_hidden(tmp_path: Path) -> None:
    with run_settings(f.settings(routes(), expose_arm=False), tmp_path) as (_, port):
        response = ask(port, "/orders")
        assert (response.body, response.fields.get("x-strangler-arm")) == (b"orders", None)


def test_envoy_refuses_a_cluster_that_is_not_there(tmp_path: Path) -> None:
    resources = render(f.settings(routes()), place_in(tmp_path), 1, Switches(), 0.0)
    assert validate(resources, tmp_path) == ""
    fewer = [cluster for cluster in resources.clusters if cluster["name"] != "up/orders"]
    assert "unknown weighted cluster 'up/orders'" in validate(replace(resources, clusters=tuple(fewer)), tmp_path)
