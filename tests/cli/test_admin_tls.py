"""Commands and an admin listener with TLS: which certificate they accept, and what they report of any other."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from click.testing import CliRunner, Result

from strangler.cli import main
from tests.certificates import Pair, make_ca, make_pair

ROUTES = """\
version: 1
admin: {{listen: "127.0.0.1:{port}"{tls}}}
state: state
upstreams:
  legacy: {{url: http://127.0.0.1:8000}}
"""
TLS = ", tls: {certificates: [{cert: admin.pem, key: admin.key}]}"
EVENTS = b'{"events":[]}'
YESTERDAY = datetime.now(UTC) - timedelta(days=1)

Run = Callable[[str], Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in a folder of its own. What is raised but not meant for click comes through."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STRANGLER_TOKEN", raising=False)
    return lambda line: CliRunner().invoke(main, line.split(), catch_exceptions=False)


class _Events(BaseHTTPRequestHandler):
    """Always sends that nothing has happened."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(EVENTS)))
        self.end_headers()
        self.wfile.write(EVENTS)

    def log_message(self, *expected: object) -> None:
        pass


class _Server(HTTPServer):
    def handle_error(self, *expected: object) -> None:
        pass


@contextmanager
def listener(pair: Pair | None, folder: Path, *, is_published: bool = True) -> Iterator[int]:
    """An admin listener; its port. `is_published`: routes.yaml names its certificate."""
    with _Server(("127.0.0.1", 0), _Events) as server:
        if pair is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*pair.write(folder, "served"))
            server.socket = context.wrap_socket(server.socket, server_side=True)
            if is_published:
                pair.write(folder, "admin")
        tls = TLS if pair is not None and is_published else ""
        (folder / "routes.yaml").write_text(ROUTES.format(port=server.server_port, tls=tls))
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def refused(result: Result, exit_code: int = 1) -> str:
    """The one line that a command reports."""
    assert (result.exit_code, result.stdout) == (exit_code, "")
    (line,) = result.stderr.splitlines()[-1:] if exit_code == 2 else result.stderr.splitlines()
    return line


@pytest.mark.parametrize(
    "pair",
    [
        pytest.param(lambda: make_pair(["ops.example"]), id="of other names, signed by itself"),
        pytest.param(lambda: make_pair(["ops.example"], "rsa", make_ca()), id="signed by an unknown authority"),
        pytest.param(lambda: make_pair(["ops.example"], "ed25519", make_ca(ca=make_ca())), id="with a chain"),
        pytest.param(lambda: make_pair([], not_after=YESTERDAY), id="without names, expired"),
    ],
)
def test_the_very_certificate_of_routes_yaml_is_trusted(run: Run, tmp_path: Path, pair: Callable[[], Pair]) -> None:
    with listener(pair(), tmp_path):
        (tmp_path / "admin.key").unlink()  # the operator may not read it
        result = run("events")
    assert (result.exit_code, result.output) == (0, "")


def test_another_certificate_is_refused_even_of_the_same_authority(run: Run, tmp_path: Path) -> None:
    ca = make_ca()
    with listener(make_pair(["localhost"], ca=ca), tmp_path) as port:
        make_pair(["localhost"], ca=ca).write(tmp_path, "admin")
        line = refused(run("events"))
    assert line.startswith(f"Error: 127.0.0.1:{port} shows another certificate than {tmp_path}/admin.pem")
    assert "--cacert" in line


def test_an_authority_that_stands_behind_the_certificate_is_not_trusted(run: Run, tmp_path: Path) -> None:
    """Whoever it signs another certificate for is not the proxy."""
    ca = make_ca()
    with listener(make_pair(["localhost"], ca=ca), tmp_path):
        (tmp_path / "admin.pem").write_bytes(make_pair(["localhost"], ca=ca).cert + ca.cert)
        assert "shows another certificate" in refused(run("events"))


@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_certificate_that_cannot_be_read_is_named_with_the_way_out(
    run: Run, tmp_path: Path, content: bytes | None
) -> None:
    with listener(make_pair(), tmp_path):
        (tmp_path / "admin.pem").unlink()
        if content is not None:
            (tmp_path / "admin.pem").write_bytes(content)
        line = refused(run("events"), 2)
    assert f"{tmp_path}/admin.pem" in line
    assert "--cacert" in line


def test_a_named_authority_vouches_for_the_host_name(run: Run, tmp_path: Path) -> None:
    ca = make_ca()
    (tmp_path / "ca.pem").write_bytes(ca.cert)
    with listener(make_pair(["127.0.0.1"], ca=ca), tmp_path, is_published=False) as port:
        assert run(f"events --admin https://127.0.0.1:{port} --cacert ca.pem").exit_code == 0
        line = refused(run(f"events --admin https://localhost:{port} --cacert ca.pem"))
    assert line == (f"Error: localhost:{port} shows a certificate for other names; use one of its names with --admin")


@pytest.mark.parametrize(
    ("pair", "option", "expected"),
    [
        pytest.param(
            lambda ca: make_pair(["127.0.0.1"], ca=ca, not_after=YESTERDAY),
            "--cacert ca.pem",
            "shows a certificate that has expired; renew it",
            id="expired",
        ),
        pytest.param(
            lambda ca: make_pair(["127.0.0.1"], ca=ca, not_before=datetime.now(UTC) + timedelta(days=1)),
            "--cacert ca.pem",
            "shows a certificate that is not valid yet; compare the clocks of both machines",
            id="not valid yet",
        ),
        pytest.param(
            lambda _: make_pair(["127.0.0.1"], ca=make_ca()),
            "--cacert ca.pem",
            "shows a certificate that ca.pem does not vouch for",
            id="another authority's",
        ),
        pytest.param(
            lambda ca: make_pair(["127.0.0.1"], ca=ca),
            "",
            "shows a certificate that no authority of this system has signed",
            id="of no authority of the system",
        ),
    ],
)
def test_a_certificate_that_is_not_accepted_is_reported_in_one_line(
    run: Run, tmp_path: Path, pair: Callable[[Pair], Pair], option: str, expected: str
) -> None:
    ca = make_ca()
    (tmp_path / "ca.pem").write_bytes(ca.cert)
    with listener(pair(ca), tmp_path) as port:
        line = refused(run(f"events --admin https://127.0.0.1:{port} {option}"))
    assert line.startswith(f"Error: 127.0.0.1:{port} {expected}")


def test_an_address_without_tls_is_named(run: Run, tmp_path: Path) -> None:
    with listener(None, tmp_path) as port:
        line = refused(run(f"events --admin https://127.0.0.1:{port}"))
    assert line == f"Error: 127.0.0.1:{port} does not use TLS; name it as http://127.0.0.1:{port}"


def test_an_address_with_tls_is_named(run: Run, tmp_path: Path) -> None:
    """By what it sends, or by its handshake where it only closes."""
    with listener(make_pair(), tmp_path) as port:
        line = refused(run(f"events --admin http://127.0.0.1:{port}"))
    assert line == f"Error: 127.0.0.1:{port} uses TLS; name it as https://127.0.0.1:{port}"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--admin https://127.0.0.1:1 --cacert missing.pem", "--cacert missing.pem: it cannot be read (No such file"),
        ("--admin https://127.0.0.1:1 --cacert .", "--cacert .: it cannot be read (Is a directory"),
        ("--admin https://127.0.0.1:1 --cacert routes.yaml", "--cacert routes.yaml: it holds no PEM certificate"),
        ("--admin http://127.0.0.1:1 --cacert ca.pem", "--cacert goes with --admin https://HOST:PORT"),
        ("--cacert ca.pem", "--cacert goes with --admin https://HOST:PORT"),
    ],
)
def test_an_authority_that_cannot_be_used_is_bad_input(run: Run, tmp_path: Path, options: str, expected: str) -> None:
    (tmp_path / "routes.yaml").write_text(ROUTES.format(port=1, tls=""))
    assert expected in refused(run(f"events {options}"), 2)


@pytest.mark.parametrize(
    "line",
    ["diffs --admin {url} --cacert ca.pem show a", "diffs show a --admin {url} --cacert ca.pem",
     "diffs --admin {url} show a --cacert ca.pem"],
)  # fmt: skip
def test_options_of_a_group_are_those_of_its_commands(run: Run, tmp_path: Path, line: str) -> None:
    ca = make_ca()
    (tmp_path / "ca.pem").write_bytes(ca.cert)
    with listener(make_pair(["127.0.0.1"], ca=ca), tmp_path, is_published=False) as port:
        result = run(line.format(url=f"https://127.0.0.1:{port}"))
    assert "cannot read" in result.stderr  # it got as far as the document, which is one of events


@pytest.mark.parametrize("command", ["status", "kill-switch on", "shift legacy 5"])
def test_no_command_reads_a_private_key(run: Run, tmp_path: Path, command: str) -> None:
    """Nor does it check certificates, which belong to the proxy."""
    make_pair(not_after=YESTERDAY).write(tmp_path, "admin")
    (tmp_path / "admin.key").unlink()
    (tmp_path / "routes.yaml").write_text(ROUTES.format(port=1, tls=TLS))
    assert "admin.key" not in run(command).output
