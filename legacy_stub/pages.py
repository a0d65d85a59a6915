"""The HTML pages: home, products, login, account, and a redirect for an address of old times."""

import html
import secrets

from aiohttp import web

from legacy_stub import seed
from legacy_stub.answers import page, remember, session_of, with_etag
from legacy_stub.shop import OrderFilter, Session, Shop

_LOGIN_FORM = """{notice}
<form method="post" action="/login">
<input type="hidden" name="csrf" value="{csrf}">
<label>E-mail <input name="email" type="email" required></label>
<label>Password <input name="password" type="password" required></label>
<button>Log in</button>
</form>"""


class Pages:
    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/", self.home),
            web.get("/products", self.products),
            web.get("/catalogue", self.catalogue),
            web.get("/login", self.login_form),
            web.post("/login", self.login),
            web.post("/logout", self.logout),
            web.get("/account", self.account),
        ]

    async def home(self, request: web.Request) -> web.Response:
        products = "".join(f"<li>{html.escape(item['name'])}</li>" for item in self._shop.products()[:3])
        return page("Welcome", f"<p>Tea, and what to drink it from. Today:</p><ul>{products}</ul>")

    async def products(self, request: web.Request) -> web.Response:
        rows = "\n".join(
            f"<tr><td>{html.escape(item['name'])}</td><td>{item['cents'] / 100:.2f} €</td></tr>"
            for item in self._shop.products()
        )
        return with_etag(request, page("Products", f"<table>\n{rows}\n</table>"))

    async def catalogue(self, request: web.Request) -> web.Response:
        raise web.HTTPFound("/products")

    async def login_form(self, request: web.Request) -> web.Response:
        session = session_of(request, self._shop) or self._shop.open_session()
        return self._form(session)

    async def login(self, request: web.Request) -> web.Response:
        """303 to the account; 403 without the form's own token, 401 for a wrong password."""
        session = session_of(request, self._shop)
        form = await request.post()
        if session is None or not secrets.compare_digest(str(form.get("csrf", "")), session.csrf):
            raise web.HTTPForbidden(reason="This form has expired. Please load it again.")
        user_id = self._shop.user_id_of(str(form.get("email")))
        if user_id is None or form.get("password") != seed.PASSWORD:
            return self._form(session, "<p>Unknown e-mail or wrong password.</p>", 401)
        answer = web.Response(status=303, headers={"Location": "/account"})
        return remember(answer, self._shop.open_session(user_id, former=session))

    async def logout(self, request: web.Request) -> web.Response:
        answer = web.Response(status=303, headers={"Location": "/"})
        answer.del_cookie("sid")
        return answer

    async def account(self, request: web.Request) -> web.Response:
        session = session_of(request, self._shop)
        if session is None or session.user_id is None:
            raise web.HTTPFound("/login")
        user = self._shop.user(session.user_id) or {}
        orders, total = self._shop.orders(OrderFilter(user_id=session.user_id, per_page=5))
        rows = "".join(f"<li>Order {order['id']}: {order['status']}</li>" for order in orders)
        return page("Account", f"<p>{html.escape(user['name'])}, {total} orders.</p><ul>{rows}</ul>")

    def _form(self, session: Session, notice: str = "", status: int = 200) -> web.Response:
        return remember(page("Log in", _LOGIN_FORM.format(notice=notice, csrf=session.csrf), status), session)
