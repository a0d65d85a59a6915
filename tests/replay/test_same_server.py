"""Upstreams that are one server under several names."""

from dataclasses import replace
from pathlib import Path

import pytest

from strangler.config.urls import base_url
from strangler.replay.same_server import is_same_server
from tests.factories import upstream

LEGACY = "http://127.0.0.1:8000/shop"


def is_same(url: str, other: str) -> bool:
    first, second = (replace(upstream(name), urls=(base_url(text),)) for name, text in (("a", url), ("b", other)))
    assert is_same_server(first, second) == is_same_server(second, first)
    return is_same_server(first, second)


@pytest.mark.parametrize(
    ("url", "same"),
    [
        (LEGACY, True),
        ("http://127.0.0.1:8000", True),
        ("http://127.0.0.1:8000/shop/v2", True),
        ("https://127.0.0.1:8000/shop", True),
        ("http://localhost:8000/shop", True),
        ("http://0.0.0.0:8000/shop", True),
        ("http://[::ffff:127.0.0.1]:8000/shop", True),
        ("http://127.0.0.1:8000/shop-sandbox", False),
        ("http://127.0.0.1:8001/shop", False),
        ("http://127.0.0.2:8000/shop", False),
        ("http://sandbox.invalid:8000/shop", False),
        ("unix:/run/shop.sock", False),
    ],
)
def test_a_server_is_known_by_where_its_url_leads(url: str, same: bool) -> None:
    assert is_same(LEGACY, url) == same


def test_a_name_is_itself_with_and_without_its_final_dot() -> None:
    assert is_same("http://shop.invalid:80", "http://Shop.invalid.")


def test_a_socket_is_known_by_its_real_path(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there")
    assert is_same(f"unix:{tmp_path}/there/a.sock", f"unix:{tmp_path}/link/./a.sock")
    assert not is_same(f"unix:{tmp_path}/there/a.sock", f"unix:{tmp_path}/there/b.sock")
