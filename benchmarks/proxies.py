"""The proxies, each with the same work: forward over kept connections, send a sticky 25 % of /api/orders to the
candidate by X-User-Id (else the client's address), write an access line per request to a file, count for statistics.

One worker each, on one core. Unavoidable differences are noted beside the configuration. Legacy and candidate are two
upstreams of the configuration, with one server behind them. All have one ECDSA certificate, TLS 1.2 and 1.3, and
tickets to resume sessions.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from shutil import which

from benchmarks.processes import free_port


@dataclass(frozen=True, slots=True)
class Started:
    """The command that starts a proxy, and the ports at which it listens; None: it has no TLS."""

    command: tuple[str, ...]
    port: int
    tls_port: int | None = None


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy; `prepare(folder, upstream_port)` writes its configuration to the folder."""

    name: str
    label: str
    prepare: Callable[[Path, int], Started]


def _nginx(folder: Path, upstream: int) -> Started:
    """Configure nginx. Its access log is buffered, as Envoy's is."""
    port, tls_port = free_port(), free_port()
    cert, key = certificate(folder)
    (folder / "nginx.conf").write_text(
        f"""
        {"user root;" if os.geteuid() == 0 else ""}
        daemon off; pid {folder}/pid; worker_processes 1; worker_rlimit_nofile 20000; error_log {folder}/error.log;
        events {{ worker_connections 19000; }}
        http {{
          access_log {folder}/access.log combined buffer=64k flush=1s;
          client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
          fastcgi_temp_path {folder}/a; uwsgi_temp_path {folder}/b; scgi_temp_path {folder}/c;
          client_max_body_size 0; keepalive_requests 1000000000; keepalive_timeout 600s;
          map $http_x_user_id $sticky {{ "" $remote_addr; default $http_x_user_id; }}
          split_clients $sticky $arm {{ 25% candidate; * legacy; }}
          upstream legacy {{ server 127.0.0.1:{upstream}; keepalive 256; keepalive_requests 1000000000; }}
          upstream candidate {{ server 127.0.0.1:{upstream}; keepalive 256; keepalive_requests 1000000000; }}
          proxy_http_version 1.1;
          proxy_set_header Connection ""; proxy_set_header Host $http_host;
          proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
          proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Request-Id $request_id;
          proxy_request_buffering off;
          server {{
            listen 127.0.0.1:{port} backlog=4096;
            listen 127.0.0.1:{tls_port} ssl backlog=4096;
            ssl_certificate {cert}; ssl_certificate_key {key};
            ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache shared:tls:10m;
            location = /stub {{ stub_status; }}
            location /api/orders {{ proxy_pass http://$arm; }}
            location / {{ proxy_pass http://legacy; }}
          }}
        }}
        """
    )
    command = (which("nginx") or "nginx", "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log"))
    return Started(command, port, tls_port)


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate and its key in a folder; return their paths."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    names = ("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    command = [*make.split(), *names, "-keyout", str(key), "-out", str(cert)]
    subprocess.run(command, check=True, capture_output=True)
    return cert, key


def _haproxy(folder: Path, upstream: int) -> Started:
    """Configure HAProxy. It logs to a stream only: standard output, which is a file, with one write per request."""
    port, tls_port = free_port(), free_port()
    cert, key = certificate(folder)
    (folder / "both.pem").write_bytes(cert.read_bytes() + key.read_bytes())
    (folder / "haproxy.cfg").write_text(
        f"""
global
  maxconn 19000
  nbthread 1
  no strict-limits
  log stdout format raw local0
defaults
  mode http
  log global
  option httplog
  option forwardfor
  timeout connect 2s
  timeout client 600s
  timeout server 60s
  timeout http-keep-alive 600s
  http-reuse always
frontend client
  bind 127.0.0.1:{port} backlog 4096
  bind 127.0.0.1:{tls_port} backlog 4096 ssl crt {folder}/both.pem ssl-min-ver TLSv1.2
  http-request set-header X-Request-Id %[uuid()] unless {{ req.hdr(X-Request-Id) -m found }}
  http-request set-header X-Forwarded-Proto http
  http-request set-var(txn.sticky) src
  http-request set-var(txn.sticky) req.hdr(X-User-Id) if {{ req.hdr(X-User-Id) -m found }}
  use_backend candidate if {{ path_beg /api/orders }} {{ var(txn.sticky),crc32,mod(100) lt 25 }}
  default_backend legacy
backend legacy
  server legacy 127.0.0.1:{upstream}
backend candidate
  server candidate 127.0.0.1:{upstream}
"""
    )
    return Started((which("haproxy") or "haproxy", "-db", "-f", str(folder / "haproxy.cfg")), port, tls_port)


