"""How the endpoints of a route are named: by its own match, then by `fold`, then by what values look like."""

import pytest

from strangler.core.compare import endpoint_shape
from strangler.core.compare.model.templates import route_templates

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
