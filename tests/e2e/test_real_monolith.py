"""Django with its admin behind `strangler serve`, used by a real browser and by clients that never stop asking, while
/admin and /api are cut over to a second instance and back: no one notices, and every answer is accounted for."""

import gzip
import hashlib
import http.client
import itertools
import json
import os
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.e2e.browsing import find_chromium
from tests.e2e.monolith import PASSWORD, USER, Monolith, monolith
from tests.http1 import proxies

_ROUTES = """
version: 1
listen: 127.0.0.1:{port}
admin: {{listen: "127.0.0.1:{admin}"}}
workers: 2
state: "{state}"
log: {{level: info, format: json, access: true}}
upstreams:
  legacy: {{url: "http://127.0.0.1:FIRST"}}
  second: {{url: "http://127.0.0.1:SECOND"}}
routes:
  - name: admin
    match: {{prefix: /admin}}
    candidate: second
    split: {{percent: 0, sticky: ["cookie:sessionid", client_ip]}}
  - name: api
    match: {{prefix: /api}}
    candidate: second
    split: {{percent: 0, sticky: ["cookie:sessionid", client_ip]}}
"""
_BROWSER_OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--no-proxy-server",
)
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_LATER = {"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}
_CLIENTS = 3


@dataclass(slots=True)
class Site:
    """The application and the proxy in front of it."""

    application: Monolith
    proxy: int
    admin: int
    routes: Path
    edits: int = 0

    def cut_over(self, percent: int) -> None:
        """Edit routes.yaml as editors do, and wait until both workers follow it."""
        draft = self.routes.with_suffix(".draft")
        draft.write_text(re.sub(r"percent: \d+", f"percent: {percent}", self.routes.read_text()))
        draft.replace(self.routes)
        self.edits += 1
        _until(lambda: self._generations() == {self.edits + 1}, "the workers follow the edit")

    def ask_admin(self, path: str) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def _generations(self) -> set[int]:
        status = json.loads(self.ask_admin("/api/status"))
        return {status["config"]["generation"], *(worker["generation"] for worker in status["workers"])}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with monolith(tmp_path_factory.mktemp("monolith")) as application:
        folder = tmp_path_factory.mktemp("strangler")
        text = _ROUTES.replace("FIRST", str(application.first)).replace("SECOND", str(application.second))
        with proxies.strangler(text, folder) as proxy:
            routes = folder / "routes.yaml"
            found = re.search(r'admin: \{listen: "127.0.0.1:(\d+)"', routes.read_text())
            assert found
            yield Site(application, proxy.port, int(found[1]), routes)


def _until(condition: Callable[[], bool], what: str, timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"it never came true: {what}"
        time.sleep(0.02)


# -- one client that keeps its cookies and its connection, and tries nothing twice -------------------------------------

Fields = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    reason: str
    fields: Fields
    body: bytes

    def field(self, name: str) -> str | None:
        return next((value for key, value in self.fields if key.lower() == name), None)


class Client:
    """Where `http.client` finds its connection closed between two requests, it opens another; nothing is sent again."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        self.cookies: dict[str, str] = {}

    def ask(
        self, method: str, path: str, body: bytes | None = None, fields: dict[str, str] | None = None, csrf: bool = True
    ) -> Response:
        sent = {"Host": "shop.example", **(fields or {})}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if csrf and "csrftoken" in self.cookies and method == "POST":
            sent["X-CSRFToken"] = self.cookies["csrftoken"]
        self._connection.request(method, path, body, sent)
        got = self._connection.getresponse()
        response = Response(got.status, got.reason, got.getheaders(), got.read())
        for name, value in response.fields:
            if name.lower() == "set-cookie":
                cookie, _, rest = value.partition(";")[0].partition("=")
                self.cookies[cookie] = rest
        return response

    def log_in(self) -> None:
        self.ask("GET", "/admin/login/")
        form = urlencode({"username": USER, "password": PASSWORD, "next": "/admin/"}).encode()
        response = self.ask("POST", "/admin/login/", form, _FORM)
        assert response.status == 302, response

    def close(self) -> None:
        self._connection.close()


# -- the same pages with and without the proxy -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ask:
    id: str
    method: str
    path: str
    fields: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    csrf: bool = True


def _multipart(name: str, content: bytes) -> tuple[dict[str, str], bytes]:
    head = f'--edge\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
    return {"Content-Type": "multipart/form-data; boundary=edge"}, head + content + b"\r\n--edge--\r\n"


_UPLOAD = _multipart("caf\xe9 1.bin", bytes(range(256)) * 8000)
_REQUESTS = [
    Ask("front page", "GET", "/"),
    Ask("front page, gzip", "GET", "/", {"Accept-Encoding": "gzip"}),
    Ask("login page", "GET", "/admin/login/?next=/admin/"),
    Ask("admin", "GET", "/admin/"),
    Ask("list", "GET", "/admin/shop/product/?o=-1&q="),
    Ask("list, gzip", "GET", "/admin/shop/product/", {"Accept-Encoding": "gzip, br;q=0.5"}),
    Ask("form", "GET", "/admin/shop/product/1/change/"),
    Ask("HEAD", "HEAD", "/admin/shop/product/"),
    Ask("static file", "GET", "/static/admin/css/base.css"),
    Ask("static file, not modified", "GET", "/static/admin/css/base.css", _LATER),
    Ask("slash added", "GET", "/admin/shop/product"),
    Ask("redirect", "GET", "/old"),
    Ask("absolute redirect", "GET", "/moved?from=old"),
    Ask("stream", "GET", "/lines"),
    Ask("stream, gzip", "GET", "/lines", {"Accept-Encoding": "gzip"}),
    Ask("no content", "GET", "/empty"),
    Ask("not found", "GET", "/no/such/page"),
    Ask("script made on the way", "GET", "/admin/jsi18n/"),
    Ask("wrong method", "GET", "/api/notes"),
    Ask("without CSRF token", "POST", "/api/notes", {"Content-Type": "application/json"}, b'{"text": "x"}', csrf=False),
    Ask("upload of 2 MB", "POST", "/api/upload", _UPLOAD[0], _UPLOAD[1]),
    Ask("wrong password", "POST", "/admin/login/", _FORM, b"username=ada&password=x"),
]  # fmt: skip
_NOT_COMPARED = {"date", "expires", "x-strangler-arm", "connection", "keep-alive", "transfer-encoding"}


@pytest.fixture(scope="module")
def pair(site: Site) -> Iterator[tuple[Client, Client]]:
    """One session, asked directly and through the proxy."""
    direct, proxied = Client(site.application.first), Client(site.proxy)
    direct.log_in()
    proxied.cookies = direct.cookies
    yield direct, proxied
    direct.close()
    proxied.close()


@pytest.mark.parametrize("ask", _REQUESTS, ids=lambda ask: ask.id)
def test_the_application_answers_the_same_with_and_without_the_proxy(ask: Ask, pair: tuple[Client, Client]) -> None:
    direct, proxied = (client.ask(ask.method, ask.path, ask.body, dict(ask.fields), ask.csrf) for client in pair)
    assert proxied.field("x-strangler-arm") == "legacy"
    assert _comparable(proxied) == _comparable(direct)


def _has_responses(load: "LoadState", count: int) -> bool:
    return load.responses() > count


def _comparable(response: Response) -> tuple[int, str, Fields, bytes]:
    """Without what differs between any two answers: CSRF tokens, and the padding Django puts into gzip (BREACH);
    without a length in a 204, which RFC 9110 section 8.6 forbids, Django sends and the proxy takes away."""
    is_packed = response.field("content-encoding") == "gzip"
    left_out = _NOT_COMPARED | ({"content-length"} if is_packed or response.status == 204 else set())
    fields = [
        (name, re.sub(r"(csrftoken=)[^;]+|(expires=)[^;]+", r"\1\2", value) if name.lower() == "set-cookie" else value)
        for name, value in response.fields
        if name.lower() not in left_out
    ]
    body = gzip.decompress(response.body) if is_packed else response.body
    token = rb'(name="csrfmiddlewaretoken" value=")[^"]+'
    return response.status, response.reason, fields, re.sub(token, rb"\1", body)


# -- load that counts --------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class LoadState:
    """The requests and responses of one site's clients, each in a thread and a session of its own."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    stop: threading.Event = field(default_factory=threading.Event)
    arms: Counter[str] = field(default_factory=Counter)
    written: list[str] = field(default_factory=list)
    requests: int = 0
    faults: list[str] = field(default_factory=list)

    def responses(self) -> int:
        with self.lock:
            return sum(self.arms.values())


def _ask_on(load: LoadState, port: int, number: int) -> None:
    client = Client(port)
    try:
        client.log_in()
        for turn in itertools.count(1):
            if load.stop.is_set():
                return
            _take_turn(load, client, f"{number}-{turn}", turn)
    except Exception as error:  # whatever it is, the test is to name it
        load.faults.append(repr(error))
    finally:
        client.close()


def _take_turn(load: LoadState, client: Client, text: str, turn: int) -> None:
    """One read that counts in the session, one page of the admin, one write."""
    requests: list[tuple[str, str, bytes | None, int]] = [
        ("GET", "/api/visits", None, 200),
        ("GET", "/admin/shop/product/1/change/", None, 200),
        ("POST", "/api/notes", json.dumps({"text": text}).encode(), 201),
    ]
    for method, path, body, expected in requests:
        with load.lock:
            load.requests += 1
        response = client.ask(method, path, body, {"Content-Type": "application/json"} if body else None)
        with load.lock:
            load.arms[response.field("x-strangler-arm") or "none"] += 1
            if response.status != expected:
                load.faults.append(f"{method} {path}: {response.status}")
            if path == "/api/visits" and json.loads(response.body) != {"user": USER, "visits": turn}:
                load.faults.append(f"turn {turn}: {response.body!r}")
            if response.status == 201:
                load.written.append(text)


@contextmanager
def _load_on(site: Site) -> Iterator[LoadState]:
    load = LoadState()
    threads = [threading.Thread(target=_ask_on, args=(load, site.proxy, number)) for number in range(_CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        load.stop.set()
        for thread in threads:
            thread.join(30)


# -- the browser -------------------------------------------------------------------------------------------------------


class Browser:
    """Chromium at the proxy, and what an operator of the shop does with it."""

    def __init__(self, driver: Chrome, port: int) -> None:
        self.driver = driver
        self.origin = f"http://127.0.0.1:{port}"

    def open(self, path: str) -> None:
        self.driver.get(self.origin + path)

    @property
    def path(self) -> str:
        assert self.driver.current_url.startswith(self.origin), self.driver.current_url
        return str(self.driver.current_url.removeprefix(self.origin))

    @property
    def text(self) -> str:
        return str(self.driver.find_element(By.TAG_NAME, "body").text)

    def fill(self, **fields: str) -> None:
        for name, value in fields.items():
            box = self.driver.find_element(By.NAME, name)
            if box.get_attribute("type") != "file":
                box.clear()
            box.send_keys(value)

    def click(self, selector: str) -> None:
        """Click what leads to another page, and wait for it."""
        page = self.driver.find_element(By.TAG_NAME, "html")
        self.driver.find_element(By.CSS_SELECTOR, selector).click()
        WebDriverWait(self.driver, 10).until(lambda driver: driver.find_element(By.TAG_NAME, "html") != page)

    def log_in(self) -> None:
        self.open("/admin/")
        assert self.path == "/admin/login/?next=/admin/"
        self.fill(username=USER, password=PASSWORD)
        self.click("input[type=submit]")
        assert self.path == "/admin/"

    def add(self, name: str, picture: Path) -> str:
        """A product with a picture; the path of the picture."""
        self.open("/admin/shop/product/add/")
        self.fill(name=name, price="12.50", picture=str(picture))
        self.click("input[name=_continue]")
        assert "was added successfully" in self.text
        return str(self.driver.find_element(By.CSS_SELECTOR, ".file-upload a").get_attribute("href"))

    def rename(self, name: str) -> None:
        """Rename the product of this page."""
        self.fill(name=name)
        self.click("input[name=_continue]")
        assert "was changed successfully" in self.text

    def sha256(self, url: str) -> str:
        """Return the SHA-256 of what the page gets from that address, by fetch."""
        script = """
            const done = arguments[arguments.length - 1];
            fetch(arguments[0]).then(answer => answer.arrayBuffer())
                .then(bytes => crypto.subtle.digest("SHA-256", bytes))
                .then(hash => done([...new Uint8Array(hash)].map(b => b.toString(16).padStart(2, "0")).join("")));
        """
        return str(self.driver.execute_async_script(script, url))

    def say(self, text: str) -> None:
        """Send it over the page's websocket, and wait for the echo."""
        box = self.driver.find_element(By.ID, "say")
        box.clear()
        box.send_keys(text)
        self.driver.find_element(By.ID, "send").click()
        WebDriverWait(self.driver, 10).until(lambda driver: driver.find_element(By.ID, "heard").text == text)

    def live(self) -> dict[str, Any]:
        found: dict[str, Any] = self.driver.execute_script("return window.live")
        return found

    def complaints(self) -> list[str]:
        """Return the console's messages about failed loads and scripts."""
        entries: list[dict[str, str]] = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        return [entry["message"] for entry in entries if entry["level"] == "SEVERE"]


@pytest.fixture
def browser(site: Site, tmp_path: Path) -> Iterator[Browser]:
    chromium, driver_program = find_chromium()
    options = ChromeOptions()
    options.binary_location = chromium
    for option in (*_BROWSER_OPTIONS, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options=options, service=ChromeService(driver_program))
    try:
        driver.set_page_load_timeout(20)
        yield Browser(driver, site.proxy)
    finally:
        driver.quit()


def test_a_browser_and_its_session_survive_a_cutover_under_load_and_its_rollback(
    site: Site, browser: Browser, tmp_path: Path
) -> None:
    picture = tmp_path / "picture.bin"
    picture.write_bytes(os.urandom(1_500_000))
    driver = browser.driver

    browser.log_in()
    uploaded = browser.add("Teapot", picture)
    assert browser.sha256(uploaded) == hashlib.sha256(picture.read_bytes()).hexdigest()
    product = browser.path
    browser.open("/old")
    assert browser.path == "/?from=moved"
    browser.say("caf\xe9")
    shop = driver.current_window_handle
    driver.switch_to.new_window("tab")

    with _load_on(site) as load:
        for percent in (50, 100, 0):
            site.cut_over(percent)
            followed = load.responses()
            before = Counter(load.arms)
            browser.open(product)
            browser.rename(f"Teapot at {percent}")
            _until(partial(_has_responses, load, followed + 12), "the load goes on", 20)
            arrived = load.arms - before
            if percent == 100:
                assert arrived["candidate"] >= 12 - _CLIENTS, "what was under way may still be legacy's"
                assert arrived["legacy"] <= _CLIENTS
    browser.open(product)
    assert driver.find_element(By.NAME, "name").get_attribute("value") == "Teapot at 0"

    driver.switch_to.window(shop)
    browser.say("still here")
    live = browser.live()
    assert not live["closed"]
    assert live["wrong"] == 0
    assert live["heard"] >= live["sent"] - 5, "what was sent last may be under way"
    browser.open("/admin/")
    browser.click("#logout-form button")
    assert "Logged out" in driver.title
    browser.open(product)
    assert browser.path.startswith("/admin/login/?next=")
    assert browser.complaints() == []

    assert load.faults == []
    assert load.responses() == load.requests
    assert load.arms["candidate"] > 0
    assert load.arms["none"] == 0
    wrote = [text for text in site.application.notes() if "-" in text]
    assert sorted(wrote) == sorted(load.written), "every write was run once"
