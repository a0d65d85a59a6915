"""The keys that nodes share: sealed by the first, taken by the others, and readable by nobody else."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
from structlog.testing import capture_logs

from strangler.control.fleet.shared_keys import KeysUnknownError, SharedKeys
from strangler.state.files import APPROVAL_KEY, REDACTION_KEY, WEBHOOK_KEY
from strangler.state.store_secret import StoreSecretError, store_secret
from strangler.store.sealed_keys import UnsealError, add_sealed, load_sealed, seal, unseal
from strangler.store.server_store import ServerStore
from tests.control.control import control_of
from tests.control.fleet.database import Server
from tests.store.store_proxy import StoreProxy, store_proxy

SECRET: Final = "a secret of all nodes, of 16 or more"
OWN: Final = bytes(range(32))
FILES: Final = (APPROVAL_KEY, REDACTION_KEY, WEBHOOK_KEY)
ROUTES: Final = """\
version: 1
state: state
store: {url}
node: first
upstreams: {{legacy: {{url: "http://127.0.0.1:8000"}}, orders: {{url: "http://127.0.0.1:8001"}}}}
routes:
  - {{name: orders, match: {{prefix: /orders}}, candidate: orders, shadow: {{percent: 100}}}}
"""


@dataclass
class Fleet:
    """Nodes of one store, all over one way to it."""

    server: Server
    database: str
    postgres: "psycopg.Connection[Any]"
    folder: Path
    way: StoreProxy
    stack: AsyncExitStack
    taken: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.server.url(self.database, self.way.port)

    def node(self, name: str, secret: str = SECRET, **own: bytes) -> SharedKeys:
        """Start a node. `own`: by the beginning of their names, the files in its state folder."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        for file in FILES:
            if file.partition(".")[0] in own:
                (folder / file).write_bytes(own[file.partition(".")[0]])
        store = ServerStore(self.url, name, folder, lambda _: None)
        self.stack.push_async_callback(store.close)
        keys = SharedKeys(store, folder, {"STRANGLER_STORE_SECRET": secret})

        async def take() -> None:
            self.taken.append(name)

        keys.follow([take])
        return keys

    def files(self, name: str) -> dict[str, bytes]:
        return {file: (self.folder / name / file).read_bytes() for file in FILES}

    def dump(self) -> bytes:
        """All rows of all tables, and all that is written by way of them."""
        names = self.postgres.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        rows = [self.postgres.execute(f"SELECT * FROM {name}".encode()).fetchall() for (name,) in names]
        return b"\n".join(
            value if isinstance(value, bytes) else str(value).encode()
            for found in rows
            for row in found
            for value in row
        )


@pytest.fixture
async def fleet(postgres: Server, database: str, tmp_path: Path) -> AsyncIterator[Fleet]:
    with postgres.connect(database) as connection, store_proxy(postgres.port) as way:
        async with AsyncExitStack() as stack:
            yield Fleet(postgres, database, connection, tmp_path, way, stack)


async def test_later_nodes_take_the_keys_of_the_first_and_nobody_else_can_read_them(fleet: Fleet) -> None:
    with capture_logs() as logs:
        await (first := fleet.node("first", redaction=OWN)).restore()
        await (second := fleet.node("second")).restore()
        await (third := fleet.node("third", redaction=bytes(32), approval=bytes(32))).restore()
    for keys in (first, second, third):
        keys.check()
    assert fleet.files("first") == fleet.files("second") == fleet.files("third")
    assert fleet.files("first")[REDACTION_KEY] == OWN, "equal values stay equal"
    assert [line["files"] for line in logs if line["event"] == "keys.taken"] == [[APPROVAL_KEY, REDACTION_KEY]]
    assert (fleet.folder / "third" / REDACTION_KEY).stat().st_mode & 0o777 == 0o600
    visible = fleet.dump() + str(logs).encode() + (fleet.folder / "first" / "fleet-keys.json").read_bytes()
    for secret in (SECRET.encode(), *fleet.files("first").values()):
        for form in (secret.strip(), secret.hex().encode(), base64.b64encode(secret)):
            assert form not in visible


