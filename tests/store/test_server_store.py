"""The shared store: what becomes of calls when its server is killed, stopped, slow or strict, and what it says."""

import asyncio
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from structlog.testing import capture_logs

from strangler.store.call_thread import MAX_WAITING
from strangler.store.connection import Connection
from strangler.store.errors import DatabaseError
from strangler.store.evidence.reading import NoEvidenceError, ask
from strangler.store.location import StoreLocation
from strangler.store.meta import read_meta, write_meta
from strangler.store.numbered_batches import is_new_batch
from strangler.store.schema.opening import open_store
from strangler.store.store import PATIENCE_S, InDoubtError, Store, StoreError
from tests.store.postgres import PostgresServer, running_server
from tests.store.store_proxy import store_proxy

SOON_S = 30.0
"""Beyond which something must hang: a machine that is busy is no failure."""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with running_server(free_port()) as running:
        yield running


@pytest.fixture
def database(server: PostgresServer) -> str:
    """The name of an empty database."""
    return server.new_database()


@pytest.fixture
async def store(server: PostgresServer, database: str, tmp_path: Path) -> AsyncIterator[Store]:
    store = at(server.tcp_url(database), tmp_path)
    await store.call(lambda connection: write_meta(connection, "word", "first"))
    yield store
    await store.close()


def at(url: str, folder: Path) -> Store:
    return open_store(StoreLocation(folder / "strangler.db", url), "a")


async def word(store: Store) -> str | None:
    return await store.read(lambda connection: read_meta(connection, "word"))


async def say(store: Store, text: str) -> None:
    await store.call(lambda connection: write_meta(connection, "word", text))


async def until_it_works(store: Store, text: str = "back") -> None:
    async with asyncio.timeout(SOON_S):
        while True:
            with suppress(StoreError):
                return await say(store, text)
            await asyncio.sleep(0.05)


async def until_it_reads(store: Store) -> str | None:
    async with asyncio.timeout(SOON_S):
        while True:
            with suppress(DatabaseError):
                return await word(store)
            await asyncio.sleep(0.05)


async def test_a_killed_server_is_a_problem_until_it_is_back(store: Store, server: PostgresServer) -> None:
    server.kill()
    try:
        with capture_logs() as logs:
            for _ in range(3):
                with pytest.raises(StoreError, match="PostgreSQL t"):
                    await say(store, "lost")
        assert store.problem is not None
        assert "start it, or set another address in `store`" in store.problem or "closed" in store.problem
        assert {line["event"] for line in logs} == {"store.failed"}
        with pytest.raises(NoEvidenceError, match=r"PostgreSQL t.* cannot be read"):
            await ask(store, lambda connection: read_meta(connection, "word"))
    finally:
        server.start()
    await until_it_works(store)
    assert store.problem is None
    assert await until_it_reads(store) == "back"


async def test_a_restart_between_two_calls_is_no_failure(store: Store, server: PostgresServer) -> None:
    assert await word(store) == "first"
    server.stop(signal.SIGINT)
    server.start()
    await say(store, "second")
    assert await word(store) == "second"


async def test_a_stopped_server_costs_one_call_its_time_and_the_others_nothing(
    store: Store, server: PostgresServer
) -> None:
    server.send(signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises(StoreError, match="slower than 5 s"):
            await say(store, "lost")
        assert PATIENCE_S <= time.monotonic() - began < SOON_S
        with pytest.raises(StoreError, match="slower than 5 s"):
            await say(store, "lost")
        began = time.monotonic()
        with pytest.raises(DatabaseError):
            await word(store)
        assert time.monotonic() - began < SOON_S
        assert store.problem is not None
        assert "slower than 5 s" in store.problem
    finally:
        server.send(signal.SIGCONT)
    await until_it_works(store)
    assert await until_it_reads(store) == "back"


async def test_a_stopped_server_does_not_hold_up_the_end(server: PostgresServer, database: str, tmp_path: Path) -> None:
    store = at(server.tcp_url(database), tmp_path)
    await say(store, "first")
    assert await word(store) == "first"
    server.send(signal.SIGSTOP)
    try:
        hanging = [asyncio.create_task(say(store, "lost")), asyncio.create_task(word(store))]
        await asyncio.sleep(0)
        began = time.monotonic()
        await store.close()
        assert time.monotonic() - began < SOON_S
        assert [type(each) for each in await asyncio.gather(*hanging, return_exceptions=True)]
    finally:
        server.send(signal.SIGCONT)
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("store")]


