"""A pod on this machine: its folders as kubelet lays them, its variables, and the real program on loopback."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from tests.e2e.serving import Proxy

TOKEN: Final = "correct-horse-battery"
SECRETS: Final = {"token": TOKEN, "store-secret": "sixteen-letters-and-more", "pgpassword": "p@ss: word"}
CONFINE: Final = """
mount --bind "$1" "$1"
mount -o remount,bind,ro /
if touch "$1/../written" 2>/dev/null; then echo "not read-only" >&2; exit 1; fi
shift
exec setpriv --no-new-privs --clear-groups --inh-caps=-all --bounding-set=-all "$@"
"""
"""A script for `unshare --mount`: a file system that cannot be written but for one folder, and no capability."""
_ROUTES: Final = "/etc/strangler"
_STATE: Final = "/var/lib/strangler"


def environ(container: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables of a container, those of its Secret filled in."""
    return {
        each["name"]: each["value"] if "value" in each else SECRETS[each["valueFrom"]["secretKeyRef"]["key"]]
        for each in container["env"]
    }


def lay(folder: Path, files: Mapping[str, str], version: str) -> None:
    """Write the files of a ConfigMap as kubelet does: links through `..data`, which is replaced as a whole."""
    (folder / version).mkdir(parents=True)
    for name, text in files.items():
        (folder / version / name).write_text(text)
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(Path("..data") / name)
    (folder / "..data_tmp").symlink_to(version)
    (folder / "..data_tmp").replace(folder / "..data")


class Pod(Proxy):
    """The container of a Deployment, as a process: its folders lie elsewhere, and its addresses are loopback's."""

    def __init__(self, folder: Path, objects: Sequence[Mapping[str, Any]], legacy: str) -> None:
        super().__init__(folder, 0, token=TOKEN)
        self.elsewhere: dict[str, str] = {}
        """Variables that cannot be the same here."""
        self._legacy = legacy
        self._mount = folder / "routes"
        self.file = self._mount / "routes.yaml"
        self.take(objects, "..first")

    def take(self, objects: Sequence[Mapping[str, Any]], version: str) -> None:
        """Take over the objects of a release, as after `helm upgrade`."""
        (deployment,) = [each for each in objects if each["kind"] == "Deployment"]
        (config,) = [each for each in objects if each["kind"] == "ConfigMap"]
        self.template: Mapping[str, Any] = deployment["spec"]["template"]
        (self.container,) = self.template["spec"]["containers"]
        self.ports = {port["name"]: port["containerPort"] for port in self.container["ports"]}
        lay(self._mount, {name: self._here(text) for name, text in config["data"].items()}, version)

    def command(self) -> list[str]:
        words: list[str] = self.container["command"] + self.container["args"]
        program, *arguments = words
        assert program == "strangler"
        return [sys.executable, "-m", program, *(each.replace(_ROUTES, str(self._mount)) for each in arguments)]

    def _here(self, text: str) -> str:
        for elsewhere in ("http://legacy:8000", "http://legacy.shop:8000", "http://orders.shop:8000"):
            text = text.replace(elsewhere, self._legacy)
        return text.replace("[::]:", "127.0.0.1:").replace(_STATE, str(self.folder / "state"))


@asynccontextmanager
async def running(pod: Pod, *before: str) -> AsyncIterator[Pod]:
    """Run a pod's container, behind the words of `before`, until the end of the block."""
    variables = environ(pod.container) | pod.elsewhere
    os.environ.update(variables)
    try:
        await pod.start(*before, *pod.command(), ready=False)
        await _started(pod)
        yield pod
    finally:
        for name in variables:
            os.environ.pop(name, None)
        await pod.stop()


async def _started(pod: Pod) -> None:
    """Wait until it is ready, for as long as Kubernetes would."""
    probe = pod.container["startupProbe"]
    for _ in range(probe["failureThreshold"] * 20):
        if await pod.is_ready():
            return
        await asyncio.sleep(probe["periodSeconds"] / 20)
    raise AssertionError(f"the pod did not start: {pod.log}")
