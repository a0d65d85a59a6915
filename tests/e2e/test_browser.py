"""The dashboard as an operator sees it: a real browser, a real proxy, real traffic.

The last test takes the pictures of the README and of docs/dashboard.md: with `STRANGLER_SCREENSHOTS=docs/images` it
lets traffic flow for some minutes first, and keeps them there.
"""

import json
import os
import random
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from urllib.request import Request, urlopen

import psutil
import pytest
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By

from tests.e2e.browsing import EVIL, TOKEN, Shop, Window, shop, until

PAGES = [
    "/",
    "/?span=days",
    "/routes/orders",
    "/signatures",
    "/rollouts",
    "/ledger",
    "/ledger/endpoint?endpoint=GET+/api/orders/{}",
    "/explain?url=/api/orders/7",
    "/config",
    "/audit",
]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with shop(tmp_path_factory.mktemp("shop")) as made:
        yield made


@pytest.fixture
def window(browser: Chrome, running: Shop) -> Iterator[Window]:
    """Logged in, at the overview, of a desk's size; in the end nothing is left to complain about."""
    made = Window.at_desk(browser, running, "/")
    made.complaints()
    yield made
    assert made.complaints() == []


def test_logging_in_and_out(browser: Chrome, running: Shop) -> None:
    window = Window(browser, running)
    browser.delete_all_cookies()
    window.open("/routes/orders")
    assert browser.title == "Log in · Strangler"
    window.find("#token").send_keys("wrong" + Keys.ENTER)
    until(lambda: "The token is wrong." in window.text("main"))
    window.open("/routes/orders")
    window.find("#token").send_keys(TOKEN + Keys.ENTER)
    until(lambda: browser.title == "orders · Strangler")
    assert window.run("document.cookie") == "", "no script gets the session"
    window.find(".leave button").click()
    until(lambda: browser.title == "Log in · Strangler")
    window.open("/")
    assert browser.title == "Log in · Strangler"
    window.complaints()  # a refused login is one


def test_the_numbers_are_those_of_the_traffic_that_was_sent(window: Window, running: Shop) -> None:
    before = {
        (route, arm): window.count(route, arm) for route in ("orders", "catalogue") for arm in ("legacy", "candidate")
    }
    unrouted = window.count("", "legacy")
    for _ in range(12):
        running.get("/api/orders/7", {"X-Strangler-Arm": "candidate"})
    for _ in range(8):
        running.get("/api/orders/7", {"X-Strangler-Arm": "legacy"})
    for _ in range(5):
        running.get("/api/users/1")
    until(lambda: window.count("orders", "candidate") == before["orders", "candidate"] + 12)
    until(lambda: window.count("orders", "legacy") == before["orders", "legacy"] + 8)
    until(lambda: window.count("", "legacy") == unrouted + 5)
    assert window.count("catalogue", "legacy") == before["catalogue", "legacy"]
    until(lambda: window.cell("orders", "candidate-rate") == "1.2")
    for arm in ("legacy", "candidate"):
        assert window.count("orders", arm) == running.metric("strangler_requests_total", route="orders", arm=arm)
    assert window.cell("orders", "percent") == "25%"
    assert window.text("#workers") == "1 of 1"


def test_a_breaker_that_opens_is_seen_within_two_seconds(window: Window, running: Shop) -> None:
    assert window.cell("reviews", "breaker") == "closed"
    for _ in range(5):
        running.get("/reviews/7", {"X-Strangler-Arm": "candidate"})
    opened = time.monotonic()
    until(lambda: window.cell("reviews", "breaker") == "open", 2)
    until(lambda: "breaker of reviews is open" in window.text(".health"), 2 - (time.monotonic() - opened))
    assert window.text("#health") == "Needs attention"


