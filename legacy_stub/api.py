"""The JSON API for users and carts. Orders have their own file, since a candidate serves them too."""

from aiohttp import web

from legacy_stub.conditional import Version, conditional
from legacy_stub.responses import json_body, json_error, json_response
from legacy_stub.sessions import remember, session_of
from legacy_stub.shop import Session, Shop, UnknownSku


class UserApi:
    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/api/users", self.list), web.get(r"/api/users/{id:\d+}", self.get)]

    async def list(self, request: web.Request) -> web.Response:
        users = self._shop.users()
        return conditional(request, json_response({"items": users}), Version(users))

    async def get(self, request: web.Request) -> web.Response:
        user = self._shop.user(int(request.match_info["id"]))
        return conditional(request, json_response(user), Version(user)) if user else json_error(404, "no such user")


class CartApi:
    """The API for carts: one per session cookie, which a client without it gets."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/carts", self.get),
            web.post("/api/carts", self.add),
            web.delete("/api/carts", self.empty),
        ]

    async def get(self, request: web.Request) -> web.Response:
        return self._cart(self._session(request))

    async def add(self, request: web.Request) -> web.Response:
        """Put `{"sku": "MUG-01", "quantity": 2}` into the cart."""
        wanted = await json_body(request)
        quantity = wanted.get("quantity", 1)
        if not isinstance(quantity, int) or quantity < 1:
            return json_error(422, "quantity must be 1 or more")
        session = self._session(request)
        try:
            self._shop.put_in_cart(session.sid, str(wanted.get("sku")), quantity)
        except UnknownSku as error:
            return json_error(422, f"no such product: {error}")
        return self._cart(session, 201)

    async def empty(self, request: web.Request) -> web.Response:
        session = self._session(request)
        self._shop.empty_cart(session.sid)
        response = web.Response(status=204)
        remember(response, session)
        return response

    def _session(self, request: web.Request) -> Session:
        return session_of(request) or self._shop.open_session()

    def _cart(self, session: Session, status: int = 200) -> web.Response:
        lines = self._shop.cart(session.sid)
        total = round(sum(line["price"] for line in lines), 2)
        response = json_response({"lines": lines, "total": total}, status)
        remember(response, session)
        return response
