"""The pages of products, each with a form, and their data for machines: a feed and a list of prices."""

import csv
import html
import io
from xml.sax.saxutils import escape

from aiohttp import web

from legacy_stub.build import BUILD, Build
from legacy_stub.conditional import Version, conditional
from legacy_stub.drifts import CENTS_LOST, SEE_OTHER
from legacy_stub.responses import page
from legacy_stub.sessions import csrf_token, is_token_of, session_of
from legacy_stub.shop import Json, Session, Shop

MOST_OF_ONE = 99

_FORM = """<p class="price">{price} €</p>
<form method="post" action="/products/{sku}/cart">
<input type="hidden" name="csrf" value="{token}">
<label>How many <input name="quantity" type="number" min="1" value="1"></label>
<button>Put into the cart</button>
</form>"""
_REWRITTEN_FORM = """  <p class='price'>
    {price} €
  </p>
  <form action='/products/{sku}/cart' method=post>
    <input name="csrf" value="{token}" type="hidden">
    <label>How many <input value="1" min="1" type="number" name="quantity"></label>
    <button>Put into the cart</button>
  </form>"""
_FEED = """<?xml version="1.0" encoding="utf-8"?>
<feed xmlns="http://www.w3.org/2005/Atom" xmlns:s="urn:shop.example:prices">
<title>Tea &amp; Mugs</title>
{entries}
</feed>
"""
_ENTRY = """<entry><id>urn:sku:{sku}</id><title>{name}</title><s:price currency="EUR">{price}</s:price></entry>"""
_REWRITTEN_FEED = """<?xml version='1.0' encoding='UTF-8'?>
<atom:feed xmlns:p="urn:shop.example:prices" xmlns:atom="http://www.w3.org/2005/Atom">
  <atom:title>Tea &#38; Mugs</atom:title>
{entries}
</atom:feed>
"""
_REWRITTEN_ENTRY = """  <atom:entry>
    <atom:id>urn:sku:{sku}</atom:id>
    <atom:title>{name}</atom:title>
    <p:price currency='EUR'>{price}</p:price>
  </atom:entry>"""


class Products:
    """The code of legacy and candidate alike, each in its own style (see `Build.is_rewrite`)."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/products", self.list),
            web.get("/products/prices.csv", self.prices),
            web.get("/products/{sku}", self.get),
            web.post("/products/{sku}/cart", self.put_in_cart),
            web.get("/feed.xml", self.feed),
        ]

    async def list(self, request: web.Request) -> web.Response:
        products = self._shop.products()
        rows = "\n".join(
            f'<tr><td><a href="/products/{item["sku"]}">{html.escape(item["name"])}</a></td>'
            f'<td class="price">{item["cents"] / 100:.2f} €</td></tr>'
            for item in products
        )
        response = page("Products", f"<table>\n{rows}\n</table>", token=_token_for(session_of(request)))
        return conditional(request, response, Version(products, request.app[BUILD].built))

    async def get(self, request: web.Request) -> web.Response:
        """Return a product's page. Its version is the product's: token and nonce do not change it."""
        product, build, token = self._product(request), request.app[BUILD], _token_for(session_of(request))
        form = _REWRITTEN_FORM if build.is_rewrite else _FORM
        body = form.format(price=_price(product, build), sku=product["sku"], token=token)
        response = page(product["name"], body, token=token)
        return conditional(request, response, Version(product, build.built))

    async def put_in_cart(self, request: web.Request) -> web.Response:
        """Redirect to the cart; 403 without a token of the visitor's own session, 422 for an odd quantity."""
        product, session, form = self._product(request), session_of(request), await request.post()
        if session is None or not is_token_of(session, str(form.get("csrf", ""))):
            raise web.HTTPForbidden(reason="This form has expired. Please load it again.")
        quantity = str(form.get("quantity", ""))
        if not quantity.isdecimal() or not 1 <= int(quantity) <= MOST_OF_ONE:
            raise web.HTTPUnprocessableEntity(reason=f"A quantity is a number from 1 to {MOST_OF_ONE}.")
        self._shop.put_in_cart(session.sid, product["sku"], int(quantity))
        sees_other = SEE_OTHER in request.app[BUILD].drifts
        return web.Response(status=303 if sees_other else 302, headers={"Location": "/cart"})

    async def prices(self, request: web.Request) -> web.Response:
        """Return all prices as CSV, which may be read in ranges."""
        products, text = self._shop.products(), io.StringIO()
        rows = ((item["sku"], item["name"], f"{item['cents'] / 100:.2f}") for item in products)
        csv.writer(text).writerows([("sku", "name", "price"), *rows])
        response = web.Response(text=text.getvalue(), content_type="text/csv")
        return conditional(request, response, Version(products, request.app[BUILD].built, is_strong=True))

    async def feed(self, request: web.Request) -> web.Response:
        """Return all products as an Atom feed, with prices in a namespace of their own."""
        products, build = self._shop.products(), request.app[BUILD]
        feed, entry = (_REWRITTEN_FEED, _REWRITTEN_ENTRY) if build.is_rewrite else (_FEED, _ENTRY)
        entries = "\n".join(
            entry.format(sku=item["sku"], name=escape(item["name"]), price=f"{item['cents'] / 100:.2f}")
            for item in products
        )
        response = web.Response(text=feed.format(entries=entries), content_type="application/atom+xml")
        return conditional(request, response, Version(products, build.built))

    def _product(self, request: web.Request) -> Json:
        """Return the product that the path names. Raises 404."""
        product = self._shop.product(request.match_info["sku"])
        if product is None:
            raise web.HTTPNotFound(reason="There is no such product.")
        return product


def _token_for(session: Session | None) -> str:
    return csrf_token(session) if session else ""


def _price(product: Json, build: Build) -> str:
    euros = product["cents"] / 100
    return f"{euros:g}" if CENTS_LOST in build.drifts else f"{euros:.2f}"
