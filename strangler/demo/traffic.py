"""Visitors of the shop: people with cookies, who read pages, call the API, upload, listen; and apps without cookies.

Each visitor counts the requests of its session, and at the end gets the shop's own count: the two are the same unless
something else sent the shop requests with that session.
"""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any

from aiohttp import (
    BaseConnector,
    ClientError,
    ClientSession,
    ClientTimeout,
    CookieJar,
    DummyCookieJar,
    FormData,
    TCPConnector,
)

from strangler.demo.tally import SeenRequest, TallyState

VISITORS = 50
_APPS = 10
_USERS = 200
_ORDERS = 240
_SKUS = ("MUG-01", "MUG-02", "TEA-01", "TEA-02", "POT-01", "KET-01")
_PAUSE_S = 1.0
_BUSY_PAUSE_S = 0.15
_STEPS_PER_VISIT = 4
_TIMEOUT = ClientTimeout(total=15)


async def send(proxy: str, tally: TallyState, closing: asyncio.Event, busy_apps: int = 0) -> None:
    """Send believable traffic to the proxy's URL until `closing` is set and every visitor has finished.

    `busy_apps`: how many apps there are beside the visitors that do nothing but read orders, several times a second.
    """
    async with TCPConnector(limit=0) as connector, asyncio.TaskGroup() as group:
        road = _Road(proxy, connector, tally, closing)
        busy_road = replace(road, pause_s=_BUSY_PAUSE_S)
        for _ in range(busy_apps):
            group.create_task(_visit_often(busy_road, _follow_orders))
        listeners = [group.create_task(_visit_often(road, stay)) for stay in (Visit.follow_events, Visit.chat)]
        for number in range(VISITORS):
            group.create_task(_visit_often(road, _use_app if number < _APPS else _walk))
        await closing.wait()
        for listener in listeners:  # they would never end by themselves
            listener.cancel()


@dataclass(frozen=True, slots=True)
class _Road:
    """The settings that all visitors share on their way to the shop."""

    proxy: str
    connector: BaseConnector
    tally: TallyState
    closing: asyncio.Event
    pause_s: float = _PAUSE_S

    async def pause(self) -> None:
        """Wait for about `pause_s`, but not beyond the closing."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.closing.wait(), random.expovariate(1 / self.pause_s))


async def _visit_often(road: _Road, stay: "Callable[[Visit], Awaitable[None]]") -> None:
    """Make one visit after the other, each as another user with an empty cookie jar."""
    while not road.closing.is_set():
        await road.pause()
        user_id = random.randint(1, _USERS)  # noqa: S311 (believable, not secret)
        async with ClientSession(
            road.proxy,
            connector=road.connector,
            connector_owner=False,
            cookie_jar=CookieJar(unsafe=True) if stay not in _COOKIELESS else DummyCookieJar(),
            headers={"X-User-Id": str(user_id)},
            timeout=_TIMEOUT,
        ) as session:
            visit = Visit(session, user_id, road)
            await stay(visit)
            await visit.settle()


async def _walk(visit: "Visit") -> None:
    """Take steps as people do."""
    steps = {
        visit.read_pages: 2,
        visit.read_product: 6,
        visit.buy: 2,
        visit.log_in: 1,
        visit.read_user: 2,
        visit.list_orders: 4,
        visit.read_order: 8,
        visit.place_order: 2,
        visit.fill_cart: 2,
        visit.upload: 1,
    }
    await visit.take_steps(steps)


async def _use_app(visit: "Visit") -> None:
    """Take steps as programs do, which keep no cookies."""
    steps = {
        visit.read_user: 1,
        visit.list_orders: 4,
        visit.read_order: 8,
        visit.read_papers: 1,
        visit.read_feed: 2,
        visit.read_prices: 2,
    }
    await visit.take_steps(steps)


async def _follow_orders(visit: "Visit") -> None:
    """Look up orders, again and again."""
    await visit.take_steps({visit.list_orders: 1, visit.read_order: 4})


_COOKIELESS = (_use_app, _follow_orders)

Step = Callable[[], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class _Got:
    """A response, or none: status 0."""

    status: int = 0
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def token(self) -> str:
        """The CSRF token of the page's form."""
        _, _, rest = self.body.decode(errors="replace").partition('name="csrf"')
        return rest.partition('value="')[2].partition('"')[0]


