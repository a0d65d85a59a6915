"""A visit of a real Django, recorded on one instance, replayed on another with tokens, sessions, ids of its own."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from strangler.core.compare.model.values import Response
from strangler.core.replaying.learned import LearnedValues
from strangler.core.replaying.substitute import substitute
from tests.core.replaying.all_values import values_by_place
from tests.e2e.monolith import PASSWORD, USER, monolith
from tests.replay.visitor import Exchange, Visitor, exchange

_MORE_PRODUCTS = """
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "shop.settings"
import django
django.setup()
from shop.models import Product
Product.objects.create(name="only here", price=1)
"""


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int]]:
    """Two sites with databases of their own; the second has one product more, so that the next one has another id."""
    with ExitStack() as stack:
        folders = [tmp_path_factory.mktemp(name) for name in ("recorded", "replayed")]
        sites = [stack.enter_context(monolith(folder)) for folder in folders]
        _run(folders[1])
        yield sites[0].first, sites[1].first


def _run(folder: Path) -> None:
    subprocess.run([sys.executable, "-c", _MORE_PRODUCTS], cwd=folder, check=True)


def _submit(visitor: Visitor, target: str, **values: str) -> Response:
    """Fetch a form, and send it with its hidden token."""
    page = visitor.visit("GET", target).body.decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert token
    return visitor.send_form(target, csrfmiddlewaretoken=token[1], **values)


def test_a_visit_is_replayed_on_a_site_with_values_of_its_own(ports: tuple[int, int]) -> None:
    visitor = Visitor(ports[0])
    _submit(visitor, "/admin/login/?next=/admin/", username=USER, password=PASSWORD)
    added = _submit(visitor, "/admin/shop/product/add/", name="Lamp", price="3.50", _continue="1")
    (change,) = added.field_values(b"location")
    assert change == b"/admin/shop/product/31/change/"
    _submit(visitor, change.decode(), name="Big lamp", price="4.50", _continue="1")
    note = visitor.visit("GET", change.decode())
    token = re.search(rb"csrftoken=([^;]+)", dict(visitor.recording[-1][0].headers)[b"Cookie"])
    assert token
    visitor.visit(
        "POST", "/api/notes", b'{"text": "31"}', (b"X-CSRFToken", token[1]), (b"Content-Type", b"application/json")
    )
    assert b"Big lamp" in note.body
    assert [response.status for _, response in visitor.recording] == [200, 302, 200, 302, 200, 302, 200, 201]

    values = LearnedValues()
    replayed: list[Exchange] = []
    for message, recorded in visitor.recording:
        done = substitute(message, values.of("ada"))
        assert not done.left_out
        response = exchange(ports[1], done.request)
        replayed.append(Exchange(done.request, response))
        target = message.target.decode()
        values.learn("ada", values_by_place(recorded, target), values_by_place(response, target))
    assert [response.status for _, response in replayed] == [response.status for _, response in visitor.recording]
    assert [message.target for message, _ in replayed[-4:-1]] == [b"/admin/shop/product/32/change/"] * 3
    assert b"Big lamp" in replayed[-2][1].body
    assert replayed[-1][0].body == b'{"text": "31"}', "the text of a note is no id"


def test_without_learning_the_same_visit_fails(ports: tuple[int, int]) -> None:
    visitor = Visitor(ports[0])
    _submit(visitor, "/admin/login/?next=/admin/", username=USER, password=PASSWORD)
    visitor.visit("GET", "/api/visits")
    assert visitor.recording[-1][1].status == 200
    assert exchange(ports[1], visitor.recording[-1][0]).status == 302
