"""Shadows look and change nothing: a real Django with sessions and CSRF protection, all of it shadowed, nothing split.

Each response of its candidate differs, so that whatever is asked a second time is asked a second time here. The sample
shop's own candidate is asked to place orders, whether it knows dry runs or not.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, CookieJar, web

from strangler.demo.children import ChildrenState, free_ports
from tests.e2e.monolith import PASSWORD, USER, Monolith, monolith
from tests.e2e.serving import Proxy
from tests.e2e.shadowing import Arm, arm

VIEWS = 50

ROUTES = """\
version: 1
listen: 127.0.0.1:0
admin: {{listen: 127.0.0.1:0}}
state: state
upstreams:
  legacy: {{url: "http://127.0.0.1:{legacy}"}}
  rewrite: {{url: "http://127.0.0.1:{candidate}"}}
routes:
  - name: site
    match: {{prefix: /}}
    candidate: rewrite
    split: {{percent: 0}}
    shadow: {{percent: 100, baseline: {baseline}, recheck: 50ms, in_flight: 512{writes}}}
"""
"""Looks are made soon, and there is room for all of them: none is missing by chance."""

DRY_RUNS = ", methods: [GET, POST], writes: dry_run"


@pytest.fixture(scope="module")
def django(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monolith]:
    with monolith(tmp_path_factory.mktemp("monolith")) as application:
        yield application


@dataclass(slots=True)
class Site:
    """Django behind the proxy, a candidate that says otherwise, and one visitor.

    shadowed: the methods that get shadows. expected: how many requests with such a method were sent.
    """

    django: Monolith
    proxy: Proxy
    candidate: Arm
    visitor: ClientSession
    shadowed: set[str]
    expected: int = 0

    async def ask(self, method: str, path: str, **request: Any) -> tuple[int, str]:
        """Send one request; status and text of its response."""
        self.expected += method in self.shadowed
        async with self.visitor.request(method, path, allow_redirects=False, **request) as response:
            assert response.headers["X-Strangler-Arm"] == "legacy"
            return response.status, await response.text()

    async def log_in(self) -> None:
        """Log in by the form of the admin, as a browser does."""
        _, page = await self.ask("GET", "/admin/login/")
        form = {"csrfmiddlewaretoken": _token(page), "username": USER, "password": PASSWORD, "next": "/admin/"}
        status, text = await self.ask("POST", "/admin/login/", data=form)
        assert status == 302, text

    async def visits(self) -> int:
        """Return the visit counter of the session; to ask is a visit, too."""
        status, text = await self.ask("GET", "/api/visits")
        assert status == 200, text
        found: dict[str, Any] = json.loads(text)
        assert found["user"] == USER
        return int(found["visits"])

    async def write_note(self, text: str) -> None:
        token = {cookie.key: cookie.value for cookie in self.visitor.cookie_jar}["csrftoken"]
        status, output = await self.ask("POST", "/api/notes", json={"text": text}, headers={"X-CSRFToken": token})
        assert status == 201, output

    async def all_compared(self) -> None:
        await _all_compared(self.proxy, self.expected)


async def _all_compared(proxy: Proxy, count: int) -> None:
    """Wait until so many shadows have come to something, second looks included."""

    async def is_through() -> bool:
        names = ("strangler_shadow_comparisons_total", "strangler_shadow_dropped_total")
        return sum([await proxy.metric(name) for name in names]) >= count

    await proxy.until(is_through)


def _token(page: str) -> str:
    """Return the CSRF token of a page's form."""
    return page.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]


async def _says_otherwise(request: web.Request) -> web.StreamResponse:
    """A candidate whose every response differs, and differs from itself; it confirms dry runs."""
    headers = {"X-Strangler-Shadow-Handled": "1"} if "X-Strangler-Shadow" in request.headers else None
    return web.json_response({"otherwise": True, "number": id(request)}, status=202, headers=headers)


@asynccontextmanager
async def _site(django: Monolith, folder: Path, baseline: str, writes: str = "") -> AsyncIterator[Site]:
    async with arm(_says_otherwise) as candidate:
        proxy = Proxy(folder, django.first)
        proxy.file.write_text(
            ROUTES.format(legacy=django.first, candidate=candidate.port, baseline=baseline, writes=writes)
        )
        try:
            await proxy.start()
            url = f"http://127.0.0.1:{proxy.port}"
            async with ClientSession(url, cookie_jar=CookieJar(unsafe=True)) as visitor:
                yield Site(django, proxy, candidate, visitor, {"GET", "POST"} if writes else {"GET"})
        finally:
            await proxy.stop()


