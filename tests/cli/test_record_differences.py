"""`strangler record export --signatures STATE`: a file for each difference of the inbox."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from shutil import which

import pytest
from click.testing import Result

from tests.cli.test_diffs import ROUTES, differing, keep, row, run
from tests.needs import require
from tests.upstreams.servers import Server

__all__ = ["run"]
Run = Callable[..., Result]
EXPORT = ("record", "export", "--signatures", "new")


def files(folder: str = "differences") -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(Path(folder).iterdir())}


def test_a_difference_has_a_file_named_by_its_route_and_id(run: Run) -> None:
    keep(differing())
    result = run(*EXPORT)
    name = f"orders-{row(run)['id']}.hurl"
    assert (result.exit_code, result.stdout) == (0, "1 files written into differences\n")
    text = files()[name]
    assert list(files()) == [name]
    assert "GET http://127.0.0.1:8000/api/orders/7?x=1\n" in text
    assert "GET http://127.0.0.1:8001/api/orders/7?x=1\n" in text
    assert Path("differences", name).stat().st_mode & 0o777 == 0o600


def test_redacted_fields_are_left_out_and_named(run: Run) -> None:
    keep(differing())
    run(*EXPORT)
    (text,) = files().values()
    assert "# left out, since its value is redacted: header Authorization\n" in text
    assert "uthorization:" not in text


@pytest.mark.parametrize(("form", "ending"), [("hurl", ".hurl"), ("curl", ".sh"), ("pytest", ".py")])
def test_a_file_keeps_its_name_and_is_replaced(run: Run, form: str, ending: str) -> None:
    keep(differing())
    assert run(*EXPORT, "--as", form, "-o", "out").exit_code == 0
    before = files("out")
    (name,) = before
    assert name.endswith(ending)
    Path("out", name).write_text(before[name].replace("api", "ipa"))
    assert run(*EXPORT, "--as", form, "-o", "out").exit_code == 0
    assert files("out") == before


@pytest.mark.parametrize("kind", ["a file of another", "a link", "a folder"])
def test_what_is_not_its_own_stays(run: Run, kind: str) -> None:
    keep(differing())
    path = Path("differences", f"orders-{row(run)['id']}.hurl")
    path.parent.mkdir()
    Path("mine").write_text(f"# strangler: difference {row(run)['id']}\n")
    if kind == "a link":
        path.symlink_to(Path("mine").absolute())
    elif kind == "a folder":
        path.mkdir()
    else:
        path.write_text("mine\n")
    result = run(*EXPORT)
    assert (result.exit_code, f"{path} is not of this difference" in result.stderr) == (2, True)
    assert Path("mine").read_text().startswith("# strangler")
    assert path.is_dir() or path.is_symlink() or path.read_text() == "mine\n"


def test_other_files_of_the_folder_stay(run: Run) -> None:
    keep(differing())
    Path("differences").mkdir()
    Path("differences", "notes").write_text("mine")
    assert run(*EXPORT).exit_code == 0
    assert files()["notes"] == "mine"


def test_only_differences_of_the_named_states_and_route(run: Run) -> None:
    keep(differing())
    run("diffs", "known", row(run)["id"], "--why", "agreed")
    assert run(*EXPORT).stdout == "0 files written into differences\n"
    assert run("record", "export", "--signatures", "known", "--signatures", "new").stdout.startswith("1 files")
    assert run(*EXPORT, "--route", "none").exit_code == 2
    assert run("record", "export", "--signatures", "odd").exit_code == 2


def test_a_request_that_may_change_something_needs_a_word(run: Run) -> None:
    keep(differing(method=b"POST"))
    result = run(*EXPORT)
    assert result.stdout == "0 files written into differences\n"
    assert "left out: 1, since their requests may change something; --writes includes them" in result.stderr
    assert run(*EXPORT, "--writes").stdout == "1 files written into differences\n"


def test_the_script_repeats_the_request_at_both_arms(run: Run) -> None:
    require("" if which("curl") else "curl")
    with Server() as legacy, Server() as candidate:
        ports = ROUTES.replace(":8000", f":{legacy.port}").replace(":8001", f":{candidate.port}")
        Path("routes.yaml").write_text(ports)
        keep(differing())
        assert run(*EXPORT, "--as", "curl").exit_code == 0
        (name,) = files()
        subprocess.run([Path("differences", name).absolute()], check=True, capture_output=True)
        for server in (legacy, candidate):
            (request,) = server.requests
            assert request.startswith(b"GET /api/orders/7?x=1 HTTP/1.1\r\n")
            assert b"\r\nX-User-Id: it's 7\r\n" in request
            assert b"uthorization" not in request


def test_the_test_fails_while_the_difference_is_there(run: Run) -> None:
    body = b'HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n{"price": %b}'
    with Server(response=body % (14, b"1.5")) as legacy, Server(response=body % (16, b'"1.5"')) as candidate:
        ports = ROUTES.replace(":8000", f":{legacy.port}").replace(":8001", f":{candidate.port}")
        Path("routes.yaml").write_text(ports)
        keep(differing())
        run(*EXPORT, "--as", "pytest")
        words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", "differences"]
        ran = subprocess.run(words, capture_output=True, text=True, check=False)
        assert (ran.returncode, "assert [1.5] == ['1.5']" in ran.stdout) == (1, True), ran.stdout
