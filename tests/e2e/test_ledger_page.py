"""The ledger in a real browser: what traffic taught a real proxy is found, sorted, filtered, opened and owned."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By

from tests.e2e.browsing import EVIL, Shop, Window, shop, until

ORDERS = "GET /api/orders/{}"
USERS = "GET /api/users/{}"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop whose ledger knows some calls."""
    with shop(tmp_path_factory.mktemp("shop")) as made:
        for number in range(1, 13):
            made.get(f"/api/orders/{number}", {"X-Strangler-Arm": "candidate", "User-Agent": f"okhttp/4.{number}"})
        for number in range(1, 6):
            made.get(f"/api/users/{number}", {"User-Agent": "nightly-job"})
        made.get(f"/{EVIL.replace(' ', '')}", {"User-Agent": EVIL})
        until(lambda: _calls(made).get(ORDERS) == 12 and _calls(made).get(USERS) == 5)
        yield made


def _calls(running: Shop) -> dict[str, int]:
    rows = json.loads(running.ask("/api/ledger?hidden=1"))["rows"]
    return {row["endpoint"]: row["calls"]["legacy"] + row["calls"]["candidate"] for row in rows}


@pytest.fixture
def window(browser: Chrome, running: Shop) -> Iterator[Window]:
    made = Window.at_desk(browser, running, "/ledger")
    until(lambda: ORDERS in listed(made))
    made.complaints()
    yield made
    assert made.complaints() == []


def listed(window: Window) -> list[str]:
    found: list[str] = window.run(
        "[...document.querySelectorAll('.endpoints tbody th code')].map(each => each.textContent)"
    )
    return found


def test_endpoints_are_searched_sorted_and_filtered(window: Window) -> None:
    assert listed(window).index(ORDERS) < listed(window).index(USERS), "the most called come first"
    window.click('[data-sort="endpoint"]')
    until(lambda: window.run("document.querySelector('[aria-sort]')?.textContent").startswith("Endpoint"))
    ascending = listed(window)
    window.click('[data-sort="endpoint"]')
    until(lambda: listed(window) == ascending[::-1])
    window.type("[name=q]", "/api/users/{userId}")
    window.find("[name=q]").send_keys(Keys.ENTER)
    until(lambda: listed(window) == [USERS])
    assert "turn=1" in window.browser.current_url, "a search keeps the order"
    window.open("/ledger")
    window.click("[name=state] option[value=splitting]")
    window.click(".filters button")
    until(lambda: window.browser.current_url.endswith("state=splitting&route=&owner=&sort=calls"))
    until(lambda: listed(window) == [ORDERS])


def test_an_endpoint_is_opened_and_owned(window: Window, running: Shop) -> None:
    window.browser.find_element(By.LINK_TEXT, USERS).click()
    until(lambda: window.text("#endpoint") == USERS)
    assert window.text("#calls").startswith("5 5 by legacy")
    assert "nightly-job" in window.text(".callers")
    assert window.text("#step")
    assert len(window.browser.find_elements(By.CSS_SELECTOR, "svg.chart")) == 1
    window.type("#own [name=name]", "ana & the crew")
    window.type("#own [name=why]", "nobody else wants it")
    window.click("#own button")
    until(lambda: "owner" in window.text(".said"))
    assert window.text("#owner") == "ana & the crew"
    window.open("/ledger?owner=ana+%26+the+crew")
    until(lambda: listed(window) == [USERS])
    window.open("/audit")
    assert "nobody else wants it" in window.text("main")
    running.get("/api/users/6", {"User-Agent": "nightly-job"})
    window.open("/ledger/endpoint?endpoint=GET+/api/users/{id}")
    until(lambda: window.text("#calls").startswith("6 "))  # it comes by itself


def test_an_endpoint_is_ignored_and_shown_again(window: Window) -> None:
    window.open("/ledger/endpoint?endpoint=GET+/api/users/{}")
    window.click("#ignore button")
    until(lambda: window.text("#ignore button") == "Show it again")
    window.open("/ledger")
    assert USERS not in listed(window)
    window.click("#hidden")
    until(lambda: USERS in listed(window))
    window.open("/ledger/endpoint?endpoint=GET+/api/users/{}")
    window.click("#ignore button")
    until(lambda: window.text("#ignore button") == "Ignore")


def test_the_keyboard_reaches_each_control_of_the_list(window: Window) -> None:
    reached: list[str] = []
    for _ in range(40):
        ActionChains(window.browser).send_keys(Keys.TAB).perform()
        reached.append(window.run("document.activeElement.name || document.activeElement.textContent.trim()"))
    for control in ("Ledger", "q", "state", "route", "owner", "sort", "Show", "Calls", "Last at legacy", ORDERS):
        assert control in reached, reached


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/ledger?hidden=1", "/ledger/endpoint?endpoint=GET+/api/users/{}"])
def test_texts_can_be_read_in_both_schemes(window: Window, path: str, scheme: str) -> None:
    """WCAG 2.2, 1.4.3: a contrast of 4.5 to 1."""
    window.scheme(scheme)
    window.open(path)
    assert window.faint() == []


def test_hostile_calls_are_text(window: Window) -> None:
    window.open("/ledger?hidden=1")
    until(lambda: "<script>window.pwned=1" in window.text("main"))
    assert window.run("window.pwned") is None
    assert window.run("document.querySelectorAll('main script, main img').length") == 0


def test_a_brownout_says_who_was_hit(window: Window, running: Shop) -> None:
    now = datetime.now(UTC)
    begins, ends = (f"{now + timedelta(hours=hours):%Y-%m-%dT%H:%MZ}" for hours in (-1, 1))
    retire = f"{{sunset: 2099-01-01, brownouts: [{{from: {begins}, to: {ends}}}]}}"
    running.edit(lambda text: f"{text}  - name: users\n    match: {{prefix: /api/users}}\n    retire: {retire}\n")
    until(lambda: running.get("/api/users/7", {"User-Agent": "late-job"}) == 503)
    for _ in range(3):
        running.get("/api/users/8", {"User-Agent": "nightly-job"})
    window.open("/routes/users")
    window.click("#refused")
    until(lambda: "nightly-job" in window.text(".hits") and "late-job" in window.text(".hits"))
    first = ".hits tbody tr:first-child"
    until(lambda: (window.text(f"{first} th"), window.text(f"{first} td")) == ("nightly-job", "3"))
    window.browser.find_element(By.LINK_TEXT, USERS).click()
    until(lambda: window.text("#endpoint") == USERS)
    until(lambda: "refused by retire" in window.text("#calls"))
