"""Which edits are put in force, and how they are noticed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from strangler.config.load import parse
from strangler.control.reload import InForce, ReloadState, needs_restart
from strangler.core.settings import Address, Settings
from strangler.wire.messages import encode_settings

ROUTES = """\
version: 1
upstreams: {{legacy: {{url: "http://127.0.0.1:8000"}}, orders: {{url: "http://127.0.0.1:8001"}}}}
routes: [{{name: orders, match: {{prefix: /api/orders}}, candidate: orders,
          split: {{percent: {percent}, sticky: [client_ip]}}}}]
"""


def routes(percent: int) -> str:
    return ROUTES.format(percent=percent)


def settings(percent: int = 0) -> Settings:
    found = parse(routes(percent), "routes.yaml", {}).settings
    assert found is not None
    return found


async def never(folders: list[Path]) -> AsyncIterator[object]:
    """A system that tells of no change."""
    await asyncio.Event().wait()
    yield folders


async def broken(folders: list[Path]) -> AsyncIterator[object]:
    """A system that has no inotify watch left."""
    raise OSError("inotify watch limit reached")
    yield folders


Changes = Callable[[list[Path]], AsyncIterator[object]]


@asynccontextmanager
async def reloading(path: Path, adopted: list[InForce], changes: Changes | None = None) -> AsyncIterator[ReloadState]:
    """Watching `path`, which is written first if it does not exist."""
    if not path.exists():
        path.write_text(routes(0))
    first = settings()
    in_force = InForce(first, encode_settings(first), 1, "then")
    state = ReloadState(path, {}, first, in_force, adopted.append, changes)
    task = asyncio.create_task(state.run())
    try:
        yield state
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(8):
        while not condition():  # noqa: ASYNC110 - files have no event to wait for
            await asyncio.sleep(0.01)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "routes.yaml"


async def test_the_file_of_the_start_is_no_new_generation(path: Path) -> None:
    adopted: list[InForce] = []
    async with reloading(path, adopted):
        await asyncio.sleep(0.3)
    assert adopted == []


async def test_a_file_changed_before_the_watch_began_is_put_in_force(path: Path) -> None:
    path.write_text(routes(30))
    adopted: list[InForce] = []
    async with reloading(path, adopted):
        await until(lambda: adopted)
    assert (adopted[0].generation, adopted[0].settings) == (2, settings(30))


async def test_a_comment_is_no_new_generation(path: Path) -> None:
    adopted: list[InForce] = []
    async with reloading(path, adopted):
        await asyncio.sleep(0.3)
        path.write_text("# orders move next week\n" + routes(0))
        await asyncio.sleep(0.6)
    assert adopted == []


async def test_asking_is_a_new_generation_though_nothing_changed(path: Path) -> None:
    adopted: list[InForce] = []
    async with reloading(path, adopted) as state:
        await asyncio.sleep(0.3)
        state.ask()
        await until(lambda: adopted)
    assert (adopted[0].generation, adopted[0].settings) == (2, settings(0))


@pytest.mark.parametrize("changes", [never, broken], ids=["untold", "no watch left"])
async def test_a_change_that_the_system_does_not_tell_is_found_by_polling(path: Path, changes: Changes) -> None:
    adopted: list[InForce] = []
    async with reloading(path, adopted, changes):
        await asyncio.sleep(0.3)
        path.write_text(routes(30))
        await until(lambda: adopted)
    assert adopted[0].settings == settings(30)


async def test_a_file_that_is_gone_changes_nothing_and_is_a_problem(path: Path) -> None:
    adopted: list[InForce] = []
    async with reloading(path, adopted) as state:
        await asyncio.sleep(0.3)
        path.unlink()
        await until(lambda: state.in_force.problems)
        assert "cannot be read" in state.in_force.problems[0]
        path.write_text(routes(0))
        await until(lambda: not state.in_force.problems)
    assert adopted == []


async def test_of_many_edits_at_once_the_last_one_is_in_force(path: Path) -> None:
    adopted: list[InForce] = []
    async with reloading(path, adopted) as state:
        await asyncio.sleep(0.3)
        for percent in range(1, 101):
            path.write_text(routes(percent))
        await until(lambda: state.in_force.settings == settings(100))
    assert len(adopted) < 10


@pytest.mark.parametrize(
    ("change", "keys"),
    [
        pytest.param({}, (), id="nothing"),
        pytest.param({"workers": 4}, (), id="workers are fitted"),
        pytest.param({"listen": Address("127.0.0.1", 1)}, ("listen",), id="the listener is bound once"),
        pytest.param({"state": "elsewhere"}, ("state",), id="the state folder is held"),
    ],
)
def test_keys_that_only_a_restart_changes_are_named(change: dict[str, object], keys: tuple[str, ...]) -> None:
    assert needs_restart(settings(), replace(settings(), **change)) == keys  # type: ignore[arg-type]


def test_the_admin_listener_is_bound_once_but_its_token_is_not() -> None:
    first = settings()
    moved = replace(first, admin=replace(first.admin, listen=Address("127.0.0.1", 1)))
    assert needs_restart(first, moved) == ("admin.listen",)
    assert needs_restart(first, replace(first, admin=replace(first.admin, token="another"))) == ()