def test_hostile_traffic_is_text_and_nothing_else(window: Window, running: Shop) -> None:
    for _ in range(3):
        running.get(f"/search/{EVIL.replace(' ', '')}?q={EVIL}", {"X-User-Id": EVIL, "X-Evil": EVIL})
    until(lambda: running.metric("strangler_shadow_comparisons_total", route="search", outcome="mismatch") >= 3)
    window.open("/signatures?route=search")
    links = until(lambda: window.browser.find_elements(By.CSS_SELECTOR, ".inbox a"))
    addresses = [link.get_attribute("href") or "" for link in links]
    pages = [address.partition(running.admin)[2] for address in addresses]
    texts = ""
    for path in (*PAGES, *pages, "/routes/search", f"/explain?url=/{EVIL}&headers={EVIL}", f"/?q={EVIL}"):
        window.open(path)
        texts += window.run("document.body.textContent")
        assert window.run("window.pwned") is None
        assert window.run("document.querySelectorAll('main script, main img, main iframe').length") == 0
    assert EVIL in texts
    assert 'onerror="window.pwned=2"' in texts.replace("\\", "")


def test_the_kill_switch_works_by_its_button(window: Window, running: Shop) -> None:
    window.find("#reason").send_keys(f"orders answers nonsense {EVIL}")
    window.find(".kill button").click()
    until(lambda: window.text("#kill-switch") == "ON")
    assert "orders answers nonsense" in window.text(".alarm")
    before = running.metric("strangler_requests_total", route="orders", arm="candidate")
    running.get("/api/orders/7", {"X-Strangler-Arm": "candidate"})
    until(
        lambda: (
            window.count("orders", "legacy") == running.metric("strangler_requests_total", route="orders", arm="legacy")
        )
    )
    assert running.metric("strangler_requests_total", route="orders", arm="candidate") == before
    window.find(".kill button").click()
    until(lambda: window.text("#kill-switch") == "off")
    assert running.metric("strangler_kill_switch") == 0


def test_the_kill_switch_of_a_route_works_by_the_button_of_its_page(window: Window, running: Shop) -> None:
    def served(route: str, arm: str) -> float:
        return running.metric("strangler_requests_total", route=route, arm=arm)

    window.open("/routes/orders")
    window.find("#kill [name=reason]").send_keys(f"it is slow {EVIL}")
    window.find("#kill button").click()
    until(lambda: "The kill switch is on for this route" in window.text(".said"))
    for path in PAGES:
        window.open(path)
        assert f"it is slow {EVIL}. All its requests go to legacy." in window.text('[data-killed="orders"]'), path
    orders, legacy, products = (
        served("orders", "candidate"),
        served("orders", "legacy"),
        served("catalogue", "candidate"),
    )
    running.get("/api/orders/7", {"X-Strangler-Arm": "candidate"})
    for user in range(20):
        running.get("/api/products/7", {"X-User-Id": str(user)})
    until(lambda: served("orders", "legacy") == legacy + 1 and served("catalogue", "candidate") > products)
    assert served("orders", "candidate") == orders
    window.open("/")
    assert (window.text("#kill-switch"), window.text("#health")) == ("on for 1 route", "Needs attention")
    assert window.cell("orders", "killed") == "killed"
    window.find('[data-killed="orders"] a').click()
    until(lambda: window.browser.title == "orders · Strangler")
    window.find("#kill button").click()
    until(lambda: "The kill switch is off for this route" in window.text(".said"))
    assert window.browser.find_elements(By.CSS_SELECTOR, ".killed") == []
    assert running.metric("strangler_kill_switch_route") == 0


def test_a_difference_is_reviewed_on_its_page(window: Window, running: Shop) -> None:
    for order in range(1, 40):
        running.get(f"/api/orders/{order}", {"X-Strangler-Arm": "legacy"})
    until(lambda: running.metric("strangler_shadow_comparisons_total", route="orders") >= 2)
    window.open("/signatures?route=orders&severity=additive")
    until(lambda: window.browser.find_elements(By.CSS_SELECTOR, ".inbox a"))  # they come by themselves
    window.find(".inbox a").click()
    until(lambda: window.browser.find_elements(By.CSS_SELECTOR, ".sides .changed, .sides .new"))
    window.find("[name=why]").send_keys("the warehouse is new")
    window.find("button[value=accepted]").click()
    until(lambda: "routes.yaml has the rule" in window.text(".said"))
    assert 'why: "the warehouse is new"' in (running.folder / "routes.yaml").read_text()
    window.open("/config")
    until(lambda: "the warehouse is new" in window.text("main"))


