"""The other ends of `strangler replay` in tests: HTTP servers in threads, and a routes.yaml that names them."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from strangler.recordings.recorded import RecordedPair
from tests.recordings.made import written
from tests.replay.rig import pair

Respond = Callable[[str, str], tuple[int, Any]]
"""Returns status and JSON for a method and a path."""

ROUTES = """\
version: 1
listen: 127.0.0.1:0
admin: {{listen: "127.0.0.1:0"}}
state: state
upstreams:
  legacy: {{url: "http://127.0.0.1:{legacy}"}}
  orders: {{url: "http://127.0.0.1:{orders}"}}
routes:
  - name: orders
    match: {{prefix: /api/orders}}
    candidate: orders
    gate: {{min_pairs: 10, min_match: 70%, min_age: 7d}}
    compare: {{accept: [{accept}]}}
  - {{name: carts, match: {{prefix: /api/carts}}, candidate: orders}}
"""


@dataclass(slots=True)
class Upstream:
    """An HTTP server, and what came to it."""

    port: int
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)


@contextmanager
def upstream(respond: Respond) -> Iterator[Upstream]:
    made = Upstream(0)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            made.requests.append((self.command, self.path, {name.lower(): text for name, text in self.headers.items()}))
            status, body = respond(self.command, self.path)
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            with suppress(ConnectionError):  # a replay that was stopped has gone
                self.wfile.write(content)

        do_OPTIONS = do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    made.port = server.server_address[1]
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def same(method: str, path: str) -> tuple[int, Any]:
    """Respond as was recorded."""
    return 200, {"id": 7, "price": 1}


def dearer(method: str, path: str) -> tuple[int, Any]:
    """Respond with a text where a number was recorded, for order 7."""
    return 200, {"id": 7, "price": "1" if path.endswith("/7") else 1}


def write_routes(legacy: int, orders: int, accept: str = "") -> None:
    Path("routes.yaml").write_text(ROUTES.format(legacy=legacy, orders=orders, accept=accept))


def recorded(*pairs: RecordedPair, times: int = 1) -> Path:
    """Write a recording."""
    return written(Path("a.rec"), [each for _ in range(times) for each in pairs], force=True)


def order(number: int, **more: Any) -> RecordedPair:
    """A pair whose response `same` gives, unless `more` has another."""
    return pair(b"/api/orders/%d" % number, **({"response": b'{"id": 7, "price": 1}'} | more))
