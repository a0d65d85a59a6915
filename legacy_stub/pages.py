"""The HTML pages of a visitor: home, cart, login, account, and a redirect from an old address."""

import html

from aiohttp import web

from legacy_stub import seed
from legacy_stub.responses import page
from legacy_stub.sessions import csrf_token, forget, is_token_of, remember, session_of
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
            web.get("/catalogue", self.catalogue),
            web.get("/cart", self.cart),
            web.get("/login", self.login_form),
            web.post("/login", self.login),
            web.post("/logout", self.logout),
            web.get("/account", self.account),
        ]

    async def home(self, request: web.Request) -> web.Response:
        products = "".join(f"<li>{html.escape(item['name'])}</li>" for item in self._shop.products()[:3])
        return page(
            "Welcome",
            f"<p>Tea, and what to drink it from. Today:</p><ul>{products}</ul>\n"
            f'<p class="visits">This is your visit number {_visitor(request).visits}.</p>',
        )

    async def catalogue(self, request: web.Request) -> web.Response:
        raise web.HTTPFound("/products")

    async def cart(self, request: web.Request) -> web.Response:
        lines = self._shop.cart(_visitor(request).sid)
        rows = "\n".join(
            f'<tr><td>{line["quantity"]} × {line["sku"]}</td><td class="price">{line["price"]:.2f} €</td></tr>'
            for line in lines
        )
        total = sum(line["price"] for line in lines)
        return page("Cart", f'<table>\n{rows}\n</table>\n<p class="total">{total:.2f} €</p>')

    async def login_form(self, request: web.Request) -> web.Response:
        return self._form(_visitor(request))

    async def login(self, request: web.Request) -> web.Response:
        """Redirect to the account; 403 without the form's own token, 401 for a wrong password."""
        session = _visitor(request)
        form = await request.post()
        if not is_token_of(session, str(form.get("csrf", ""))):
            raise web.HTTPForbidden(reason="This form has expired. Please load it again.")
        user_id = self._shop.user_id_of(str(form.get("email")))
        if user_id is None or form.get("password") != seed.PASSWORD:
            return self._form(session, "<p>Unknown e-mail or wrong password.</p>", 401)
        response = web.Response(status=302, headers={"Location": "/account"})
        remember(response, self._shop.open_session(user_id, former=session))
        return response

    async def logout(self, request: web.Request) -> web.Response:
        response = web.Response(status=302, headers={"Location": "/"})
        forget(response)
        return response

    async def account(self, request: web.Request) -> web.Response:
        session = _visitor(request)
        if session.user_id is None:
            raise web.HTTPFound("/login")
        user = self._shop.user(session.user_id) or {}
        orders, total = self._shop.orders(OrderFilter(user_id=session.user_id, per_page=5))
        rows = "".join(f"<li>Order {order['id']}: {order['status']}</li>" for order in orders)
        return page("Account", f"<p>{html.escape(user['name'])}, {total} orders.</p><ul>{rows}</ul>")

    def _form(self, session: Session, notice: str = "", status: int = 200) -> web.Response:
        token = csrf_token(session)
        return page("Log in", _LOGIN_FORM.format(notice=notice, csrf=token), status, token)


def _visitor(request: web.Request) -> Session:
    """Return the session of a page's visitor: the middleware has opened one if there was none."""
    session = session_of(request)
    assert session is not None
    return session
