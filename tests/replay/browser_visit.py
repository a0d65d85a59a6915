"""A visit of the shop with Chromium, which writes it as a HAR file with its own developer tools."""

import time
from collections.abc import Callable
from pathlib import Path

from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from tests.replay.django_apps import PASSWORD, USER

_DEADLINE_S = 30
_IMPORTS = """
const done = arguments[0], base = "devtools://devtools/bundled/";
const load = async (path) => import(base + path);
(async () => {
  const [sdk, common, logs, har] = await Promise.all(["core/sdk/sdk.js", "core/common/common.js",
    "models/logs/logs.js", "models/har/har.js"].map(load));
  const requests = logs.NetworkLog.NetworkLog.instance().requests();
  %s
})().then(done, (error) => done("failed: " + error));
"""
_PREPARE = """
  if (!sdk.TargetManager.TargetManager.instance().primaryPageTarget()) return false;
  common.Settings.Settings.instance().moduleSetting("network-log.preserve-log").set(true);
  return true;
"""
_KEEP_CONTENTS = """
  if (!requests.every((request) => request.finished || request.failed)) return false;
  await Promise.all(requests.map((request) => request.requestContentData()));
  return true;
"""
"""Contents are asked for after each step: the browser forgets those of pages that were left."""
_WRITE = """
  requests.sort((left, right) => left.issueTime() - right.issueTime());
  const log = await har.Log.Log.build(requests, {sanitize: false});
  for (const [at, request] of requests.entries()) {
    const content = await request.requestContentData();
    if (content.isTextContent) log.entries[at].response.content.text = content.text;
  }
  return JSON.stringify({log});
"""
_CALL = """
const done = arguments[0], token = document.cookie.match(/csrftoken=([^;]+)/)[1];
fetch("/api/orders", {method: "POST", headers: {"Content-Type": "application/json", "X-CSRFToken": token},
                      body: JSON.stringify({lines: [{name: "desk", count: 2}]})})
  .then((response) => response.json())
  .then((made) => fetch(made._links.self.href, {method: "PATCH",
    headers: {"Content-Type": "application/json", "X-CSRFToken": token},
    body: JSON.stringify({lines: [{id: made.lines[0].id, count: 5}]})}))
  .then((response) => done(response.status), (error) => done("failed: " + error));
"""


class BrowserVisit:
    """A page, and a second window with the developer tools of it."""

    def __init__(self, browser: Chrome, port: int) -> None:
        self._browser = browser
        self._port = port
        browser.get("about:blank")
        self._page = browser.current_window_handle
        address = browser.capabilities["goog:chromeOptions"]["debuggerAddress"].replace("localhost", "127.0.0.1")
        browser.switch_to.new_window("tab")
        self._tools = browser.current_window_handle
        browser.get(
            f"devtools://devtools/bundled/devtools_app.html?ws={address}/devtools/page/{self._page}&panel=network"
        )
        WebDriverWait(browser, _DEADLINE_S).until(
            lambda _: browser.execute_script("return document.body.innerText.includes('Initiator')")
        )
        self._wait_for(_PREPARE)

    def make(self) -> None:
        """Fill a basket, sign in, order and pay by forms, order by script, sign out."""
        steps: list[Callable[[], None]] = [
            lambda: self._open("/"),
            lambda: self._click("put"),
            lambda: self._open("/orders/"),
            self._sign_in,
            lambda: self._click("order"),
            lambda: self._click("pay"),
            self._call,
            lambda: self._click("leave"),
        ]
        for step in steps:
            self._browser.switch_to.window(self._page)
            step()
            self._wait_for(_KEEP_CONTENTS)

    def write(self, path: Path) -> Path:
        """Write what was exchanged as a HAR file."""
        self._browser.switch_to.window(self._tools)
        text = self._browser.execute_async_script(_IMPORTS % _WRITE)
        assert text.startswith('{"log"'), text
        path.write_text(text)
        return path

    def _open(self, path: str) -> None:
        self._browser.get(f"http://127.0.0.1:{self._port}{path}")

    def _click(self, name: str) -> None:
        self._browser.find_element(By.ID, name).click()

    def _sign_in(self) -> None:
        self._browser.find_element(By.NAME, "username").send_keys(USER)
        self._browser.find_element(By.NAME, "password").send_keys(PASSWORD)
        self._click("enter")

    def _call(self) -> None:
        assert self._browser.execute_async_script(_CALL) == 200

    def _wait_for(self, script: str) -> None:
        self._browser.switch_to.window(self._tools)
        deadline = time.monotonic() + _DEADLINE_S
        while (found := self._browser.execute_async_script(_IMPORTS % script)) is not True:
            assert found is False, found
            assert time.monotonic() < deadline, "the developer tools are not ready"
            time.sleep(0.05)
