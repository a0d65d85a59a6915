"""Random requests, and routes for them: all kinds of conditions, and paths that are read in several ways."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from strangler.core import settings as s
from strangler.core.http.head import RequestHead
from tests import factories as f
from tests.envoy.exchanges import request

Fields = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Sent:
    """One request: as it is sent, and as our own engine reads it."""

    raw: bytes
    head: RequestHead


def routes() -> list[s.RouteSettings]:
    """Routes of every kind, in an order that is not their precedence."""
    return [
        _route("orders", "/api/orders", percent=25, override="X-Arm", split_headers={"x-beta": "1"}),
        _route("orders_new", path="/api/orders/new", percent=100),
        _route("orders_item", path="/api/orders/{id}", percent=100, methods=["GET", "HEAD"]),
        _route("orders_lines", "/api/orders/{id}/lines", percent=50, candidate="shop", group="lines"),
        _route("orders_v2", "/api/orders", percent=100, headers={"x-version": "2"}, candidate="shop"),
        _route("orders_json", "/api/orders", percent=0, query={"format": "json"}, override="X-Arm"),
        _route("orders_both", "/api/orders", query={"format": "json", "v": "a b"}, candidate="shop"),
        _route("orders_post", "/api/orders", percent=75, methods=["POST", "PURGE"], sticky=["cookie:sid"]),
        _route("named", "/{tenant}/orders", percent=100, candidate="shop"),
        _route("named_first", "/{tenant}/{what}/deep", percent=0),
        _route("literal_deep", "/api/{what}/deep", percent=100),
        _route("cafe", "/café", percent=100),
        _route("bang", "/a!b/$c", percent=100, candidate="shop"),
        _route("blank", path="/a%20b/{x}", percent=100),
        _route("dotted", "/.well-known/acme", percent=100),
        _route("slash_end", path="/end/", percent=100),
        _route("root", path="/", percent=100),
        _route("off", "/off", enabled=False, percent=100),
        _route("killed", "/killed", percent=100),
        _route("passed", "/killed/but/passed", percent=100, is_passthrough=True),
        _route("chance", "/chance", percent=30, sticky=[]),
        _route("to_legacy", "/api/orders/legacy", candidate="legacy", percent=100),
        _route("joined", "/joined", candidate=None, aggregate=(_part("shop"), _part("orders"))),
        _route("exact_host", "/", host="a.shop.example", percent=100, candidate="shop", methods=["GET"]),
        _route("wide", "/api", host="*.shop.example", percent=100, candidate="shop"),
        _route("wider", "/", host="*.example", percent=0, override="X-Arm", methods=["PUT", "DELETE", "GET"]),
        _route("host_named", "/{x}/orders", host="a.shop.example", percent=100),
        *(_route(f"many{i}", f"/many/s{i % 7}/r{i}", percent=100 * (i % 2)) for i in range(60)),
    ]


def _route(name: str, prefix: str | None = None, **changes: Any) -> s.RouteSettings:
    return f.route(name, prefix, fallback=None, **changes)


def _part(name: str) -> s.AggregatePart:
    return s.AggregatePart(name=name, upstream=name, path=f"/{name}", required=True, timeout_s=None)


_SEGMENTS = (
    "api", "orders", "new", "7", "lines", "deep", "legacy", "café", "caf%C3%A9", "caf%c3%a9", "a!b", "a%21b", "$c",
    "%24c", "a%20b", "A", "off", "killed", "but", "passed", "chance", "joined", "end", "many", "s3", "r3", "r10",
    ".well-known",
    "acme", "%ff", "%6frders", "..", ".", "...", "%2e%2e", ";v=1", "..;", "a%2Fb", "a%5cb", "a\\b", "%25", "100%",
    "%", "%00", "%0d", "orders2", "Orders", "%7Bx%7D", "{x}", "a+b", "%e2%82%ac", "%c0%ae", "%ed%a0%80", "%f0%9f%98%80",
    "x#y", "a|b", '"', "<", "^", "`", "~", "@", ":", "=", "&", "(", ")", ",", "*", "'",
)  # fmt: skip
_LIKELY = (
    "/api/orders", "/api/orders/", "/api/orders/7", "/api/orders/new", "/api/orders/7/lines", "/api/orders/7/lines/1",
    "/api/orders/legacy", "/shop/orders", "/shop/orders/1", "/a/b/deep", "/api/x/deep", "/caf%C3%A9", "/caf%c3%A9/x",
    "/a!b/$c", "/a%21b/%24c/d", "/a%20b/1", "/a%20b/", "/.well-known/acme/x", "/end/", "/end", "/", "/off", "/off/x",
    "/killed", "/killed/but/passed", "/chance", "/joined", "/nothing", "/api", "/many/s3/r3", "/many/s3/r3/x",
    "/many/s3/r10", "/many/s4/r4", "/many/s4/r4x", "/many", "/api/orders2", "/api/orders//7", "/api/../orders",
    "http://a.shop.example/api/orders", "http://other.example", "*", "/" + "x" * 9000, "/api/orders/%20" + "y" * 9000,
)  # fmt: skip
_QUERIES = (
    "", "", "", "?", "?format=json", "?format=json&v=a+b", "?v=a%20b&format=json", "?format=js%6Fn", "?format=xml",
    "?format=xml&format=json", "?format=json&format=xml", "?f%6Frmat=json", "?format", "?format=json%", "?a=%zz",
    "?x=1&&y", "?a+b=1&format=json", "?back=/../%2e%2e;//", "?format=json&v=a%2Bb", "?FORMAT=json", "?v=a+b",
)  # fmt: skip
_METHODS = ("GET", "GET", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PURGE", "get")
_LONG = ".".join(letter * 60 for letter in "hijk")
_HOSTS = (
    "shop.example", "a.shop.example", "A.SHOP.example", "b.shop.example", "x.b.shop.example:8080", "a.shop.example.",
    "example", "a.example", "other.test", "a.shop.example:80",
    f"{_LONG}.shop.example", f"{_LONG}.xx.shop.example", "[::1]:80", "127.0.0.1", "x.shop.example.:81",
)  # fmt: skip
_FIELDS: tuple[tuple[str, str], ...] = (
    ("X-Arm", "legacy"), ("X-Arm", "candidate"), ("x-arm", "Candidate"), ("X-Arm", ""), ("X-Beta", "1"),
    ("X-Beta", "2"), ("x-beta", " 1 "), ("X-Version", "2"), ("X-VERSION", "3"), ("Cookie", "sid=abc"),
    ("Cookie", "a=b; sid=12"),
    ("Cookie", 'sid="q"'), ("Accept", "text/html"),
)  # fmt: skip


def requests(seed: int, count: int) -> Iterator[Sent]:
    """Yield random requests, the same for a seed."""
    random = Random(seed)
    for _ in range(count):
        yield _request(random)


def _request(random: Random) -> Sent:
    path = random.choice(_LIKELY) if random.random() < 0.6 else _path(random)
    target = path if path == "*" else path + random.choice(_QUERIES)
    method = "OPTIONS" if path == "*" else random.choice(_METHODS)
    host = random.choice(_HOSTS)
    fields: Fields = random.choices(_FIELDS, k=random.choice((0, 0, 1, 1, 2, 3)))
    if random.random() < 0.8:
        fields.append(("X-User-Id", str(random.randrange(10_000))))
    if random.random() < 0.02:
        fields += [("Upgrade", "websocket"), ("Connection", "Upgrade")]
    own = [(name, value.strip()) for name, value in fields]
    raw = request(target, method, host, fields)
    encoded = target.encode("utf-8")
    return Sent(raw, f.head(encoded, method, own, host, "127.0.0.1"))


def _path(random: Random) -> str:
    return "".join(
        random.choice(("/", "/", "/", "/", "/", "//")) + random.choice(_SEGMENTS) for _ in range(random.randint(1, 4))
    )
