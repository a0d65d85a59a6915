"""The upstream behind the proxies: fast and cheap, so that the proxy is what is measured.

nginx serves GETs from memory and files; HAProxy takes uploads, because it reads a body whole before it responds.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shutil import which

from benchmarks.processes import free_port, running

_JSON = (
    '{"id":7,"customer":"ada","total":"19.99","items":[{"sku":"A-1","count":2},{"sku":"B-7","count":1}],"paid":true}'
)
MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class Upstream:
    responds_port: int
    uploads_port: int


@contextlib.contextmanager
def upstream(folder: Path, cpu: int | str) -> Iterator[Upstream]:
    """Run both servers, on core `cpu` (or cores: "0,1")."""
    ports = Upstream(free_port(), free_port())
    (folder / "files").mkdir()
    (folder / "files" / "megabyte").write_bytes(os.urandom(MEGABYTE))
    (folder / "answers.conf").write_text(
        f"""
        {"user root;" if os.geteuid() == 0 else ""}
        daemon off; pid {folder}/pid; worker_processes 1; error_log {folder}/error.log;
        events {{ worker_connections 4096; }}
        http {{
          access_log off; keepalive_requests 1000000000; keepalive_timeout 600s; sendfile on; tcp_nopush on;
          open_file_cache max=10 inactive=600s;
          client_body_temp_path {folder}/d; proxy_temp_path {folder}/e;
          fastcgi_temp_path {folder}/a; uwsgi_temp_path {folder}/b; scgi_temp_path {folder}/c;
          server {{
            listen 127.0.0.1:{ports.responds_port} backlog=4096;
            root {folder}/files;
            location = /api/orders/megabyte {{ alias {folder}/files/megabyte; }}
            location / {{ default_type application/json; return 200 '{_JSON}'; }}
          }}
        }}
        """
    )
    (folder / "uploads.cfg").write_text(
        f"""
global
  maxconn 2000
  nbthread 1
  no strict-limits
  tune.bufsize 1200000
defaults
  mode http
  timeout connect 2s
  timeout client 600s
  timeout server 60s
  timeout http-keep-alive 600s
frontend uploads
  bind 127.0.0.1:{ports.uploads_port} backlog 4096
  option http-buffer-request
  http-request return status 200 content-type application/json string {{\\"stored\\":true}}
"""
    )
    responses = [which("nginx") or "nginx", "-c", str(folder / "answers.conf"), "-e", str(folder / "error.log")]
    uploads = [which("haproxy") or "haproxy", "-db", "-f", str(folder / "uploads.cfg")]
    with (
        running(responses, cpu, folder / "answers.txt", port=ports.responds_port),
        running(uploads, cpu, folder / "uploads.txt", port=ports.uploads_port),
    ):
        yield ports
