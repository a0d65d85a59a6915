"""Load: wrk for the highest rate of a proxy, a paced generator for the latency at half of that, a client that connects
for each request, idle connections.

wrk is a closed loop: a slow response delays the next request, which hides waiting ("coordinated omission"). The paced
generator sends at the moments of a Poisson process, fixed before it starts, and counts each latency from the moment
when the request was due, so that queueing behind a slow response is seen. The client that connects for each request is
slower than any proxy, so that only the proxy's CPU per request counts.
"""

import json
import os
import random
import re
import select
import socket
import ssl
import subprocess
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_HEADERS = {"User-Agent": "benchmark/1", "Accept": "application/json", "Cookie": "sid=5a1c8e; theme=dark"}
_USERS = 128
"""The number of distinct values of X-User-Id, sent in turn: a quarter of them belongs to the candidate."""


@dataclass(frozen=True, slots=True)
class Workload:
    name: str
    label: str
    method: str
    path: str
    body_bytes: int
    connections: int
    is_upload: bool
    is_tls: bool = False
    connects: Literal["once", "anew", "resumed"] = "once"
    """How often a client connects: once for all requests, or for each; `resumed`: with the TLS session of the last."""


WORKLOADS = (
    Workload("get", "small GET", "GET", "/api/orders/7", 0, 32, False),
    Workload("post", "10 KB POST", "POST", "/api/orders", 10_000, 32, True),
    Workload("download", "1 MB download", "GET", "/api/orders/megabyte", 0, 8, False),
    Workload("upload", "1 MB upload", "POST", "/api/orders", 1_000_000, 8, True),
    Workload("connect", "small GET, a connection each", "GET", "/api/orders/7", 0, 1, False, connects="anew"),
    Workload("tls-get", "small GET by TLS", "GET", "/api/orders/7", 0, 32, False, is_tls=True),
    Workload("tls-download", "1 MB download by TLS", "GET", "/api/orders/megabyte", 0, 8, False, is_tls=True),
    Workload("tls-upload", "1 MB upload by TLS", "POST", "/api/orders", 1_000_000, 8, True, is_tls=True),
    Workload(
        "tls-connect", "small GET, a TLS connection each", "GET", "/api/orders/7", 0, 1, False, True, connects="anew"
    ),
    Workload(
        "tls-resume", "small GET, a resumed TLS connection each", "GET", "/api/orders/7", 0, 1, False, True, "resumed"
    ),
)


@dataclass(frozen=True, slots=True)
class Load:
    """The result of a load. Latencies are in seconds."""

    requests: int
    seconds: float
    errors: int
    p50_s: float
    p99_s: float

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


def closed_loop(workload: Workload, port: int, seconds: float, cpu: int, folder: Path) -> Load:
    """Run wrk with one thread, as fast as the proxy responds; or connect for each request, one after the other."""
    if workload.connects != "once":
        return connecting(workload, port, seconds)
    script = write_script(workload, folder)
    command = ["taskset", "-c", str(cpu), "wrk", "-t1", f"-c{workload.connections}", f"-d{max(1, round(seconds))}s"]
    command += ["--timeout", "20s", "-s", str(script), f"{'https' if workload.is_tls else 'http'}://127.0.0.1:{port}"]
    return read_result(
        subprocess.run(command, capture_output=True, text=True, check=True, start_new_session=True).stdout
    )


def write_script(workload: Workload, folder: Path) -> Path:
    """Write the workload as a script for `wrk -s`."""
    script = folder / f"{workload.name}.lua"
    script.write_text(_script(workload))
    return script


def read_result(printed: str) -> Load:
    """Return the result that wrk printed with such a script."""
    line = re.search(r"^RESULT (.*)$", printed, re.MULTILINE)
    if line is None:
        raise RuntimeError(f"wrk printed no result:\n{printed}")
    result = json.loads(line[1])
    return Load(result["requests"], result["us"] / 1e6, result["errors"], result["p50"] / 1e6, result["p99"] / 1e6)


def _script(workload: Workload) -> str:
    """Return Lua for wrk: requests are built once; `done` prints one line of JSON."""
    headers = "".join(f'wrk.headers["{name}"] = "{value}"\n' for name, value in _HEADERS.items())
    body = f'wrk.body = string.rep("x", {workload.body_bytes})\n' if workload.body_bytes else ""
    users = 4 if workload.body_bytes > 100_000 else _USERS
    return f"""
{headers}wrk.method = "{workload.method}"
{body}
local requests, at = {{}}, 0
init = function(args)
  for user = 1, {users} do
    wrk.headers["X-User-Id"] = "user-" .. user
    requests[user] = wrk.format(nil, "{workload.path}")
  end
end
request = function()
  at = at % {users} + 1
  return requests[at]
end
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format('RESULT {{"requests":%d,"us":%d,"errors":%d,"p50":%d,"p99":%d}}\\n', summary.requests,
    summary.duration, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"""


def paced(workload: Workload, port: int, seconds: float, rate: float, connections: int = 64) -> Load:
    """Send `rate` requests per second at random moments, on the caller's core. Only for small responses."""
    generator = _Paced(workload, port, connections)
    try:
        return generator.run(seconds, rate)
    finally:
        generator.close()


