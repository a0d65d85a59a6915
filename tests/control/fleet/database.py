"""A PostgreSQL server that a test may stop, kill and start again; each test has a database of its own in it."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Final

import psycopg

from strangler.store.postgres import opened
from strangler.store.schema.server_tables import prepare_server
from tests.needs import require

_NOBODY: Final = 65534
_NUMBERS: Final = count()


class Server:
    """A server at a port of its own."""

    def __init__(self, programs: Path, folder: Path, port: int) -> None:
        self.port = port
        self._programs = programs
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def make(self) -> None:
        """Make the files of the server."""
        options = ("-U", "tests", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
        command = [*_as_user(), str(self._programs / "initdb"), "-D", str(self._folder / "data"), *options]
        done = subprocess.run(command, cwd="/", capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self) -> None:
        """Start the server, and wait until it takes connections."""
        options = ("-F", "-k", str(self._folder), "-c", "listen_addresses=127.0.0.1", "-p", str(self.port))
        command = [*_as_user(), str(self._programs / "postgres"), "-D", str(self._folder / "data"), *options]
        deadline = time.monotonic() + 60
        while True:
            with open(self._folder / "log", "ab") as log:
                self._process = subprocess.Popen(command, cwd="/", stdout=log, stderr=log)
            while self._process.poll() is None:
                try:
                    psycopg.connect(self.url("postgres")).close()
                    return
                except psycopg.OperationalError:
                    assert time.monotonic() < deadline, (self._folder / "log").read_text()
                    time.sleep(0.05)
            assert time.monotonic() < deadline, (self._folder / "log").read_text()
            time.sleep(0.1)  # processes of a killed one are about to end

    def end(self, number: int = signal.SIGINT) -> None:
        """End the server: SIGINT ends its connections, SIGKILL leaves it no time for anything."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(30)
            self._process = None

    def url(self, database: str, port: int | None = None) -> str:
        """Return the URL of a database, as `store` has it."""
        return f"postgresql://tests@127.0.0.1:{port or self.port}/{database}?gssencmode=disable"

    def new_database(self) -> str:
        """Make a database with all tables; return its name."""
        name = f"test_{os.getpid()}_{next(_NUMBERS)}"
        with self.connect("postgres") as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        with opened(self.url(name), "test") as connection:
            prepare_server(connection)
        return name

    @contextmanager
    def connect(self, database: str) -> Iterator["psycopg.Connection[Any]"]:
        """Connect to a database."""
        with closing(psycopg.connect(self.url(database), autocommit=True)) as connection:
            yield connection


@contextmanager
def server() -> Iterator[Server]:
    """Start a server. Skips the test where there is none."""
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), default=None)
    require("" if programs is not None else "PostgreSQL (Debian: postgresql)")
    assert programs is not None
    folder = Path(mkdtemp(prefix="postgres-", dir="/tmp"))  # one that another user may enter
    try:
        if os.geteuid() == 0:
            os.chown(folder, _NOBODY, _NOBODY)
        found = Server(programs, folder, _free_port())
        found.make()
        found.start()
        try:
            yield found
        finally:
            found.end(signal.SIGQUIT)
    finally:
        shutil.rmtree(folder)


def _as_user() -> list[str]:
    """Return what runs a program that refuses to be root's."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"]


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
