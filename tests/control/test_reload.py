"""Which edits are put in force, and how they are noticed."""

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from strangler.config.load import parse
from strangler.config.pem_files import PemSource
from strangler.control import reload
from strangler.control.admin_listener import AdminTls
from strangler.control.content import Contents, read_contents
from strangler.control.reload import DOUBT_S, InForce, ReloadState, needs_restart
from strangler.control.watching import Change, changes
from strangler.core.listener_settings import Address, CertificateSettings, ListenerSettings, ServerTlsSettings
from strangler.core.rollout_percents import with_percents
from strangler.core.settings import Settings
from strangler.ipc.messages import decode_settings, encode_settings
from tests.certificates import Pair, make_pair

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


async def never(path: Path, include: tuple[str, ...]) -> AsyncIterator[Change]:
    """A system that tells of no change."""
    await asyncio.Event().wait()
    yield Change.CLOSED


async def broken(path: Path, include: tuple[str, ...]) -> AsyncIterator[Change]:
    """A system that has no inotify watch left."""
    raise OSError("inotify watch limit reached")
    yield Change.CLOSED


Changes = Callable[[Path, tuple[str, ...]], AsyncIterator[Change]]


class Adopting:
    """A follower that keeps what it adopts."""

    def __init__(self, adopted: list[InForce]) -> None:
        self._adopted = adopted

    def adopt(self, in_force: InForce) -> None:
        self._adopted.append(in_force)


@asynccontextmanager
async def reloading(path: Path, adopted: list[InForce], changes: Changes = changes) -> AsyncIterator[ReloadState]:
    """Watching `path`, which is written first if it does not exist."""
    if not path.exists():
        path.write_text(routes(0))
    first = settings()
    in_force = InForce(first, encode_settings(first), 1, "then")
    state = ReloadState(path, {}, first, in_force, [Adopting(adopted)], changes)
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


# Writers that take their time

THREE_ROUTES = """\
version: 1
upstreams:
  legacy: {url: "http://127.0.0.1:8000"}
  orders: {url: "http://127.0.0.1:8001"}
routes:
  - {name: orders, match: {prefix: /api/orders}, candidate: orders}
  - {name: carts, match: {prefix: /api/carts}, candidate: orders}
  - {name: users, match: {prefix: /api/users}, candidate: orders, enabled: false}
"""
PIECES = [
    pytest.param(["  - {name: carts"], id="a route is missing"),
    pytest.param(["  - {name: carts", "  - {name: users"], id="two pauses"),
    pytest.param([", enabled: false"], id="in the middle of a route that is no YAML then"),
    pytest.param(["upstreams:", "routes:"], id="in the middle of what is no whole file then"),
]
Write = Callable[[Path, list[str]], Awaitable[None]]


async def at_one_go(path: Path, pieces: list[str]) -> None:
    """Keep the file open all the time."""
    with path.open("w") as file:
        for number, piece in enumerate(pieces):
            await asyncio.sleep(0.3 if number else 0.0)
            file.write(piece)
            file.flush()


async def by_appending(path: Path, pieces: list[str]) -> None:
    """Close the file after each piece, as a script with `>>` does."""
    path.write_text(pieces[0])
    for piece in pieces[1:]:
        await asyncio.sleep(0.3)
        with path.open("a") as file:
            file.write(piece)


async def anew(path: Path, pieces: list[str]) -> None:
    """Remove the file first."""
    path.unlink()
    await by_appending(path, pieces)


def cut_at(text: str, places: list[str]) -> list[str]:
    at = [0, *(text.index(place) for place in places), len(text)]
    return [text[begin:end] for begin, end in pairwise(at)]


@pytest.mark.parametrize("write", [at_one_go, by_appending, anew])
@pytest.mark.parametrize("places", PIECES)
async def test_what_a_writer_has_written_so_far_is_never_in_force(path: Path, places: list[str], write: Write) -> None:
    await has_never_half_of_it(path, places, write, changes)


@pytest.mark.parametrize("write", [at_one_go, by_appending])
async def test_that_holds_where_the_system_tells_of_no_change(path: Path, write: Write) -> None:
    await has_never_half_of_it(path, ["  - {name: users"], write, never)


async def has_never_half_of_it(path: Path, places: list[str], write: Write, changes: Changes) -> None:
    path.write_text(THREE_ROUTES)
    adopted: list[InForce] = []
    async with reloading(path, adopted, changes) as state:
        await until(lambda: adopted)
        await write(path, cut_at(THREE_ROUTES.replace("/api/carts", "/api/cart"), places))
        await until(lambda: len(adopted) > 1)
        await asyncio.sleep(0.3)
    assert [[route.name for route in in_force.settings.routes] for in_force in adopted] == [
        ["orders", "carts", "users"]
    ] * 2
    assert state.in_force.problems == ()


