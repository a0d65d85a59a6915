"""The sockets of records: many connections, any pieces, garbage, and Envoys that end."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec
import pytest

from strangler.engine.intake.message_ends import GarbageError
from strangler.engine.intake.record_values import Record
from strangler.engine.intake.telemetry_server import TelemetryServer, records_of

encode = msgspec.msgpack.encode
PATIENCE_S = 20.0


def message(*paths: str, tag: str = "request") -> bytes:
    return encode([tag, [[1, {"p": path}] for path in paths]])


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - what is counted wakes nobody
            await asyncio.sleep(0.005)


class Kept:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.taken: list[tuple[str, Record]] = []
        self.server = TelemetryServer(asyncio.get_running_loop(), lambda tag, record: self.taken.append((tag, record)))
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(64)
        self.listener.setblocking(False)
        self.server.serve(self.listener)

    def paths(self) -> list[object]:
        return [record["p"] for _, record in self.taken]


@asynccontextmanager
async def kept(path: Path) -> AsyncIterator[Kept]:
    made = Kept(path)
    try:
        yield made
    finally:
        await made.server.close()


async def test_records_of_many_connections_are_taken_in_their_order(tmp_path: Path) -> None:
    async with kept(tmp_path / "s") as made:
        writers = [(await asyncio.open_unix_connection(str(made.path)))[1] for _ in range(20)]
        for number, writer in enumerate(writers):
            whole = message(f"{number}/a") + message(f"{number}/b", f"{number}/c")
            for at in range(0, len(whole), 7):
                writer.write(whole[at : at + 7])
                await writer.drain()
        await until(lambda: len(made.taken) == 60)
        for number in range(20):
            own = [path for path in made.paths() if str(path).startswith(f"{number}/")]
            assert own == [f"{number}/{letter}" for letter in "abc"]
        for writer in writers:
            writer.close()
        await until(lambda: not made.server.connections)


async def test_garbage_ends_its_connection_alone(tmp_path: Path) -> None:
    async with kept(tmp_path / "s") as made:
        _, good = await asyncio.open_unix_connection(str(made.path))
        reader, bad = await asyncio.open_unix_connection(str(made.path))
        bad.write(message("before") + encode({"no": "list"}) + message("after"))
        with suppress(ConnectionResetError):
            assert await reader.read() == b""
        bad.close()
        good.write(message("other"))
        await until(lambda: set(made.paths()) == {"before", "other"})
        assert made.server.garbage == 1
        good.close()


async def test_what_an_envoy_wrote_before_its_end_is_read(tmp_path: Path) -> None:
    async with kept(tmp_path / "s") as made:
        _, writer = await asyncio.open_unix_connection(str(made.path))
        writer.write(message(*map(str, range(2000))))
        writer.close()
        made.server.release(made.listener)
        await until(lambda: len(made.taken) == 2000)
        await until(lambda: made.listener.fileno() == -1)


async def test_a_released_socket_is_closed_although_its_envoy_lives_on(tmp_path: Path) -> None:
    async with kept(tmp_path / "s") as made:
        _, writer = await asyncio.open_unix_connection(str(made.path))
        await until(lambda: bool(made.server.connections))
        made.server.release(made.listener)
        await until(lambda: made.listener.fileno() == -1 and not made.server.connections)
        writer.close()


def test_the_third_element_of_forward_mode_is_no_record() -> None:
    assert records_of(encode(["attempt", [[1, {"id": "a"}]], {"size": 1}])) == ("attempt", [{"id": "a"}])


@pytest.mark.parametrize(
    "document",
    [None, 1, "x", {}, [], ["t"], ["t", 1], [1, []], ["t", [1]], ["t", [[1]]], ["t", [[1, 2]]], ["t", [], {}, 1]],
)
def test_other_messages_are_garbage(document: object) -> None:
    with pytest.raises(GarbageError):
        records_of(encode(document))
