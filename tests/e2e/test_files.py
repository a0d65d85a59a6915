"""routes.yaml as containers see it: a file mounted by itself, a folder, read-only, somebody else's."""

import asyncio
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from shutil import which

import pytest

from tests.e2e.serving import Proxy, legacy
from tests.needs import require

_NEEDED = ("unshare", "nsenter", "setpriv", "mount")
_SERVE = 'exec "$2" -m strangler serve'
_FILE = 'mount --bind "$1/outside/routes.yaml" "$1/routes.yaml"\n'
_FOLDER = 'mount --bind "$1/outside" "$1/inside"\n'
_READ_ONLY = 'mount -o remount,bind,ro "$1/routes.yaml"\n'
_REPLACED = "routes.yaml was replaced outside; mount its folder, not the file, and restart the container"


class Contained(Proxy):
    """A proxy in a mount namespace of its own; `outside` is what its operator edits."""

    def __init__(self, folder: Path, legacy_port: int) -> None:
        super().__init__(folder, legacy_port)
        self.outside = folder / "outside" / "routes.yaml"
        for name in ("outside", "inside"):
            (folder / name).mkdir()
        self.outside.write_text(self.routes())
        self.file.touch()

    async def enter(self, mounts: str, serve: str = _SERVE) -> None:
        script = ("sh", "-ec", mounts + serve, "sh", str(self.folder), sys.executable)
        await self.start("unshare", "--mount", "--propagation", "private", *script)

    def replace_outside(self, text: str) -> None:
        draft = self.outside.with_name("draft")
        draft.write_text(text)
        draft.replace(self.outside)

    async def run(self, *words: str) -> tuple[int, str]:
        """Run a command inside; its exit code, and what it says."""
        inside = ("sh", "-c", f'cd "{self.folder}"; exec "$@"', "sh", sys.executable, "-m", "strangler")
        command = ("nsenter", "--mount", "-t", str(self.pid), *inside)
        environ = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        process = await asyncio.create_subprocess_exec(
            *command, *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env=environ
        )
        output, _ = await process.communicate()
        return process.returncode or 0, output.decode()

    async def problems(self) -> list[str]:
        found: list[str] = (await self.status())["config"]["problems"]
        return found


@pytest.fixture
async def proxy(tmp_path: Path) -> AsyncIterator[Contained]:
    can = os.geteuid() == 0 and all(which(program) for program in _NEEDED)
    require("" if can else f"root, who may make a mount namespace, and {', '.join(_NEEDED)}")
    async with legacy() as upstream:
        proxy = Contained(tmp_path, upstream.port)
        yield proxy
        await proxy.stop()


def _rename_over(proxy: Contained) -> None:
    proxy.replace_outside(proxy.routes(50))


def _keep_a_backup(proxy: Contained) -> None:
    proxy.outside.rename(proxy.outside.with_name("routes.yaml~"))
    proxy.outside.write_text(proxy.routes(50))


@pytest.mark.parametrize("edit", [_rename_over, _keep_a_backup])
async def test_a_mounted_file_that_is_replaced_outside_is_a_problem_that_is_told_once(
    proxy: Contained, edit: Callable[[Contained], None]
) -> None:
    await proxy.enter(_FILE)
    edit(proxy)
    await proxy.until(proxy.problems)
    assert await proxy.problems() == [f"routes.yaml: {_REPLACED}"]
    assert await proxy.metric("strangler_config_last_reload_successful") == 0
    await asyncio.sleep(1.5)
    assert len(await proxy.wait_for_log("routes.problem")) == 1
    proxy.signal(signal.SIGHUP)
    await proxy.until(lambda: len(proxy.events("routes.rejected")) == 2)
    assert proxy.events("routes.reloaded") == []


