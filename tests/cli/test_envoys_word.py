"""`strangler check` and `serve` with `engine: envoy`: the word of the Envoy that is installed here."""

from pathlib import Path

import pytest

from tests.e2e.commands import run
from tests.engine.envoys import real_envoy, script

ROUTES = """\
version: 1
engine: {engine}
listen: 127.0.0.1:8080
upstreams:
  legacy: {{url: "http://127.0.0.1:9"}}
routes: []
"""

REFUSING = """
if [ "$1" = --version ]; then echo 'envoy  version: 0123abc/1.40.7/Clean/RELEASE/BoringSSL'; exit; fi
printf "critical\\tmain\\terror initializing configuration '$4': no such thing\\n" >&2; exit 1
"""


async def test_check_asks_the_envoy_that_is_there(tmp_path: Path) -> None:
    real_envoy()
    (tmp_path / "routes.yaml").write_text(ROUTES.format(engine="envoy"))
    code, output = await run(tmp_path, "check")
    assert code == 0, output
    assert "ok: 1 upstream" in output


async def test_serve_names_what_envoy_refuses(tmp_path: Path) -> None:
    (tmp_path / "routes.yaml").write_text(ROUTES.format(engine="envoy"))
    code, output = await run(tmp_path, "serve", "--envoy-binary", str(script(tmp_path, REFUSING)))
    assert code == 1
    assert output.strip().endswith("Envoy 1.40.7 refuses the settings: no such thing")


@pytest.mark.parametrize(
    ("engine", "options", "reason"),
    [
        pytest.param("builtin", ("--envoy-binary", "/bin/true"), "engine: envoy", id="another engine"),
        pytest.param("envoy", ("--control-only",), "belong together", id="no folder"),
        pytest.param("envoy", ("--envoy-files", "files"), "belong together", id="a folder alone"),
    ],
)
async def test_options_that_contradict_each_other_are_named(
    tmp_path: Path, engine: str, options: tuple[str, ...], reason: str
) -> None:
    (tmp_path / "routes.yaml").write_text(ROUTES.format(engine=engine))
    code, output = await run(tmp_path, "serve", *options)
    assert code in (1, 2)
    assert reason in output
