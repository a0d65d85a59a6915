"""A PostgreSQL server for tests, from the system's package, in a temporary folder and reached by a socket there."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

import psycopg

from tests.needs import require

_NOBODY: Final = 65534
USER: Final = "tests"


class PostgresServer:
    """A server in a folder of its own. `url` reaches a database by the socket, `tcp_url` over loopback."""

    def __init__(self, programs: Path, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.programs = programs

    def make(self) -> None:
        """Make its files."""
        made = ("-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
        _run(self.programs / "initdb", "-D", self.folder / "data", *made)

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        listens = f"-c listen_addresses=127.0.0.1 -p {self.port}" if self.port else "-c listen_addresses="
        options = f"-F -k {self.folder} {listens}"
        control, data, log = self.programs / "pg_ctl", self.folder / "data", self.folder / "log"
        _run(control, "-D", data, "-l", log, "-o", options, "-w", "start")

    def stop(self, mode: str = "immediate") -> None:
        """Stop it: `fast` lets sessions say farewell, `immediate` does not."""
        _run(self.programs / "pg_ctl", "-D", self.folder / "data", "-m", mode, "-w", "stop")

    def send(self, number: signal.Signals) -> None:
        """Send a signal to each of its processes."""
        postmaster = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        for pid in (postmaster, *_children(postmaster)):
            os.kill(pid, number)

    def url(self, database: str = "postgres") -> str:
        port = f"&port={self.port}" if self.port else ""
        return f"postgresql://{USER}@/{database}?host={self.folder}{port}"

    def tcp_url(self, database: str = "postgres", user: str = USER, options: str = "") -> str:
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}{options}"

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        return psycopg.connect(self.url(database), autocommit=True)

    @property
    def hba(self) -> Path:
        """The file that says who may connect, and how."""
        return self.folder / "data" / "pg_hba.conf"

    def reload(self) -> None:
        """Have it read its configuration again."""
        _run(self.programs / "pg_ctl", "-D", self.folder / "data", "reload")


@contextmanager
def running_server(port: int = 0) -> Iterator[PostgresServer]:
    """Start a server that nobody else sees. Skips the test where there is none. `port`: 0 for no TCP."""
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), default=None)
    require("" if programs is not None else "PostgreSQL (Debian: postgresql)")
    assert programs is not None
    folder = Path(mkdtemp(prefix="postgres-", dir="/tmp"))  # one that another user may enter
    server = PostgresServer(programs, folder, port)
    try:
        if os.geteuid() == 0:
            os.chown(folder, _NOBODY, _NOBODY)
        server.make()
        server.start()
        try:
            yield server
        finally:
            if (folder / "data" / "postmaster.pid").exists():
                server.send(signal.SIGCONT)
                server.stop()
    finally:
        shutil.rmtree(folder)


@contextmanager
def server() -> Iterator[psycopg.Connection]:
    """Start a server that nobody else sees, and connect to it. Skips the test where there is none."""
    with running_server() as running, running.connect() as connection:
        yield connection


def _children(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True).stdout
    return [int(line) for line in listed.split()]


def _run(*command: object) -> None:
    """Run a program that refuses to be root's."""
    user = ["setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"] if os.geteuid() == 0 else []
    done = subprocess.run([*user, *map(str, command)], cwd="/", capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
