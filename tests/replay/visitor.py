"""A client that keeps its cookies and fills in forms, as a browser does; what it exchanges becomes a recording."""

import http.client
import re
from html import unescape
from typing import NamedTuple
from urllib.parse import urlencode

from strangler.core.compare.model.values import Response
from strangler.core.http.head import RawHeaders
from strangler.core.replaying.request_message import RequestMessage

_FORM = (b"Content-Type", b"application/x-www-form-urlencoded")
_HIDDEN = re.compile(r'<input type="hidden" name="(?P<name>[^"]+)" value="(?P<value>[^"]*)"')


class Exchange(NamedTuple):
    request: RequestMessage
    response: Response


def exchange(port: int, message: RequestMessage) -> Response:
    """Send a request as it is, over a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        target = message.target.decode("latin-1")
        connection.putrequest(message.method.decode(), target, skip_host=True, skip_accept_encoding=True)
        if message.field_value(b"host") is None:
            connection.putheader("Host", f"127.0.0.1:{port}")
        for name, value in message.headers:
            connection.putheader(name.decode(), value)
        connection.endheaders(message.body)
        got = connection.getresponse()
        return Response(got.status, [(name.encode(), value.encode()) for name, value in got.getheaders()], got.read())
    finally:
        connection.close()


class Visitor:
    """A visit of one instance of an application."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._cookies: dict[str, str] = {}
        self.recording: list[Exchange] = []

    def cookie(self, name: str) -> str:
        return self._cookies[name]

    def visit(self, method: str, target: str, body: bytes = b"", *fields: tuple[bytes, bytes]) -> Response:
        headers: RawHeaders = [(b"Host", b"app.example"), *fields]
        if body:
            headers.append((b"Content-Length", str(len(body)).encode()))
        if self._cookies:
            cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
            headers.append((b"Cookie", cookies.encode()))
        message = RequestMessage(method.encode(), target.encode(), headers, body)
        response = exchange(self._port, message)
        for field in response.field_values(b"set-cookie"):
            self._keep_cookie(field.decode())
        self.recording.append(Exchange(message, response))
        return response

    def _keep_cookie(self, field: str) -> None:
        pair, _, attributes = field.partition(";")
        name, _, value = pair.partition("=")
        self._cookies.pop(name, None)
        if "Max-Age=0" not in attributes.split("; "):
            self._cookies[name] = value

    def send_form(self, target: str, *fields: tuple[bytes, bytes], **values: str) -> Response:
        return self.visit("POST", target, urlencode(values).encode(), _FORM, *fields)

    def submit(self, target: str, **values: str) -> Response:
        """Send the form of the page before that goes to a target, with its hidden fields."""
        page = self.recording[-1].response.body.decode()
        form = page[page.index(f'action="{target}"') :].partition("</form>")[0]
        hidden = {found["name"]: unescape(found["value"]) for found in _HIDDEN.finditer(form)}
        return self.send_form(target, **(hidden | values))
