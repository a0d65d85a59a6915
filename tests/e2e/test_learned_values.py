"""A visit of a real Django, recorded on one instance, replayed on another with tokens, sessions, ids of its own."""

import http.client
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlencode

import pytest

from strangler.core.compare.model.values import Response
from strangler.core.replaying.learned import LearnedValues
from strangler.core.replaying.places import values_by_place
from strangler.core.replaying.request_message import RequestMessage
from strangler.core.replaying.substitute import substitute
from tests.e2e.monolith import PASSWORD, USER, monolith

Exchange = tuple[RequestMessage, Response]

_FORM = (b"Content-Type", b"application/x-www-form-urlencoded")
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


def _exchange(port: int, message: RequestMessage) -> Response:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.putrequest(message.method.decode(), message.target.decode(), skip_accept_encoding=True)
        for name, value in message.headers:
            connection.putheader(name.decode(), value)
        connection.endheaders(message.body)
        got = connection.getresponse()
        return Response(got.status, [(name.encode(), value.encode()) for name, value in got.getheaders()], got.read())
    finally:
        connection.close()


class Visitor:
    """A client that keeps its cookies and fills in forms, as a browser does; what it exchanges is the recording."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._cookies: dict[str, str] = {}
        self.recording: list[Exchange] = []

    def visit(self, method: str, target: str, body: bytes = b"", *fields: tuple[bytes, bytes]) -> Response:
        headers = [*fields, (b"Content-Length", str(len(body)).encode())] if body else [*fields]
        if self._cookies:
            cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
            headers.append((b"Cookie", cookies.encode()))
        message = RequestMessage(method.encode(), target.encode(), headers, body)
        response = _exchange(self._port, message)
        for field in response.field_values(b"set-cookie"):
            name, _, value = field.decode().partition(";")[0].partition("=")
            self._cookies[name] = value
        self.recording.append((message, response))
        return response

    def submit(self, target: str, **values: str) -> Response:
        """Fetch a form, and send it with its hidden token."""
        page = self.visit("GET", target).body.decode()
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        assert token
        return self.visit("POST", target, urlencode({"csrfmiddlewaretoken": token[1], **values}).encode(), _FORM)


def test_a_visit_is_replayed_on_a_site_with_values_of_its_own(ports: tuple[int, int]) -> None:
    visitor = Visitor(ports[0])
    visitor.submit("/admin/login/?next=/admin/", username=USER, password=PASSWORD)
    added = visitor.submit("/admin/shop/product/add/", name="Lamp", price="3.50", _continue="1")
    (change,) = added.field_values(b"location")
    assert change == b"/admin/shop/product/31/change/"
    visitor.submit(change.decode(), name="Big lamp", price="4.50", _continue="1")
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
        response = _exchange(ports[1], done.request)
        replayed.append((done.request, response))
        target = message.target.decode()
        values.learn("ada", values_by_place(recorded, target), values_by_place(response, target))
    assert [response.status for _, response in replayed] == [response.status for _, response in visitor.recording]
    assert [message.target for message, _ in replayed[-4:-1]] == [b"/admin/shop/product/32/change/"] * 3
    assert b"Big lamp" in replayed[-2][1].body
    assert replayed[-1][0].body == b'{"text": "31"}', "the text of a note is no id"


def test_without_learning_the_same_visit_fails(ports: tuple[int, int]) -> None:
    visitor = Visitor(ports[0])
    visitor.submit("/admin/login/?next=/admin/", username=USER, password=PASSWORD)
    visitor.visit("GET", "/api/visits")
    assert visitor.recording[-1][1].status == 200
    assert _exchange(ports[1], visitor.recording[-1][0]).status == 302
