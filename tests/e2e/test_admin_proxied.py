"""The dashboard behind a real nginx, as a real browser sees it: below a path, by another name, with an unfit Host."""

import json
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By
from yarl import URL

from strangler.demo.children import free_ports
from tests.e2e.browsing import TOKEN, Shop, Window, shop, until
from tests.http1.proxies import NGINX_TOP
from tests.http1.proxies import running as running_process
from tests.needs import require

PREFIX = "/ops/strangler"
NGINX = (
    NGINX_TOP
    + """  server {{
    listen 127.0.0.1:{port};
    proxy_hide_header Referrer-Policy;
    add_header Referrer-Policy no-referrer always;
    proxy_set_header X-Forwarded-For "203.0.113.7";
    proxy_set_header X-Forwarded-User "ana";
    location {prefix}/ {{
      proxy_pass http://{admin}/;
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-Prefix {prefix};
      proxy_set_header X-Forwarded-For "203.0.113.7";
      proxy_set_header X-Forwarded-User "ana";
    }}
    location /unstripped/ {{
      proxy_pass http://{admin};
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-Prefix /unstripped;
    }}
  }}
  server {{
    listen 127.0.0.1:{unfit};
    location / {{ proxy_pass http://{admin}; }}
  }}
}}
"""
)


@contextmanager
def nginx(folder: Path, admin: str) -> Iterator[tuple[int, int]]:
    """Yields the port of the server that fits, and of the one that leaves everything at nginx's defaults."""
    program = which("nginx")
    require("" if program else "nginx")
    port, unfit = free_ports(2)
    file = folder / "nginx.conf"
    file.write_text(NGINX.format(folder=folder, port=port, unfit=unfit, admin=admin, prefix=PREFIX))
    command = [program or "", "-c", str(file), "-e", str(folder / "error.log"), "-p", str(folder)]
    with running_process("nginx", command, port, folder):
        yield port, unfit


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("proxied")


@pytest.fixture(scope="module")
def direct(folder: Path) -> Iterator[Shop]:
    (folder / "shop").mkdir()
    with shop(folder / "shop", ", users: X-Forwarded-User, trusted_proxies: [127.0.0.1]") as made:
        yield made


@pytest.fixture(scope="module")
def ports(folder: Path, direct: Shop) -> Iterator[tuple[int, int]]:
    (folder / "nginx").mkdir()
    with nginx(folder / "nginx", direct.admin) as made:
        yield made


@pytest.fixture
def window(browser: Chrome, direct: Shop, ports: tuple[int, int]) -> Window:
    """Logged in below the path."""
    made = Window(browser, Shop(direct.folder, direct.listen, f"127.0.0.1:{ports[0]}{PREFIX}"))
    made.log_in()
    made.open("/")
    made.complaints()
    return made


def audited(direct: Shop) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads(direct.ask("/api/audit"))["entries"]
    return entries


def _kind(link: str) -> str:
    """Return a link without the values of its query: a table can be sorted and filtered in a thousand ways."""
    url = URL(link)
    return str(url.with_query(dict.fromkeys(url.query, "")))


def test_below_a_path_every_link_leads_to_a_page(window: Window, direct: Shop, ports: tuple[int, int]) -> None:
    origin, seen, ahead = f"http://127.0.0.1:{ports[0]}", set[str](), ["/"]
    direct.get("/api/orders/7", {"X-Strangler-Arm": "legacy"})
    while ahead:
        window.open(ahead.pop())
        assert window.browser.find_elements(By.CSS_SELECTOR, "header nav a"), window.browser.current_url
        assert "Not found" not in window.browser.title, window.browser.current_url
        for link in window.run("[...document.querySelectorAll('a[href]')].map(one => one.href.split('#')[0])"):
            assert link.startswith(f"{origin}{PREFIX}/"), link
            if _kind(link) not in seen:
                seen.add(_kind(link))
                ahead.append(link.removeprefix(origin + PREFIX))
        for form in window.run("[...document.querySelectorAll('form')].map(one => one.action)"):
            assert form.startswith(f"{origin}{PREFIX}/"), form
    assert len(seen) >= 9
    assert window.complaints() == []  # no style, script or stream was missing


def test_below_a_path_the_page_lives_and_its_forms_work(window: Window, direct: Shop) -> None:
    """With `Referrer-Policy: no-referrer` the browser sends `Origin: null`: the form's own mark decides."""
    until(lambda: window.text("#live") == "live")
    before = window.count("orders", "legacy")
    direct.get("/api/orders/7", {"X-Strangler-Arm": "legacy"})
    until(lambda: window.count("orders", "legacy") == before + 1)
    window.find("#reason").send_keys("seen through nginx")
    window.find(".kill button").click()
    until(lambda: window.text("#kill-switch") == "ON")
    assert window.run("location.pathname") == f"{PREFIX}/"
    window.find(".kill button").click()
    until(lambda: window.text("#kill-switch") == "off")
    entry = next(item for item in audited(direct) if item["why"] == "seen through nginx")
    assert entry["who"] == "ana (dashboard 203.0.113.7)"
    assert json.loads(direct.ask("/api/audit?who=ana"))["entries"][0]["what"] == "kill-switch"
    assert direct.ask("/api/audit?who=an").count("seen through nginx") == 0


