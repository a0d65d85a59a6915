"""Visitors of the shop: people with a user id and cookies, who read pages, call the API, upload, listen."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any

from aiohttp import (
    BaseConnector,
    ClientError,
    ClientSession,
    ClientTimeout,
    CookieJar,
    FormData,
    TCPConnector,
)

from strangler.demo.tally import Seen

VISITORS = 50
_USERS = 200
_ORDERS = 240
_PAUSE_S = 1.0
_STEPS_PER_VISIT = 4
_TIMEOUT = ClientTimeout(total=15)

Record = Callable[[Seen], None]


async def send(proxy: str, record: Record) -> None:
    """Send believable traffic to the proxy's URL until cancelled; each request is told to `record`."""
    async with TCPConnector(limit=0) as connector, asyncio.TaskGroup() as group:
        for _ in range(VISITORS):
            group.create_task(_visit_for_ever(proxy, connector, record, _walk))
        group.create_task(_visit_for_ever(proxy, connector, record, Visit.follow_events))
        group.create_task(_visit_for_ever(proxy, connector, record, Visit.chat))


async def _visit_for_ever(
    proxy: str, connector: BaseConnector, record: Record, stay: "Callable[[Visit], Awaitable[None]]"
) -> None:
    """One visit after the other, each as another user with an empty cookie jar."""
    while True:
        await _pause()
        user_id = random.randint(1, _USERS)  # noqa: S311 (believable, not secret)
        async with ClientSession(
            proxy,
            connector=connector,
            connector_owner=False,
            cookie_jar=CookieJar(unsafe=True),
            headers={"X-User-Id": str(user_id)},
            timeout=_TIMEOUT,
        ) as session:
            await stay(Visit(session, user_id, record))


async def _walk(visit: "Visit") -> None:
    steps = {
        visit.read_pages: 2,
        visit.log_in: 1,
        visit.read_user: 2,
        visit.list_orders: 4,
        visit.read_order: 8,
        visit.place_order: 2,
        visit.fill_cart: 2,
        visit.upload: 1,
    }
    for step in random.choices(list(steps), list(steps.values()), k=_STEPS_PER_VISIT):  # noqa: S311
        await step()
        await _pause()


async def _pause() -> None:
    await asyncio.sleep(random.expovariate(1 / _PAUSE_S))


class Visit:
    """One user at the shop. Every method is a thing that a user does."""

    def __init__(self, session: ClientSession, user_id: int, record: Record) -> None:
        self._session = session
        self._user_id = user_id
        self._record = record

    async def read_pages(self) -> None:
        await self._ask("GET", "/")
        await self._ask("GET", "/catalogue")

    async def log_in(self) -> None:
        page = await self._ask("GET", "/login")
        _, _, rest = page.decode(errors="replace").partition('name="csrf" value="')
        form = {
            "csrf": rest.partition('"')[0],
            "email": f"user{self._user_id}@shop.example",
            "password": "open-sesame",
        }
        await self._ask("POST", "/login", data=form)

    async def read_user(self) -> None:
        await self._ask("GET", f"/api/users/{self._user_id}")

    async def list_orders(self) -> None:
        await self._ask("GET", f"/api/orders?user_id={self._user_id}&per_page=5")

    async def read_order(self) -> None:
        await self._ask("GET", f"/api/orders/{random.randint(1, _ORDERS)}")  # noqa: S311

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
        """Open a websocket and say three things; one request in the tally."""
        failed = False
        try:
            async with self._session.ws_connect("/ws") as socket:
                for number in range(3):
                    await socket.send_str(f"hello {number}")
                    await socket.receive_str()
                    await _pause()
        except (ClientError, TimeoutError, TypeError):  # TypeError: a close frame instead of text
            failed = True
        self._record(Seen(on_route=False, arm=None, failed=failed, duration_s=None))

    async def _ask(self, method: str, path: str, timed: bool = True, **request: Any) -> bytes:
        """One request; its body, or nothing if it failed."""
        begun = monotonic()
        body, arm, failed = b"", None, True
        try:
            async with self._session.request(method, path, **request) as answer:
                body = await answer.read()
                arm = answer.headers.get("X-Strangler-Arm")
                failed = answer.status >= 400
        except (ClientError, TimeoutError):
            pass
        duration_s = monotonic() - begun if timed else None
        self._record(Seen(path.startswith("/api/orders"), arm, failed, duration_s))
        return body
