"""docs/deploying.md, each file and command as it is written there; only places and ports are replaced."""

import asyncio
import grp
import os
import re
import socket
import ssl
import stat
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from shutil import copy, which
from typing import Any

import pytest
import yaml
from aiohttp import ClientSession, CookieJar, TCPConnector, web
from aiohttp.abc import AbstractResolver, ResolveResult

from strangler.demo.children import free_ports
from tests.certificates import Pair, make_ca, make_pair
from tests.e2e.commands import run
from tests.e2e.serving import Proxy
from tests.http1.proxies import NGINX_TOP
from tests.needs import require
from tests.served import served

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "deploying.md").read_text()
TOKEN = "correct-horse-battery"
GET = b"GET /who HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n"


def block(language: str, begins: str, number: int = 0) -> str:
    """Return a block of the page by its language and first line."""
    found = [text.split("```")[0] for text in PAGE.split(f"```{language}\n")[1:]]
    return [text for text in found if text.startswith(begins)][number]


def replaced(text: str, *pairs: tuple[str, str]) -> str:
    """Replace what cannot be the same here; all of it must be there."""
    for old, new in pairs:
        assert old in text, f"the page no longer has {old!r}"
        text = text.replace(old, new)
    return text


class Deployed(Proxy):
    """A proxy with a routes.yaml of the page, and its upstream, which echoes what it gets."""

    def __init__(self, folder: Path, routes: str) -> None:
        super().__init__(folder, 0, token=TOKEN)
        self.file.write_text(routes if "state:" in routes else f"{routes}state: state\n")
        self.requests_seen: list[web.BaseRequest] = []

    async def served(self, *command: str) -> None:
        os.environ["STRANGLER_TOKEN"] = TOKEN
        try:
            await self.start(*command)
        finally:
            del os.environ["STRANGLER_TOKEN"]


@asynccontextmanager
async def legacy() -> AsyncIterator[tuple[int, list[web.BaseRequest]]]:
    """The port of legacy, and the requests that it gets."""
    seen: list[web.BaseRequest] = []

    async def respond(request: web.BaseRequest) -> web.StreamResponse:
        seen.append(request)
        if "upgrade" in request.headers.get("Connection", "").lower():
            websocket = web.WebSocketResponse()
            await websocket.prepare(request)
            async for message in websocket:
                await websocket.send_str(message.data)
            return websocket
        return web.Response(text="legacy")

    async with served(respond) as port:
        yield port, seen


@asynccontextmanager
async def deployed(folder: Path, routes: str, *command: str) -> AsyncIterator[Deployed]:
    proxy = Deployed(folder, routes)
    try:
        await proxy.served(*command)
        yield proxy
    finally:
        await proxy.stop()


