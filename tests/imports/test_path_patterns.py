"""Paths of route lists as templates, in the spellings of the frameworks."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.imports.path_patterns import MAX_TEMPLATES, templates

CASES = {
    # braces: OpenAPI, Spring, Laravel, ASP.NET, Go, AWS, FastAPI
    "/users/{id}": ["/users/{}"],
    "/users/{id:[0-9]{4}}/x": ["/users/{}/x"],
    "/users/{id?}": ["/users", "/users/{}"],
    "api/users/{user?}": ["/api/users", "/api/users/{}"],
    "/files/{*rest}": ["/files/{...}"],
    "/files/{**rest}": ["/files/{...}"],
    "/files/{path...}": ["/files/{...}"],
    "/files/{path:path}": ["/files/{...}"],
    "/files/{path:.*}": ["/files/{...}"],
    "/files/{proxy+}": ["/files/{...}"],
    "/v1/{name}:cancel": ["/v1/{}:cancel"],
    "/a-{x}.{y}": ["/a-{}.{}"],
    # colons: Rails, Express, Sinatra
    "/users/:id(.:format)": ["/users/{}"],
    "/users/:id.:format": ["/users/{}"],
    "(/:locale)/posts(.:format)": ["/posts", "/{}/posts"],
    "/a(/b(/:c))": ["/a", "/a/b", "/a/b/{}"],
    "/files/*path(.:format)": ["/files/{...}"],
    "/blobs/:signed_id/*filename(.:format)": ["/blobs/{}/{...}"],
    "/a/:id?": ["/a", "/a/{}"],
    "/a/:id(\\d+)": ["/a/{}"],
    "/a/:id([a-z]{2}|\\d+)/b": ["/a/{}/b"],
    "/a/:rest(.*)": ["/a/{...}"],
    "/a/:rest*": ["/a/{...}"],
    "/flights/:from-:to": ["/flights/{}-{}"],
    "/v1/orders:batch": ["/v1/orders:batch"],
    # angles: Flask, Django
    "/users/<int:pk>/": ["/users/{}/"],
    "/users/<pk>": ["/users/{}"],
    "/static/<path:filename>": ["/static/{...}"],
    "/admin/<path:object_id>/change/": ["/admin/{}/change/"],
    '/a/<any("x", "y"):z>': ["/a/{}"],
    '/<regex("[a-z]{3}"):x>/y': ["/{}/y"],
    # regular expressions: Django
    "^articles/(?P<year>[0-9]{4})/$": ["/articles/{}/"],
    r"^(?P<slug>[-\w]+)\.json$": ["/{}.json"],
    r"/files/(?P<path>.*)$": ["/files/{...}"],
    r"/a/\d+/b": ["/a/{}/b"],
    r"^a/(?:x|y)/(\w+)/?$": ["/a/{}/{}/"],
    # stars
    "/**": ["/{...}"],
    "/webjars/**": ["/webjars/{...}"],
    "/a/*": ["/a/{...}"],
    "/*.do": ["/{}.do"],
    # the rest
    "": ["/"],
    "/": ["/"],
    "//a//b": ["/a/b"],
    "/a//b": ["/a/b"],
    "https://shop.example/a/{b}": ["/a/{}"],
    "/caf%C3%A9/a%20b": ["/café/a%20b"],
    "/a%2Fb": ["/a%2Fb"],
    "/2010-04-01/Accounts": ["/2010-04-01/Accounts"],
    "/x" * 2000: [],
}


@pytest.mark.parametrize(("pattern", "expected"), CASES.items(), ids=[name[:40] for name in CASES])
def test_a_pattern_as_templates(pattern: str, expected: list[str]) -> None:
    assert templates(pattern) == expected


def test_for_spring_one_star_is_one_segment() -> None:
    assert templates("/a/*/b/*", star_is_rest=False) == ["/a/{}/b/{}"]
    assert templates("/a/**", star_is_rest=False) == ["/a/{...}"]


def test_of_very_many_options_only_all_and_none_are_taken() -> None:
    assert templates("/a" + "".join(f"(/:{name})" for name in "bcdefgh")) == ["/a", "/a" + "/{}" * 7]


SCRAPS = st.sampled_from(
    ["/", "a", "{", "}", "{x}", "(", ")", "(/:x)", ":", ":x", "*", "**", "<", ">", "<int:x>", "(?P<x>", "[", "]", "\\d",
     "\\", "?", "+", ".", "^", "$", "{...}", "{}", "%", "%2F", "é", " ", "|"]
)  # fmt: skip


@given(st.lists(SCRAPS, max_size=30).map("".join))
def test_whatever_the_pattern_templates_are_paths(pattern: str) -> None:
    found = templates(pattern)
    assert len(found) <= MAX_TEMPLATES
    for template in found:
        assert template.startswith("/")
        assert "{...}" not in template[:-5]


@pytest.mark.parametrize("scrap", ["(", "((/:a)", "{", "[", "\\", "<", "*", ":a", "(.", "{a:", "a?", "[a", "(?P<x>"])
def test_time_is_bounded_whatever_is_repeated(scrap: str) -> None:
    start = time.process_time()
    templates("/" + scrap * (2000 // len(scrap)))
    assert time.process_time() - start < 2


SPELLINGS = {
    "/orders/{}": ["/orders/{id}", "/orders/:id", "/orders/<int:id>", r"/orders/(?P<id>\d+)", "/orders/:id(.:format)"],
    "/files/{...}": ["/files/*path", "/files/<path:name>", "/files/{*rest}", "/files/**"],
    "/admin/{}/change/": ["/admin/<path:id>/change/"],
}
"""Templates, and how frameworks write them. A value is `{}`, the rest of a path of any depth is `{...}`."""


@pytest.mark.parametrize("template", SPELLINGS)
def test_the_spellings_of_frameworks_are_the_same_template(template: str) -> None:
    assert [templates(pattern) for pattern in SPELLINGS[template]] == [[template]] * len(SPELLINGS[template])


@pytest.mark.parametrize("pattern", ["(/:locale)/orders", "/orders/{id?}"])
def test_an_optional_part_gives_two_templates(pattern: str) -> None:
    assert len(templates(pattern)) == 2