def test_below_a_path_one_logs_in_and_out_and_the_cookie_stays_there(
    browser: Chrome, window: Window, direct: Shop
) -> None:
    cookies = browser.execute_cdp_cmd("Network.getAllCookies", {})["cookies"]
    assert [(cookie["name"], cookie["path"]) for cookie in cookies] == [("strangler_session", PREFIX)]
    window.find(".leave button").click()
    until(lambda: browser.title == "Log in · Strangler")
    window.open("/routes/orders?span=long")
    window.find("#token").send_keys(TOKEN + Keys.ENTER)
    until(lambda: browser.title == "orders · Strangler")
    assert browser.current_url.endswith(f"{PREFIX}/routes/orders?span=long")


def test_a_dashboard_at_the_root_of_the_same_host_does_not_log_one_out(
    browser: Chrome, window: Window, direct: Shop
) -> None:
    browser.get(f"http://{direct.admin}/login")  # the same host: cookies know no ports
    window.open("/")
    assert window.text("#workers") == "1 of 1"
    browser.delete_all_cookies()


def test_an_unfit_host_is_refused_with_the_cause_and_the_line(
    browser: Chrome, direct: Shop, ports: tuple[int, int]
) -> None:
    browser.get(f"http://127.0.0.1:{ports[1]}/login")
    browser.find_element(By.ID, "token").send_keys(TOKEN + Keys.ENTER)
    until(lambda: browser.title == "Refused · Strangler")
    text = browser.find_element(By.TAG_NAME, "main").text
    assert f"the page's origin is 'http://127.0.0.1:{ports[1]}'" in text
    assert f"the request names the host '{direct.admin}'" in text
    assert "nginx: `proxy_set_header Host $http_host;`" in text


def test_a_path_that_was_not_taken_away_is_named(browser: Chrome, window: Window, ports: tuple[int, int]) -> None:
    browser.get(f"http://127.0.0.1:{ports[0]}/unstripped/signatures")
    text = browser.find_element(By.TAG_NAME, "main").text
    assert "location /unstripped/ { proxy_pass http://HOST:PORT/; }" in text


def test_seven_tabs_do_not_stop_an_eighth(browser: Chrome, window: Window) -> None:
    """A browser keeps six connections to a host: hidden tabs give theirs back, and take one again when shown."""
    first = browser.current_window_handle
    made: list[str] = []
    try:
        for _ in range(8):
            browser.switch_to.new_window("tab")
            made.append(browser.current_window_handle)
            browser.set_page_load_timeout(15)
            window.open("/")
            until(lambda: window.text("#live") == "live", 15)
        browser.switch_to.window(first)
        until(lambda: window.text("#live") == "live", 15)
    finally:
        for handle in made:
            browser.switch_to.window(handle)
            browser.close()
        browser.switch_to.window(first)


def test_a_browser_that_leaves_is_no_error_in_the_log(direct: Shop) -> None:
    host, _, port = direct.admin.partition(":")
    request = f"GET /live?of=/ HTTP/1.1\r\nHost: {direct.admin}\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
    for number in range(24):
        with socket.create_connection((host, int(port)), 5) as item:
            item.sendall(request)
            if number % 3:
                item.recv(100 if number % 3 == 1 else 1 << 20)
            if number % 2:  # a reset, as of a browser that is killed
                item.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        if number % 4 == 0:  # what is drawn anew goes to nobody
            direct.get("/api/orders/7", {"X-Strangler-Arm": "legacy"})
    before = direct.metric("strangler_requests_total", route="orders", arm="legacy")
    direct.get("/api/orders/7", {"X-Strangler-Arm": "legacy"})
    until(lambda: direct.metric("strangler_requests_total", route="orders", arm="legacy") > before)
    log = (direct.folder / "log").read_text()
    assert not re.search(r"(?i)traceback|\berror\b.*(live|handling)|exception", log), log[-3000:]


@pytest.mark.parametrize("path", ["/", "/healthz", "/metrics", "/api/status", "/nowhere", "/static/dashboard.css"])
def test_no_response_names_the_program(direct: Shop, path: str) -> None:
    request = Request(f"http://{direct.admin}{path}", headers={"Authorization": f"Bearer {TOKEN}"})
    try:
        with urlopen(request, timeout=10) as response:
            headers = response.headers
    except HTTPError as error:
        headers = error.headers
    assert headers["Date"]
    assert headers["Server"] is None


@pytest.mark.parametrize(
    "raw", [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nBad Name: x\r\n\r\n", b"\x16\x03\x01\x02\x00"]
)
def test_no_refusal_of_what_is_no_request_names_it(direct: Shop, raw: bytes) -> None:
    host, _, port = direct.admin.partition(":")
    with socket.create_connection((host, int(port)), 5) as item:
        item.sendall(raw + b"\r\n\r\n")
        response = b"".join(iter(lambda: item.recv(4096), b""))
    assert response.startswith(b"HTTP/1.")
    assert b"server:" not in response.lower()
