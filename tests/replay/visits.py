"""Visits of the real applications, made anew for each recording."""

import json
from base64 import b64encode
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from strangler.core.compare.model.values import Response
from tests.replay.django_apps import CLIENT, CLIENT_SECRET, PASSWORD, USER
from tests.replay.visitor import Visitor

_JSON = (b"Content-Type", b"application/json")


def shop_visit(port: int) -> Visitor:
    """Fill a basket, sign in, order by form and by script, pay, merge the orders, sign out."""
    visitor = Visitor(port)
    visitor.visit("GET", "/")
    visitor.submit("/basket/", thing="lamp")
    visitor.visit("GET", "/orders/")
    _sign_in(visitor)
    visitor.visit("GET", "/orders/")
    page = _location(visitor.submit("/orders/", thing="chair", count="2"))
    visitor.visit("GET", page)
    visitor.visit("GET", _location(visitor.submit("/payments/")))
    lines = {"lines": [{"name": "desk", "count": 1}, {"name": "lamp", "count": 4}]}
    made = _document(_call(visitor, "POST", "/api/orders", lines))
    changes = {"lines": [{"id": line["id"], "count": 3} for line in reversed(made["lines"])]}
    _call(visitor, "PATCH", made["_links"]["self"]["href"], changes)
    visitor.visit("GET", "/api/orders")
    _call(visitor, "POST", "/api/orders/merge", {"orders": [made["id"], int(page.split("/")[2])]})
    visitor.visit("GET", "/api/orders")
    visitor.visit("GET", made["_links"]["page"]["href"])
    visitor.submit("/logout/")
    visitor.visit("GET", "/orders/")
    return visitor


def sign_in(port: int) -> Visitor:
    """Return a visitor of the shop who is signed in."""
    visitor = Visitor(port)
    _sign_in(visitor)
    return visitor


def _sign_in(visitor: Visitor) -> None:
    visitor.visit("GET", "/login/?next=/orders/")
    visitor.submit("/login/", username=USER, password=PASSWORD)


SHOP_STATUSES = [200, 302, 302, 200, 302, 200, 302, 200, 302, 200, 201, 200, 200, 200, 200, 200, 302, 302]


def token_visit(port: int) -> Visitor:
    """Get tokens by a password, use them with nonces and keys, refresh them twice, and revoke them."""
    visitor = Visitor(port)
    tokens = grant(visitor)
    profile = visitor.visit("GET", "/api/profile", b"", _bearer(tokens))
    visitor.visit("POST", f"/upload?key={quote(_document(profile)['session']['upload']['key'], safe='')}", b"some data")
    nonce = (b"X-Nonce", profile.field_values(b"x-nonce")[0])
    made = visitor.visit("POST", "/api/projects", b'{"name": "first"}', _JSON, _bearer(tokens), nonce)
    nonce = (b"X-Nonce", made.field_values(b"x-nonce")[0])
    other = visitor.visit("POST", "/api/projects", b'{"name": "second"}', _JSON, _bearer(tokens), nonce)
    for each in (made, other):
        visitor.visit("GET", f"/api/projects/{_document(each)['project']['id']}", b"", _bearer(tokens))
    for _ in range(2):
        tokens = _tokens(visitor, grant_type="refresh_token", refresh_token=tokens["refresh_token"])
        visitor.visit("GET", f"/api/projects/{_document(made)['project']['id']}", b"", _bearer(tokens))
    secrets = {"client_id": f"{CLIENT}-password", "client_secret": CLIENT_SECRET}
    visitor.send_form("/oauth/revoke", token=tokens["access_token"], **secrets)
    visitor.visit("GET", "/api/profile", b"", _bearer(tokens))
    return visitor


TOKEN_STATUSES = [200, 200, 200, 201, 201, 200, 200, 200, 200, 200, 200, 200, 403]


def authorization_visit(port: int) -> Visitor:
    """Sign in over redirects with the code flow, exchange the code by the scheme Basic, and use the token."""
    visitor = Visitor(port)
    client = {"client_id": f"{CLIENT}-authorization-code", "redirect_uri": "http://127.0.0.1/callback"}
    wanted = {"response_type": "code", "scope": "read", "state": "s7"} | client
    verifier = "v" * 43
    challenge = {"code_challenge": verifier, "code_challenge_method": "plain"}
    visitor.visit("GET", _location(visitor.visit("GET", f"/oauth/authorize?{urlencode(wanted | challenge)}")))
    redirected = _location(visitor.visit("GET", _location(visitor.submit("/login/", username=USER, password=PASSWORD))))
    back = urlsplit(redirected)
    visitor.visit("GET", f"{back.path}?{back.query}")
    code = parse_qs(back.query)["code"][0]
    proof = {"grant_type": "authorization_code", "code": code, "code_verifier": verifier}
    credentials = b64encode(f"{client['client_id']}:{CLIENT_SECRET}".encode())
    basic = (b"Authorization", b"Basic " + credentials)
    tokens = _document(visitor.send_form("/oauth/token", basic, redirect_uri=client["redirect_uri"], **proof))
    visitor.visit("GET", "/api/profile", b"", _bearer(tokens))
    return visitor


AUTHORIZATION_STATUSES = [302, 200, 302, 302, 200, 200, 200]


def _bearer(tokens: dict[str, Any]) -> tuple[bytes, bytes]:
    return b"Authorization", f"Bearer {tokens['access_token']}".encode()


def grant(visitor: Visitor) -> dict[str, Any]:
    """Return the tokens that a password gives."""
    return _tokens(visitor, grant_type="password", username=USER, password=PASSWORD, scope="read write")


def _tokens(visitor: Visitor, **values: str) -> dict[str, Any]:
    client = {"client_id": f"{CLIENT}-password", "client_secret": CLIENT_SECRET}
    tokens: dict[str, Any] = _document(visitor.send_form("/oauth/token", **client, **values))
    return tokens


def _call(visitor: Visitor, method: str, target: str, document: object) -> Response:
    token = (b"X-CSRFToken", visitor.cookie("csrftoken").encode())
    return visitor.visit(method, target, json.dumps(document).encode(), _JSON, token)


def _document(response: Response) -> Any:
    return json.loads(response.body)


def _location(response: Response) -> str:
    return response.field_values(b"location")[0].decode()
