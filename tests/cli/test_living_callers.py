"""`strangler check` warns of a sunset while somebody still calls, as the ledger in the state folder says."""

import os
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from strangler.cli import main
from strangler.cli._living_callers import living_callers
from strangler.config.load import load
from tests.control.control import control_of
from tests.ledger.ledgers import DAY, called

TEXT = """\
version: 1
admin: {{listen: 127.0.0.1:0}}
state: {state}
upstreams: {{legacy: {{url: http://127.0.0.1:8000}}}}
"""
ROUTES = """\
routes:
  - name: users
    match: {prefix: /users}
    retire: {sunset: 2999-03-01}
  - name: orders
    match: {prefix: /orders}
    retire: {sunset: 2999-03-01}
"""


@pytest.fixture
async def file(tmp_path: Path) -> Path:
    """A routes.yaml beside the store of a proxy that has served calls of /users alone."""
    path = tmp_path / "routes.yaml"
    path.write_text(TEXT.format(state=tmp_path / "state"))
    async with control_of(tmp_path, {}) as control:
        now = time.time()
        called(control.ledger.state, "GET /users/7", now, calls=9, caller="nightly-job")
        for caller in ("okhttp/4", "Firefox", "Chrome", "curl/8"):
            called(control.ledger.state, "GET /users/7/orders", now, caller=caller)
    return path


def test_each_sunset_with_living_callers_is_warned_of_at_its_place(file: Path) -> None:
    file.write_text(file.read_text() + ROUTES)
    result = CliRunner().invoke(main, ["check", "-c", str(file)])
    assert result.exit_code == 0
    [line] = result.stderr.splitlines()
    assert line.startswith(f"{file}:8:22: warning: route 'users': 2 endpoints, GET /users/{{}} among them, were called")
    assert "within 30 days by nightly-job, Chrome, Firefox and 2 more; " in line
    assert line.endswith("from retire.sunset on, 2999-03-01 00:00 UTC; see `strangler ledger --route users`")


def test_nobody_is_warned_of_who_has_not_called_for_long(file: Path) -> None:
    file.write_text(file.read_text() + ROUTES)
    loaded = load(file, os.environ)
    assert len(living_callers(loaded)) == 1
    assert living_callers(loaded, time.time() + 31 * DAY) == ()


@pytest.mark.parametrize("more", ["", "ledger: false\n" + ROUTES], ids=["nothing ends", "no ledger"])
def test_without_a_sunset_or_a_ledger_nothing_is_said(file: Path, more: str) -> None:
    file.write_text(file.read_text() + more)
    assert living_callers(load(file, os.environ)) == ()


def test_a_folder_without_a_store_is_no_problem(tmp_path: Path) -> None:
    file = tmp_path / "routes.yaml"
    file.write_text(TEXT.format(state=tmp_path / "nowhere") + ROUTES)
    assert living_callers(load(file, os.environ)) == ()