async def test_a_route_that_is_taken_out_goes_after_a_pause_and_at_once_if_somebody_asks(path: Path) -> None:
    path.write_text(THREE_ROUTES)
    adopted: list[InForce] = []
    without = "".join(line for line in THREE_ROUTES.splitlines(keepends=True) if "carts" not in line)
    async with reloading(path, adopted) as state:
        await until(lambda: adopted)
        path.write_text(without)
        began = time.monotonic()
        await until(lambda: len(adopted) > 1)
        assert time.monotonic() - began > DOUBT_S
        path.write_text(without.replace("users", "people"))
        began = time.monotonic()
        state.ask()
        await until(lambda: len(adopted) > 2)
        assert time.monotonic() - began < DOUBT_S
    assert [route.name for route in state.in_force.settings.routes] == ["orders", "people"]


async def test_a_file_that_somebody_keeps_open_is_taken_once_it_rests(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reload, "MAX_OPEN_S", 0.6)
    adopted: list[InForce] = []
    async with reloading(path, adopted):
        await asyncio.sleep(0.3)
        with path.open("w") as file:
            began = time.monotonic()
            file.write(routes(30))
            file.flush()
            await until(lambda: adopted)
            assert time.monotonic() - began > 0.6


@pytest.mark.parametrize("changes", [changes, never], ids=["told", "polled"])
async def test_an_edit_that_keeps_size_and_date_is_loaded_within_a_second(path: Path, changes: Changes) -> None:
    path.write_text(routes(10))
    adopted: list[InForce] = []
    async with reloading(path, adopted, changes):
        await until(lambda: adopted)
        before = path.stat()
        for percent in (20, 30):
            path.write_text(routes(percent))
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
            began = time.monotonic()
            await until(lambda percent=percent: adopted[-1].settings == settings(percent))  # type: ignore[misc]
            assert time.monotonic() - began < 1.0
    after = path.stat()
    assert (after.st_ino, after.st_size, after.st_mtime_ns) == (before.st_ino, before.st_size, before.st_mtime_ns)


@pytest.mark.parametrize("command", ["cp", "install"])
async def test_a_backup_that_is_put_back_with_its_date_is_loaded(path: Path, command: str) -> None:
    backup = path.with_name("backup.yaml")
    for file, percent in ((backup, 10), (path, 20)):
        file.write_text(routes(percent))
        os.utime(file, (1_600_000_000, 1_600_000_000))
    adopted: list[InForce] = []
    async with reloading(path, adopted):
        await until(lambda: adopted)
        process = await asyncio.create_subprocess_exec(command, "-p", str(backup), str(path))
        await process.wait()
        await until(lambda: adopted[-1].settings == settings(10))


async def test_a_busy_neighbour_in_the_folder_is_no_reason_to_look(path: Path) -> None:
    seen: list[Change] = []

    async def noted(path: Path, include: tuple[str, ...]) -> AsyncIterator[Change]:
        async for change in changes(path, include):
            seen.append(change)
            yield change

    adopted: list[InForce] = []
    async with reloading(path, adopted, noted):
        await asyncio.sleep(0.3)
        with path.with_name("log").open("w") as log:
            for _ in range(100):
                log.write("a line\n")
                log.flush()
                await asyncio.sleep(0)
    assert len(seen) <= 2


def _listener(host: str, port: int) -> ListenerSettings:
    return ListenerSettings(Address(host, port))


@pytest.mark.parametrize(
    ("change", "keys"),
    [
        pytest.param({}, (), id="nothing"),
        pytest.param({"workers": 4}, (), id="workers are fitted"),
        pytest.param({"listeners": (_listener("127.0.0.1", 1),)}, ("listen",), id="the listener is bound once"),
        pytest.param(
            {"listeners": (_listener("127.0.0.1", 8080), _listener("::1", 1))}, ("listen",), id="so is another"
        ),
        pytest.param(
            {"listeners": (replace(_listener("127.0.0.1", 8080), redirect_port=443),)}, (), id="a redirect is followed"
        ),
        pytest.param({"state": "elsewhere"}, ("state",), id="the state folder is held"),
        pytest.param({"engine": "envoy"}, ("engine",), id="the engine is other processes"),
    ],
)
def test_keys_that_only_a_restart_changes_are_named(change: dict[str, object], keys: tuple[str, ...]) -> None:
    assert needs_restart(settings(), replace(settings(), **change)) == keys  # type: ignore[arg-type]


