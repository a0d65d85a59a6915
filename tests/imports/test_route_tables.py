"""Lists of routes as frameworks print them, and as people write them."""

import pytest

from strangler.imports.route_tables import endpoints
from strangler.imports.values import SummaryState, Unread

RAILS = """\
        Prefix Verb      URI Pattern                    Controller#Action
        orders GET       /orders(.:format)              orders#index
               POST      /orders(.:format)              orders#create {:format=>:json}
         order PATCH|PUT /orders/:id(.:format)          orders#update
          blog           /blog                          Blog::Engine
       sidekiq           /sidekiq                       Sidekiq::Web
          root GET       /                              home#index
        search           /search(.:format)              search#any
               GET       (/:locale)/about(.:format)     pages#about

Routes for Blog::Engine:
         posts GET       /posts(.:format)               blog/posts#index
"""
OF_RAILS = [
    "GET /orders", "POST /orders", "PATCH /orders/{}", "PUT /orders/{}", "* /blog", "* /sidekiq", "GET /",
    "* /search", "GET /about", "GET /{}/about", "GET /blog/posts", "* /sidekiq/{...}",
]  # fmt: skip

TABLES = {
    "Rails": (RAILS, OF_RAILS),
    "Rails, as comments of a file": ("# == Route Map\n" + RAILS.replace("\n", "\n# "), OF_RAILS),
    "Rails, expanded": (
        """\
--[ Route 1 ]-----------------------
Prefix            | orders
Verb              | GET
URI               | /orders(.:format)
Controller#Action | orders#index
Source Location   | config/routes.rb:4
--[ Route 2 ]-----------------------
Prefix            |
Verb              | DELETE
URI               | /orders/:id(.:format)
Controller#Action | orders#destroy
""",
        ["GET /orders", "DELETE /orders/{}"],
    ),
    "Flask": (
        """\
Endpoint      Methods    Rule
------------  ---------  -----------------------
shop.order    GET, POST  /orders/<int:pk>
static        GET        /static/<path:filename>
""",
        ["GET /orders/{}", "POST /orders/{}", "GET /static/{...}"],
    ),
    "Flask with hosts": (
        """\
Endpoint    Host          Methods  Rule
----------  ------------  -------  ---------
shop.order  shop.example  GET      /orders/<pk>
""",
        ["GET /orders/{}"],
    ),
    "Django": (
        "/admin/\tdjango.contrib.admin.sites.index\tadmin:index\n"
        "/orders/<int:pk>/\tshop.views.order\torder\tlogin_required\n"
        r"/archive/<year>/\d+/" + "\tshop.views.archive\n",
        ["* /admin/", "* /orders/{}/", "* /archive/{}/{}/"],
    ),
    "Django, aligned": (
        "/admin/            django.contrib.admin.sites.index  index\n/orders/<int:pk>/  shop.views.order  order\n",
        ["* /admin/", "* /orders/{}/"],
    ),
    "Django, verbose": (
        "/admin/\n\tController: django.contrib.admin.sites.index\n\tURL Name: admin:index\n\tDecorators: \n",
        ["* /admin/"],
    ),
    "Laravel": (
        """\

  GET|HEAD        / ............................................
  GET|HEAD        api/orders/{order?} ...... orders.show › OrderController@show
                  ⇂ auth:api
  POST            api/orders ............... orders.store

                                           Showing [3] routes
""",
        ["GET /", "GET /api/orders", "GET /api/orders/{}", "POST /api/orders"],
    ),
    "Laravel before version 9": (
        """\
+--------+----------+----------------+-------------+
| Domain | Method   | URI            | Name        |
+--------+----------+----------------+-------------+
|        | GET|HEAD | /              |             |
|        | GET|HEAD | orders/{order} | orders.show |
+--------+----------+----------------+-------------+
""",
        ["GET /", "GET /orders/{}"],
    ),
    "Express, numbered": ("1 GET /a\n2 PUT /orders/:id\n2 endpoints registered\n", ["GET /a", "PUT /orders/{}"]),
    "by hand": (
        """\
# what we know of
GET /orders/{id}
POST,PUT /orders/:id
* /static/*
ANY /any
/orders/<int:id>/lines
GET https://shop.example/a/{b}
// the end
""",
        [
            "GET /orders/{}", "POST /orders/{}", "PUT /orders/{}", "* /static/{...}", "* /any", "* /orders/{}/lines",
            "GET /a/{}",
        ],
    ),
    "all methods": ("GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS /a\nHEAD /b\n", ["* /a", "HEAD /b"]),
    "line breaks of Windows": ("GET /a\r\nGET /b\r\n", ["GET /a", "GET /b"]),
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), TABLES.values(), ids=TABLES)
def test_a_list_of_routes(text: str, expected: list[str]) -> None:
    state = SummaryState()
    found = list(endpoints(text.encode(), state))
    assert [f"{endpoint.method} {endpoint.template}" for endpoint in found] == expected
    assert state.counts == {}


def test_an_endpoint_has_its_line() -> None:
    found = list(endpoints(RAILS.encode(), SummaryState()))
    assert [endpoint.line for endpoint in found] == [2, 3, 4, 4, 5, 6, 7, 8, 9, 9, 12, 6]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("no route", Unread.BAD_FORM),
        ("GET /a 200 12 - 1.2 ms", Unread.BAD_FORM),
        ("2026-11-30 08:00:00 GET /a", Unread.BAD_FORM),
        ("GET /a?b=c", Unread.BAD_FORM),
        ("GET /**", Unread.ANY_PATH),
        ("GET /" + "a" * 3000, Unread.BAD_PATH),
    ],
)
def test_a_line_that_names_no_endpoint_is_counted(line: str, reason: Unread) -> None:
    state = SummaryState()
    assert [endpoint.template for endpoint in endpoints(f"GET /a\n{line}\n".encode(), state)] == ["/a"]
    assert state.counts == {reason: 1}
    assert state.places == {reason: [2]}