def test_several_differences_are_reviewed_at_once(window: Window, running: Shop) -> None:
    for order in range(40, 80):
        running.get(f"/api/orders/{order}", {"X-Strangler-Arm": "legacy"})
    window.open("/signatures?route=orders&state=new")
    boxes = until(lambda: window.browser.find_elements(By.CSS_SELECTOR, "input[name=id]"))
    count = len(boxes)
    window.click("#every")
    assert window.run("document.querySelectorAll('input[name=id]:checked').length") >= count
    before = window.text(".inbox tbody")
    for order in range(80, 120):
        running.get(f"/api/orders/{order}", {"X-Strangler-Arm": "legacy"})
    until(lambda: window.text(".inbox tbody") != before)  # drawn again, and what is ticked stays so
    assert window.run("document.querySelectorAll('input[name=id]:checked').length") >= count
    window.type("#bulk [name=why]", "all of them are looked at")
    window.click("#bulk button[value=known]")
    until(lambda: "noted as known" in window.text(".said"))
    assert int(window.text(".said").split()[0]) >= count
    window.open("/audit")
    assert window.text("main").count("all of them are looked at") >= count


@pytest.mark.parametrize("path", [*PAGES, "/login"])
def test_a_phone_never_scrolls_sideways(window: Window, path: str) -> None:
    window.size(360, 740, phone=True)
    window.open(path)
    assert window.run("document.documentElement.scrollWidth") <= 360


def test_the_keyboard_reaches_everything_and_keeps_its_place(window: Window, running: Shop) -> None:
    reached: list[str] = []
    for _ in range(20):
        ActionChains(window.browser).send_keys(Keys.TAB).perform()
        reached.append(window.run("document.activeElement.textContent.trim() || document.activeElement.id"))
    for control in (
        "Skip to content",
        "Overview",
        "Differences",
        "Ledger",
        "Explain",
        "Audit",
        "routes.yaml",
        "Log out",
        "reason",
        "All traffic to legacy",
        "minutes",
        "months",
        "orders",
    ):
        assert control in reached, reached
    window.open("/")
    reason = window.find("#reason")
    reason.send_keys("half a rea")
    before = window.count("orders", "legacy")
    running.get("/api/orders/7", {"X-Strangler-Arm": "legacy"})
    until(lambda: window.count("orders", "legacy") == before + 1)
    assert window.run("document.activeElement.id") == "reason", "an update does not take the focus away"
    assert reason.get_attribute("value") == "half a rea", "nor does it put another field in its place"


def test_without_javascript_the_page_is_whole(window: Window, running: Shop) -> None:
    window.browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        window.open("/")
        legacy = window.find('[data-route="orders"] [data-cell="legacy-requests"]').text
        assert int(legacy) == running.metric("strangler_requests_total", route="orders", arm="legacy")
        assert len(window.browser.find_elements(By.CSS_SELECTOR, "svg.chart")) == 2
    finally:
        window.browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_nothing_is_fetched_from_elsewhere(window: Window, running: Shop) -> None:
    window.open("/routes/orders")
    fetched: list[str] = window.run("performance.getEntriesByType('resource').map(one => one.name)")
    assert len(fetched) >= 2
    assert [item for item in fetched if not item.startswith(f"http://{running.admin}/")] == []


def test_it_comes_back_when_control_does(browser: Chrome, running: Shop) -> None:
    window = Window(browser, running)
    window.log_in()
    window.open("/")
    until(lambda: window.text("#live") == "live")
    control = next(process for process in psutil.process_iter(["cmdline"]) if _is_control_of(process, running))
    control.send_signal(signal.SIGKILL)
    until(lambda: window.text("#live") != "live")
    until(lambda: browser.title == "Log in · Strangler", 15)
    window.log_in()
    until(lambda: window.text("#live") == "live")
    window.complaints()


