"""The Dockerfile, read as text: what an operator relies on. Its health check is really run."""

import asyncio
import json
import re
import sys
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from strangler.cli import main
from tests.certificates import make_pair
from tests.e2e.serving import Proxy, legacy

ROOT = Path(__file__).parents[2]


def _instructions() -> list[tuple[str, str]]:
    """(instruction, the rest), comments dropped and continued lines joined."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    return [(word, rest) for word, _, rest in (line.strip().partition(" ") for line in lines) if word]


def _last_stage() -> list[tuple[str, str]]:
    instructions = _instructions()
    begin = max(i for i, (word, _) in enumerate(instructions) if word == "FROM")
    return instructions[begin:]


def _only(word: str) -> str:
    (rest,) = [rest for name, rest in _last_stage() if name == word]
    return rest


def test_bases_are_pinned_to_a_patch_release() -> None:
    bases = [rest for word, rest in _instructions() if word == "FROM"]
    assert len(bases) == 2
    assert all(re.match(r"python:3\.\d+\.\d+-slim-\w+( AS \w+)?$", base) for base in bases)


def test_it_does_not_run_as_root() -> None:
    assert int(_only("USER")) > 0


@pytest.mark.parametrize("word", ["ENTRYPOINT", "CMD"])
def test_no_shell_stands_between_signals_and_the_supervisor(word: str) -> None:
    assert all(isinstance(part, str) for part in json.loads(_only(word)))


def test_its_command_exists() -> None:
    (program,), (name, option, _) = json.loads(_only("ENTRYPOINT")), json.loads(_only("CMD"))
    assert program == "strangler"
    command = main.get_command(main.make_context("strangler", ["serve"], resilient_parsing=True), name)
    assert command is not None
    assert option in [text for parameter in command.params for text in parameter.opts]


def test_the_command_that_it_shows_mounts_the_folder_of_routes_yaml_and_the_state() -> None:
    header = (ROOT / "Dockerfile").read_text().partition("FROM")[0]
    targets = re.findall(r"-v [^ :]+:([^ :]+)", header)
    _, _, file = json.loads(_only("CMD"))
    assert targets == [str(Path(file).parent), _only("VOLUME")]


def test_what_builds_is_gone() -> None:
    (run,) = [rest for word, rest in _last_stage() if word == "RUN"]
    assert "pip uninstall --yes" in run
    assert all(tool in run for tool in ("pip", "setuptools", "wheel"))
    assert "apt-get" not in run


def test_state_lies_on_a_volume_that_its_user_owns() -> None:
    (run,) = [rest for word, rest in _last_stage() if word == "RUN"]
    assert f"install -d -o {_only('USER')} -g {_only('USER')} {_only('VOLUME')}" in run
    assert _only("WORKDIR") == _only("VOLUME")


def test_what_it_copies_is_sent_to_the_build() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        source
        for word, rest in _instructions()
        if word == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    }
    assert copied == allowed
    assert all((ROOT / name).exists() for name in copied)


async def _is_healthy(port: int) -> bool:
    """Run the health check."""
    options, _, command = _only("HEALTHCHECK").partition("CMD ")
    program, *arguments = json.loads(command.replace("8081", str(port)))
    assert (program, "--interval" in options) == ("python", True)
    process = await asyncio.create_subprocess_exec(*(sys.executable, *arguments), stderr=asyncio.subprocess.DEVNULL)
    return await process.wait() == 0


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False), (None, False)])
async def test_health_check_tells_alive_from_dead(status: int | None, healthy: bool) -> None:
    async def healthz(_: web.Request) -> web.Response:
        return web.Response(status=status or 500)

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    async with TestServer(app) as server:
        if status is None:
            await server.close()
        assert await _is_healthy(server.port or 1) is healthy


async def test_health_check_works_with_tls(tmp_path: Path) -> None:
    cert, key = make_pair().write(tmp_path, "admin")
    tls = f"admin: {{listen: 127.0.0.1:0, tls: {{certificates: [{{cert: {cert}, key: {key}}}]}}"
    async with legacy() as upstream:
        proxy = Proxy(tmp_path, upstream.port)
        proxy.file.write_text(proxy.routes().replace("admin: {listen: 127.0.0.1:0", tls))
        await proxy.start()
        try:
            assert await _is_healthy(int(proxy.admin.rpartition(":")[2]))
        finally:
            await proxy.stop()