@asynccontextmanager
async def program(is_ready: Callable[[], bool], *command: str) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(*command)
    try:
        async with asyncio.timeout(20):
            while not is_ready():
                assert process.returncode is None
                await asyncio.sleep(0.02)
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def accepts(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def client_context(*roots: Pair) -> ssl.SSLContext:
    """The TLS of a client that trusts these authorities."""
    return ssl.create_default_context(cadata="".join(root.cert.decode() for root in roots))


async def ask_by_tls(port: int, context: ssl.SSLContext, before: bytes = b"", request: bytes = GET) -> bytes:
    """Return the response to a request by TLS. `before`: bytes ahead of the handshake."""

    def exchange() -> bytes:
        with socket.create_connection(("127.0.0.1", port), 10) as plain:
            plain.sendall(before)
            with context.wrap_socket(plain, server_hostname="shop.example") as connection:
                connection.sendall(request)
                return b"".join(iter(lambda: connection.recv(65536), b""))

    return await asyncio.to_thread(exchange)


async def last_client(proxy: Proxy, path: str = "/who") -> str:
    lines = await proxy.until(lambda: [line for line in proxy.events("request") if line["path"] == path])
    return str(lines[-1]["client"])


# 1. Behind an L4 load balancer


@pytest.fixture
def ca() -> Pair:
    return make_ca()


@pytest.fixture
async def behind_l4(tmp_path: Path, ca: Pair) -> AsyncIterator[Deployed]:
    (tmp_path / "tls").mkdir()
    make_pair(["shop.example"], ca=ca).write(tmp_path / "tls", "shop")
    make_pair(["strangler-1.internal"], ca=ca).write(tmp_path / "tls", "admin")
    async with legacy() as (port, seen):
        routes = replaced(
            block("yaml", "# routes.yaml"),
            ("0.0.0.0:8443", "127.0.0.1:0"),
            ("0.0.0.0:8081", "127.0.0.1:0"),
            ("10.0.0.0/8", "127.0.0.1"),
            ("10.0.1.20:8000", f"127.0.0.1:{port}"),
        )
        async with deployed(tmp_path, routes) as proxy:
            proxy.requests_seen = seen
            yield proxy


async def test_haproxy_passes_tls_through_and_asks_for_readiness(behind_l4: Deployed, tmp_path: Path, ca: Pair) -> None:
    require("" if which("haproxy") else "haproxy")
    (port,) = free_ports(1)
    (tmp_path / "ca.pem").write_bytes(ca.cert)
    config = replaced(
        block("haproxy", "# haproxy.cfg"),
        ("bind :443", f"bind 127.0.0.1:{port}\n  tcp-request connection set-src ipv4(203.0.113.50)"),
        ("10.0.0.7:8443", f"127.0.0.1:{behind_l4.port}"),
        ("check port 8081", f"check inter 200ms port {behind_l4.admin.rpartition(':')[2]}"),
        ("/etc/haproxy/ca.pem", str(tmp_path / "ca.pem")),
    )
    (tmp_path / "haproxy.cfg").write_text(f"global\n  stats socket {tmp_path}/stats\n{config}")
    async with program(lambda: accepts(port), "haproxy", "-db", "-f", str(tmp_path / "haproxy.cfg")):
        assert b" 200 OK" in await ask_by_tls(port, client_context(ca))
        assert await last_client(behind_l4) == "203.0.113.50"
        assert behind_l4.requests_seen[-1].headers["X-Forwarded-Proto"] == "https"
        assert behind_l4.requests_seen[-1].headers["X-Forwarded-For"] == "203.0.113.50"
        await behind_l4.until(lambda: _has_passed(tmp_path))


async def _has_passed(folder: Path) -> bool:
    """Whether HAProxy has seen the proxy ready, by its own account."""
    reader, writer = await asyncio.open_unix_connection(str(folder / "stats"))
    writer.write(b"show stat\n")
    rows = (await reader.read()).decode().splitlines()
    writer.close()
    (row,) = [row for row in rows if row.startswith("shop,strangler-1,")]
    assert "L7STS" not in row
    assert "L6" not in row
    return "L7OK,200" in row


V2 = b"\r\n\r\n\0\r\nQUIT\n"
ENDPOINT = b"\xea\0\x17\x01vpce-08d2bf15fac5001c9"  # what an NLB adds: PP2_TYPE_AWS, the id of a VPC endpoint
FROM_NLB = (
    V2
    + b"\x21\x11"
    + struct.pack("!H", 12 + len(ENDPOINT))
    + bytes((203, 0, 113, 9, 10, 0, 0, 7, 1, 2, 1, 187))
    + ENDPOINT
)
CHECK_OF_NLB = V2 + b"\x20\0\0\0"  # LOCAL


async def test_an_nlb_names_the_client_before_the_handshake(behind_l4: Deployed, ca: Pair) -> None:
    assert b" 200 OK" in await ask_by_tls(behind_l4.port, client_context(ca), FROM_NLB)
    assert await last_client(behind_l4) == "203.0.113.9"


async def test_the_check_of_an_nlb_is_taken(behind_l4: Deployed) -> None:
    with socket.create_connection(("127.0.0.1", behind_l4.port), 5) as check:
        check.sendall(CHECK_OF_NLB)
        check.settimeout(0.3)
        with pytest.raises(TimeoutError):  # it is not closed: a handshake may follow
            check.recv(1)


# 2. Behind nginx or an ingress


class _Here(AbstractResolver):
    """Every name is this machine."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [ResolveResult(hostname=host, host="127.0.0.1", port=port, family=family, proto=0, flags=0)]

    async def close(self) -> None:
        pass


async def _login(request: web.BaseRequest) -> web.StreamResponse:
    """As oauth2-proxy: 202 with the person for a cookie of its own, else 401; and a page to sign in."""
    if request.path == "/oauth2/auth":
        is_known = request.cookies.get("_oauth2_proxy") == "ana"
        return web.Response(status=202 if is_known else 401, headers={"X-Auth-Request-Email": "ana@shop.example"})
    return web.Response(text="sign in")


class Behind:
    """A proxy behind nginx as on the page. `port` is nginx's."""

    def __init__(self, proxy: Deployed, port: int, client: ClientSession) -> None:
        self.proxy = proxy
        self.port = port
        self.client = client

    def url(self, host: str, path: str, scheme: str = "https") -> str:
        return f"{scheme}://{host}:{self.port}{path}"


@pytest.fixture
async def behind_nginx(tmp_path: Path, ca: Pair) -> AsyncIterator[Behind]:
    require("" if which("nginx") else "nginx")
    (port,) = free_ports(1)
    cert, key = make_pair(["shop.example", "ops.example"], ca=ca).write(tmp_path, "nginx")
    groups = {group.gr_name for group in grp.getgrall()} if os.geteuid() == 0 else set()
    async with AsyncExitStack() as stack:
        upstream, seen = await stack.enter_async_context(legacy())
        login = await stack.enter_async_context(served(_login))
        routes = replaced(
            block("yaml", "# routes.yaml", 1),
            ("/run/strangler/web.sock", str(tmp_path / "web.sock")),
            ("10.0.1.20:8000", f"127.0.0.1:{upstream}"),
            ("127.0.0.1:8081", "127.0.0.1:0"),
            *([] if "www-data" in groups else [(", group: www-data", "")]),
        )
        proxy = await stack.enter_async_context(deployed(tmp_path, routes))
        proxy.requests_seen = seen
        servers = block("nginx", "# nginx.conf, within http {}\n") + block("nginx", "# nginx.conf, within http {}, too")
        servers = replaced(
            servers,
            ("/run/strangler/web.sock", str(tmp_path / "web.sock")),
            ("/etc/nginx/tls/fullchain.pem", cert),
            ("/etc/nginx/tls/privkey.pem", key),
            ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
            ("127.0.0.1:4180", f"127.0.0.1:{login}"),
            ("127.0.0.1:8081", proxy.admin.removeprefix("http://")),
        )
        file, errors = tmp_path / "nginx.conf", tmp_path / "error.log"
        file.write_text(f"{NGINX_TOP.format(folder=tmp_path)}{servers}}}\n")
        command = (which("nginx") or "", "-c", str(file), "-e", str(errors), "-p", str(tmp_path))
        await stack.enter_async_context(program(lambda: accepts(port), *command))
        connector = TCPConnector(resolver=_Here(), ssl=client_context(ca))
        client = ClientSession(connector=connector, cookie_jar=CookieJar())
        yield Behind(proxy, port, await stack.enter_async_context(client))


async def test_nginx_ends_tls_and_the_proxy_believes_it(behind_nginx: Behind) -> None:
    url, lie = behind_nginx.url("shop.example", "/who"), {"X-Forwarded-For": "1.2.3.4", "X-Forwarded-Proto": "http"}
    async with behind_nginx.client.get(url, headers=lie) as response:
        assert (response.status, await response.text()) == (200, "legacy")
    headers = behind_nginx.proxy.requests_seen[-1].headers
    assert headers["X-Forwarded-Proto"] == "https"
    assert headers["X-Forwarded-For"].startswith("127.0.0.1")
    assert headers["Host"] == f"shop.example:{behind_nginx.port}"
    assert await last_client(behind_nginx.proxy) == "127.0.0.1"


async def test_a_websocket_passes_through_nginx(behind_nginx: Behind) -> None:
    async with behind_nginx.client.ws_connect(behind_nginx.url("shop.example", "/ws")) as websocket:
        await websocket.send_str("hello")
        assert await websocket.receive_str(timeout=10) == "hello"


async def test_the_dashboard_is_behind_a_login_and_the_audit_has_the_name(behind_nginx: Behind) -> None:
    client, start = behind_nginx.client, behind_nginx.url("ops.example", "/strangler/")
    async with client.get(start, allow_redirects=False) as response:
        assert (response.status, response.headers["Location"].partition("?")[0].rpartition("ops.example")[2]) == (
            302,
            f":{behind_nginx.port}/oauth2/sign_in",
        )
    signed_in = {"Cookie": "_oauth2_proxy=ana"}
    async with client.get(start, headers=signed_in) as response:
        page, cookie = await response.text(), response.request_info.headers
    assert response.url.path == "/strangler/login"
    mark = re.search(r'name="mark" value="([^"]+)"', page)
    assert mark is not None
    session = next(iter(client.cookie_jar)).value
    headers = {"Cookie": f"_oauth2_proxy=ana; strangler_session={session}", "X-Forwarded-User": "eve"}
    form = {"token": TOKEN, "mark": mark[1], "next": "/"}
    login = behind_nginx.url("ops.example", "/strangler/login")
    in_clear = headers | {"Origin": "http://ops.example"}
    async with client.post(login, data=form, headers=in_clear, allow_redirects=False) as response:
        assert response.status == 403
    own = headers | {"Origin": "https://ops.example"}
    async with client.post(login, data=form, headers=own, allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (303, "/strangler/")
        assert "Secure" in response.headers["Set-Cookie"]
        assert "Path=/strangler" in response.headers["Set-Cookie"]
    assert cookie is not None
    code, output = await run(behind_nginx.proxy.folder, "audit", STRANGLER_TOKEN=TOKEN, COLUMNS="200")
    assert code == 0, output
    assert "ana@shop.example (dashboard 127.0.0.1)" in output
    assert "eve" not in output


async def test_an_ingress_names_the_client_and_its_scheme(tmp_path: Path) -> None:
    async with legacy() as (upstream, seen):
        routes = replaced(
            block("yaml", "# routes.yaml", 2),
            ("[::]:8080", "127.0.0.1:0"),
            ("[::]:8081", "127.0.0.1:0"),
            ("10.244.0.0/16", "127.0.0.1"),
            ("/var/lib/strangler", str(tmp_path / "state")),
            ("legacy:8000", f"127.0.0.1:{upstream}"),
        )
        async with deployed(tmp_path, routes) as proxy, ClientSession() as client:
            headers = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"}
            async with client.get(f"http://127.0.0.1:{proxy.port}/who", headers=headers) as response:
                assert response.status == 200
            assert await last_client(proxy) == "203.0.113.7"
    assert seen[-1].headers["X-Forwarded-Proto"] == "https"


# 3. On its own at the edge

CERTBOT = """\
#!{python}
import os, pathlib, sys
assert sys.argv[1:] == ["certonly", "--standalone", "--domain", "shop.example"], sys.argv
"""


def lay(folder: Path, pair: Pair, number: int, name: str = "shop.example") -> Path:
    """Lay a certificate down as certbot does: live/NAME has links into archive/NAME. Returns the former."""
    archive, live = folder / "archive" / name, folder / "live" / name
    for each in (archive, live):
        each.mkdir(parents=True, exist_ok=True, mode=0o700)
    for stem, content in (("fullchain", pair.chain), ("privkey", pair.key), ("cert", pair.cert)):
        file, link = archive / f"{stem}{number}.pem", live / f"{stem}.pem"
        file.write_bytes(content)
        file.chmod(0o600)
        link.unlink(missing_ok=True)
        link.symlink_to(Path("..") / ".." / "archive" / name / file.name)
    return live


def hook(folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the hook as certbot does after a renewal."""
    variables = {"STRANGLER_TLS": str(folder / "tls"), "STRANGLER_GROUP": str(os.getegid())} | environ
    return subprocess.run(
        [str(ROOT / "deploy" / "certbot-hook")], env=os.environ | variables, capture_output=True, text=True, check=False
    )


async def test_the_edge_from_the_first_certificate_to_its_renewal(tmp_path: Path, ca: Pair) -> None:
    require("" if which("systemd-socket-activate") else "systemd-socket-activate (Debian: systemd)")
    etc = tmp_path / "letsencrypt"
    (etc / "renewal-hooks" / "deploy").mkdir(parents=True)
    lay(etc, make_pair(["shop.example"], ca=ca), 1)
    _set_up_certbot(tmp_path, etc)
    assert stat.S_IMODE((tmp_path / "tls" / "shop.example.pem").stat().st_mode) == 0o640
    https, http = free_ports(2)
    acme_port, challenges = free_ports(1)[0], []
    async with AsyncExitStack() as stack:
        upstream, _ = await stack.enter_async_context(legacy())
        routes = replaced(
            block("yaml", "# /etc/strangler/routes.yaml"),
            ("[::]:443", f"[::]:{https}"),
            ("[::]:80", f"[::]:{http}"),
            ("redirect: https", f'redirect: "https:{https}"'),
            ("127.0.0.1:8081", "127.0.0.1:0"),
            ("127.0.0.1:8000", f"127.0.0.1:{upstream}"),
            ("127.0.0.1:8888", f"127.0.0.1:{acme_port}"),
        )
        sockets = block("systemd", "# /etc/systemd/system/strangler.socket.d/edge.conf")
        addresses = re.findall(r"^ListenStream=(\d+)$", sockets, re.MULTILINE)
        (name,) = re.findall(r"^FileDescriptorName=(.+)$", sockets, re.MULTILINE)
        assert addresses == ["80", "443"]
        activate = ["systemd-socket-activate", "-E", "PYTHONPATH", "-E", "STRANGLER_TOKEN", f"--fdname={name}:{name}"]
        activate += ["-l", str(http), "-l", str(https), sys.executable, "-m", "strangler", "serve"]
        proxy = Deployed(tmp_path, routes)
        stack.push_async_callback(proxy.stop)
        await proxy.start(*activate, ready=False)
        await proxy.until(lambda: _woken(http))  # the first connection starts it
        await proxy.until(lambda: (tmp_path / "state" / "running.json").exists())
        await proxy.until(proxy.is_ready)
        assert b" 200 OK" in await ask_by_tls(https, client_context(ca))

        async def challenge(request: web.BaseRequest) -> web.Response:
            challenges.append(request.path)
            return web.Response(text="token.thumbprint")

        runner = web.ServerRunner(web.Server(challenge))  # certbot listens only while it renews
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        host, port = _challenge_place()
        assert port == 8888
        await web.TCPSite(runner, host, acme_port).start()
        connector = TCPConnector(resolver=_Here(), ssl=False)  # as an ACME server follows redirects
        async with (
            ClientSession(connector=connector) as client,
            client.get(f"http://shop.example:{http}/.well-known/acme-challenge/token") as response,
        ):
            assert (response.status, await response.text()) == (200, "token.thumbprint")
        assert challenges == ["/.well-known/acme-challenge/token"]

        renewed = make_pair(["shop.example"], "rsa", ca)
        done = hook(tmp_path, RENEWED_LINEAGE=str(lay(etc, renewed, 2)))
        assert (done.returncode, done.stderr) == (0, "")
        await proxy.until(lambda: _shows(https, renewed, ca))
        assert [file.name for file in (tmp_path / "tls").iterdir()] == ["shop.example.pem"]


def _set_up_certbot(folder: Path, etc: Path) -> None:
    """Run the page's commands, with a program in the place of certbot."""
    (folder / "bin").mkdir()
    (folder / "bin" / "certbot").write_text(CERTBOT.format(python=sys.executable))
    (folder / "bin" / "certbot").chmod(0o755)
    script = replaced(
        block("sh", "# as root"),
        ("-o root -g strangler ", ""),
        ("/etc/strangler/tls", str(folder / "tls")),
        ("/etc/letsencrypt", str(etc)),
    )
    environ = {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "STRANGLER_TLS": str(folder / "tls")}
    environ["STRANGLER_GROUP"] = str(os.getegid())
    subprocess.run(["sh", "-euc", script], cwd=ROOT, env=os.environ | environ, check=True)


def _challenge_place() -> tuple[str, int]:
    """Where the page has certbot listen for challenges."""
    values = dict(re.findall(r"^([a-z0-9-]+) = (\S+)$", block("ini", "# /etc/letsencrypt/cli.ini"), re.MULTILINE))
    return values["http-01-address"], int(values["http-01-port"])


async def _woken(port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.write(GET)
    has_response = (await reader.readline()).startswith(b"HTTP/1.1 308")
    writer.close()
    return has_response


async def _shows(port: int, pair: Pair, ca: Pair) -> bool:
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client_context(ca), server_hostname="shop.example")
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return bool(der == pair.der)


@pytest.mark.parametrize("missing", ["privkey.pem", "fullchain.pem", ""])
def test_a_hook_that_fails_changes_nothing(tmp_path: Path, missing: str) -> None:
    """A file is missing, or the group is."""
    live = lay(tmp_path, make_pair(), 1)
    (tmp_path / "tls").mkdir()
    (tmp_path / "tls" / "shop.example.pem").write_text("former")
    if missing:
        (live / missing).unlink()
    done = hook(tmp_path, RENEWED_LINEAGE=str(live), **({} if missing else {"STRANGLER_GROUP": "no-such-group"}))
    assert done.returncode != 0
    assert [file.name for file in (tmp_path / "tls").iterdir()] == ["shop.example.pem"]
    assert (tmp_path / "tls" / "shop.example.pem").read_text() == "former"


def test_systemd_takes_the_units_with_what_the_page_adds(tmp_path: Path) -> None:
    require("" if which("systemd-analyze") else "systemd-analyze (Debian: systemd)")
    for name in ("strangler.service", "strangler.socket"):
        copy(ROOT / "deploy" / name, tmp_path)
    unit = tmp_path / "strangler.service"
    unit.write_text(replaced(unit.read_text(), ("/opt/strangler/bin/strangler", sys.executable)))
    for text in (
        block("systemd", "# /etc/systemd/system/strangler.so"),
        block("systemd", "# /etc/systemd/system/strangler.se"),
    ):
        file = tmp_path / text.partition("\n")[0].removeprefix("# /etc/systemd/system/")
        file.parent.mkdir()
        file.write_text(text)
    done = subprocess.run(
        [
            "systemd-analyze",
            "verify",
            "--man=no",
            *(str(tmp_path / f"strangler.{kind}") for kind in ("socket", "service")),
        ],
        env=os.environ | {"SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


async def test_one_capability_is_enough_for_ports_below_1024(tmp_path: Path) -> None:
    can = os.geteuid() == 0 and which("setpriv")
    require("" if can else "root, and setpriv (Debian: util-linux)")
    added = block("systemd", "# /etc/systemd/system/strangler.service.d/ports.conf")
    assert set(re.findall(r"=(\S+)$", added, re.MULTILINE)) == {"CAP_NET_BIND_SERVICE"}
    (port,) = _free_ports_below_1024()
    async with legacy() as (upstream, _):
        routes = f"version: 1\nlisten: 127.0.0.1:{port}\nadmin: {{listen: 127.0.0.1:0}}\n"
        routes += f"upstreams: {{legacy: {{url: 'http://127.0.0.1:{upstream}'}}}}\n"
        drop = ("setpriv", "--no-new-privs", "--bounding-set=-all,+net_bind_service", "--inh-caps=-all")
        async with deployed(tmp_path, routes, *drop, sys.executable, "-m", "strangler", "serve") as proxy:
            assert await proxy.get("/") == 200


def _free_ports_below_1024() -> Sequence[int]:
    for port in range(1023, 600, -1):
        try:
            with socket.create_server(("127.0.0.1", port)):
                return [port]
        except OSError:
            continue
    pytest.skip("no port below 1024 is free")


# Kubernetes


def documents(begins: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(block("yaml", begins)))


def test_the_manifests_fit_each_other() -> None:
    (service,), (inner, ingress) = documents("# service.yaml"), documents("# ingress.yaml")
    certificate, config, deployment = documents("# kubernetes.yaml")
    pod = deployment["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    routes = yaml.safe_load(config["data"]["routes.yaml"])
    listening = [entry["address"].rpartition(":")[2] for entry in routes["listen"]]
    assert [int(port) for port in listening] == [ports["https"], ports["http"]]
    assert int(routes["admin"]["listen"].rpartition(":")[2]) == ports["admin"]
    assert service["spec"]["ports"][0]["targetPort"] == ports["https"]
    assert service["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"] == pod["metadata"]["labels"]
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert volumes.keys() == mounts.keys()
    assert not any("subPath" in mount for mount in container["volumeMounts"])
    assert volumes["tls"]["secret"]["secretName"] == certificate["spec"]["secretName"]
    assert volumes["routes"]["configMap"]["name"] == config["metadata"]["name"]
    assert routes["state"] == mounts["state"]
    assert f'"-c", "{mounts["routes"]}/routes.yaml"' in (ROOT / "Dockerfile").read_text()
    served_by = ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
    assert (served_by["name"], served_by["port"]["name"]) == (
        inner["metadata"]["name"],
        inner["spec"]["ports"][0]["name"],
    )
    assert inner["spec"]["ports"][0]["targetPort"] == ports["http"]
    assert inner["spec"]["selector"] == service["spec"]["selector"]
    for probe in ("readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["port"] in ports


async def test_a_secret_that_is_renewed_is_read_from_its_mount(tmp_path: Path, ca: Pair) -> None:
    """The mount is laid out as kubelet does it: links to a folder, which is replaced as a whole."""
    mount = tmp_path / "mount"
    first, second = (make_pair(["shop.example"], kind, ca) for kind in ("ecdsa", "rsa"))
    _mount(mount, first, "..2026_11_30_08_00_00.1")
    for name in ("tls.crt", "tls.key"):
        (mount / name).symlink_to(Path("..data") / name)
    async with legacy() as (upstream, _):
        routes = replaced(
            documents("# kubernetes.yaml")[1]["data"]["routes.yaml"],
            ("/etc/strangler-tls", str(mount)),
            ("/var/lib/strangler", str(tmp_path / "state")),
            ("[::]:8443", "127.0.0.1:0"),
            ("[::]:8080", "127.0.0.2:0"),
            ("[::]:8081", "127.0.0.1:0"),
            ("http://legacy:8000", f"http://127.0.0.1:{upstream}"),
        )
        async with deployed(tmp_path, routes) as proxy:
            admin = int(proxy.admin.rpartition(":")[2])
            assert await _shows(proxy.port, first, ca)
            _mount(mount, second, "..2026_11_30_09_00_00.2")
            await proxy.until(lambda: _shows(proxy.port, second, ca))
            await proxy.until(lambda: _shows(admin, second, ca))
            code, output = await run(tmp_path, "status", STRANGLER_TOKEN=TOKEN)
            assert code == 0, output


def _mount(folder: Path, pair: Pair, name: str) -> None:
    version = folder / name
    version.mkdir(parents=True)
    (version / "tls.crt").write_bytes(pair.chain)
    (version / "tls.key").write_bytes(pair.key)
    (folder / "..data_tmp").symlink_to(name)
    (folder / "..data_tmp").replace(folder / "..data")


def test_every_block_of_the_page_is_run_here() -> None:
    """A block whose first line is not looked for by a test is one that nobody has tried."""
    own = Path(__file__).read_text()
    for language, first in re.findall(r"^```(\w+)\n(.*)$", PAGE, re.MULTILINE):
        known = re.findall(rf'block\("{language}", "(.+?)"|documents\("(.+?)"', own)
        assert any(first.startswith(begin.removesuffix("\\n") or other) for begin, other in known), first
