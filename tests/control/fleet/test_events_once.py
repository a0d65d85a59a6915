"""Events of nodes that share a store: each is sent once for all of them, in the order of commits, whoever is killed."""

import asyncio
import os
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web

from strangler.control.events.webhook import signature, webhook_secret
from strangler.store.connection import Connection
from strangler.store.events import outbox
from strangler.store.events.event import Event, Kind, event
from strangler.store.postgres import connect, transaction
from tests.control.fleet.database import Server
from tests.served import served

SECRET = "a secret of all nodes, of 16 or more"
ROUTES = """\
version: 1
state: state
store: {url}
node: {name}
events: {{webhook: "{hook}"}}
upstreams: {{legacy: {{url: "http://127.0.0.1:8000"}}}}
routes: []
"""
PATIENCE_S = 90
"""How long a condition may take: only a bug exceeds it."""


@dataclass
class Hook:
    """A receiver of webhooks that takes a moment for each."""

    url: str = ""
    got: list[tuple[str, bytes, str, int]] = field(default_factory=list)

    async def response(self, request: web.BaseRequest) -> web.Response:
        body, fields = await request.read(), request.headers
        await asyncio.sleep(0.02)
        self.got.append((fields["webhook-id"], body, fields["webhook-signature"], int(fields["webhook-timestamp"])))
        return web.Response()

    @property
    def ids(self) -> list[str]:
        return [identifier for identifier, *_ in self.got]


@pytest.fixture
async def hook() -> AsyncIterator[Hook]:
    found = Hook()
    async with served(found.response) as port:
        found.url = f"http://127.0.0.1:{port}/"
        yield found


@asynccontextmanager
async def node(folder: Path, name: str, url: str, hook: Hook) -> AsyncIterator[asyncio.subprocess.Process]:
    (folder / name).mkdir()
    (folder / name / "routes.yaml").write_text(ROUTES.format(url=url, name=name, hook=hook.url))
    with (folder / name / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.control.fleet.event_node", str(folder / name)),
            env=os.environ | {"STRANGLER_STORE_SECRET": SECRET, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
        )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE_S):
            assert await process.stdout.readline() == b"ready\n", (folder / name / "log").read_text()
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.02)


def publish(process: asyncio.subprocess.Process, numbers: Sequence[int]) -> None:
    assert process.stdin is not None
    process.stdin.write(b"".join(b"%d\n" % number for number in numbers))


async def test_each_event_is_sent_once_for_all_nodes_though_the_leader_is_killed(
    postgres: Server, database: str, tmp_path: Path, hook: Hook
) -> None:
    names, url = ("first", "second", "third"), postgres.url(database)
    with postgres.connect(database) as connection:

        def stored() -> list[str]:
            return [identifier for (identifier,) in connection.execute("SELECT id FROM events ORDER BY seq")]

        def leader() -> str | None:
            row: Any = connection.execute("SELECT node FROM leader").fetchone()
            return None if row is None else row[0]

        async with (
            node(tmp_path, "first", url, hook) as first,
            node(tmp_path, "second", url, hook) as second,
            node(tmp_path, "third", url, hook) as third,
        ):
            processes = dict(zip(names, (first, second, third), strict=True))
            await until(lambda: leader() in names and connection.execute("SELECT 1 FROM event_sinks").fetchone())
            for number, process in enumerate(processes.values()):
                publish(process, range(number * 100, number * 100 + 10))
            await until(lambda: len(set(hook.ids)) == 30)
            assert hook.ids == stored(), "each once, in order"
            former = leader()
            assert former is not None
            for number, process in enumerate(processes.values()):
                publish(process, range(number * 100 + 10, number * 100 + 40))
            await until(lambda: len(hook.got) >= 35)
            processes[former].kill()
            others = [process for name, process in processes.items() if name != former]
            for number, process in enumerate(others, 3):
                publish(process, range(number * 100, number * 100 + 10))
            await until(
                lambda: leader() not in (former, None) and set(stored()) == set(hook.ids) and len(stored()) > 100
            )
            assert list(dict.fromkeys(hook.ids)) == stored(), "in the order of their seq"
    repeated = {identifier: count for identifier, count in Counter(hook.ids).items() if count > 1}
    assert sum(count - 1 for count in repeated.values()) <= 1, "at most the one that was on its way"
    secret = webhook_secret(tmp_path / "first" / "state", {})
    assert all(signed == signature(secret, name, at, body) for name, body, signed, at in hook.got)
    sources = {msgspec.json.decode(body)["source"] for _, body, *_ in hook.got}
    assert sources == {f"//{name}/strangler" for name in names}


def test_an_event_that_is_committed_later_has_a_later_seq(postgres: Server, database: str) -> None:
    late, early = (event(Kind.ROUTE_SHIFTED, "orders", {"number": number}) for number in (1, 2))
    url = postgres.url(database)

    def insert(connection: Connection, this_event: Event) -> None:
        outbox.insert(connection, [this_event], "run", "//host/strangler")

    def insert_early() -> None:
        connection = connect(url, "second")
        with transaction(connection):
            insert(connection, early)
        connection.close()

    first = connect(url, "first")
    thread = threading.Thread(target=insert_early)
    with postgres.connect(database) as watch:
        with transaction(first):
            insert(first, late)
            thread.start()
            waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            while watch.execute(waits).fetchone() is None:
                assert thread.is_alive(), "it has not waited"
            assert watch.execute("SELECT id FROM events").fetchall() == []
        thread.join(PATIENCE_S)
        assert watch.execute("SELECT id FROM events ORDER BY seq").fetchall() == [(late.id,), (early.id,)]
    first.close()
