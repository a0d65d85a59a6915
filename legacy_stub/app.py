"""The shop as an aiohttp application: the whole of it, or the part that a candidate serves."""

from pathlib import Path
from typing import Literal

from aiohttp import web

from legacy_stub import responses
from legacy_stub.api import CartApi, UserApi
from legacy_stub.build import BUILD, Build, name_release, rewrite
from legacy_stub.drifts import NAMES, drifted
from legacy_stub.dry_runs import dry_runs
from legacy_stub.faults import FaultState
from legacy_stub.files import Files
from legacy_stub.live import Live, NoticeBoard
from legacy_stub.orders import OrderApi
from legacy_stub.pages import Pages
from legacy_stub.products import Products
from legacy_stub.sessions import Visits, sessions
from legacy_stub.shop import Json, Shop

Part = Literal["orders", "shop"]

LEGACY = Build()
CANDIDATE = rewrite(None, frozenset(NAMES), knows_shadows=True)


def legacy_app(shop: Shop, files: Path, faults: FaultState, build: Build = LEGACY) -> web.Application:
    """Return the monolith. files: a folder for uploads."""
    board = NoticeBoard()
    app = _app(shop, faults, build)
    for part in (
        Pages(shop),
        Products(shop),
        Visits(shop),
        UserApi(shop),
        CartApi(shop),
        OrderApi(shop, board, tell=_as_it_is),
        Files(shop, files),
        Live(board),
    ):
        app.add_routes(part.routes())

    async def close_streams(_: web.Application) -> None:
        board.post(None)

    app.on_shutdown.append(close_streams)
    return app


def candidate_app(part: Part, shop: Shop, faults: FaultState, build: Build = CANDIDATE) -> web.Application:
    """Return the candidate for `/api/orders`, as `shop` also for products and their feed, with its build's drifts."""

    def tell(order: Json) -> Json:
        return drifted(order, build.drifts)

    app = _app(shop, faults, build)
    app.add_routes(OrderApi(shop, NoticeBoard(), tell).routes())
    if part == "shop":
        app.add_routes(Products(shop).routes())
    return app


def _app(shop: Shop, faults: FaultState, build: Build) -> web.Application:
    """Return an application. Failed requests count as visits, too; dry runs are inside everything that waits."""
    inwards = [responses.gzip, sessions(shop), faults.middleware(), dry_runs(shop), responses.errors]
    app = web.Application(middlewares=inwards)
    app[BUILD] = build
    app.on_response_prepare.append(name_release)
    app.add_routes([web.get("/healthz", _healthz), *faults.routes()])
    return app


async def _healthz(_: web.Request) -> web.Response:
    return responses.json_response({"status": "ok"})


def _as_it_is(order: Json) -> Json:
    return order
