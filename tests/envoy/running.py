"""A running Envoy for tests: its files in a folder, its ports chosen by the system, its upstreams its own listeners.

An upstream of the settings is a listener of the same Envoy that responds at once with its name. So a test gets many
thousand decisions in seconds; what upstreams receive is for tests with real ones.
"""

import http.client
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from strangler.core.settings import Settings, Url
from strangler.envoy.place import EnvoyPlace, Switches
from strangler.envoy.render import render
from strangler.envoy.resources import EnvoyResources, Resource
from tests.envoy.running_clusters import binary

_TYPE = "type.googleapis.com/envoy."
_PATIENCE_S = 60.0
_SEEN = {"x-route": "%METADATA(ROUTE:strangler:route)%", "x-reason": "%METADATA(ROUTE:strangler:reason)%"}
"""Fields that show which entry a request had."""


def validate(resources: EnvoyResources, folder: Path) -> str:
    """Let Envoy validate the static twin. Returns what is wrong; nothing if it is right."""
    file = folder / "twin.json"
    file.write_bytes(resources.static_twin())
    command = [binary(), "--mode", "validate", "-c", str(file), "-l", "critical", "--base-id-path", str(folder / "id")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return "" if done.returncode == 0 else (done.stderr or done.stdout)[-2000:]


class _AdminConnection(http.client.HTTPConnection):
    """HTTP over the unix socket of the admin listener."""

    def __init__(self, path: str) -> None:
        super().__init__("admin", timeout=_PATIENCE_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_PATIENCE_S)
        self.sock.connect(self._path)


class RunningEnvoy:
    """One Envoy with its files. `address`: where clients connect."""

    def __init__(self, folder: Path, process: "subprocess.Popen[bytes]") -> None:
        self.folder = folder
        self.process = process

    def admin(self, path: str, method: str = "GET") -> bytes:
        """Return what the admin listener says."""
        connection = _AdminConnection(str(self.folder / "admin.sock"))
        try:
            connection.request(method, path)
            return connection.getresponse().read()
        finally:
            connection.close()

    def ports(self) -> dict[str, int]:
        """Return the ports of listeners, by their names."""
        document = json.loads(self.admin("/listeners?format=json"))
        return {
            each["name"]: each["local_address"]["socket_address"]["port_value"]
            for each in document.get("listener_statuses", [])
            if "socket_address" in each.get("local_address", {})
        }

    def stat(self, name: str) -> str:
        """Return a number or a text among the statistics; empty if there is none."""
        lines = self.admin(f"/stats?filter=^{name}$").decode().splitlines()
        return lines[0].partition(": ")[2].strip('"') if lines else ""

    def replace(self, files: Mapping[str, bytes]) -> None:
        """Put files in place of those that Envoy follows."""
        for name, content in files.items():
            write(self.folder, name, content)


def write(folder: Path, name: str, content: bytes) -> None:
    """Write a file that Envoy follows: it sees it once it is there under its name."""
    fresh = folder / f".{name}"
    fresh.write_bytes(content)
    fresh.rename(folder / name)


def wait_for(is_so: Any, what: str) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        if is_so():
            return
        time.sleep(0.01)
    raise AssertionError(f"{what} within {_PATIENCE_S:g} s")


def place_in(folder: Path) -> EnvoyPlace:
    """The place of an Envoy whose working directory is the folder."""
    return EnvoyPlace(str(folder), "admin.sock", "telemetry.sock", str(folder / "receiver.sock"))


def free_ports(count: int) -> list[int]:
    """Return ports that nobody has."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def with_responders(settings: Settings) -> tuple[Settings, list[Resource]]:
    """Return the settings with upstreams that respond with their names, and the listeners that do so."""
    names = list(settings.upstreams)
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    upstreams = {
        name: replace(upstream, urls=(Url("http", "127.0.0.1", ports[name], upstream.urls[0].path),))
        for name, upstream in settings.upstreams.items()
    }
    return replace(settings, upstreams=upstreams), [_responder(name, port) for name, port in ports.items()]


def _responder(name: str, port: int) -> Resource:
    routes = [{"match": {"prefix": ""}, "direct_response": {"status": 200, "body": {"inline_string": name}}}]
    manager = {
        "@type": f"{_TYPE}extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "upstreams",
        "http_protocol_options": {"allow_custom_methods": True},
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "route_config": {"virtual_hosts": [{"name": name, "domains": ["*"], "routes": routes}]},
        "http_filters": [
            {"name": "router", "typed_config": {"@type": f"{_TYPE}extensions.filters.http.router.v3.Router"}}
        ],
    }
    return {
        "@type": f"{_TYPE}config.listener.v3.Listener",
        "name": f"upstream-{name}",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }


def visible(resources: EnvoyResources) -> EnvoyResources:
    """Return the same, with the route and the reason in fields of the response."""
    added = [
        {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
        for name, value in _SEEN.items()
    ]
    routes = dict(resources.routes)
    routes["response_headers_to_add"] = [*routes.get("response_headers_to_add", ()), *added]
    return replace(resources, routes=routes)


@contextmanager
def run(resources: EnvoyResources, folder: Path, *, concurrency: int = 1) -> Iterator[RunningEnvoy]:
    """Run Envoy with these resources, until the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in resources.files("1").items():
        write(folder, name, content)
    command = [
        binary(), "-c", "bootstrap.json", "--concurrency", str(concurrency), "--use-dynamic-base-id",
        "--reject-unknown-dynamic-fields", "-l", "warning",
    ]  # fmt: skip
    with (folder / "envoy.log").open("wb") as log, subprocess.Popen(command, cwd=folder, stderr=log) as process:
        try:
            started = RunningEnvoy(folder, process)
            wait_for(lambda: _is_live(started), "Envoy is live")
            yield started
        finally:
            process.kill()


def _is_live(started: RunningEnvoy) -> bool:
    if started.process.poll() is not None:
        raise AssertionError((started.folder / "envoy.log").read_text()[-3000:])
    try:
        return bool(json.loads(started.admin("/server_info"))["state"] == "LIVE")
    except (OSError, ValueError, http.client.HTTPException):
        return False


@contextmanager
def run_settings(
    settings: Settings, folder: Path, switches: Switches | None = None, now: float = 0.0
) -> Iterator[tuple[RunningEnvoy, int]]:
    """Run Envoy with settings whose upstreams respond with their names. Yields it and the port of its clients."""
    placed, responders = with_responders(settings)
    with run_placed(placed, responders, folder, switches, now) as found:
        yield found


@contextmanager
def run_placed(
    placed: Settings,
    responders: Sequence[Resource],
    folder: Path,
    switches: Switches | None = None,
    now: float = 0.0,
) -> Iterator[tuple[RunningEnvoy, int]]:
    """The same for settings that have been placed already, with the listeners of their upstreams."""
    resources = visible(render(placed, place_in(folder), 7, switches or Switches(), now))
    with run(replace(resources, listeners=(*resources.listeners, *responders)), folder) as started:
        name = next(name for name in started.ports() if not name.startswith("upstream-"))
        yield started, started.ports()[name]


def remove(folder: Path) -> None:
    """Remove the files of an Envoy that has ended."""
    shutil.rmtree(folder, ignore_errors=True)