async def test_a_lock_that_another_session_holds_ends_a_call_and_leaves_no_session_behind(
    store: Store, server: PostgresServer, database: str
) -> None:
    with server.connect(database) as other, other.transaction():
        other.execute("LOCK TABLE meta")
        with pytest.raises(StoreError, match="slower than 5 s"):
            await say(store, "lost")
        waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'meta'::regclass"
        deadline = time.monotonic() + SOON_S
        while other.execute(waiting).fetchone() is not None:
            assert time.monotonic() < deadline, "the session still waits for the lock"
            await asyncio.to_thread(time.sleep, 0.05)
    await until_it_works(store)


async def test_a_value_that_is_refused_is_no_problem_of_the_store(store: Store) -> None:
    def divide(connection: Connection) -> None:
        write_meta(connection, "word", "lost")
        connection.execute("SELECT 1 / (SELECT CAST(0 AS bigint))")

    with pytest.raises(StoreError, match="division by zero"):
        await store.call(divide)
    assert store.problem is None
    assert await word(store) == "first"
    await say(store, "second")


async def test_a_statement_that_fails_unseen_stores_nothing_and_says_so(store: Store) -> None:
    def divide_unseen(connection: Connection) -> None:
        write_meta(connection, "word", "lost")
        with suppress(psycopg.Error):
            connection.execute("SELECT 1 / (SELECT CAST(0 AS bigint))")

    with pytest.raises(StoreError, match="a statement has failed, and with it all others"):
        await store.call(divide_unseen)
    assert await word(store) == "first"


async def test_a_store_that_is_closed_says_so(server: PostgresServer, database: str, tmp_path: Path) -> None:
    store = at(server.tcp_url(database), tmp_path)
    await say(store, "first")
    await store.close()
    with pytest.raises(StoreError, match="it is closed"):
        await say(store, "lost")
    with pytest.raises(DatabaseError, match="it is closed"):
        await word(store)