class _Paced:
    """One thread on `select`, whose timeouts are in microseconds; epoll's are in milliseconds."""

    def __init__(self, workload: Workload, port: int, connections: int) -> None:
        self._idle = deque(_connect(port) for _ in range(connections))
        self._all = list(self._idle)
        self._busy: dict[socket.socket, tuple[float, bytearray]] = {}
        self._requests = [_request(workload, user) for user in range(_USERS)]
        self._latencies: list[float] = []
        self._errors = 0

    def run(self, seconds: float, rate: float) -> Load:
        moments = poisson(rate, seconds)
        waiting: deque[float] = deque()
        begin = time.perf_counter()
        at = 0
        while at < len(moments) or waiting or self._busy:
            now = time.perf_counter() - begin
            while at < len(moments) and moments[at] <= now:
                waiting.append(moments[at])
                at += 1
            while waiting and self._idle:
                self._ask(self._idle.popleft(), waiting.popleft())
            pause = moments[at] - (time.perf_counter() - begin) if at < len(moments) else 0.5
            for sock in select.select(list(self._busy), (), (), max(0.0, pause))[0]:
                self._read(sock, begin)
            if now > seconds + 20:
                self._errors += len(self._busy) + len(waiting)
                break
        self._latencies.sort()
        took = time.perf_counter() - begin
        return Load(len(self._latencies), took, self._errors, self._quantile(0.5), self._quantile(0.99))

    def close(self) -> None:
        for sock in self._all:
            sock.close()

    def _ask(self, sock: socket.socket, due: float) -> None:
        sock.sendall(self._requests[len(self._latencies) % _USERS])
        self._busy[sock] = (due, bytearray())

    def _read(self, sock: socket.socket, begin: float) -> None:
        due, received = self._busy[sock]
        data = sock.recv(65536)
        received += data
        if data and not is_complete(received):
            return
        del self._busy[sock]
        self._latencies.append(time.perf_counter() - begin - due)
        if data and received.startswith(b"HTTP/1.1 200"):
            self._idle.append(sock)
        else:
            self._errors += 1

    def _quantile(self, share: float) -> float:
        return (
            self._latencies[min(len(self._latencies) - 1, int(len(self._latencies) * share))]
            if self._latencies
            else 0.0
        )


def poisson(rate: float, seconds: float) -> list[float]:
    draw = random.Random(7)  # the same moments for every proxy
    moments, at = [], draw.expovariate(rate)
    while at < seconds:
        moments.append(at)
        at += draw.expovariate(rate)
    return moments


def _request(workload: Workload, user: int) -> bytes:
    fields = {"Host": "127.0.0.1", **_HEADERS, "X-User-Id": f"user-{user}"}
    lines = [f"{workload.method} {workload.path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def is_complete(received: bytearray) -> bool:
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return False
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", received[:end])
    if length is None:
        return received.endswith(b"\r\n0\r\n\r\n")
    return len(received) >= end + 4 + int(length[1])


def _connect(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), 10)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def connecting(workload: Workload, port: int, seconds: float) -> Load:
    """Connect for each request, one after the other, on the caller's core."""
    context = _client_context() if workload.is_tls else None
    requests = [_request(workload, user) for user in range(_USERS)]
    latencies: list[float] = []
    errors = 0
    session: ssl.SSLSession | None = None
    begin = time.perf_counter()
    while (now := time.perf_counter()) - begin < seconds:
        sock = _connect(port)
        try:
            if context is not None:
                sock = context.wrap_socket(sock, session=session if workload.connects == "resumed" else None)
                if session is not None and workload.connects == "resumed":
                    errors += not sock.session_reused
            _exchange(sock, requests[len(latencies) % _USERS])
            if isinstance(sock, ssl.SSLSocket):
                session = sock.session
        finally:
            sock.close()
        latencies.append(time.perf_counter() - now)
    took = time.perf_counter() - begin
    latencies.sort()
    return Load(len(latencies), took, errors, latencies[len(latencies) // 2], latencies[int(len(latencies) * 0.99)])


def _exchange(sock: socket.socket, request: bytes) -> None:
    """Send a request and read its response. Raises RuntimeError if the proxy closes before its end."""
    sock.sendall(request)
    received = bytearray()
    while not is_complete(received):
        data = sock.recv(65536)
        if not data:
            raise RuntimeError("the proxy has closed a connection before its response was complete")
        received += data


def _client_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # a certificate of the benchmark's own
    return context


def open_idle(port: int, count: int, *, is_tls: bool = False) -> list[socket.socket]:
    """Return `count` connections that have served one request each. The caller closes them."""
    held: list[socket.socket] = []
    request = _request(WORKLOADS[0], 1)
    context = _client_context() if is_tls else None
    for _ in range(count):
        sock = _connect(port)
        held.append(sock if context is None else context.wrap_socket(sock))
        _exchange(held[-1], request)
    return held


def run_on(cpu: int) -> None:
    """Pin this process, and its later children, to one core."""
    os.sched_setaffinity(0, {cpu})
