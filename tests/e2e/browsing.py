"""A shop, its candidates, the proxy and a browser, for tests of the dashboard.

All of it is synchronous, as the driver of the browser is.
"""

import json
import os
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from prometheus_client.parser import text_string_to_metric_families
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from tests.needs import require

_ANY_CERTIFICATE = ssl._create_unverified_context()
TOKEN = "correct-horse-battery"
EVIL = "<script>window.pwned=1;alert(1)</script>"
ROUTES = """\
version: 1
listen: 127.0.0.1:0
admin: {{listen: 127.0.0.1:0, token: "${{DASHBOARD_TOKEN}}"{admin}}}
state: state
limits: {{drain: 5s}}
upstreams:
  legacy: {{url: "http://127.0.0.1:{legacy}"}}
  orders: {{url: "http://127.0.0.1:{orders}"}}
  catalogue: {{url: "http://127.0.0.1:{legacy}"}}
  search: {{url: "http://127.0.0.1:{evil}"}}
  reviews: {{url: "http://127.0.0.1:{nobody}", retry: false}}
routes:
  - name: orders
    match: {{prefix: /api/orders}}
    candidate: orders
    split: {{percent: 25, sticky: ["header:X-User-Id"], override: X-Strangler-Arm}}
    shadow: {{percent: 20, recheck: 0}}
  - name: catalogue
    match: {{prefix: /api/products}}
    candidate: catalogue
    split: {{percent: 80, sticky: ["header:X-User-Id"]}}
    shadow: {{percent: 50, recheck: 0}}
  - name: reviews
    match: {{prefix: /reviews}}
    candidate: reviews
    split: {{percent: 0, override: X-Strangler-Arm}}
  - name: search
    match: {{prefix: /search}}
    candidate: search
    shadow: {{percent: 100, recheck: 0, baseline: 0}}
    compare: {{headers: [content-type, x-evil]}}
"""

_FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync --disable-dev-shm-usage --hide-scrollbars --force-color-profile=srgb"
)
_T = TypeVar("_T")


def until(condition: Callable[[], _T], within_s: float = 30.0) -> _T:
    """Return what a condition gave once it holds."""
    ends = time.monotonic() + within_s
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < ends, f"it did not come true within {within_s:g} s"
        time.sleep(0.03)


@dataclass(slots=True)
class Shop:
    """The proxy and where its parts are."""

    folder: Path
    listen: str
    admin: str
    scheme: str = "http"  # of `admin`

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> int:
        """One request to the proxy; the status. The path goes out as it is."""
        connection = HTTPConnection(self.listen, timeout=10)
        try:
            connection.putrequest("GET", path, skip_host=True)
            for name, value in {"Host": "shop", **(headers or {})}.items():
                connection.putheader(name, value)
            connection.endheaders()
            response = connection.getresponse()
            response.read()
            return response.status
        finally:
            connection.close()

    def ask(self, path: str) -> str:
        """Ask the API."""
        request = Request(f"{self.scheme}://{self.admin}{path}", headers={"Authorization": f"Bearer {TOKEN}"})
        with urlopen(request, timeout=10, context=_ANY_CERTIFICATE) as response:
            text: str = response.read().decode()
        return text

    def metric(self, name: str, **labels: str) -> float:
        return sum(
            sample.value
            for family in text_string_to_metric_families(self.ask("/metrics"))
            for sample in family.samples
            if sample.name == name and sample.labels | labels == sample.labels
        )

    def edit(self, change: Callable[[str], str]) -> None:
        """Edit routes.yaml as editors do it."""
        file, draft = self.folder / "routes.yaml", self.folder / ".draft"
        draft.write_text(change(file.read_text()))
        draft.replace(file)


class _Evil(BaseHTTPRequestHandler):
    """Whatever it is asked, the answer is hostile."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = json.dumps({"error": f'{EVIL}"><img src=x onerror="window.pwned=2">', EVIL: [EVIL]}).encode()
        self.send_response(404)
        self.send_header("Content-Type", "application/json")
        self.send_header("X-Evil", EVIL)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def _evil() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Evil)
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def _process(folder: Path, log: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "DASHBOARD_TOKEN": TOKEN}
    with (folder / log).open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments], cwd=folder, stdout=file, stderr=file, env=environ
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _port_of(file: Path) -> int:
    """The first line of legacy_stub says where it listens."""

    def port() -> int | None:
        line, end, _ = file.read_text().partition("\n")
        return int(line.rstrip("/").rpartition(":")[2]) if end else None

    return until(port) or 0


@contextmanager
def shop(folder: Path, admin: str = "") -> Iterator[Shop]:
    """legacy_stub, its candidate for orders, a hostile upstream, and the proxy in front of them, ready.

    `admin`: more keys of that name, each with a comma before it.
    """
    with ExitStack() as stack:
        evil = stack.enter_context(_evil())
        data = ("--port", "0", "--data", str(folder / "shop.db"))
        stack.enter_context(_process(folder, "legacy", "legacy_stub", *data))
        legacy = _port_of(folder / "legacy")
        stack.enter_context(_process(folder, "orders", "legacy_stub", *data, "--candidate", "orders"))
        orders = _port_of(folder / "orders")
        (folder / "routes.yaml").write_text(
            ROUTES.format(legacy=legacy, orders=orders, evil=evil, nobody=1, admin=admin)
        )
        stack.enter_context(_process(folder, "log", "strangler", "serve"))

        def ready() -> Shop | None:
            try:
                running = json.loads((folder / "state" / "running.json").read_text())
                scheme = "https" if running["admin_has_tls"] else "http"
                with urlopen(f"{scheme}://{running['admin']}/readyz", timeout=5, context=_ANY_CERTIFICATE):
                    return Shop(folder, running["listen"], running["admin"], scheme)
            except (OSError, ValueError, HTTPError):
                return None

        made = until(ready)
        assert made is not None
        yield made


def find_chromium() -> tuple[str, str]:
    """The browser, and the program that drives it."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    require("" if browser and driver else "a browser (Debian: chromium, chromium-driver)")
    return browser or "", driver or ""


