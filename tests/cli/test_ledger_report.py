"""`strangler report` where no proxy runs: the ledger of the store is in it."""

import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from strangler.cli import main
from tests.control.control import control_of
from tests.ledger.ledgers import called

ROUTES = """\
version: 1
admin: {{listen: 127.0.0.1:0}}
state: {state}
upstreams: {{legacy: {{url: http://127.0.0.1:8000}}}}
"""


@pytest.mark.parametrize("more", ["", "ledger: false\n"], ids=["on", "off"])
async def test_the_report_has_the_ledger_of_the_store(tmp_path: Path, more: str) -> None:
    file, output = tmp_path / "routes.yaml", tmp_path / "report.html"
    file.write_text(ROUTES.format(state=tmp_path / "state"))
    async with control_of(tmp_path, {}) as control:
        called(control.ledger.state, "GET /users/7", time.time(), calls=3, caller="nightly-job")
    file.write_text(ROUTES.format(state=tmp_path / "state") + more)
    result = CliRunner().invoke(main, ["report", "-o", str(output), "--config", str(file)])
    assert result.exit_code == 0, result.output
    text = output.read_text()
    assert ("<code>GET /users/{}</code>" in text) == (not more)
    assert ("nightly-job" in text) == (not more)