def test_the_admin_listener_is_bound_once_but_its_token_is_not() -> None:
    first = settings()
    moved = replace(first, admin=replace(first.admin, listen=Address("127.0.0.1", 1)))
    assert needs_restart(first, moved) == ("admin.listen",)
    assert needs_restart(first, replace(first, admin=replace(first.admin, token="another"))) == ()


TEAM = """\
owner: payments
upstreams: {{invoices: {{url: "http://127.0.0.1:8002"}}}}
routes: [{{name: invoices, match: {{prefix: /invoices}}, candidate: invoices,
          split: {{percent: {percent}, sticky: [client_ip]}}}}]
"""


@pytest.fixture
def team(path: Path) -> Path:
    """A file that routes.yaml includes."""
    file = path.parent / "teams" / "payments.yaml"
    file.parent.mkdir()
    file.write_text(TEAM.format(percent=5))
    path.write_text(routes(0) + "include: [teams/*.yaml]\n")
    return file


def percents(adopted: list[InForce]) -> dict[str, float]:
    """By route, what is in force."""
    return {route.name: route.split.percent for route in adopted[-1].settings.routes} if adopted else {}


class TestIncludedFiles:
    @pytest.mark.parametrize("changes", [changes, never, broken], ids=["told", "untold", "no watch left"])
    async def test_an_edit_of_an_included_file_is_put_in_force(self, path: Path, team: Path, changes: Changes) -> None:
        adopted: list[InForce] = []
        async with reloading(path, adopted, changes):
            await until(lambda: percents(adopted) == {"orders": 0, "invoices": 5})
            team.write_text(TEAM.format(percent=30))
            await until(lambda: percents(adopted) == {"orders": 0, "invoices": 30})

    @pytest.mark.parametrize("changes", [changes, never], ids=["told", "untold"])
    async def test_a_file_may_come_and_go(self, path: Path, team: Path, changes: Changes) -> None:
        adopted: list[InForce] = []
        other = team.with_name("other.yaml")
        async with reloading(path, adopted, changes):
            await until(lambda: percents(adopted))
            other.write_text("routes: [{name: more, match: {prefix: /more}, candidate: orders}]\n")
            await until(lambda: percents(adopted).keys() == {"orders", "invoices", "more"})
            other.unlink()
            await until(lambda: percents(adopted).keys() == {"orders", "invoices"})

    async def test_a_folder_may_come_later(self, path: Path) -> None:
        path.write_text(routes(0) + "include: [teams/*.yaml]\n")
        adopted: list[InForce] = []
        async with reloading(path, adopted) as state:
            await until(lambda: state.in_force.warnings)
            path.with_name("teams").mkdir()
            (path.parent / "teams" / "payments.yaml").write_text(TEAM.format(percent=5))
            await until(lambda: percents(adopted) == {"orders": 0, "invoices": 5})

    async def test_a_bad_included_file_changes_nothing_and_is_told_with_its_name(self, path: Path, team: Path) -> None:
        adopted: list[InForce] = []
        async with reloading(path, adopted) as state:
            await until(lambda: adopted)
            count = len(adopted)
            team.write_text(TEAM.format(percent=300))
            await until(lambda: state.in_force.problems)
            assert state.in_force.problems[0].startswith(f"{team}:4:")
            assert len(adopted) == count
            team.write_text(TEAM.format(percent=7))
            await until(lambda: percents(adopted) == {"orders": 0, "invoices": 7})

    async def test_a_file_that_is_written_piece_by_piece_is_taken_whole(self, path: Path, team: Path) -> None:
        adopted: list[InForce] = []
        async with reloading(path, adopted):
            await until(lambda: percents(adopted))
            with team.open("w") as file:
                for line in TEAM.format(percent=40).splitlines(keepends=True):
                    file.write(line)
                    file.flush()
                    await asyncio.sleep(0.2)
            await until(lambda: percents(adopted) == {"orders": 0, "invoices": 40})
        assert all("invoices" in {route.name for route in in_force.settings.routes} for in_force in adopted)

    async def test_other_patterns_are_followed_from_the_next_edit_on(self, path: Path, team: Path) -> None:
        adopted: list[InForce] = []
        squad = path.parent / "squads" / "a.yaml"
        squad.parent.mkdir()
        squad.write_text(TEAM.format(percent=8))
        async with reloading(path, adopted):
            await until(lambda: percents(adopted) == {"orders": 0, "invoices": 5})
            path.write_text(routes(1) + "include: [squads/*.yaml]\n")
            await until(lambda: percents(adopted) == {"orders": 1, "invoices": 8})
            squad.write_text(TEAM.format(percent=9))
            await until(lambda: percents(adopted) == {"orders": 1, "invoices": 9})
            count = len(adopted)
            team.write_text("nonsense: 1\n")
            await asyncio.sleep(1.5)
            assert len(adopted) == count