async def test_a_call_may_be_given_more_time(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def sleep(connection: Connection) -> None:
        connection.execute("SELECT pg_sleep(5.5)")

    await store.call(sleep, patience_s=60.0)
    assert store.problem is None
    with pytest.raises(StoreError, match="slower than 5 s"):
        await store.call(sleep)


async def test_a_read_sees_all_tables_as_at_one_moment(store: Store) -> None:
    loop = asyncio.get_running_loop()

    def read_twice(connection: Connection) -> tuple[str | None, str | None]:
        first = read_meta(connection, "word")
        asyncio.run_coroutine_threadsafe(say(store, "second"), loop).result(SOON_S)
        return first, read_meta(connection, "word")

    assert await store.read(read_twice) == ("first", "first")
    assert await word(store) == "second"


async def test_what_reads_cannot_write(store: Store) -> None:
    with pytest.raises(DatabaseError, match="read-only"):
        await store.read(lambda connection: write_meta(connection, "word", "second"))
    assert await word(store) == "first"


async def test_calls_that_wait_are_bounded(store: Store) -> None:
    begins, goes_on = threading.Event(), threading.Event()

    def hold(_: Connection) -> None:
        begins.set()
        goes_on.wait(SOON_S)

    holding = asyncio.create_task(store.call(hold))
    await asyncio.to_thread(begins.wait, SOON_S)
    waiting = [asyncio.create_task(say(store, "many")) for _ in range(MAX_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(StoreError, match=f"{MAX_WAITING} calls wait"):
        await say(store, "too many")
    goes_on.set()
    await asyncio.gather(holding, *waiting)
    assert await word(store) == "many"


# A COMMIT in doubt


async def test_a_batch_whose_commit_was_lost_is_written_once(
    server: PostgresServer, database: str, tmp_path: Path
) -> None:
    def write(connection: Connection) -> bool:
        is_due = is_new_batch(connection, "a", "run", 1, 0.0)
        if is_due:
            connection.execute("INSERT INTO baselines VALUES ('orders', '', 1)")
        return is_due

    with store_proxy(server.port) as proxy:
        store = at(f"postgresql://tests@127.0.0.1:{proxy.port}/{database}", tmp_path)
        await say(store, "first")
        proxy.lose(1)
        with pytest.raises(InDoubtError, match="may have been stored or not"):
            await store.call(write)
        assert proxy.lost == 1
        async with asyncio.timeout(SOON_S):
            while True:
                with suppress(StoreError):
                    assert await store.call(write) is False, "it was committed, so it is not written again"
                    break
                await asyncio.sleep(0.05)
        rows = await store.read(lambda connection: connection.execute("SELECT pairs FROM baselines").fetchall())
        assert rows == [(1,)]
        numbers = await store.read(
            lambda connection: connection.execute("SELECT sender, number FROM batches").fetchall()
        )
        assert numbers == [("a", 1)]
        await store.close()


async def test_batches_of_nodes_are_numbered_apart(store: Store) -> None:
    async def begin(node: str, number: int) -> bool:
        return await store.call(lambda connection: is_new_batch(connection, node, "run", number, 0.0))

    steps = [("a", 1, True), ("b", 1, True), ("a", 2, True), ("a", 2, False), ("a", 1, False)]
    for node, number, is_due in steps:
        assert await begin(node, number) is is_due


# What is said


@pytest.fixture
def guarded(server: PostgresServer) -> Iterator[None]:
    """A user `guarded` who needs a password."""
    with server.connect() as connection:
        connection.execute("CREATE ROLE guarded LOGIN PASSWORD 'right-and-secret'")
    former = server.hba.read_text()
    server.hba.write_text(f"host all guarded 127.0.0.1/32 scram-sha-256\n{former}")
    server.reload()
    yield
    server.hba.write_text(former)
    server.reload()
    with server.connect() as connection:
        connection.execute("DROP ROLE guarded")


async def failure(url: str, folder: Path) -> str:
    store = at(url, folder)
    try:
        with capture_logs() as logs, pytest.raises(StoreError) as failed:
            await say(store, "lost")
        assert "secret" not in str(logs)
        assert store.problem == str(failed.value)
        return str(failed.value)
    finally:
        await store.close()


async def test_a_wrong_password_is_named_and_not_shown(
    guarded: None, server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", "wrong-and-secret")
    found = await failure(server.tcp_url(user="guarded"), tmp_path)
    assert "password authentication failed for user" in found
    assert found.endswith("; set PGPASSWORD, or PGPASSFILE for a file with it")
    assert "secret" not in found
    monkeypatch.delenv("PGPASSWORD")
    found = await failure(server.tcp_url(user="guarded"), tmp_path)
    assert found.endswith("no password supplied; set PGPASSWORD, or PGPASSFILE for a file with it")


@pytest.mark.parametrize(
    ("database", "options", "problem"),
    [
        pytest.param("nowhere", "", 'database "nowhere" does not exist; make it on the server', id="no database"),
        pytest.param("postgres", "?sslmode=require", "does not support SSL, but SSL was required; turn TLS", id="TLS"),
        pytest.param("postgres", "?user=nobody", 'role "nobody" does not exist', id="no user"),
    ],
)
async def test_what_the_server_refuses_is_said_with_a_way_out(
    server: PostgresServer, tmp_path: Path, database: str, options: str, problem: str
) -> None:
    found = await failure(server.tcp_url(database, options=options), tmp_path)
    assert f"PostgreSQL {database} at 127.0.0.1:{server.port}: " in found
    assert problem in found


async def test_nothing_listens(tmp_path: Path) -> None:
    found = await failure(f"postgresql://tests@127.0.0.1:{free_port()}/x", tmp_path)
    assert found.endswith("failed: Connection refused; start it, or set another address in `store`")


async def test_a_user_who_may_make_no_tables_is_told(server: PostgresServer, database: str, tmp_path: Path) -> None:
    with server.connect() as connection, suppress(psycopg.errors.DuplicateObject):
        connection.execute("CREATE ROLE humble LOGIN")
    found = await failure(server.tcp_url(database, "humble"), tmp_path)
    assert "permission denied for schema public" in found
    assert "GRANT CREATE ON SCHEMA" in found


# Without a shared store

OFF = """
import asyncio, sys
from pathlib import Path
from strangler.control.app_assembly import build_app
from strangler.store.location import StoreLocation
from strangler.store.schema.opening import open_store, writer
store = open_store(StoreLocation(Path(sys.argv[1])), "a")
asyncio.run(store.call(lambda connection: None))
with writer(StoreLocation(Path(sys.argv[1]))): pass
import strangler.cli
print(sorted(name for name in sys.modules if name.startswith("psycopg")))
"""


def test_a_file_store_imports_no_driver(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OFF, str(tmp_path / "strangler.db")]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.strip() == "[]"