async def test_a_visitors_session_counts_what_the_visitor_did(django: Monolith, tmp_path: Path) -> None:
    async with _site(django, tmp_path, baseline="100%") as site:
        await site.log_in()
        counted = [await site.visits() for _ in range(VIEWS)]
        assert counted == list(range(1, VIEWS + 1)), "not one request in between"
        await site.all_compared()
        assert await site.visits() == VIEWS + 1, "nor after all looks"
        assert len([shadow for shadow in site.candidate.shadows if shadow.target == "/api/visits"]) >= VIEWS


async def test_a_page_after_each_look_counts_once(django: Monolith, tmp_path: Path) -> None:
    """Each look is over before the next page: an extra request would show in the very next number."""
    async with _site(django, tmp_path, baseline="100%") as site:
        await site.log_in()
        for number in range(1, 11):
            assert await site.visits() == number
            await site.all_compared()


async def test_login_works_and_its_session_holds_while_all_is_shadowed(django: Monolith, tmp_path: Path) -> None:
    async with _site(django, tmp_path, baseline="100%", writes=DRY_RUNS) as site:
        await site.log_in()
        await site.all_compared()
        status, page = await site.ask("GET", "/admin/")
        assert status == 200, "the session that login opened"
        assert "Log out" in page
        assert (await site.ask("POST", "/admin/logout/", data={"csrfmiddlewaretoken": _token(page)}))[0] == 200
        await site.all_compared()
        assert (await site.ask("GET", "/admin/"))[0] == 302, "logged out is logged out"
        await site.log_in()
        await site.all_compared()
        assert await site.visits() == 1, "a new session"


@pytest.mark.parametrize("writes", ["", DRY_RUNS], ids=["skipped", "dry-run"])
async def test_a_write_arrives_once(django: Monolith, tmp_path: Path, writes: str) -> None:
    async with _site(django, tmp_path, baseline="100%", writes=writes) as site:
        await site.log_in()
        texts = [f"{tmp_path.name} {number}" for number in range(20)]
        for text in texts:
            await site.write_note(text)
        await site.all_compared()
        notes = await asyncio.to_thread(django.notes)
        assert [note for note in notes if note.startswith(tmp_path.name)] == texts
        written = [heard for heard in site.candidate.heard if heard.method == "POST" and heard.target == "/api/notes"]
        assert len(written) <= (len(texts) if writes else 0)
        assert {heard.value("X-Strangler-Shadow") for heard in written} <= {"dry-run"}
        assert bool(written) == bool(writes)


async def test_who_asks_for_credentials_in_the_baseline_gets_extra_visits(django: Monolith, tmp_path: Path) -> None:
    """It is the one setting that does this; an extra request is seen by the tests above, if there is one."""
    async with _site(django, tmp_path, baseline="{share: 100%, credentials: true}") as site:
        await site.log_in()
        made = 0

        async def counts_more() -> bool:
            nonlocal made
            made += 1
            return await site.visits() > made

        await site.proxy.until(counts_more)


@pytest.mark.parametrize("knows", [True, False], ids=["that-knows-dry-runs", "that-knows-none"])
async def test_no_order_is_placed_at_a_candidate(tmp_path: Path, knows: bool) -> None:
    """Not one of fifty at once, and where the candidate cannot say that it knows dry runs, shadowing stops."""
    shops, ports = ChildrenState(tmp_path), free_ports(2)
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    stub = (sys.executable, "-m", "legacy_stub", "--port")
    proxy = Proxy(tmp_path, ports[0])
    proxy.file.write_text(ROUTES.format(legacy=ports[0], candidate=ports[1], baseline="0", writes=DRY_RUNS))
    try:
        await shops.start("legacy", *stub, str(ports[0]), ready=f"{urls[0]}/healthz")
        options = ("--candidate", "orders", *(() if knows else ("--unaware",)))
        await shops.start("candidate", *stub, str(ports[1]), *options, ready=f"{urls[1]}/healthz")
        await proxy.start()
        before = [await _orders_at(url) for url in urls]
        async with ClientSession(f"http://127.0.0.1:{proxy.port}") as client, asyncio.TaskGroup() as group:
            for _ in range(VIEWS):
                group.create_task(_place_order(client))
        await _all_compared(proxy, VIEWS)
        placed = [after - former for after, former in zip([await _orders_at(url) for url in urls], before, strict=True)]
        assert placed == [VIEWS, 0]
        assert await proxy.metric("strangler_shadow_stopped", route="site") == (not knows)
        if knows:
            assert await proxy.metric("strangler_shadow_comparisons_total", outcome="mismatch") > 0, (
                "dry runs were made"
            )
    finally:
        await proxy.stop()
        await shops.stop()


async def _orders_at(url: str) -> int:
    async with ClientSession() as client, client.get(f"{url}/api/orders") as response:
        return int((await response.json())["total"])


async def _place_order(client: ClientSession) -> None:
    order = {"user_id": 3, "lines": [{"sku": "MUG-01", "quantity": 2}]}
    async with client.post("/api/orders", json=order) as response:
        assert response.status == 201