class Visit:
    """One user at the shop, with a method for each thing that a user does."""

    def __init__(self, session: ClientSession, user_id: int, road: _Road) -> None:
        self._session = session
        self._user_id = user_id
        self._road = road
        self._made = 0
        self._is_sure = True
        self._validators: dict[str, dict[str, str]] = {}  # by path, as a browser's cache has them

    async def take_steps(self, steps: Mapping[Step, int]) -> None:
        """Take some of the steps, by weight."""
        for step in random.choices(list(steps), list(steps.values()), k=_STEPS_PER_VISIT):  # noqa: S311
            if self._road.closing.is_set():
                return
            await step()
            await self._road.pause()

    async def settle(self) -> None:
        """Get the shop's count of visits, unless a request has failed: then the visitor's own count is unsure."""
        if not self._made or not self._is_sure:
            return
        made, got = self._made, await self._ask("GET", "/api/visits")
        if got.status == 200:
            self._road.tally.settle(made, json.loads(got.body)["visits"])

    async def read_pages(self) -> None:
        await self._ask("GET", "/")
        await self._ask("GET", "/catalogue")

    async def read_product(self) -> None:
        """Look at a product, and at the list before and after; as in a browser, known pages are revalidated."""
        await self._browse("/products")
        await self._browse(f"/products/{random.choice(_SKUS)}")  # noqa: S311
        await self._browse("/products")

    async def buy(self) -> None:
        """Put a product into the cart by the form of its page, which leads to the cart."""
        path = f"/products/{random.choice(_SKUS)}"  # noqa: S311
        page = await self._ask("GET", path)
        await self._ask("POST", f"{path}/cart", data={"csrf": page.token, "quantity": "1"})

    async def log_in(self) -> None:
        page = await self._ask("GET", "/login")
        email = f"user{self._user_id}@shop.example"
        await self._ask("POST", "/login", data={"csrf": page.token, "email": email, "password": "open-sesame"})

    async def read_user(self) -> None:
        await self._ask("GET", f"/api/users/{self._user_id}")

    async def list_orders(self) -> None:
        await self._browse(f"/api/orders?user_id={self._user_id}&per_page=5")

    async def read_order(self) -> None:
        await self._ask("GET", f"/api/orders/{_some_order()}")

    async def read_papers(self) -> None:
        await self._ask("GET", f"/api/orders/{_some_order()}/papers")

    async def read_feed(self) -> None:
        await self._browse("/feed.xml")

    async def read_prices(self) -> None:
        """Read the list of prices in two parts; the second only if the list has not changed."""
        first = await self._ask("GET", "/products/prices.csv", headers={"Range": "bytes=0-199"})
        going_on = {"Range": "bytes=200-", "If-Range": first.headers.get("ETag", "")}
        await self._ask("GET", "/products/prices.csv", headers=going_on)

    async def place_order(self) -> None:
        order = {"user_id": self._user_id, "lines": [{"sku": "MUG-01", "quantity": 2}]}
        await self._ask("POST", "/api/orders", json=order)

    async def fill_cart(self) -> None:
        await self._ask("POST", "/api/carts", json={"sku": "TEA-01", "quantity": 1})
        await self._ask("GET", "/api/carts")

    async def upload(self) -> None:
        form = FormData()
        form.add_field("file", b"a picture of a teapot\n" * 500, filename="teapot.txt")
        await self._ask("POST", "/api/files", data=form)

    async def follow_events(self) -> None:
        await self._ask("GET", "/events?limit=3", timed=False)

    async def chat(self) -> None:
        """Open a websocket and send three messages; one request in the tally."""
        failed = False
        try:
            async with self._session.ws_connect("/ws") as socket:
                for number in range(3):
                    await socket.send_str(f"hello {number}")
                    await socket.receive_str()
                    await self._road.pause()
        except (ClientError, TimeoutError, TypeError):  # TypeError: a close frame instead of text
            failed = True
        self._road.tally.record(SeenRequest(on_route=False, arm=None, failed=failed, duration_s=None))

    async def _browse(self, path: str) -> None:
        """Send a GET as a browser does that may have the page already (RFC 9111 section 4.3.1)."""
        got = await self._ask("GET", path, headers=self._validators.get(path, {}))
        known = (("If-None-Match", "ETag"), ("If-Modified-Since", "Last-Modified"))
        self._validators[path] = {ask: got.headers[name] for ask, name in known if name in got.headers}

    async def _ask(self, method: str, path: str, timed: bool = True, **request: Any) -> _Got:
        """Send one request, follow its redirects, and enter it in the tally."""
        begun = monotonic()
        got, arm, failed, visits = _Got(), None, True, None
        try:
            async with self._session.request(method, path, **request) as response:
                got = _Got(response.status, await response.read(), response.headers)
                arm = response.headers.get("X-Strangler-Arm")
                failed = response.status >= 400
                visits = None if response.status >= 500 else 1 + len(response.history)
        except (ClientError, TimeoutError):
            pass
        self._count(visits)
        duration_s = monotonic() - begun if timed else None
        self._road.tally.record(SeenRequest(path.startswith("/api/orders"), arm, failed, duration_s))
        return got

    def _count(self, visits: int | None) -> None:
        """Count requests that came with a session or opened one. None: it is unknown whether the shop has seen them."""
        if visits is None:
            self._is_sure = False
        elif any(cookie.key == "sid" for cookie in self._session.cookie_jar):
            self._made += visits


def _some_order() -> int:
    return random.randint(1, _ORDERS)  # noqa: S311