@contextmanager
def chromium(*more_flags: str) -> Iterator[Chrome]:
    """A headless browser with a profile of its own."""
    program, driver = find_chromium()
    options = ChromeOptions()
    for flag in (*_FLAGS.split(), *more_flags):
        options.add_argument(flag)
    options.binary_location = program
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = Chrome(options=options, service=Service(driver))
    try:
        yield browser
    finally:
        browser.quit()


class Window:
    """A browser window: what a person sees and does."""

    def __init__(self, browser: Chrome, shop: Shop) -> None:
        self.browser = browser
        self.shop = shop

    @classmethod
    def at_desk(cls, browser: Chrome, shop: Shop, path: str) -> "Window":
        """Return a window of a desk's size, light, logged in, at a path."""
        made = cls(browser, shop)
        made.size(1280, 900)
        made.scheme("light")
        made.log_in()
        made.open(path)
        return made

    def open(self, path: str) -> None:
        self.browser.get(f"{self.shop.scheme}://{self.shop.admin}{path}")

    def log_in(self) -> None:
        self.open("/login")
        if self.browser.find_elements(By.ID, "token"):
            self.find("#token").send_keys(TOKEN)
            self.find("main button").click()
            until(lambda: self.text("#workers"))

    def find(self, css: str) -> WebElement:
        return self.browser.find_element(By.CSS_SELECTOR, css)

    def click(self, css: str) -> None:
        """Click an element, also if the page is being drawn anew at the moment."""
        until(lambda: self._acted(css, lambda element: element.click()))

    def type(self, css: str, text: str) -> None:
        """Type into an empty field, also if the page is being drawn anew at the moment."""

        def write(element: WebElement) -> None:
            element.clear()
            element.send_keys(text)

        until(lambda: self._acted(css, write) and self.find(css).get_attribute("value") == text)

    def _acted(self, css: str, act: Callable[[WebElement], object]) -> bool:
        try:
            act(self.find(css))
        except StaleElementReferenceException:
            return False
        return True

    def text(self, css: str) -> str:
        """Return the text of the element, also if the page is being redrawn at the moment."""
        found: str | None = self.browser.execute_script("return document.querySelector(arguments[0])?.textContent", css)
        return " ".join((found or "").split())

    def cell(self, route: str, cell: str) -> str:
        """Return a cell in a row of the overview."""
        return self.text(f'[data-route="{route}"] [data-cell="{cell}"]')

    def count(self, route: str, arm: str) -> int:
        return int(self.cell(route, f"{arm}-requests").replace(",", ""))

    def run(self, script: str) -> Any:
        return self.browser.execute_script(f"return {script}")

    def size(self, width: int, height: int, *, phone: bool = False) -> None:
        self.browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 2 if phone else 1, "mobile": phone},
        )

    def scheme(self, name: str) -> None:
        """`light` or `dark`."""
        self.browser.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": name}]}
        )

    def complaints(self) -> list[str]:
        """Return the console's complaints since the last call: errors, and what the content security policy refused."""
        return [entry["message"] for entry in self.browser.get_log("browser")]  # type: ignore[no-untyped-call]

    def faint(self) -> list[Any]:
        """Return the texts whose contrast is below 4.5 to 1 (WCAG 2.2, 1.4.3), with it."""
        found: list[Any] = self.browser.execute_script(_FAINT)
        return found


_FAINT = """
const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
const light = (colour) => {
  const [r, g, b] = parts(colour).map((part) => part / 255).map(
    (part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const paper = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const found = parts(getComputedStyle(at).backgroundColor);
    if (found.length === 3 || found[3] > 0) return getComputedStyle(at).backgroundColor;
  }
  return "rgb(255, 255, 255)";
};
return [...document.querySelectorAll("main *")]
  .filter((element) => !element.closest("svg"))
  .filter((element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim()))
  .map((element) => {
    const [one, other] = [light(getComputedStyle(element).color), light(paper(element))].sort((a, b) => b - a);
    return [(one + 0.05) / (other + 0.05), element.outerHTML.slice(0, 120)];
  })
  .filter(([contrast]) => contrast < 4.5);
"""