async def test_first_nodes_that_start_together_agree(fleet: Fleet) -> None:
    nodes = [fleet.node(name) for name in ("first", "second", "third")]
    await asyncio.gather(*(keys.restore() for keys in nodes))
    assert fleet.files("first") == fleet.files("second") == fleet.files("third")


async def test_a_node_with_another_secret_uses_no_key_and_changes_none(fleet: Fleet) -> None:
    await fleet.node("first").restore()
    before = fleet.dump()
    wrong = fleet.node("second", "another secret of 16 or more", redaction=OWN)
    await wrong.restore()
    assert wrong.problem is not None
    assert "STRANGLER_STORE_SECRET" in wrong.problem
    with pytest.raises(KeysUnknownError, match="sealed with another secret"):
        wrong.check()
    assert (fleet.folder / "second" / REDACTION_KEY).read_bytes() == OWN
    assert fleet.dump() == before


async def test_while_the_store_is_away_only_a_copy_of_the_keys_of_all_nodes_counts(fleet: Fleet) -> None:
    await fleet.node("first").restore()
    fleet.way.cut()
    await (known := fleet.node("first")).restore()
    known.check()
    await (fresh := fleet.node("second", redaction=OWN)).restore()
    with pytest.raises(KeysUnknownError, match="the store is away, and this node has no copy"):
        fresh.check()
    running = asyncio.ensure_future(asyncio.gather(known.run(), fresh.run()))
    fleet.way.restore()
    async with asyncio.timeout(30):
        while not fleet.taken:  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.02)
    fresh.check()
    running.cancel()
    assert fleet.taken == ["second"], "the first has the same keys as before"
    assert fleet.files("second") == fleet.files("first")


async def test_a_key_cannot_take_the_place_of_another(fleet: Fleet) -> None:
    sealed = seal(REDACTION_KEY, OWN, SECRET)
    assert unseal(REDACTION_KEY, sealed, SECRET) == OWN
    for content in (seal(APPROVAL_KEY, OWN, SECRET), sealed[:-1], sealed[:20], b"", b"\x02" + sealed[1:]):
        with pytest.raises(UnsealError):
            unseal(REDACTION_KEY, content, SECRET)
    store = ServerStore(fleet.url, "first", fleet.folder, lambda _: None)
    assert await store.call(lambda connection: add_sealed(connection, REDACTION_KEY, sealed))
    assert not await store.call(lambda connection: add_sealed(connection, REDACTION_KEY, b"other"))
    assert await store.call(load_sealed) == {REDACTION_KEY: sealed}
    await store.close()


@pytest.mark.parametrize(
    ("environ", "words"),
    [({}, "is not set"), ({"STRANGLER_STORE_SECRET": "short"}, "has 5 characters")],
    ids=["none", "short"],
)
def test_a_secret_that_is_missing_or_short_is_refused_with_the_way_out(environ: dict[str, str], words: str) -> None:
    with pytest.raises(StoreSecretError, match=words) as refused:
        store_secret(environ)
    assert "openssl rand" in str(refused.value)
    assert "short" not in str(refused.value)


async def test_without_the_keys_nothing_is_compared_and_the_status_says_why(fleet: Fleet) -> None:
    await fleet.node("first").restore()
    (fleet.folder / "routes.yaml").write_text(ROUTES.format(url=fleet.url))
    async with control_of(fleet.folder, {"STRANGLER_STORE_SECRET": "another secret of 16 or more"}) as app:
        status = app.status()
        assert "sealed with another secret" in status.problems["keys"]
        assert "the keys that all nodes share are not known" in status.problems["shadow"]
        assert app.shadow.table.key is None
    async with control_of(fleet.folder, {"STRANGLER_STORE_SECRET": SECRET}) as app:
        assert app.shadow.table.key == fleet.files("first")[REDACTION_KEY]
        assert "keys" not in app.status().problems