TLS = "listen: {address: 127.0.0.1:8443, tls: {certificates: [{cert: live/shop.pem, key: live/shop.key}]}}\n"


@pytest.fixture
def certificates(path: Path) -> Path:
    """The folder of the certificate that routes.yaml names, as Kubernetes mounts it: two links up."""
    _mount(path.parent, "first", make_pair(["first.example"]))
    for name in ("shop.pem", "shop.key"):
        (path.parent / "live").mkdir(exist_ok=True)
        (path.parent / "live" / name).symlink_to(f"../..data/{name}")
    path.write_text(routes(0) + TLS)
    return path.parent


def _mount(folder: Path, version: str, pair: Pair) -> None:
    """Replace what `..data` leads to, in one step."""
    (folder / f"..{version}").mkdir()
    pair.write(folder / f"..{version}", "shop")
    (folder / "..next").symlink_to(f"..{version}")
    (folder / "..next").rename(folder / "..data")


def names(in_force: InForce) -> list[str]:
    """The names in the certificates in force."""
    tls = [listener.tls for listener in in_force.settings.listeners]
    return [name for each in tls if each is not None for pair in each.certificates for name in pair.names]


class TestCertificates:
    async def test_a_new_pair_is_put_in_force_through_any_number_of_links(self, certificates: Path, path: Path) -> None:
        async with reloading(path, []) as state:
            await until(lambda: names(state.in_force) == ["first.example"])
            generation = state.in_force.generation
            _mount(certificates, "second", make_pair(["second.example"]))
            await until(lambda: names(state.in_force) == ["second.example"])
            assert state.in_force.generation == generation + 1
            assert state.in_force.warnings == ()

    async def test_two_files_may_be_swapped_one_after_the_other(self, certificates: Path, path: Path) -> None:
        adopted: list[InForce] = []
        other = make_pair(["other.example"])
        async with reloading(path, adopted) as state:
            await until(lambda: names(state.in_force) == ["first.example"])
            (certificates / "live" / "shop.pem").resolve().write_bytes(other.chain)
            await asyncio.sleep(0.3)
            (certificates / "live" / "shop.key").resolve().write_bytes(other.key)
            await until(lambda: names(state.in_force) == ["other.example"])
        assert all(in_force.warnings == () for in_force in adopted)

    async def test_a_bad_pair_is_told_and_the_earlier_one_stays(self, certificates: Path, path: Path) -> None:
        async with reloading(path, []) as state:
            await until(lambda: names(state.in_force) == ["first.example"])
            before = state.in_force
            (certificates / "live" / "shop.key").resolve().write_text("no key")
            await until(lambda: state.in_force.warnings)
            assert "holds no private key, so the earlier content stays in force" in state.in_force.warnings[0]
            assert (state.in_force.encoded, state.in_force.generation) == (before.encoded, before.generation)
            assert state.in_force.problems == ()

    async def test_other_edits_are_put_in_force_meanwhile(self, certificates: Path, path: Path) -> None:
        adopted: list[InForce] = []
        async with reloading(path, adopted) as state:
            await until(lambda: names(state.in_force) == ["first.example"])
            (certificates / "live" / "shop.key").resolve().unlink()
            path.write_text(routes(5) + TLS)
            await until(lambda: percents(adopted) == {"orders": 5})
            assert names(state.in_force) == ["first.example"]

    async def test_a_file_that_comes_back_ends_the_warning(self, certificates: Path, path: Path) -> None:
        key = (certificates / "live" / "shop.key").resolve()
        content = key.read_bytes()
        async with reloading(path, []) as state:
            await until(lambda: names(state.in_force) == ["first.example"])
            key.unlink()
            await until(lambda: state.in_force.warnings)
            key.write_bytes(content)
            await until(lambda: not state.in_force.warnings)

    async def test_an_edit_that_names_a_bad_pair_is_taken_once_the_files_are_right(
        self, certificates: Path, path: Path
    ) -> None:
        async with reloading(path, []) as state:
            await until(lambda: names(state.in_force) == ["first.example"])
            path.write_text(routes(0) + TLS.replace("live/", "later/"))
            await until(lambda: state.in_force.problems)
            (certificates / "later").mkdir()
            make_pair(["later.example"]).write(certificates / "later", "shop")
            await until(lambda: names(state.in_force) == ["later.example"])
            assert state.in_force.problems == ()


