"""docs/fleet.md: what it says to type is typed, on a real PostgreSQL whose role has no other rights than it names."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from shutil import which

import pytest
from aiohttp import ClientSession

from strangler.config.load import load
from strangler.demo.children import free_ports
from tests.e2e import mirroring
from tests.e2e.commands import run
from tests.e2e.fleet import SECRET, START_S, until
from tests.e2e.receiving import ReceiverStage
from tests.e2e.serving import Proxy, legacy
from tests.e2e.shadowing import arm, says
from tests.http1.proxies import NGINX_TOP, running
from tests.needs import require
from tests.store.postgres import PostgresServer, running_server

PAGE = (Path(__file__).parents[2] / "docs" / "fleet.md").read_text()
PASSWORD = "change-me"
ENVIRON = {"PGPASSWORD": PASSWORD, "STRANGLER_STORE_SECRET": SECRET}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.M | re.S)


def commands(containing: str) -> list[str]:
    """Return the lines of the block of commands in which a text stands, without their comments."""
    (block,) = [block for block in blocks("sh") if containing in block]
    return [line.partition("  #")[0].strip() for line in block.splitlines()]


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    """A server with the role of the page, which needs its password."""
    with running_server(free_ports(1)[0]) as server:
        with server.connect() as connection:
            for statement in blocks("sql")[0].split(";")[:-1]:
                connection.execute(statement.encode())
        server.hba.write_text("local all tests trust\nhost strangler strangler 127.0.0.1/32 scram-sha-256\n")
        server.reload()
        yield server


def routes(server: PostgresServer, legacy_port: int, candidate_port: int) -> str:
    """Return the page's routes.yaml with the addresses of a test."""
    (text,) = [block for block in blocks("yaml") if "node:" in block]
    store = server.tcp_url("strangler", "strangler")
    for old, new in (
        ("0.0.0.0:8080", "127.0.0.1:0"),
        ("127.0.0.1:8081", "127.0.0.1:0"),
        ("postgresql://strangler@db.internal:5432/strangler", store),
        ("127.0.0.1:8000", f"127.0.0.1:{legacy_port}"),
        ("127.0.0.1:9000", f"127.0.0.1:{candidate_port}"),
        ("state: .strangler ", "state: state "),  # where tests look for it
    ):
        assert old in text, old
        text = text.replace(old, new)
    return text


class DescribedNode(Proxy):
    """A node as the page sets it up, but that its name is not that of the host, which all nodes of a test have."""

    def __init__(self, folder: Path, name: str, text: str) -> None:
        folder.mkdir()
        super().__init__(folder, 0)
        self.name = name
        self.file.write_text(text)

    async def serve(self, *command: str) -> None:
        environ = [f"{key}={value}" for key, value in {**ENVIRON, "HOSTNAME": self.name}.items()]
        words = command or ("serve", "-c", "routes.yaml")
        await self.start("env", *environ, sys.executable, "-m", "strangler", *words, ready=False)
        await until(self.is_ready, f"node {self.name} is ready", START_S)


@asynccontextmanager
async def node(folder: Path, name: str, text: str, *command: str) -> AsyncIterator[DescribedNode]:
    made = DescribedNode(folder / name, name, text)
    try:
        await made.serve(*command)
        yield made
    finally:
        await made.stop()


def test_its_routes_load_without_a_problem(tmp_path: Path) -> None:
    file = tmp_path / "routes.yaml"
    (text,) = [block for block in blocks("yaml") if "node:" in block]
    file.write_text(text)
    loaded = load(file, {"HOSTNAME": "a"})
    assert loaded.problems == ()
    assert loaded.settings is not None
    assert loaded.settings.node == "a"


async def test_two_nodes_are_set_up_and_saved_as_it_says(tmp_path: Path, postgres: PostgresServer) -> None:
    async with legacy() as upstream:
        text = routes(postgres, upstream.port, upstream.port)
        async with node(tmp_path, "a", text) as a, node(tmp_path, "b", text) as b:
            for each in (a, b):
                code, checked = await run(each.folder, "check", "routes.yaml", **ENVIRON)
                assert code == 0, checked
                assert "routes.yaml: ok: 2 upstreams, 1 route" in checked

            async def both_are_named() -> bool:
                _, status = await run(b.folder, "status")
                return all(re.search(rf"^\W*{name}\b", status, re.M) for name in ("a", "b"))

            await until(both_are_named, "status names both nodes")
            assert await a.get("/api/orders/7") == 200
            code, printed = await run(b.folder, "kill-switch", "on", "--reason", "a test")
            assert code == 0, printed
            await until(lambda: _is_on(a), "the other node follows the kill switch")
            dump, restore = commands("pg_dump")
            await _shell(dump, a.folder, postgres)
        with postgres.connect("strangler") as connection:
            connection.execute("DROP TABLE pairs")
        await _shell(restore, a.folder, postgres)
        async with node(tmp_path, "c", text) as c:
            await until(lambda: _is_on(c), "the restored store has the kill switch on")


