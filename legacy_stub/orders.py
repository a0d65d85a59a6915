"""The API for orders: the endpoint that moves. Legacy and candidate run this same code."""

from collections.abc import Callable

from aiohttp import MultipartWriter, web

from legacy_stub.conditional import Version, conditional
from legacy_stub.live import NoticeBoard
from legacy_stub.responses import json_body, json_error, json_response, timestamp
from legacy_stub.seed import STATUSES
from legacy_stub.shop import Json, OrderFilter, Shop, UnknownSku

_MOST_PER_PAGE = 100


class OrderApi:
    """The API for orders. tell: returns an order as clients get it; the candidate's adds drifts."""

    def __init__(self, shop: Shop, board: NoticeBoard, tell: Callable[[Json], Json]) -> None:
        self._shop = shop
        self._board = board
        self._publish = tell

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/orders", self.list),
            web.post("/api/orders", self.place),
            web.get(r"/api/orders/{id:\d+}", self.get),
            web.put(r"/api/orders/{id:\d+}", self.change),
            web.delete(r"/api/orders/{id:\d+}", self.delete),
            web.get(r"/api/orders/{id:\d+}/papers", self.papers),
        ]

    async def list(self, request: web.Request) -> web.Response:
        """Return a page of orders, by `?status=shipped&user_id=7&page=2&per_page=10`."""
        order_filter = _filter_of(request)
        orders, total = self._shop.orders(order_filter)
        page = {
            "items": [self._publish(order) for order in orders],
            "page": order_filter.page,
            "per_page": order_filter.per_page,
            "total": total,
        }
        return conditional(request, json_response({**page, "generated_at": timestamp()}), Version(page))

    async def get(self, request: web.Request) -> web.Response:
        number = _number_of(request)
        response = self._response(number)
        return conditional(request, response, Version(self._shop.order(number))) if response.status == 200 else response

    async def place(self, request: web.Request) -> web.Response:
        """Place `{"user_id": 7, "lines": [{"sku": "MUG-01", "quantity": 2}], "gift_note": "…"}`."""
        order = await json_body(request)
        try:
            user_id = int(order["user_id"])
            lines = [(str(line["sku"]), int(line.get("quantity", 1))) for line in order["lines"]]
            number = self._shop.place_order(user_id, lines, order.get("gift_note"))
        except UnknownSku as error:
            return json_error(422, f"no such product: {error}")
        except (KeyError, TypeError, ValueError, AttributeError):
            return json_error(422, "an order needs user_id and lines of sku and quantity")
        self._board.post(f"order {number} placed")
        response = self._response(number, 201)
        response.headers["Location"] = f"/api/orders/{number}"
        return response

    async def change(self, request: web.Request) -> web.Response:
        """Change an order by `{"status": "paid", "gift_note": null}`."""
        order = await json_body(request)
        number, status = _number_of(request), order.get("status")
        if status not in STATUSES:
            return json_error(422, f"status must be one of {', '.join(STATUSES)}")
        if self._shop.change_order(number, status, order.get("gift_note")):
            self._board.post(f"order {number} {status}")
        return self._response(number)

    async def delete(self, request: web.Request) -> web.Response:
        if not self._shop.delete_order(_number_of(request)):
            return json_error(404, "no such order")
        return web.Response(status=204)

    async def papers(self, request: web.Request) -> web.Response:
        """Return the parcel's papers as multipart/mixed: a packing list for machines, a slip for people."""
        order = self._shop.order(_number_of(request))
        if order is None:
            return json_error(404, "no such order")
        items = [{"sku": line["sku"], "quantity": line["quantity"]} for line in order["lines"]]
        slip = "".join(f"{item['quantity']} x {item['sku']}\r\n" for item in items)
        papers = MultipartWriter("mixed")
        papers.append_json({"order": order["id"], "items": items})
        papers.append(f"Order {order['id']}\r\n{slip}")
        return web.Response(body=papers, headers={"Content-Type": papers.content_type})

    def _response(self, number: int, status: int = 200) -> web.Response:
        order = self._shop.order(number)
        if order is None:
            return json_error(404, "no such order")
        return json_response({**self._publish(order), "generated_at": timestamp()}, status)


def _number_of(request: web.Request) -> int:
    return int(request.match_info["id"])


def _filter_of(request: web.Request) -> OrderFilter:
    """Return the filter of a query. Raises 400 (HTTPBadRequest)."""
    query = request.query
    try:
        user_id = int(query["user_id"]) if "user_id" in query else None
        page, per_page = int(query.get("page", 1)), int(query.get("per_page", 20))
    except ValueError:
        raise web.HTTPBadRequest(reason="user_id, page and per_page are numbers") from None
    if page < 1 or not 1 <= per_page <= _MOST_PER_PAGE:
        raise web.HTTPBadRequest(reason=f"page counts from 1, per_page from 1 to {_MOST_PER_PAGE}")
    return OrderFilter(query.get("status"), user_id, page, per_page)
