"""Upstreams of a real proxy: applications on unix sockets as the docs start them, and certificates that change."""

import asyncio
import shlex
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import ClientSession

from tests.e2e.serving import Proxy
from tests.upstreams.servers import Authorities, Server

PAGE = Path(__file__).parents[2] / "docs" / "upstreams.md"
WSGI = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"gunicorn {environ['wsgi.url_scheme']} {environ['HTTP_HOST']}".encode()]
"""
ASGI = """
async def application(scope, receive, send):
    if scope["type"] != "http":
        return
    host = dict(scope["headers"])[b"host"].decode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": f"uvicorn {scope['scheme']} {host}".encode()})
"""
ROUTES = """\
version: 1
listen: 127.0.0.1:0
admin: {{listen: 127.0.0.1:0}}
workers: 1
state: state
trusted_proxies: [127.0.0.1]
{upstreams}
routes: [{{name: orders, match: {{prefix: /api}}, candidate: orders, split: {{percent: 100}}, fallback: false}}]
"""


def _block(language: str, begins: str) -> str:
    """Return a block of docs/upstreams.md, as it is written there."""
    blocks = PAGE.read_text().split(f"```{language}\n")[1:]
    return next(block for block in blocks if block.startswith(begins)).split("```")[0]


@asynccontextmanager
async def running(command: str, folder: Path, sock: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a module's command line until it listens, and end it afterwards."""
    words = (sys.executable, "-m", *shlex.split(command))
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*words, cwd=folder, stdout=quiet, stderr=quiet)
    try:
        async with asyncio.timeout(30):
            while not sock.exists():  # noqa: ASYNC110 - another program makes it
                await asyncio.sleep(0.05)
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


@asynccontextmanager
async def proxy_of(folder: Path, upstreams: str) -> AsyncIterator[Proxy]:
    proxy = Proxy(folder, 0)
    proxy.file.write_text(ROUTES.format(upstreams=upstreams))
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()


async def ask(proxy: Proxy, path: str, method: str = "GET") -> tuple[int, str]:
    headers = {"X-Forwarded-Proto": "https", "Host": "shop.example"}
    url = f"http://127.0.0.1:{proxy.port}{path}"
    async with ClientSession() as client, client.request(method, url, headers=headers) as response:
        return response.status, await response.text()


async def test_python_applications_on_unix_sockets_as_the_docs_start_them(tmp_path: Path) -> None:
    """Both believe what the proxy says of the client, and a socket that is gone is seen."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "wsgi.py").write_text(WSGI)
    (tmp_path / "shop" / "asgi.py").write_text(ASGI)
    gunicorn, uvicorn = (
        line.replace("/run/shop", str(tmp_path)) for line in _block("sh", "gunicorn").strip().splitlines()
    )
    upstreams = _block("yaml", 'upstreams:\n  legacy: {url: "unix:/run/shop').replace("/run/shop", str(tmp_path))
    async with (
        running(f"{gunicorn}:application", tmp_path, tmp_path / "gunicorn.sock") as first,
        running(f"{uvicorn} --forwarded-allow-ips '*'", tmp_path, tmp_path / "uvicorn.sock"),
        proxy_of(tmp_path, upstreams) as proxy,
    ):
        assert await ask(proxy, "/") == (200, "gunicorn https shop.example")
        assert await ask(proxy, "/api/orders") == (200, "uvicorn https shop.example")
        assert not (await proxy.ask("/readyz"))[1]["degraded"]
        listed = {row["name"]: row["urls"] for row in (await proxy.status())["upstreams"]}
        assert listed["legacy"] == [f"unix:{tmp_path}/gunicorn.sock"]
        first.terminate()
        await first.wait()
        await proxy.until(lambda: _is_degraded(proxy))


async def _is_degraded(proxy: Proxy) -> bool:
    found: bool = (await proxy.ask("/readyz"))[1]["degraded"]
    return found


async def test_a_certificate_that_changes_on_disk_is_shown_to_upstreams_without_a_restart(tmp_path: Path) -> None:
    authorities = Authorities()

    def install(name: str) -> None:
        for kind in ("pem", "key"):
            new = tmp_path / f"new.{kind}"
            new.write_bytes(authorities.files[f"/tls/{name}.{kind}"])
            new.replace(tmp_path / f"client.{kind}")

    install("stranger")
    (tmp_path / "ca.pem").write_bytes(authorities.files["/tls/ca.pem"])
    with Server(authorities.server("127.0.0.1", asks=True)) as server:
        url = f"https://127.0.0.1:{server.port}"
        tls = "tls: {ca: ca.pem, cert: client.pem, key: client.key}, breaker: false"
        health = "health: {path: /healthz, interval: 200ms, timeout: 200ms, fall: 1}"
        upstreams = f"upstreams:\n  legacy: {{url: {url}, {tls}}}\n  orders: {{url: {url}, {tls}, {health}}}"
        async with proxy_of(tmp_path, upstreams) as proxy:
            status, problem = await ask(proxy, "/api/orders", "POST")
            assert (status, '"fault":"reset"' in problem) == (502, True)
            assert (await proxy.ask("/readyz"))[1]["degraded"]
            await proxy.until(lambda: _state(proxy, url, "unhealthy"))
            install("client")
            await proxy.until(lambda: _state(proxy, url, "in_use"))
            assert (await ask(proxy, "/api/orders", "POST"))[0] == 200
            await proxy.until(lambda: _is_sound(proxy))
            assert set(server.subjects) == {"client"}


async def _state(proxy: Proxy, url: str, wanted: str) -> bool:
    upstreams: list[dict[str, Any]] = (await proxy.status())["upstreams"]
    return any(row["name"] == "orders" and row["endpoints"][url] == wanted for row in upstreams)


async def _is_sound(proxy: Proxy) -> bool:
    return not await _is_degraded(proxy)
