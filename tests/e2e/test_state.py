"""`strangler state`: a backup while the proxy runs, its way back, and that a copied folder leads to no other proxy."""

import json
import shutil
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from tests.e2e.serving import LegacyState, Proxy, legacy
from tests.e2e.test_processes import strangler

StartProxy = Callable[[str], Awaitable[Proxy]]


@pytest.fixture
async def upstream() -> AsyncIterator[LegacyState]:
    async with legacy() as state:
        yield state


@pytest.fixture
async def start(tmp_path: Path, upstream: LegacyState) -> AsyncIterator[StartProxy]:
    """Starts a proxy in a folder of its own."""
    started: list[Proxy] = []

    async def start_one(name: str) -> Proxy:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        proxy = Proxy(folder, upstream.port, 1, None)
        started.append(proxy)
        await proxy.start()
        return proxy

    yield start_one
    for proxy in started:
        await proxy.stop()


async def test_a_backup_of_a_running_proxy_makes_another_what_that_one_was(start: StartProxy, tmp_path: Path) -> None:
    proxy = await start("first")
    await strangler(proxy.folder, "kill-switch", "on", "--reason", "before the move")
    file = tmp_path / "backup.tar.gz"
    status, output, error = await strangler(proxy.folder, "state", "backup", str(file), "--json")
    assert (status, error) == (0, "")
    assert {"strangler.db", "kill-switch.json", "redaction.key"} <= json.loads(output)["files"].keys()
    assert file.stat().st_mode & 0o777 == 0o600

    status, output, error = await strangler(proxy.folder, "state", "restore", str(file))
    assert (status, output) == (1, "")
    assert f"nothing was restored: state: another proxy (pid {proxy.pid})" in error
    assert "stop it first" in error
    assert (await proxy.status())["kill_switch"]["on"]

    other = await start("second")
    await strangler(other.folder, "kill-switch", "on", "--reason", "of the second")
    await strangler(other.folder, "kill-switch", "off")
    other.signal(signal.SIGTERM)
    await other.ended()
    status, output, error = await strangler(other.folder, "state", "restore", str(file))
    assert (status, error) == (0, "")
    assert "strangler.db: " in output
    assert " in place of " in output
    assert "kill switch: it was off and is on" in output
    again = await start("second")
    assert (await again.status())["kill_switch"]["reason"] == "before the move"
    status, output, _ = await strangler(again.folder, "audit", "--json")
    whys = [entry["why"] for entry in json.loads(output)["entries"]]
    assert "before the move" in whys
    assert "of the second" not in whys
    assert json.loads(output)["entries"][0]["what"] == "state restore"


@pytest.mark.parametrize("arguments", [["status"], ["kill-switch", "on", "--reason", "a test"], ["release", "orders"]])
async def test_commands_in_a_copied_folder_do_not_speak_to_the_proxy_of_the_first(
    start: StartProxy, tmp_path: Path, arguments: list[str]
) -> None:
    """Neither by what the copied state folder says, nor by the address in routes.yaml."""
    proxy = await start("first")
    copy = tmp_path / "copy"
    shutil.copytree(proxy.folder, copy, ignore=shutil.ignore_patterns("link.sock"))
    file = copy / "routes.yaml"
    file.write_text(
        file.read_text().replace(
            "admin: {listen: 127.0.0.1:0", f"admin: {{listen: {proxy.admin.removeprefix('http://')}"
        )
    )
    status, output, error = await strangler(copy, *arguments)
    if arguments[0] == "release":  # it reads the folder, where no proxy runs
        assert (status, error) == (0, "")
    else:
        assert (status, output) == (1, "")
        assert "no proxy runs on the state folder state" in error
        assert "--admin" in error
    assert not (await proxy.status())["kill_switch"]["on"]
    status, output, _ = await strangler(copy, "status", "--admin", proxy.admin)
    assert status == 0, "who names it gets it"


async def test_a_folder_without_routes_yaml_is_named_by_state(start: StartProxy, tmp_path: Path) -> None:
    proxy = await start("first")
    file = tmp_path / "b"
    status, _, error = await strangler(tmp_path, "state", "backup", str(file), "--state", str(proxy.folder / "state"))
    assert (status, error) == (0, "")
    status, output, error = await strangler(tmp_path, "state", "restore", str(file), "--state", str(tmp_path / "new"))
    assert (status, error) == (0, "")
    assert "there was none" in output
    status, _, error = await strangler(tmp_path, "state", "restore", str(tmp_path / "none"), "--state", "x")
    assert status == 1
    assert "nothing was restored: there is no file" in error
