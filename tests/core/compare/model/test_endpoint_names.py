"""How the endpoints of a route are named: by its own match, then by `fold`, then as the ledger names them."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.core.compare import EndpointNames, Redactor, endpoint_shape
from strangler.core.compare.model.endpoint_names import covers_endpoint, spelled_request
from strangler.core.compare.model.templates import (
    covers_path,
    parse_endpoint_path,
    parse_template,
    route_templates,
    write_endpoint_path,
)
from strangler.core.ledger.template_tree import MAX_NODES, TemplateTreeState

FORMS = {
    "/": "/",
    "/api/orders": "/api/orders",
    "/api/orders/7": "/api/orders/{}",
    "/api/orders/7/lines/12": "/api/orders/{}/lines/{}",
    "/api/orders/7?x=1": "/api/orders/{}",
    "/api/orders/": "/api/orders/",
    "/v2/users": "/v2/users",
    "/users/6f1c2e3a-1b2c-4d5e-8f90-123456789abc": "/users/{}",
    "/commits/9f2c1ab": "/commits/{}",
    "/e/01J9ZQ4Y0M3T6V8W2X5R7K1N4P": "/e/{}",
    "/orders/ord-1234": "/orders/{}",
    "/days/2026-11-23": "/days/{}",
    "/users/ana%40example.com/cart": "/users/{}/cart",
    "/files/123.json": "/files/{}.json",
    "/files/report.json": "/files/report.json",
    "/assets/app-3f9ab21c.js": "/assets/app-{}.js",
    "/reset/Zx81kQp0aL2mN9vB3cD4": "/reset/{}",
    "/defaced/cafe/deadbeef": "/defaced/cafe/deadbeef",
    "/products/blue-shoes-for-summer-days": "/products/blue-shoes-for-summer-days",
    "/a;v=1/b": "/a/b",
    "/a//b": "/a/b",
    "/caf%C3%A9": "/café",
    "/my%20file": "/my%20file",
    "/a%2Fb": "/{}",
    "/%00": "/{}",
    "*": "*",
    "/" + "a/" * 20: "/" + "a/" * 16 + "{...}",
}


@pytest.mark.parametrize(("path", "name"), FORMS.items())
def test_without_templates_a_path_is_named_by_the_forms_of_its_values(path: str, name: str) -> None:
    assert endpoint_shape(path.encode()) == name


SHAPES = {
    "a name of the match is a hole": ((None, "/users/{name}"), (), "/users/ana", "/users/{}"),
    "a name of the match may have signs": ((None, "/users/{user-name}"), (), "/users/ana", "/users/{}"),
    "a name within a prefix": (("/users/{name}", None), (), "/users/ana/orders/7", "/users/{}/orders/{}"),
    "a word of the match stays though it looks like a value": (("/2024", None), (), "/2024/7", "/2024/{}"),
    "a word of the match is decoded": (("/caf%C3%A9", None), (), "/caf%C3%A9/7", "/café/{}"),
    "a prefix's slash does not count": (("/api/", None), (), "/api/x", "/api/x"),
    "everything": (("/", None), (), "/users/ana", "/users/ana"),
    "everything, the root": (("/", None), (), "/", "/"),
    "a fold": (("/", None), ("/shops/{}",), "/shops/berlin/items/7", "/shops/{}/items/{}"),
    "a fold that does not meet the path": (("/", None), ("/shops/{}",), "/carts/berlin", "/carts/berlin"),
    "the root of a fold": (("/shops", None), ("/shops/{}",), "/shops", "/shops"),
    "the most specific fold": (("/", None), ("/{}/{}", "/s/{}/{}", "/s/new/{}"), "/s/new/a", "/s/new/{}"),
    "the next one": (("/", None), ("/{}/{}", "/s/{}/{}", "/s/new/{}"), "/s/old/a", "/s/{}/{}"),
    "a fold cannot take a word of the match": (("/api/v1", None), ("/{}/{}/a/{}",), "/api/v1/a/x", "/api/v1/a/{}"),
    "a fold may name one of the match's holes": ((None, "/users/{name}"), ("/users/me",), "/users/me", "/users/me"),
    "and the others stay folded": ((None, "/users/{name}"), ("/users/me",), "/users/ana", "/users/{}"),
    "the rest": (("/wiki", None), ("/wiki/{...}",), "/wiki/a/b/c", "/wiki/{...}"),
    "the rest of everything below a match": (("/wiki", None), ("/{...}",), "/wiki/a/b", "/wiki/{...}"),
    "no rest": (("/wiki", None), ("/wiki/{...}",), "/wiki", "/wiki"),
    "words before the rest": (("/wiki", None), ("/wiki/{...}", "/wiki/talk/{}"), "/wiki/talk/ana", "/wiki/talk/{}"),
    "words after a rest that is cut": (("/", None), ("/s/{}",), "/s/a" + "/b" * 20, "/s/{}" + "/b" * 14 + "/{...}"),
    "doubled slashes": (("/shops", None), ("/shops/{}",), "/shops//berlin", "/shops/{}"),
    "a blank": (("/my%20shop", None), (), "/my%20shop/7", "/my%20shop/{}"),
    "a word of a fold that has an escape": (("/", None), ("/a%2520b/{}",), "/a%2520b/x", "/a%2520b/{}"),
    "a fold of another route's paths": (("/a", None), ("/b/{}",), "/a/x", "/a/x"),
}  # fmt: skip


@pytest.mark.parametrize(("match", "fold", "path", "shape"), SHAPES.values(), ids=SHAPES)
def test_an_endpoint_is_named(
    match: tuple[str | None, str | None], fold: tuple[str, ...], path: str, shape: str
) -> None:
    assert endpoint_shape(path.encode(), route_templates(*match, fold)) == shape


def test_forty_user_names_are_one_endpoint() -> None:
    templates = route_templates(None, "/users/{name}", ())
    names = [f"/users/{'abcdefghijklmnopqrstuvwxyz'[number % 26]}na{'h' * number}" for number in range(40)]
    assert {endpoint_shape(name.encode(), templates) for name in names} == {"/users/{}"}


def learned(*paths: str) -> TemplateTreeState:
    tree = TemplateTreeState()
    for path in paths:
        tree.learn(path.encode())
    return tree


USERS = tuple(f"/users/{first}{second}/posts" for first in "bcdfghklmn" for second in ("ana", "eva", "uli", "tom"))
"""More names under one parent than any application has words."""
BLOG = tuple(f"/blog/some-words-about-{number:04}-{'x' * (number % 7)}" for number in range(40))


class TestTheTree:
    def test_words_that_it_has_folded_are_values(self) -> None:
        tree = learned(*USERS)
        assert endpoint_shape(b"/users/ana/posts", (), tree) == "/users/{}/posts"
        assert endpoint_shape(b"/users/ana/posts") == "/users/ana/posts"

    def test_a_word_of_the_match_stays_though_the_tree_has_folded_it(self) -> None:
        tree = learned(*USERS)
        templates = route_templates("/users/bana", None, ())
        assert endpoint_shape(b"/users/bana/posts", templates, tree) == "/users/bana/posts"

    def test_below_a_fold_of_the_route_it_is_asked_again(self) -> None:
        """Under the hole it knows more than under the word: one name, whichever way it was found."""
        tree = learned("/shops/berlin/x", *(f"/shops/7{path}" for path in USERS))
        names = EndpointNames(route_templates("/", None, ("/shops/{}",)), tree)
        assert names.of(b"/shops/berlin/users/zoe/posts") == "/shops/{}/users/{}/posts"

    def test_a_named_rest_is_no_value_of_a_longer_fold(self) -> None:
        tree = TemplateTreeState()
        tree.name(["/wiki/{...}"])
        names = EndpointNames(route_templates("/", None, ("/wiki/talk/{}",)), tree)
        assert names.of(b"/wiki/talk/ana") == "/wiki/talk/{}"
        assert names.of(b"/wiki/talk/ana/x") == "/wiki/talk/{}/{...}"
        assert names.of(b"/wiki/ana/x") == "/wiki/{...}"

    def test_what_it_has_no_room_for_keeps_its_name(self) -> None:
        tree = learned("/a/b")
        tree.nodes = MAX_NODES
        assert tree.template_of(b"/x/y/7") == "/…"
        assert endpoint_shape(b"/x/y/7", (), tree) == EndpointNames(tree=tree).now("/x/y/{}") == "/x/y/{}"

    def test_words_that_the_operator_has_named_stay(self) -> None:
        tree = TemplateTreeState()
        tree.name(["/reports/2024/{}"])
        assert endpoint_shape(b"/reports/2024/x", (), tree) == "/reports/2024/{}"


WORDS = [
    "users",
    "ana",
    "bob",
    "shops",
    "berlin",
    "7",
    "2024",
    "token",
    "secret",
    "1.1",
    "app-3f9ab21c.js",
    "posts",
    "v1",
]
PATHS = st.lists(st.sampled_from([*WORDS, "a b", ""]), max_size=6).map(
    lambda segments: ("/" + "/".join(map(quote, segments))).encode()
)
FOLDS = st.lists(
    st.sampled_from(["/users/{}", "/shops/{}/{}", "/shops/{...}", "/{}/2024", "/users/{}/posts/{}"]), max_size=2
)


@given(PATHS, FOLDS, st.lists(PATHS, max_size=3), st.booleans())
def test_a_name_is_its_own_present_name(path: bytes, folds: list[str], named: list[bytes], has_tree: bool) -> None:
    """Whatever a name was found by, reading it again changes nothing: the inbox does not carry anything to and fro."""
    tree = learned(*USERS, *BLOG) if has_tree else None
    if tree is not None:
        tree.name([each.decode() for each in named], are_prefixes=True)
    hide = Redactor.of(b"k", []).shape
    names = EndpointNames(route_templates("/", None, folds), tree, hide)
    name = names.of(path)
    assert names.now(name) == name


@given(st.lists(PATHS, min_size=1, max_size=8), FOLDS, st.lists(st.sampled_from([USERS, BLOG]), max_size=2))
def test_what_was_counted_meets_what_is_counted_from_now_on(
    paths: list[bytes], folds: list[str], lessons: list[tuple[str, ...]]
) -> None:
    """The present name of a path's former name is the name that the path has now."""
    tree = TemplateTreeState()
    names = EndpointNames(route_templates("/", None, folds), tree, Redactor.of(b"k", []).shape)
    before = {path: names.of(path) for path in paths}
    for lesson in lessons:
        for number in range(0, len(lesson), 2):
            tree.learn(lesson[number].encode())
            tree.learn(paths[number % len(paths)])
        for path, name in before.items():
            assert names.now(name) == names.of(path)


