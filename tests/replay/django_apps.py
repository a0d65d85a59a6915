"""The real applications, as processes of their own: two instances of each have other keys, sessions and ids."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from strangler.demo.children import free_ports
from tests.http1 import proxies

ROOT = Path(__file__).parent.parent.parent
USER, PASSWORD = "ada", "correct horse"
CLIENT, CLIENT_SECRET = "shop", "cl13nt-s3cr3t"


@contextlib.contextmanager
def django_shop(folder: Path, *, others: int, fault: str = "") -> Iterator[int]:
    """The port of a shop, in which `others` orders come first. With the fault `total` its totals are wrong."""
    with _application("django_shop", folder, fault, USER, PASSWORD, str(others)) as port:
        yield port


@contextlib.contextmanager
def token_service(folder: Path) -> Iterator[int]:
    """The port of a token service."""
    with _application("token_service", folder, "", USER, PASSWORD, CLIENT, CLIENT_SECRET) as port:
        yield port


@contextlib.contextmanager
def _application(name: str, folder: Path, fault: str, *arguments: str) -> Iterator[int]:
    values = {"APP_FOLDER": str(folder), "APP_KEY": f"the key of {folder} and no other", "APP_FAULT": fault}
    command = [sys.executable, "-m", f"tests.replay.{name}.prepare", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | values, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "gunicorn", f"tests.replay.{name}.wsgi:application", "--threads", "4"]
    command += ["--bind", f"127.0.0.1:{port}", "--chdir", str(ROOT), "--no-control-socket", "--log-level", "warning"]
    for key, value in values.items():
        command += ["--env", f"{key}={value}"]
    with proxies.running(name, command, port, folder):
        yield port