def test_keys_are_in_no_text_about_what_holds_them(path: Path) -> None:
    pair = make_pair()
    cert, key = pair.write(path.parent, "admin")
    tls = ServerTlsSettings((CertificateSettings(cert, key, pair.names, pair.kind, pair.not_after),))
    files = {cert: pair.chain, key: pair.key}
    first = settings()
    first = replace(first, admin=replace(first.admin, tls=tls), files=files)
    in_force = InForce(first, encode_settings(first), 1, "then")
    contents = read_contents(path, None, (), (Path(cert), Path(key)))
    source = PemSource(datetime.now(UTC), {Path(key): pair.key}, first)
    admin = AdminTls(first, lambda _: None)
    held = [in_force, contents, source, admin, vars(admin)]
    assert pair.key in in_force.encoded  # as it is sent to the workers
    assert "PRIVATE KEY" not in repr(held)


# Percents of rollouts

ROLLOUT = """\
version: 1
upstreams: {{legacy: {{url: "http://127.0.0.1:8000"}}, orders: {{url: "http://127.0.0.1:8001"}}}}
routes: [{{name: orders, match: {{prefix: /api/{prefix}}}, candidate: orders,
          split: {{sticky: [client_ip]}}, rollout: {{steps: [5, 50]}}}}]
"""


@asynccontextmanager
async def rolling(path: Path, adopted: list[InForce], percents: dict[str, float]) -> AsyncIterator[ReloadState]:
    """Watching a file with a rollout; `percents` are those that its keeper has."""
    path.write_text(ROLLOUT.format(prefix="orders"))
    file = parse(path.read_text(), "routes.yaml", {}).settings
    assert file is not None
    first = with_percents(file, percents)
    state = ReloadState(
        path,
        {},
        first,
        InForce(first, encode_settings(first), 7, "then"),
        [Adopting(adopted)],
        effective=lambda settings: with_percents(settings, percents),
    )
    task = asyncio.create_task(state.run())
    try:
        yield state
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def percent_of(in_force: InForce) -> float:
    return in_force.settings.routes[0].split.percent


async def test_a_start_with_the_percents_of_the_store_is_no_new_generation(path: Path) -> None:
    adopted: list[InForce] = []
    async with rolling(path, adopted, {"orders": 5.0}) as state:
        await until(lambda: state.texts)
        await asyncio.sleep(0.2)
        assert (state.in_force.generation, percent_of(state.in_force)) == (7, 5)
    assert adopted == []


async def test_percents_are_put_in_force_without_a_changed_file_and_no_bad_file_stops_them(path: Path) -> None:
    adopted: list[InForce] = []
    percents = {"orders": 5.0}
    async with rolling(path, adopted, percents) as state:
        await until(lambda: state.texts)
        path.write_text("version: 9")
        await until(lambda: state.in_force.problems)
        percents["orders"] = 50.0
        assert state.put_percents() == 8
        assert (percent_of(adopted[-1]), adopted[-1].is_move) == (50, True)
        assert adopted[-1].problems, "the file is still invalid"
        assert decode_settings(adopted[-1].encoded) == adopted[-1].settings


async def test_a_move_while_a_file_is_being_loaded_is_not_lost(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The load has begun with the percents of before; its result is put in force with those of now."""
    adopted: list[InForce] = []
    percents = {"orders": 5.0}
    loading, may_end = threading.Event(), threading.Event()
    load = reload._load

    def slowly(path: Path, content: Contents, environ: Mapping[str, str], before: object) -> object:
        found = load(path, content, environ, before)  # type: ignore[arg-type]
        if "new" in path.read_text():
            loading.set()
            may_end.wait(5)
        return found

    monkeypatch.setattr(reload, "_load", slowly)
    async with rolling(path, adopted, percents) as state:
        await until(lambda: state.texts)
        path.write_text(ROLLOUT.format(prefix="new"))
        await until(loading.is_set)
        percents["orders"] = 50.0
        state.put_percents()
        may_end.set()
        await until(lambda: len(adopted) == 2)
    assert [(each.generation, percent_of(each), each.is_move) for each in adopted] == [(8, 50, True), (9, 50, False)]
    assert adopted[1].settings.routes[0].match.prefix == "/api/new"


async def test_a_file_in_force_has_no_copy_if_it_has_no_rollout(path: Path) -> None:
    """10,000 routes would take twice the memory."""
    adopted: list[InForce] = []
    async with reloading(path, adopted) as state:
        path.write_text(routes(30))
        await until(lambda: adopted)
        assert state._file.settings is state.in_force.settings