def _is_control_of(process: psutil.Process, running: Shop) -> bool:
    try:
        return "strangler.control" in " ".join(process.cmdline()) and Path(process.cwd()) == running.folder
    except psutil.Error:
        return False


def test_screenshots(window: Window, running: Shop, tmp_path: Path) -> None:
    wanted = os.environ.get("STRANGLER_SCREENSHOTS")
    folder, over = Path(wanted or tmp_path), Event()
    _start_rollout(running)
    visitors = [Thread(target=_visit, args=(running, over)) for _ in range(6)]
    for visitor in visitors:
        visitor.start()
    try:
        for percent in ("25", "40", "60"):
            _shift(running, percent)
            time.sleep(85 if wanted else 0.5)
        _take(window, "/", folder / "dashboard-light.png", 1280)
        window.scheme("dark")
        _take(window, "/routes/orders", folder / "dashboard-dark.png", 1280)
        window.scheme("light")
        window.open("/signatures?route=orders")
        address = window.find(".inbox a").get_attribute("href") or ""
        _take(window, address.partition(running.admin)[2], folder / "dashboard-difference.png", 1280)
        _take(window, "/ledger", folder / "dashboard-ledger.png", 1280)
        _take(window, "/rollouts/users", folder / "dashboard-rollout.png", 1280)
        _take(window, "/", folder / "dashboard-phone.png", 390, phone=True)
    finally:
        over.set()
        for visitor in visitors:
            visitor.join()
    assert len([file for file in folder.glob("dashboard-*.png") if file.stat().st_size > 20_000]) == 6


_ROLLOUT = """\
  - name: users
    match: {prefix: /api/users}
    candidate: catalogue
    split: {sticky: ["header:X-User-Id"]}
    rollout: {steps: [5, 25, 50, 100], approve: [50], gate: never, hold: 20s, look: 5s, latency: null,
      evidence: {requests: 20, callers: 5}, errors: {ratio: 1.5, floor: 20%}}
"""


def _start_rollout(running: Shop) -> None:
    running.edit(lambda text: text + _ROLLOUT)
    until(lambda: json.loads(running.ask("/api/rollouts"))["rollouts"])
    body = json.dumps({"who": "ana", "why": "the new catalogue has passed its tests"}).encode()
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    with urlopen(Request(f"http://{running.admin}/api/rollouts/users/start", body, headers), timeout=10):
        pass


def _shift(running: Shop, percent: str) -> None:
    def change(text: str) -> str:
        return re.sub(r"(prefix: /api/orders}.*?percent: )\d+", rf"\g<1>{percent}", text, count=1, flags=re.DOTALL)

    running.edit(change)


def _take(window: Window, path: str, file: Path, width: int, *, phone: bool = False) -> None:
    """The page from its top, as high as it is, up to what a reader of a README scrolls by."""
    window.size(width, 900, phone=phone)
    window.open(path)
    if path in ("/", "/routes/orders", "/rollouts/users", "/ledger"):
        until(lambda: window.text("#live") == "live")
    bottom = int(window.run("document.querySelector('main').getBoundingClientRect().bottom"))
    window.size(width, min(1800 if phone else 1150, bottom), phone=phone)
    window.browser.save_screenshot(str(file))


_PATHS = (
    "/api/orders/{}",
    "/api/orders",
    "/api/orders/{}/papers",
    "/api/products/{}",
    "/api/users/{}",
    "/api/users",
    "/api/carts",
    "/products",
    "/",
)
"""The paths of visitors, some of which legacy does not have."""


def _visit(running: Shop, over: Event) -> None:
    chance = random.Random()
    while not over.is_set():
        path = chance.choice(["/api/orders/{}", *_PATHS])
        running.get(path.format(chance.randint(1, 90)), {"X-User-Id": str(chance.randint(1, 400))})
        time.sleep(chance.uniform(0.02, 0.2))
