"""Templates of endpoints as paths: one that stands for all of them, and those that a match spells out."""

import pytest

from strangler.core.moves.template_paths import narrower_templates, path_of
from strangler.core.settings import MatchSettings


def prefix(text: str) -> MatchSettings:
    return MatchSettings(text, None, (), None, (), ())


def path(text: str) -> MatchSettings:
    return MatchSettings(None, text, (), None, (), ())


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("/", (b"/", b"")),
        ("/orders/{}", (b"/orders/0", b"")),
        ("/orders/{}/", (b"/orders/0/", b"")),
        ("/static/app-{}.js", (b"/static/app-0.js", b"")),
        ("/files/{...}", (b"/files/0", b"")),
        ("/index.php?action=list&page={}", (b"/index.php", b"action=list")),
        ("/soap#SOAPAction=Get", (b"/soap", b"")),
        ("/a%2Fb/ü", (b"/a%2Fb/%C3%BC", b"")),
    ],
)
def test_a_template_gives_one_of_its_paths(template: str, expected: tuple[bytes, bytes]) -> None:
    assert path_of(template) == expected


@pytest.mark.parametrize(
    ("template", "match", "expected"),
    [
        ("/users/{}", path("/users/me"), ["/users/me"]),
        ("/users/{}", prefix("/users/me"), ["/users/me"]),
        ("/users/{}/posts", prefix("/users/me"), ["/users/me/posts"]),
        ("/{}/orders/{}", prefix("/acme/orders"), ["/acme/orders/{}"]),
        ("/static/app-{}.js", path("/static/app-1.js"), ["/static/app-1.js"]),
        ("/files/{...}", prefix("/files/public/a"), ["/files/public/a/{...}"]),
        ("/files/{...}", path("/files/readme"), ["/files/readme"]),
        ("/list/{}?action=edit", path("/list/7"), ["/list/7?action=edit"]),
        # what holds for all paths, or for none, is no narrower template
        ("/users/{}", path("/users/{id}"), []),
        ("/users/{}", prefix("/users"), []),
        ("/users/{}", prefix("/"), []),
        ("/users/{}", path("/users/me/posts"), []),
        ("/users/{}/posts", path("/users/me"), []),
        ("/users/{}", path("/people/me"), []),
        ("/users/{}.json", path("/users/me"), []),
        ("/users/me", path("/users/me"), []),
    ],
)
def test_a_match_that_spells_out_a_value_gives_a_narrower_template(
    template: str, match: MatchSettings, expected: list[str]
) -> None:
    assert narrower_templates(template, [match]) == expected