def _envoy(folder: Path, upstream: int) -> Started:
    port, tls_port = free_port(), free_port()
    cert, key = certificate(folder)
    tls = f"""
      transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context:
            alpn_protocols: [http/1.1]
            tls_params: {{tls_minimum_protocol_version: TLSv1_2, tls_maximum_protocol_version: TLSv1_3}}
            tls_certificates:
            - {{certificate_chain: {{filename: {cert}}}, private_key: {{filename: {key}}}}}"""
    (folder / "envoy.yaml").write_text(
        f"""
admin: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {free_port()}}}}}}}
static_resources:
  listeners:{_envoy_listener("client", port, folder)}{_envoy_listener("client-tls", tls_port, folder, tls)}
  clusters:{_envoy_cluster("legacy", upstream)}{_envoy_cluster("candidate", upstream)}
"""
    )
    options = ("--concurrency", "1", "-l", "error", "--disable-hot-restart")
    return Started((_envoy_binary(), "-c", str(folder / "envoy.yaml"), *options), port, tls_port)


def _envoy_listener(name: str, port: int, folder: Path, tls: str = "") -> str:
    return f"""
  - name: {name}
    address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    tcp_backlog_size: 4096
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: {name}
          codec_type: HTTP1
          use_remote_address: true
          access_log:
          - name: envoy.access_loggers.file
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
              path: {folder}/access.log
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {{path_separated_prefix: /api/orders}}
                route:
                  timeout: 60s
                  hash_policy:
                  - {{header: {{header_name: X-User-Id}}, terminal: true}}
                  - {{connection_properties: {{source_ip: true}}}}
                  weighted_clusters:
                    use_hash_policy: true
                    clusters: [{{name: candidate, weight: 25}}, {{name: legacy, weight: 75}}]
              - match: {{prefix: /}}
                route: {{cluster: legacy, timeout: 60s}}{tls}"""


def _envoy_cluster(name: str, port: int) -> str:
    return f"""
  - name: {name}
    type: STATIC
    connect_timeout: 2s
    circuit_breakers: {{thresholds: [{{max_connections: 20000, max_pending_requests: 20000, max_requests: 20000}}]}}
    load_assignment:
      cluster_name: {name}
      endpoints:
      - lb_endpoints:
        - endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}}}"""


def _envoy_binary() -> str:
    """Return the real binary, without the Python process that the package's command keeps in front of it."""
    package = find_spec("envoy")
    if package is None or package.origin is None:
        return which("envoy") or "envoy"
    return str(Path(package.origin).parent / "_bin" / "envoy")


def _textbook(folder: Path, upstream: int) -> Started:
    port = free_port()
    return Started((sys.executable, "-m", "benchmarks.textbook", str(port), str(upstream)), port)


SOURCE = (sys.executable,)
"""The Python that runs the package beside this one, which is not compiled."""


def _ours(
    python: tuple[str, ...], routes: int = 1, shadow: str = "", engine: str = "builtin"
) -> Callable[[Path, int], Started]:
    def prepare(folder: Path, upstream: int) -> Started:
        port, tls_port = free_port(), free_port()
        certificate(folder)
        others = "".join(_route(f"r{i}", f"/api/resource-{i}/items") for i in range(routes - 1))
        (folder / "routes.yaml").write_text(
            f"""version: 1
engine: {engine}
listen:
  - 127.0.0.1:{port}
  - {{address: 127.0.0.1:{tls_port}, tls: {{certificates: [{{cert: cert.pem, key: key.pem}}]}}}}
admin: {{listen: "127.0.0.1:{free_port()}"}}
workers: 1
state: "{folder}/state"
log: {{level: info, format: json, access: true}}
limits: {{connections: 19000, idle_timeout: 600s}}
upstreams:
  legacy: {{url: "http://127.0.0.1:{upstream}"}}
  candidate: {{url: "http://127.0.0.1:{upstream}"}}
routes:
{others}{_route("orders", "/api/orders")}{shadow}"""
        )
        return Started((*python, "-m", "strangler", "serve", "-c", str(folder / "routes.yaml")), port, tls_port)

    return prepare


def _route(name: str, prefix: str) -> str:
    return f"""  - name: {name}
    match: {{prefix: {prefix}}}
    candidate: candidate
    split: {{percent: 25, sticky: ["header:X-User-Id", client_ip]}}
"""


_SHADOW = "    shadow: {percent: 10, of: any}\n"

PEERS = (
    Proxy("nginx", "nginx", _nginx),
    Proxy("haproxy", "HAProxy", _haproxy),
    Proxy("envoy", "Envoy", _envoy),
    Proxy("textbook", "textbook aiohttp", _textbook),
)


def ours(installed: Path) -> tuple[Proxy, ...]:
    """Return our variants. `installed` is the Python of an environment with strangler installed and compiled."""
    python = (str(installed), "-P")  # -P: not the source beside us
    return (
        Proxy("ours", "strangler", _ours(python)),
        Proxy("ours-shadow", "strangler, 10 % shadow", _ours(python, shadow=_SHADOW)),
        Proxy("ours-10k", "strangler, 10,000 routes", _ours(python, routes=10_000)),
        Proxy("ours-source", "strangler, not compiled", _ours(SOURCE)),
        Proxy("ours-envoy", "strangler, engine Envoy", _ours(python, engine="envoy")),
    )


def is_compiled(installed: Path) -> bool:
    """Return True if that environment has strangler with a compiled hot path."""
    command = [str(installed), "-P", "-c", "import strangler; print(strangler.is_compiled())"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() == "True"