async def _is_on(each: Proxy) -> bool:
    _, switch = await each.ask("/api/kill-switch")
    return bool(switch["on"])


async def _shell(command: str, folder: Path, server: PostgresServer) -> None:
    """Run a command of PostgreSQL, the newest that is there."""
    program, _, rest = command.partition(" ")
    environ = {"STORE": server.tcp_url("strangler", "strangler"), "PGPASSWORD": PASSWORD}
    words = [str(server.programs / program), *rest.replace('"$STORE"', environ["STORE"]).split()]
    code, printed = await _run(words, folder, environ)
    assert code == 0, printed


async def _run(words: list[str], folder: Path, environ: dict[str, str]) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *words,
        cwd=folder,
        env=os.environ | environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def test_one_node_becomes_a_fleet_as_it_says(tmp_path: Path, postgres: PostgresServer) -> None:
    async with legacy() as upstream:
        text = routes(postgres, upstream.port, upstream.port)
        async with node(tmp_path, "a", re.sub(r"store: .*", "store: sqlite", text)) as a:
            await run(a.folder, "kill-switch", "on", "--reason", "before the fleet")
            assert await a.get("/pages/home") == 200

            async def is_counted() -> bool:
                _, ledger = await a.ask("/api/ledger")
                return any(row["endpoint"] == "GET /pages/home" for row in ledger["rows"])

            await until(is_counted, "the ledger has the call")
            a.signal(signal.SIGTERM)
            await a.ended()
            (a.folder / "sqlite.yaml").write_text(a.file.read_text())
            a.file.write_text(text)
            for command in commands("state export")[:2]:
                code, printed = await run(a.folder, *command.split()[1:], **ENVIRON)
                assert code == 0, printed
            await a.serve()
            _, ledger = await a.ask("/api/ledger")
            assert [row["endpoint"] for row in ledger["rows"] if row["calls"]["legacy"]] == ["GET /pages/home"]
            _, audit = await a.ask("/api/audit")
            assert "before the fleet" in str(audit)


async def test_receivers_behind_nginx_have_one_verdict(tmp_path: Path, postgres: PostgresServer) -> None:
    require("" if which("nginx") else "nginx")
    async with arm(says({"price": 9})) as old, arm(says({"price": 10})) as new:
        text = routes(postgres, old.port, new.port).replace("split: {percent: 10,", "split: {percent: 0,")
        text = text.replace("shadow: {percent: 10}", "shadow: {percent: 100, recheck: 0, baseline: 0}")
        listen = ("shadow", "--listen", "127.0.0.1:0", "-c", "routes.yaml")
        async with node(tmp_path, "a", text, *listen) as a, node(tmp_path, "b", text, *listen) as b:
            stages = [ReceiverStage(each, old, new) for each in (a, b)]
            with _nginx(tmp_path, old.port, [stage.port for stage in stages]) as port:
                async with ClientSession() as client:
                    for number in range(30):
                        async with client.get(f"http://127.0.0.1:{port}/api/orders/{number}") as response:
                            assert (response.status, await response.json()) == (200, {"price": 9})

            async def have_all() -> bool:
                found = [(await each.ask("/api/routes/orders/readiness"))[1] for each in (a, b)]
                return [verdict["pairs"] for verdict in found] == [30, 30]

            await until(have_all, "both receivers have all pairs in their verdict")
            assert [await stage.received("compared") > 0 for stage in stages] == [True, True]
            inboxes = [(await each.ask("/api/diffs"))[1]["signatures"] for each in (a, b)]
            assert [[row["count"] for row in inbox] for inbox in inboxes] == [[30], [30]]


@contextmanager
def _nginx(folder: Path, legacy_port: int, receivers: list[int]) -> Iterator[int]:
    """Run nginx as docs/receiver.md has it, with the page's servers for its mirror."""
    (port,) = free_ports(1)
    recipe = mirroring.recipe("nginx", "mirror /mirror")
    text = re.sub(r"upstream receiver \{.*?^\}\n", lambda _: blocks("nginx")[0], recipe, flags=re.M | re.S)
    assert text != recipe
    places = {8080: port, 8000: legacy_port, 8082: receivers[0], 8083: receivers[1]}
    text = re.sub(r"(?<=[ :])(8080|8000|8082|8083)\b", lambda found: str(places[int(found[1])]), text)
    file = folder / "nginx.conf"
    file.write_text(f"{NGINX_TOP.format(folder=folder)}\n{text}\n}}\n")
    command = [which("nginx") or "nginx", "-c", str(file), "-e", str(folder / "error.log"), "-p", str(folder)]
    with running("nginx", command, port, folder) as proxy:
        yield proxy.port
