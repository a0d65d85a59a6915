"""Rollouts in a real browser: the ladder climbs as callers do, buttons move it, and a link approves without a login."""

import json
from collections.abc import Iterator

import pytest
from selenium.webdriver import ActionChains, Chrome, Keys

from strangler.control.rollout.approval_token import LASTS_S, Approval, sign
from strangler.state.files import APPROVAL_KEY, kept_key
from tests.e2e.browsing import Shop, Window, shop, until

PLAN = "gate: never, hold: 0s, look: 1s, evidence: {requests: 5, callers: 2}"
ROUTES = f"""\
  - name: carts
    match: {{prefix: /api/carts}}
    candidate: catalogue
    split: {{sticky: ["header:X-User-Id"]}}
    rollout: {{steps: [5, 50, 100], {PLAN}}}
  - name: users
    match: {{prefix: /api/users}}
    candidate: catalogue
    split: {{sticky: ["header:X-User-Id"]}}
    rollout: {{steps: [50, 100], approve: [50], {PLAN}}}
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop with two routes that have rollouts."""
    with shop(tmp_path_factory.mktemp("shop")) as made:
        made.edit(lambda text: text + ROUTES)
        until(lambda: len(json.loads(made.ask("/api/rollouts"))["rollouts"]) == 2)
        yield made


@pytest.fixture
def window(browser: Chrome, running: Shop) -> Iterator[Window]:
    made = Window.at_desk(browser, running, "/rollouts")
    until(lambda: made.text('[data-route="carts"]'))
    made.complaints()
    yield made
    assert made.complaints() == []


def place(window: Window) -> str:
    return window.text(".rung.here .percent")


def requests(window: Window, arm: str) -> int:
    """Return the requests of an arm in the newest look; 0 before it."""
    return int(window.text(f'#arms [data-arm="{arm}"] [data-label="Requests"]') or 0)


def test_a_rollout_is_started_watched_paused_and_sent_back(window: Window, running: Shop) -> None:
    window.browser.find_element("link text", "carts").click()
    until(lambda: window.text("#rollout").startswith("Rollout of carts"))
    assert place(window) == "0%"
    window.type("#start [name=why]", "let us see")
    window.click("#start button")
    until(lambda: "Started" in window.text(".said"))
    until(lambda: place(window) == "5%")  # it comes by itself
    assert window.run("document.querySelector('#start')") is None
    for caller in range(120):
        running.get("/api/carts", {"X-User-Id": f"caller-{caller}"})
    until(lambda: requests(window, "legacy") + requests(window, "candidate") == 120)
    assert "let us see" in window.text(".moves")

    window.type("#pause [name=why]", "typed while the page changes")
    running.get("/api/carts", {"X-User-Id": "one-more"})
    looks = window.text(".looks tbody")
    until(lambda: window.text(".looks tbody") != looks)
    assert window.find("#pause [name=why]").get_attribute("value") == "typed while the page changes"
    window.click("#pause button")
    until(lambda: "Paused" in window.text(".said"))
    assert window.text("#waits") == "to be resumed"

    window.click("#back button")
    assert window.run("document.querySelector('#back :invalid')?.name") == "confirmed", "the browser asks for it"
    assert place(window) == "5%"
    window.click("#back [name=confirmed]")
    window.click("#back button")
    until(lambda: "goes back" in window.text(".said"))
    until(lambda: place(window) == "0%")
    window.open("/audit?route=carts")
    for text in ("rollout start", "let us see", "rollout pause", "rollout back"):
        assert text in window.text("main")


def test_a_link_approves_without_a_login_under_another_name(window: Window, running: Shop) -> None:
    window.open("/rollouts/users")
    window.click("#start button")
    until(lambda: window.text("#waits") == "for an approval")
    assert window.find("#approve-50 button").text == "Approve 50%"
    events = [entry["event"] for entry in json.loads(running.ask("/api/events?limit=1000"))["events"]]
    (waiting,) = [event["data"] for event in events if event["type"] == "rollout.waiting"]
    at, key = waiting["at"], kept_key(running.folder / "state" / APPROVAL_KEY)
    token = sign(key, Approval(waiting["group"], waiting["to"], at, at + LASTS_S))
    port = running.admin.rpartition(":")[2]
    window.browser.get(f"http://localhost:{port}/rollouts/approve?token={token}")
    assert window.text("#approval") == "Approve 50 % of users?"
    assert window.run("document.querySelector('nav')") is None, "nobody is logged in there"
    assert window.faint() == []
    window.type("#approve [name=why]", "it was tried in the canteen")
    window.click("#approve button")
    until(lambda: window.text("#approval") == "Approved")
    window.open("/rollouts/users")
    until(lambda: place(window) == "50%")
    assert "approval link 127.0.0.1" in window.text(".moves")
    assert "it was tried in the canteen" in window.text(".moves")
    window.browser.get(f"http://localhost:{port}/rollouts/approve?token={token}")
    assert "50 % of users is approved already: by approval link" in window.text("main")
    (complaint,) = window.complaints()
    assert "409 (Conflict)" in complaint


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/rollouts", "/rollouts/carts", "/rollouts/users", "/rollouts/orders"])
def test_texts_can_be_read_in_both_schemes(window: Window, path: str, scheme: str) -> None:
    window.scheme(scheme)
    window.open(path)
    assert window.faint() == []


@pytest.mark.parametrize("path", ["/rollouts", "/rollouts/carts", "/rollouts/users"])
def test_it_fits_a_phone(window: Window, path: str) -> None:
    window.size(390, 800, phone=True)
    window.open(path)
    assert window.run("document.documentElement.scrollWidth") <= 390


def test_the_keyboard_reaches_each_control(window: Window) -> None:
    window.open("/rollouts/users")
    reached: list[str] = []
    for _ in range(40):
        ActionChains(window.browser).send_keys(Keys.TAB).perform()
        reached.append(window.run("document.activeElement.name || document.activeElement.textContent.trim()"))
    for control in ("Rollouts", "why", "Pause", "confirmed", "Back"):
        assert control in reached, reached


def test_the_overview_leads_to_the_ladder(window: Window) -> None:
    window.open("/")
    assert window.cell("users", "rollout").endswith("of 2")
    window.click('[data-route="users"] [data-cell="rollout"]')
    until(lambda: window.text("#rollout").startswith("Rollout of users"))
    window.browser.find_element("link text", "users").click()
    until(lambda: "step" in window.text("dd#rollout"))