def test_a_name_follows_the_tree() -> None:
    tree = TemplateTreeState()
    names = EndpointNames(tree=tree)
    before = names.of(b"/users/ana/posts")
    for path in USERS:
        tree.learn(path.encode())
    assert (before, names.now(before)) == ("/users/ana/posts", "/users/{}/posts")


def test_a_name_follows_a_fold_of_the_route_but_not_back() -> None:
    assert EndpointNames(route_templates("/", None, ("/shops/{}",))).now("/shops/berlin/x") == "/shops/{}/x"
    assert EndpointNames().now("/shops/{}/x") == "/shops/{}/x"


def test_a_rest_cannot_be_told_apart_by_a_fold() -> None:
    assert EndpointNames(route_templates("/", None, ("/wiki/{}",))).now("/wiki/{...}") == "/wiki/{...}"


EARLIER = {
    "/my file": "/my%20file",
    "/100%": "/100%25",
    "/a b/{}.json": "/a%20b/{}.json",
    "/commits/9f2c1ab": "/commits/{}",
    "/assets/app-3f9ab21c.js": "/assets/app-{}.js",
    "/a//b/": "/a/b/",
    "/wiki/{...}": "/wiki/{...}",
    "/a/b/…": "/a/b/{...}",
    "…": "…",
    "*": "*",
    "/list/{}": "/list/{}",
}


