"""The shop as an aiohttp application: the whole of it, or its orders only."""

from pathlib import Path

from aiohttp import web

from legacy_stub import answers
from legacy_stub.api import CartApi, UserApi
from legacy_stub.drifts import drifted
from legacy_stub.faults import FaultState
from legacy_stub.files import Files
from legacy_stub.live import Live, NoticeBoard
from legacy_stub.orders import OrderApi
from legacy_stub.pages import Pages
from legacy_stub.shop import Json, Shop


def legacy_app(shop: Shop, files: Path, faults: FaultState) -> web.Application:
    """The monolith. files: a folder for uploads."""
    board = NoticeBoard()
    app = _app(faults)
    for part in (
        Pages(shop),
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


def orders_app(shop: Shop, faults: FaultState) -> web.Application:
    """The candidate for `/api/orders`, with the differences that `legacy_stub.drifts` lists."""
    app = _app(faults)
    app.add_routes(OrderApi(shop, NoticeBoard(), tell=drifted).routes())
    return app


def _app(faults: FaultState) -> web.Application:
    app = web.Application(middlewares=[answers.gzip, answers.errors, faults.middleware()])
    app.add_routes([web.get("/healthz", _healthz), *faults.routes()])
    return app


async def _healthz(_: web.Request) -> web.Response:
    return answers.json_answer({"status": "ok"})


def _as_it_is(order: Json) -> Json:
    return order