async def test_commands_on_a_file_that_is_replaced_outside_say_so_and_change_nothing(proxy: Contained) -> None:
    await proxy.enter(_FILE)
    proxy.replace_outside(proxy.routes(50))
    status, output = await proxy.run("check")
    assert status == 0
    assert output.splitlines()[:2] == [
        f"routes.yaml: warning: {_REPLACED}",
        "routes.yaml: ok: 2 upstreams, 1 route, 1 warning",
    ]
    assert await proxy.run("shift", "orders", "25") == (2, f"routes.yaml: nothing was changed: {_REPLACED}\n")


async def test_a_mounted_file_is_written_in_place(proxy: Contained) -> None:
    await proxy.enter(_FILE)
    inode = proxy.outside.stat().st_ino
    status, output = await proxy.run("shift", "orders", "25")
    assert status == 0
    assert "routes.yaml: route 'orders' shifted from 0 % to 25 %" in output.splitlines()
    assert proxy.outside.read_text() == proxy.routes(25)
    await proxy.until(lambda: proxy.has_generation(2))
    proxy.outside.write_text(proxy.routes(5))  # an editor that writes in place
    await proxy.until(lambda: proxy.has_generation(3))
    assert proxy.outside.stat().st_ino == inode
    assert await proxy.problems() == []


async def test_a_mounted_folder_may_be_edited_in_any_way(proxy: Contained) -> None:
    await proxy.enter(_FOLDER, 'exec "$2" -m strangler serve -c "$1/inside/routes.yaml"')
    proxy.replace_outside(proxy.routes(50))
    await proxy.until(lambda: proxy.has_generation(2))
    assert (await proxy.run("shift", "orders", "25", "-c", "inside/routes.yaml"))[0] == 0
    await proxy.until(lambda: proxy.has_generation(3))
    assert proxy.outside.read_text() == proxy.routes(25)


@pytest.mark.parametrize(
    ("mounts", "file", "cause"),
    [
        pytest.param(_FILE + _READ_ONLY, "routes.yaml", "its file system is read-only", id="file"),
        pytest.param(
            _FOLDER + 'mount -o remount,bind,ro "$1/inside"\n',
            "inside/routes.yaml",
            "its file system is read-only",
            id="folder",
        ),
    ],
)
async def test_what_cannot_be_written_is_one_line_and_no_audit_entry(
    proxy: Contained, mounts: str, file: str, cause: str
) -> None:
    proxy.outside.write_text(proxy.routes().replace("candidate: orders", "candidate: orders\n    gate: {}"))
    await proxy.enter(mounts, f'exec "$2" -m strangler serve -c {file}')
    before = proxy.outside.read_text()
    status, output = await proxy.run("shift", "orders", "25", "-c", file, "--force", "--why", "a test")
    assert (status, output.splitlines()[-1]) == (
        2,
        f"{file}: nothing was changed: {cause}; change it where it comes from, or mount its folder without `ro`",
    )
    assert proxy.outside.read_text() == before
    await proxy.stop()
    with closing(sqlite3.connect(proxy.folder / "state" / "strangler.db")) as connection:
        assert connection.execute("SELECT count(*) FROM audit").fetchone() == (0,)


async def test_a_file_of_another_user_is_waited_for_without_any_capability(proxy: Contained) -> None:
    """There the system does not say who has it open; that it was written to and not closed has to do."""
    os.chown(proxy.outside, 1000, 1000)
    proxy.outside.chmod(0o644)
    await proxy.enter(_FOLDER, 'exec setpriv --bounding-set=-all "$2" -m strangler serve -c "$1/inside/routes.yaml"')
    proxy.outside.write_text(proxy.routes(5))
    await proxy.until(lambda: proxy.has_generation(2))
    text = proxy.routes(25)
    at = text.index("\n    candidate")
    with proxy.outside.open("w") as file:
        file.write(text[:at])
        file.flush()
        await asyncio.sleep(2.5)
        file.write(text[at:])
    await proxy.until(lambda: proxy.has_generation(3))
    assert (await proxy.status())["routes"][0]["percent"] == 25
    assert proxy.events("routes.rejected") == []
    assert len(proxy.events("routes.waiting")) == 1