@pytest.mark.parametrize(("earlier", "now"), EARLIER.items())
def test_names_of_an_earlier_version_are_read_as_paths(earlier: str, now: str) -> None:
    assert EndpointNames().from_earlier(earlier) == now
    assert EndpointNames().now(now) == now


def test_words_of_the_match_stay_in_a_name_of_an_earlier_version() -> None:
    assert EndpointNames(route_templates("/2024", None, ())).from_earlier("/2024/9f2c1ab") == "/2024/{}"


COVERED = {
    ("/items/{}", "/items/7"): True,
    ("/items/{}", "/items/{}"): True,
    ("/items/{}", "/items/new"): True,
    ("/items/new", "/items/{}"): False,
    ("/items/{}", "/items/"): False,
    ("/items/{}", "/items"): False,
    ("/items/{}", "/items/7/x"): False,
    ("/items/{}", "/items/{...}"): False,
    ("/a/app-{}.js", "/a/app-1.js"): True,
    ("/a/app-{}.js", "/a/app-.js"): False,
    ("/a/app-{}.js", "/a/x-1.js"): False,
    ("/a/{}", "/a/app-{}.js"): True,
    ("/a/{}-{}.js", "/a/x-y-z.js"): True,
    ("/a/{}-{}.js", "/a/-y.js"): False,
    ("/a/{}-{}.js", "/a/x-.js"): False,
    ("/w/{...}", "/w/a/b"): True,
    ("/w/{...}", "/w/{...}"): True,
    ("/w/{...}", "/w"): False,
    ("/w/…", "/w/a"): True,
}


@pytest.mark.parametrize(("pair", "is_covered"), COVERED.items(), ids=lambda value: str(value))
def test_an_endpoint_covers_another(pair: tuple[str, str], is_covered: bool) -> None:
    assert covers_path(*pair) is is_covered


@given(PATHS, FOLDS)
def test_a_name_covers_its_path(path: bytes, folds: list[str]) -> None:
    templates = route_templates("/", None, folds)
    assert covers_endpoint(f"GET {endpoint_shape(path, templates)}", spelled_request("GET", path))


@given(PATHS, FOLDS)
def test_a_name_can_be_written_and_read(path: bytes, folds: list[str]) -> None:
    for name in (endpoint_shape(path), endpoint_shape(path, route_templates("/", None, folds))):
        assert parse_endpoint_path(write_endpoint_path(name)) == name


def test_a_template_is_read_again_as_it_is_written() -> None:
    for text in ("/a%2520b/{x}", "/my%20file/{...}", "/caf%C3%A9"):
        once = parse_template(text)
        assert parse_template(once.text) == once
