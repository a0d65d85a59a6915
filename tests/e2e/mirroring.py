"""The proxies of docs/receiver.md as real processes, with the configurations that stand there."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which

from strangler.demo.children import free_ports
from tests.http1.proxies import NGINX_TOP, Proxy, envoy_binary, running

PAGE = Path(__file__).parents[2] / "docs" / "receiver.md"


def recipe(kind: str, containing: str) -> str:
    """Return the block of that language in which this text stands."""
    blocks: list[str] = re.findall(rf"^```{kind}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return next(block for block in blocks if containing in block)


def _placed(text: str, port: int, legacy: int, receiver: int) -> str:
    """Return a recipe with the ports of this test."""
    places = {8080: port, 8000: legacy, 8082: receiver}
    return re.sub(r"(?<=[ :])(8080|8000|8082)\b", lambda found: str(places[int(found[1])]), text)


@contextmanager
def nginx(folder: Path, legacy: int, receiver: int) -> Iterator[Proxy]:
    (port,) = free_ports(1)
    file = folder / "nginx.conf"
    text = _placed(recipe("nginx", "mirror /mirror"), port, legacy, receiver)
    file.write_text(f"{NGINX_TOP.format(folder=folder)}\n{text}\n}}\n")
    command = [which("nginx") or "nginx", "-c", str(file), "-e", str(folder / "error.log"), "-p", str(folder)]
    with running("nginx", command, port, folder) as proxy:
        yield proxy


@contextmanager
def haproxy(folder: Path, legacy: int, receiver: int) -> Iterator[Proxy]:
    (port,) = free_ports(1)
    script, file = folder / "mirror.lua", folder / "haproxy.cfg"
    script.write_text(_placed(recipe("lua", "core.httpclient"), port, legacy, receiver))
    text = recipe("haproxy", "lua-load").replace("/etc/haproxy/mirror.lua", str(script))
    file.write_text(_placed(text, port, legacy, receiver))
    with running("haproxy", [which("haproxy") or "haproxy", "-db", "-f", str(file)], port, folder) as proxy:
        yield proxy


@contextmanager
def envoy(folder: Path, legacy: int, receiver: int) -> Iterator[Proxy]:
    (port,) = free_ports(1)
    file = folder / "envoy.yaml"
    file.write_text(_placed(recipe("yaml", "request_mirror_policies"), port, legacy, receiver))
    options = ("--concurrency", "1", "-l", "error", "--disable-hot-restart")
    with running("envoy", [envoy_binary() or "envoy", "-c", str(file), *options], port, folder) as proxy:
        yield proxy
